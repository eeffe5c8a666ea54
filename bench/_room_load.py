"""The load of the benchmarks of rooms: processes of members that count, connections that post, CPU time and memory.

Members run in C (`peers/members.c`) where a compiler is there and in Python (`_members.py`) elsewhere; both take the
same commands. Load and server are separate processes, and the CPU time of both is shown: a load that has a core for
itself and leaves a part of it idle is not what limits.
"""

from __future__ import annotations

import asyncio
import functools
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

HERE = Path(__file__).parent
PEERS = HERE / "peers"

OPEN_SECONDS = 120.0


class Report(msgspec.Struct, frozen=True):
    """What members saw: counts, seconds, and milliseconds from sending a message to its arrival."""

    got: int
    least: int
    """Messages of the member that has the fewest."""
    gaps: int
    doubled: int
    unordered: int
    closed: int
    bytes: int
    reads: int
    cpu: float
    seconds: float
    p50: float
    p99: float
    last_p50: float
    """To the last member that gets it."""
    last_p99: float
    last_most: float

    @property
    def wrong(self) -> int:
        """Messages that were left out, doubled or out of order."""
        return self.gaps + self.doubled + self.unordered


@functools.cache
def compiled(name: str) -> Path | None:
    """The program of `peers/NAME.c`; None where no compiler is here."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    program = Path(tempfile.mkdtemp(prefix="atomic-guide-bench-")) / name
    command = [compiler, "-O2", "-D_GNU_SOURCE", "-o", str(program), str(PEERS / f"{name}.c")]
    subprocess.run(command, check=True, timeout=120)
    return program


class Members:
    """A process of members, driven by lines."""

    def __init__(self, process: asyncio.subprocess.Process, opened: int, refused: int) -> None:
        self._process = process
        self.opened = opened
        self.refused = refused

    async def wait(self, messages: int, seconds: float) -> Report:
        """Until each member has `messages`, or the time is over; what was seen since the last report."""
        return msgspec.json.decode(await ask(self._process, f"wait {messages} {seconds}", seconds + 60), type=Report)

    async def reach(self, messages: int, seconds: float) -> None:
        """Until each member has `messages` since the last report, or the time is over."""
        await ask(self._process, f"reach {messages} {seconds}", seconds + 60)

    async def stop(self, place: int) -> None:
        """Read a member's socket no more."""
        await ask(self._process, f"stop {place}", 60)


@asynccontextmanager
async def members(url: str, paths: Sequence[str], receive_buffer: int = 0) -> AsyncIterator[Members]:
    """Members with a socket for each path, connected."""
    program = compiled("members")
    command = [str(program)] if program else [sys.executable, "-m", "bench._members"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, cwd=HERE.parent)
    try:
        port = url.rpartition(":")[2]
        lines = "\n".join([f"{port} {len(paths)} {receive_buffer}", *paths])
        opened = msgspec.json.decode(await ask(process, lines, OPEN_SECONDS))
        yield Members(process, opened["opened"], opened["refused"])
    finally:
        process.kill()
        await process.wait()


async def ask(process: asyncio.subprocess.Process, command: str, limit: float) -> bytes:
    """Give a process a line and take its answer."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(command.encode() + b"\n")
    async with asyncio.timeout(limit):
        await process.stdin.drain()
        return await process.stdout.readline()


class Poster:
    """Kept HTTP connections that post; with several, messages that are posted together are under way together."""

    def __init__(self, url: str, path: str, token: str) -> None:
        self._url = url
        self._head = (
            f"POST {path} HTTP/1.1\r\nHost: {url.removeprefix('http://')}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {token}\r\nContent-Length: "
        )
        self._streams: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def post(self, bodies: Sequence[bytes]) -> None:
        """Post each body over a connection of its own, all at once; returns when all are answered."""
        host, _, port = self._url.removeprefix("http://").partition(":")
        while len(self._streams) < len(bodies):
            self._streams.append(await asyncio.open_connection(host, int(port)))
        for body, (_, writer) in zip(bodies, self._streams, strict=False):
            writer.write(f"{self._head}{len(body)}\r\n\r\n".encode() + body)
        await asyncio.gather(*(_answer(reader) for reader, _ in self._streams[: len(bodies)]))

    def close(self) -> None:
        """End the connections."""
        for _, writer in self._streams:
            writer.close()


async def _answer(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(60):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        assert status in {200, 201, 202}, head
        lengths = [line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        if lengths:
            await reader.readexactly(int(lengths[0]))
        elif b"chunked" in head.lower():
            await reader.readuntil(b"0\r\n\r\n")


def nanoseconds() -> int:
    """The clock that members compare with: that of the machine, the same for all its processes."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its children so far, all threads, to the nanosecond where Linux tells it."""
    total = 0.0
    for process in [pid, *children(pid)]:
        for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
            total += int(task.read_text().split()[0]) / 1e9
    return total


def children(pid: int) -> list[int]:
    """The process ids below a process."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            found += [int(child), *children(int(child))]
    return found


def resident(pid: int) -> int:
    """Bytes of a process's own memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise LookupError("this kernel does not tell a process's memory")


def show_machine() -> None:
    """Print what figures depend on."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    way = "C" if compiled("members") else "Python (no C compiler here)"
    print(f"{os.cpu_count()} cores, load {load}, Python {sys.version.split()[0]}; members in {way}; every message of")
    print("  ours is committed with synchronous=FULL before it is delivered, those of the peers are not stored")


def raise_descriptors() -> None:
    """Allow this process and those that it starts as many descriptors as the system lets them have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
