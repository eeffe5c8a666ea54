"""A target and load tests of it, as operators run them."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bench._room_load import cpu_seconds
from tests.load_testing import command, environment
from tests.running import RunningServer, running_server


@asynccontextmanager
async def target() -> AsyncIterator[RunningServer]:
    """A server that is marked as a test target, on SQLite with fsync at each commit."""
    with (
        tempfile.TemporaryDirectory(prefix="atomic-guide-bench-") as folder,
        running_server(Path(folder) / "data", LOADTEST_TARGET="true", LOGS_LEVEL="error") as server,
    ):
        yield server


async def tested(server: RunningServer, *words: str) -> dict[str, Any]:
    """The report of `loadtest run`."""
    process = await asyncio.create_subprocess_exec(
        *command("run", *words), "--data", str(server.data), "--json", "--progress", "none",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment(), limit=1 << 26,
    )  # fmt: skip
    out, err = await process.communicate()
    if not out:
        raise RuntimeError(err.decode())
    found: dict[str, Any] = msgspec.json.decode(out)
    return found


async def locusts(server: RunningServer, users: int, each: float, seconds: float) -> dict[str, Any]:
    """What locust's own users, who each wait for an answer before the next request, say of it."""
    token = await asyncio.to_thread(_token, server)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._locusts", server.url, token, str(users), str(each), str(seconds),
        stdout=asyncio.subprocess.PIPE, env=environment(),
    )  # fmt: skip
    out, _ = await process.communicate()
    found: dict[str, Any] = msgspec.json.decode(out)
    return found


def _token(server: RunningServer) -> str:
    with server.enter("locust", "instructor", "closed") as client:
        return client.headers["authorization"]


def used(server: RunningServer) -> float:
    """CPU time of the server so far."""
    return cpu_seconds(server.process.pid)
