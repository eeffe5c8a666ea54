"""A thousand sockets in one course: `python3 dev.py bench rooms`.

Ours is the whole way of a message: HTTP, checks, a commit with fsync, the room, every socket. The peers get the
same messages over HTTP and only send them on: Starlette's own WebSocket class, and Node's `ws`. Load and server
are separate processes; the server's CPU time (all its processes and threads) is what counts. The peers run in
the same minutes on the same machine, so that their ratios can be read even where the absolutes cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.web.sessions import Session, Sessions, SessionSettings

HERE = Path(__file__).parent
TEXT = "A message of a usual length, as somebody types it into the room of a course."
GOAL_DELIVERIES = 80_000
GOAL_BYTES = 8_000


class Contender(NamedTuple):
    """A server to measure: how it is started, and what the load sends to it."""

    name: str
    command: list[str]
    plan: dict[str, Any]


class Run(NamedTuple):
    """What one run showed."""

    report: dict[str, Any]
    server_cpu: float
    idle_bytes: float


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


async def measure(contender: Contender, arguments: argparse.Namespace) -> Run:
    """Start a server and its load, once."""
    if "data" in contender.plan:
        shutil.rmtree(contender.plan["data"], ignore_errors=True)
        # Migrated beforehand: what a migration leaves free in the server's heap would hide what sockets take.
        await (await open_embedded(contender.plan["data"])).close()
    async with started(contender.command) as (url, pid):
        plan = await complete(contender.plan, url, arguments)
        # One member first: what is loaded on first use belongs to the server and not to a socket.
        async with members({**plan, "sockets": plan["sockets"][:1]}):
            pass
        before = resident(pid)
        async with members({**plan, "sockets": plan["sockets"][1:]}) as load:
            idle = (resident(pid) - before) / (len(plan["sockets"]) - 1)
            cpu = cpu_seconds(pid)
            load.stdin.write(b"go\n")
            report = json.loads(await asyncio.wait_for(load.stdout.readline(), 120))
            return Run(report, cpu_seconds(pid) - cpu, idle)


async def complete(plan: dict[str, Any], url: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """The plan with addresses and, for ours, one ticket for each member and a token for who posts."""
    shared = {**plan, "url": url, "messages": round(arguments.rate * arguments.seconds), "rate": arguments.rate}
    if "data" not in plan:
        return {**shared, "sockets": [plan["socket"]] * (arguments.sockets + 1), "token": ""}
    shards = await open_embedded(plan["data"])
    sessions = Sessions(shards.directory, SystemClock(), SessionSettings(ticket_seconds=300), "")
    try:
        tickets = await asyncio.gather(
            *(sessions.issue_code(session(f"student-{number}"), "ticket") for number in range(arguments.sockets + 1))
        )
        tokens = await sessions.refresh(session("teacher", "instructor"))
    finally:
        await shards.close()
    sockets = [f"/api/chat/ws?ticket={ticket}" for ticket in tickets]
    return {
        **{name: value for name, value in shared.items() if name != "data"},
        "sockets": sockets,
        "token": tokens.token,
    }


def session(user: str, role: Any = "learner") -> Session:
    """A session as a launch makes it."""
    key = CourseKey.of("bench", "course")
    ends_at = SystemClock().now() + 3600
    return Session("bench", key.course, key.bucket, user, f"Name of {user}", role, "en", "Course", ends_at)


@asynccontextmanager
async def started(command: list[str]) -> AsyncIterator[tuple[str, int]]:
    """A server process, its address and its process id."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, cwd=HERE.parent
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        assert line.startswith(b"ready "), line
        yield line.split()[1].decode(), process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def members(plan: dict[str, Any]) -> AsyncIterator[Any]:
    """A load process with its sockets open."""
    load = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench._members"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        cwd=HERE.parent,
    )
    assert load.stdin is not None
    assert load.stdout is not None
    try:
        load.stdin.write(json.dumps(plan).encode() + b"\n")
        opened = json.loads(await asyncio.wait_for(load.stdout.readline(), 120))
        assert opened["opened"] == len(plan["sockets"])
        # Joining goes on for a moment after the handshake; presence is told within a tenth of a second.
        await asyncio.sleep(1.0)
        yield load
    finally:
        load.kill()
        await load.wait()


@contextmanager
def contenders() -> Iterator[list[Contender]]:
    """Ours and the peers that this machine can run."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        message = {
            "type": "message",
            "data": {
                "id": "NUMBER",
                "seq": "SEQ",
                "author": {"id": "teacher", "name": "Name of teacher", "role": "instructor"},
                "content": TEXT,
                "created_at": "2026-01-01T00:00:00.000Z",
            },
        }
        peer = {"path": "/message", "socket": "/ws", "body": message}
        found = [
            Contender(
                "atomic-guide",
                [sys.executable, "-m", "atomic_guide.cli", "serve", "--port", "0", "--data", str(data)],
                {"path": "/api/chat/message", "data": data, "body": {"id": "bench-NUMBER", "content": TEXT}},
            ),
            Contender("Starlette send", [sys.executable, "-m", "bench.peers.starlette_room"], peer),
        ]
        package = node_ws(Path(folder))
        if package is None:
            print("Node ws: not shown (no node and npm here, or the package cannot be had)")
        else:
            found.append(Contender("Node ws", ["node", str(HERE / "peers" / "ws_room.mjs"), str(package)], peer))
        yield found


def node_ws(folder: Path) -> Path | None:
    """The package `ws`, installed into `folder`; None where that is not possible."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    place = folder / "node"
    place.mkdir()
    command = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(place),
        "ws",
    ]
    done = subprocess.run(command, check=False, timeout=120, capture_output=True, cwd=place)
    return place / "node_modules" / "ws" / "package.json" if done.returncode == 0 else None


def show(name: str, runs: list[Run], first: float | None) -> float:
    """Print a contender's line; its deliveries per CPU-second."""
    rates: list[float] = [run.report["got"] / run.server_cpu for run in runs]
    rate = statistics.median(rates)
    sums = {what: sum(run.report[what] for run in runs) for what in ("lost", "doubled", "unordered", "gaps")}
    idle = statistics.median(run.idle_bytes for run in runs)
    load = statistics.median(run.report["cpu"] / run.report["seconds"] for run in runs)
    server = statistics.median(run.server_cpu / run.report["seconds"] for run in runs)
    print(
        f"{name:16} {rate:9,.0f} deliveries per CPU-second ({min(rates):,.0f} to {max(rates):,.0f})"
        f"{'' if first is None else f', {rate / first:.2f} of ours'}; {idle:,.0f} bytes per idle socket;"
        f" lost {sums['lost']}, doubled {sums['doubled']}, out of order {sums['unordered'] + sums['gaps']};"
        f" CPU: server {server:.0%}, load {load:.0%} of a core"
    )
    return rate


async def main(arguments: argparse.Namespace) -> int:
    """Run every contender in turn, several times; 1 where ours lost, doubled or reordered a message."""
    print(
        f"{arguments.sockets} sockets, {arguments.rate} messages a second, {arguments.runs} runs of"
        f" {arguments.seconds} s each, medians; {os.cpu_count()} cores; every message of ours is fsynced"
    )
    wrong = 0
    with contenders() as found:
        runs: dict[str, list[Run]] = {contender.name: [] for contender in found}
        for _ in range(arguments.runs):
            for contender in found:
                runs[contender.name].append(await measure(contender, arguments))
        ours = show("atomic-guide", runs["atomic-guide"], None)
        wrong = sum(
            run.report[what] for run in runs["atomic-guide"] for what in ("lost", "doubled", "unordered", "gaps")
        )
        for contender in found[1:]:
            show(contender.name, runs[contender.name], ours)
    print(
        f"goals: {GOAL_DELIVERIES:,} deliveries per CPU-second, {GOAL_BYTES:,} bytes a socket, nothing lost or doubled"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench rooms", description=__doc__)
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--runs", type=int, default=3)
    sys.exit(asyncio.run(main(parser.parse_args())))
