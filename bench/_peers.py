"""Peers of the benchmarks: how they are installed into `.venv/bench-peers` and started.

A peer that cannot be had here is not shown, and why is printed.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

INSTALLED = Path(sys.prefix) / "bench-peers"
START_SECONDS = 60.0
INSTALL_SECONDS = 300


class Missing(Exception):
    """A peer that cannot be had here, and why."""


def install(command: Sequence[str], place: Path) -> None:
    """Run an installer. Raises `Missing` where it fails."""
    try:
        done = subprocess.run(command, check=False, timeout=INSTALL_SECONDS, capture_output=True, cwd=place, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{command[0]}: {error}") from error
    if done.returncode:
        raise Missing(f"{' '.join(command[:3])}: {(done.stderr or done.stdout).strip()[-200:]}")


def environment(name: str, requirements: Sequence[str]) -> Path:
    """A Python environment of a peer's own; its folder. Raises `Missing`."""
    place = INSTALLED / name
    wanted = "\n".join(requirements)
    whole = place / "whole"
    if not whole.exists() or whole.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True)
        install([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", *requirements], place)
        whole.write_text(wanted, encoding="utf-8")
    return place


@asynccontextmanager
async def listening(command: Sequence[str], port: int) -> AsyncIterator[int]:
    """A process that listens on a port when it is ready; its id. Raises `Missing` where it does not start."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                break
            except OSError:
                if process.returncode is not None or time.monotonic() > deadline:
                    assert process.stderr is not None
                    said = (await process.stderr.read(2000)).decode(errors="replace")
                    raise Missing(f"{command[0]} did not start: {said.strip()[:200]}") from None
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
