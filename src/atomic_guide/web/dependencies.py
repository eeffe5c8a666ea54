"""What the product depends on, and how each of it is bounded, for operators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from atomic_guide.errors import GuideError
from atomic_guide.operations.scaling.reports import Report, Reports, named
from atomic_guide.web.routing import Call, Calls

calls = Calls()

OPEN = "dependency.open"
"""What a process tells in its report: how many breakers of a dependency are not closed, where one is not."""

_READ_SECONDS = 2.0
"""How long the directory may take: what it would add is not worth waiting for, while it is what is away."""

State = Literal["closed", "open", "half-open", "none"]


class Bounds(msgspec.Struct, frozen=True):
    """How one dependency is bounded; each says what bounds it, with the settings that do.

    `values` are those settings as they are in force, with their units.
    """

    name: str
    kind: str
    time_out: str
    breaker: str
    retries: str
    bulkhead: str
    without: str
    modules: tuple[str, ...]
    values: dict[str, str] = {}


class Standing(msgspec.Struct, frozen=True):
    """How one dependency stands in the process that answers; `counts` are since its start."""

    name: str
    kind: str
    state: State
    running: int
    counts: dict[str, int]


class Opened(msgspec.Struct, frozen=True):
    """Breakers of a dependency that are not closed in a process, by its last report."""

    process: str
    name: str
    breakers: int


class Dependencies(msgspec.Struct, frozen=True):
    """Kinds of dependencies as declared, and those that the process that answers has had to do with.

    `open` are the breakers of all processes that are not closed, by the reports of `processes` of them; `processes` is
    null where the directory does not say.
    """

    declared: list[Bounds]
    standing: list[Standing]
    open: list[Opened]
    processes: int | None


class Known:
    """The dependencies of a process; `look` tells how they stand."""

    def __init__(self, declared: list[Bounds], look: Callable[[], list[Standing]]) -> None:
        self.declared = declared
        self.look = look


@calls.add("GET", "/api/ops/dependencies", access="operator", reply=Dependencies, failures=(401,))
async def show_dependencies(call: Call[None]) -> Dependencies:
    """Show what the product depends on: time-outs, breakers, retries, bulkheads, and how each stands here."""
    known = call.tool.dependencies
    declared, standing = (known.declared, known.look()) if known is not None else ([], [])
    try:
        async with asyncio.timeout(_READ_SECONDS):
            reports = await Reports(call.tool.shards.directory).standing(call.tool.clock.now())
    except (GuideError, TimeoutError):
        # This page is what is looked at while something is away.
        return Dependencies(declared, standing, [], None)
    return Dependencies(declared, standing, opened(reports), len(reports))


def opened(reports: Sequence[Report]) -> list[Opened]:
    """The breakers that processes have reported as not closed, by dependency."""
    found = [
        Opened(report.process, name.removeprefix(named(OPEN, "")), int(count))
        for report in reports
        for name, count in report.gauges.items()
        if name.startswith(named(OPEN, ""))
    ]
    return sorted(found, key=lambda one: (one.name, one.process))
