"""Rounds of messages over several servers in turn: all are up at once, each measured while the others are idle."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

from bench._bars import Bars
from bench._room_load import Members, Poster, Report, cpu_seconds, members, nanoseconds, resident
from bench._room_peers import Server, Start, available

ROUNDS = 5
ARRIVAL_SECONDS = 30.0
SETTLE_SECONDS = 1.0
"""Joining goes on for a moment after the handshake; presence is told within a tenth of a second."""


class Round(NamedTuple):
    """What one round of one server showed."""

    report: Report
    cpu: float
    """Seconds of the whole server, with all its processes and threads."""

    @property
    def rate(self) -> float:
        """Deliveries per CPU-second."""
        return self.report.got / self.cpu


class Stand:
    """A server with its members and who posts."""

    def __init__(self, server: Server, people: Members, idle_bytes: float) -> None:
        self.server = server
        self.people = people
        self.idle_bytes = idle_bytes
        self.posted = 0
        self.poster = Poster(server.url, server.path, server.token)

    async def post(self, burst: int) -> None:
        """Post so many messages at once; returns when all are answered."""
        bodies = []
        for _ in range(burst):
            self.posted += 1
            bodies.append(self.server.body(self.posted, nanoseconds()))
        await self.poster.post(bodies)

    async def round(self, seconds: float, burst: int = 1, pace: float | None = None) -> Round:
        """Post for so many seconds, each burst when the one before has reached everybody, or at a pace."""
        # Anew: while others were measured, the server may have closed a connection that was idle.
        self.poster.close()
        self.poster = Poster(self.server.url, self.server.path, self.server.token)
        await self.people.wait(0, 0)
        cpu, began, before = cpu_seconds(self.server.pid), time.monotonic(), self.posted
        count = 0
        while time.monotonic() - began < seconds:
            await self.post(burst)
            count += 1
            if pace is None:
                await self.people.reach(self.posted - before, ARRIVAL_SECONDS)
            else:
                await asyncio.sleep(max(began + count / pace - time.monotonic(), 0))
        report = await self.people.wait(self.posted - before, ARRIVAL_SECONDS)
        return Round(report, cpu_seconds(self.server.pid) - cpu)


@asynccontextmanager
async def stand(server: Server, count: int) -> AsyncIterator[Stand]:
    """Open the members of a server."""
    # One member and one message first: what is loaded on first use belongs to the server and not to a socket.
    async with members(server.url, server.paths(1)) as first:
        warm = Stand(server, first, 0.0)
        await warm.post(1)
        await first.wait(1, ARRIVAL_SECONDS)
        warm.poster.close()
    before = resident(server.pid)
    async with members(server.url, server.paths(count)) as people:
        assert people.opened == count, f"{server.name}: {people.refused} of {count} sockets were refused"
        await asyncio.sleep(SETTLE_SECONDS)
        made = Stand(server, people, (resident(server.pid) - before) / count)
        made.posted = warm.posted
        try:
            yield made
        finally:
            made.poster.close()


async def compare(
    starts: Sequence[Start], sockets: int, seconds: float, *, burst: int = 1, pace: float | None = None
) -> dict[str, list[Round]]:
    """Rounds of each server that is here, in turn; by name."""
    async with AsyncExitStack() as stack:
        servers = await stack.enter_async_context(available(starts))
        stands = [await stack.enter_async_context(stand(server, sockets)) for server in servers]
        found: dict[str, list[Round]] = {one.server.name: [] for one in stands}
        for _ in range(ROUNDS):
            for one in stands:
                found[one.server.name].append(await one.round(seconds, burst, pace))
        return found


def show(bars: Bars, found: dict[str, list[Round]]) -> dict[str, float]:
    """Print each server's deliveries per CPU-second and what is wrong with them; the medians by name."""
    medians = {}
    for name, runs in found.items():
        medians[name] = bars.median(name, [run.rate for run in runs], "deliveries/CPU-s")
        reports = [run.report for run in runs]
        server = statistics.median(run.cpu / run.report.seconds for run in runs)
        load = statistics.median(report.cpu / report.seconds for report in reports)
        wrong = sum(report.wrong for report in reports)
        print(
            f"      to the last of them {statistics.median(one.last_p50 for one in reports):.1f} ms; of a core: server"
            f" {server:.0%}, load {load:.0%}; left out, doubled or out of order: {wrong}"
        )
    return medians


def ratio(bars: Bars, medians: dict[str, float], one: str, other: str, least: float | None = None) -> None:
    """Print one server's figure as a multiple of another's, judged where a bound is given and both are here."""
    if one in medians and other in medians:
        value = round(medians[one] / medians[other], 3)
        if least is None:
            bars.show(f"{one} to {other}", value, "times")
        else:
            bars.least(f"{one} to {other}", value, least, "times")
