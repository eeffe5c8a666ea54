"""What an Idempotency-Key costs: messages and scores with a new key, without one, and once more under the same key.

One caller, one request after the other, against a server on files; CPU is that of all its processes. A message's key is
its id, so nothing more is stored; for scores the answer is kept, which is a claim before and a row after the work.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from bench._bars import Bars
from tests.running import running_server

ROUNDS = 7
CALLS = 200
_TICKS = os.sysconf("SC_CLK_TCK")
Headers = Callable[[], dict[str, str]]


async def measure(bars: Bars) -> None:
    """Both calls."""
    await asyncio.to_thread(called, bars)


def called(bars: Bars) -> None:
    """In turns, so that what the machine does otherwise meets all alike."""
    settings = {"LIMITS_INSTRUCTOR_MESSAGES": "1000000", "LIMITS_ROOM_MESSAGES": "1000000"}
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder) / "data", settings) as server,
        server.enter("prof", "instructor") as client,
    ):
        for name, post in {"message": said, "scores": scored}.items():
            compared(bars, name, client, server.process.pid, post)


def compared(bars: Bars, name: str, client: httpx.Client, pid: int, post: Callable[..., None]) -> None:
    """A call in its three ways."""
    same = {"Idempotency-Key": secrets.token_hex(8)}
    ways: dict[str, Headers] = {
        "without a key": dict,
        "with a new key": lambda: {"Idempotency-Key": secrets.token_hex(8)},
        "again under its key": lambda: same,
    }
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    calls = bars.size(CALLS, 20)
    for _ in range(max(1, round(ROUNDS * bars.share))):
        for way, headers in ways.items():
            before, began = cpu(pid), time.perf_counter()
            for _ in range(calls):
                post(client, headers())
            took = time.perf_counter() - began
            found[way].append(((cpu(pid) - before) / calls * 1e6, took / calls * 1e6))
    for way, rounds in found.items():
        bars.median(f"{name} {way}: CPU", [one for one, _ in rounds], "us")
        bars.median(f"{name} {way}: time", [one for _, one in rounds], "us")


def said(client: httpx.Client, headers: dict[str, str]) -> None:
    """Post a message."""
    client.post("/api/chat/message", json={"content": "What is a wave?"}, headers=headers).raise_for_status()


def scored(client: httpx.Client, headers: dict[str, str]) -> None:
    """Hand in one score."""
    rows = [{"user": "ada", "activity": "E1", "score": 7, "max": 10, "at": "2024-11-01"}]
    client.post("/api/analytics/performance", json={"scores": rows}, headers=headers).raise_for_status()


def cpu(pid: int) -> float:
    """Seconds of CPU of a process and of those below it."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        number = int(path.parent.name)
        parents[number], used[number] = int(fields[1]), (int(fields[11]) + int(fields[12])) / _TICKS
    below = {pid}
    while more := {one for one, parent in parents.items() if parent in below} - below:
        below |= more
    return sum(used[one] for one in below if one in used)
