"""What is shed, over HTTP, for operators."""

from __future__ import annotations

import msgspec

from atomic_guide.clock import iso
from atomic_guide.operations.scaling.audit import Entry, entries
from atomic_guide.operations.scaling.model import WEB
from atomic_guide.operations.scaling.reports import Reports
from atomic_guide.web.overload import ORDER, SHEDS, Kind
from atomic_guide.web.routing import Call, Calls

calls = Calls()

SHEDDING = "shedding"
"""What decisions are called in the log of scaling."""
_LOGGED = 200

LEVEL, LAG = "web.shedding", "web.loop_lag"
"""What a process tells of it in its report."""


class Class(msgspec.Struct, frozen=True):
    """A class of load, in the order in which they are shed: what that means, and where it begins."""

    name: Kind
    sheds: str
    lag_ms: float
    waiting: float
    cpu: float | None
    shed: int
    now: bool


class Decided(msgspec.Struct, frozen=True):
    """A decision of the process that answers."""

    at: str
    before: int
    after: int
    reason: str
    lag_ms: float
    waiting: float
    cpu: float


class SheddingShown(msgspec.Struct, frozen=True):
    """How the process that answers stands, the level of each process by its last report, decisions of all of them."""

    enabled: bool
    level: int
    lag_ms: float
    waiting: float
    cpu: float
    classes: list[Class]
    changes: list[Decided]
    processes: dict[str, int]
    log: list[Entry]


@calls.add("GET", "/api/ops/shedding", access="operator", reply=SheddingShown, failures=(401, 503))
async def show_shedding(call: Call[None]) -> SheddingShown:
    """Show what is shed and why, the newest decision first."""
    tool, overload = call.tool, call.tool.overload
    lag, waiting, cpu = overload.signals
    counts = {**overload.shed, "typing": tool.chat.rooms.hush.dropped}
    classes = [
        Class(kind, SHEDS[kind], level.lag_ms, level.waiting, level.cpu, counts[kind], overload.level > place)
        for place, (kind, level) in enumerate(zip(ORDER, overload.settings.levels, strict=True))
    ]
    changes = [
        Decided(iso(one.at), one.before, one.after, one.reason, one.lag_ms, one.waiting, one.cpu)
        for one in reversed(overload.changes)
    ]
    reports = (await Reports(tool.shards.directory).look(tool.clock.now())).reports
    levels = {report.process: int(report.gauges[LEVEL]) for report in reports if LEVEL in report.gauges}
    noted = await entries(tool.shards.directory, fleet=WEB, limit=_LOGGED)
    return SheddingShown(
        overload.settings.enabled,
        overload.level,
        round(lag * 1000, 2),
        round(waiting, 4),
        round(cpu, 3),
        classes,
        changes,
        levels,
        [entry for entry in noted if entry.what == SHEDDING],
    )
