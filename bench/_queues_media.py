"""Forty hostile or broken media files; every file that ffmpeg opens is recorded.

The worker runs below `strace`, where that is installed: what ffmpeg and its threads opened is compared with what they
may open, whatever the confinement has refused.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from bench._bars import Bars
from tests.hostile import CORPUS, left_over, listing, outcomes, prepared

TRACED = "trace=open,openat,openat2,creat,socket,connect,execve,clone,clone3,fork,vfork"
LIMIT_SECONDS = 600.0
_LINE = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+)")
_OPENED = re.compile(r'"((?:[^"\\]|\\.)*)", ([A-Z_|]+)')
_SYSTEM = (
    "/usr/",
    "/lib/",
    "/lib64/",
    "/etc/ld.so.cache",
    "/dev/null",
    "/dev/urandom",
    "/proc/self",
    "/sys/devices/system/cpu",
)
_WRITING = ("O_WRONLY", "O_RDWR", "O_CREAT")


async def measure(bars: Bars) -> None:
    """Run the corpus."""
    with tempfile.TemporaryDirectory() as name:
        await _corpus(bars, Path(name))


async def _corpus(bars: Bars, folder: Path) -> None:
    outside, data = folder / "outside", folder / "data"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(0)
        making = prepared(outside, listener.getsockname()[1])
        files = folder / "files"
        files.mkdir()
        for number, make in enumerate(CORPUS.values()):
            (files / str(number)).write_bytes(make(making))
        before = listing(outside)
        log = folder / "strace.log"
        traced = shutil.which("strace")
        words = [traced, "-f", "-qq", "-e", TRACED, "-o", str(log)] if traced else []
        words += [sys.executable, "-c", "from bench._queues_media import child; child()", str(files), str(data)]
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr)
        async with asyncio.timeout(LIMIT_SECONDS):
            told, _ = await process.communicate()
        try:
            listener.accept()
        except BlockingIOError:
            came = 0
        else:
            came = 1
    found = json.loads(told.decode().splitlines()[-1])
    for state in ("ready", "failed", "refused"):
        bars.show(f"files {state}", sum(outcome[0] == state for outcome in found.values()))
    for name, (state, reason) in sorted(found.items()):
        print(f"    {name:<32} {state:<8} {reason[:90]}")
    good = sum(state == "ready" or len(reason) > 10 for state, reason in found.values())
    bars.least("files that are ready, or say why not", good, len(CORPUS))
    bars.most("files outside that were changed", len(set(listing(outside).items()) ^ set(before.items())), 0)
    bars.most("connections to the address that files name", came, 0)
    bars.most("processes left over", len(left_over(data)), 0)
    bars.most("files left in the working folder", len(listing(data / "work")), 0)
    if traced:
        runs, opened = await asyncio.to_thread(_foreign, log, data)
        bars.least("runs of ffmpeg below strace", runs, 30)
        for line in opened[:10]:
            print(f"    {line}")
        bars.most("files opened and sockets made that may not be", len(opened), 0)
    else:
        bars.show("strace is not installed", "skipped")


def child() -> None:
    """The traced part: upload every file of a folder and print how each ended."""
    files, data = Path(sys.argv[1]), Path(sys.argv[2])
    content = {name: (files / str(number)).read_bytes() for number, name in enumerate(CORPUS)}
    found = asyncio.run(outcomes(data, content))
    print(json.dumps(found))


def _foreign(log: Path, data: Path) -> tuple[int, list[str]]:
    """How often ffmpeg was run, and what it opened that it may not: by the numbers of its threads."""
    media_threads: set[str] = set()
    runs, foreign = 0, []
    with log.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE.match(line)
            if not match:
                continue
            thread, call, arguments, result = match.groups()
            if call == "execve":
                media_threads.discard(thread)
                if "ffmpeg" in arguments.split(",")[0] and result == "0":
                    media_threads.add(thread)
                    runs += 1
            elif thread not in media_threads or result.startswith("-"):
                continue
            elif call in {"clone", "clone3", "fork", "vfork"}:
                media_threads.add(result)
            elif not _allowed(call, arguments, data):
                foreign.append(line.strip()[:160])
    return runs, foreign


def _allowed(call: str, arguments: str, data: Path) -> bool:
    found = _OPENED.search(arguments) if call.startswith("open") else None
    if found is None:
        return False
    path, flags = found[1], found[2]
    if any(word in flags for word in _WRITING):
        return path == "/dev/null" or not path.startswith("/") or path.startswith(f"{data}/work/")
    if path.startswith(("file:", "/")) or ".." in path:
        path = os.path.normpath(path.removeprefix("file:"))
        return path.startswith((*_SYSTEM, f"{data}/work/", f"{data}/objects/")) or "ffmpeg" in path
    return True
