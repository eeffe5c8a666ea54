"""A server that stands still for two seconds: in our p99, and in that of locust's own users beside it.

Both send 100 requests a second for the same time, one after the other; the server is stopped (SIGSTOP) in the middle.
Arrivals at a constant rate wait for what is left of the stall, from all of it down to nothing: of T seconds, 1% have
waited longer than the stall less T/100, and a little more while the server works off what has come meanwhile. That is
what the p99 has to show, however long the test is.
"""

from __future__ import annotations

import asyncio
import signal

from bench._bars import Bars
from bench._tester import locusts, target, tested
from tests.running import RunningServer

STALL = 2.0
USERS = 5


async def measure(bars: Bars) -> None:
    """Open and closed, the same stall."""
    seconds = bars.size(60, 12)
    async with target() as server:
        words = ("--rps", "100", "--ramp", "1s", "--duration", f"{seconds + 1}s", "--mix", "message=1")
        stalled = asyncio.create_task(_stalled(server, 6 + seconds / 2))
        report = await tested(server, *words, "--arrivals", "constant")
        await stalled
        stalled = asyncio.create_task(_stalled(server, 1 + seconds / 2))
        closed = await locusts(server, USERS, 100 / USERS, seconds)
        await stalled
    steady = report["steady"]["all"]
    due = STALL - seconds / 100
    bars.show("p99 that such a stall gives", due, "s")
    bars.least("p99 of the open model", steady["p99"], 0.95 * due, "s")
    bars.show("longest of the open model", steady["most"], "s")
    bars.show("p99 of locust's users, a closed loop", closed["p99"], "s")
    bars.show("longest of locust's users", closed["most"], "s")
    bars.least("the open p99 over the closed one", steady["p99"] / max(closed["p99"], 1e-3), 10, "times")
    bars.least("arrivals begun, of those due", 1 - report["tester"]["dropped"] / report["tester"]["due"], 1)
    bars.show("arrivals begun late, p99", report["tester"]["lag_p99"] * 1000, "ms")
    bars.show("requests of the closed loop, of those meant", closed["count"] / (100 * seconds))


async def _stalled(server: RunningServer, after: float) -> None:
    await asyncio.sleep(after)
    server.process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(STALL)
    server.process.send_signal(signal.SIGCONT)
