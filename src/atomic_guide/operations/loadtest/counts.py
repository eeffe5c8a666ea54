"""What a tester tells of each second, and its sum over testers and stages. Pure.

A cell counts one thing of one stage: a scenario (`message`), a step of one (`launch/session`), or `delivery`. Latencies
are of those that succeeded, from the moment at which the arrival was due, think time left out; an answer that was given
up counts with the time for which it was waited, since leaving it out would make the slowest look fast. What failed at
once counts as an error only.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from atomic_guide.operations.scaling.histogram import Histogram

TIMEOUT, UNFINISHED = "timeout", "unfinished"
WAITED = (TIMEOUT, UNFINISHED)
"""Errors whose time counts: an answer was given up, or the test ended before it came."""


class Cell(msgspec.Struct, frozen=True, array_like=True):
    """One thing of one stage in one second. `failed` is by class of error; `buckets` and `total` are latencies."""

    stage: int
    name: str
    done: int
    failed: dict[str, int]
    buckets: dict[int, int]
    total: float


class Second(msgspec.Struct, frozen=True, kw_only=True):
    """What one tester did in a second of its test; `second` is when that ended, counted from the begin."""

    part: int
    second: int
    cells: list[Cell]
    due: dict[int, int]
    """Arrivals that were due, by stage."""
    dropped: dict[int, int]
    """Those of them that were not begun, since as many as may be were in flight."""
    late: dict[int, dict[int, int]]
    """By how much arrivals were begun late: counts by bucket, by stage."""
    in_flight: int
    sockets: int
    cpu: float
    """CPU time of the tester's process, in seconds."""
    span: float
    """Seconds since the last of these."""


class Total:
    """Sums of cells."""

    __slots__ = ("done", "failed", "latency")

    def __init__(self) -> None:
        self.done = 0
        self.failed: dict[str, int] = {}
        self.latency = Histogram()

    @property
    def errors(self) -> int:
        """How many failed."""
        return sum(self.failed.values())

    @property
    def tried(self) -> int:
        """How many came to an end."""
        return self.done + self.errors

    @property
    def error_rate(self) -> float | None:
        """Which share failed; None where there were none."""
        return self.errors / self.tried if self.tried else None

    def add(self, cell: Cell) -> None:
        """Count a cell."""
        self.done += cell.done
        for kind, count in cell.failed.items():
            self.failed[kind] = self.failed.get(kind, 0) + count
        self.latency.merge(Histogram(cell.buckets, cell.total))

    def merge(self, other: Total) -> None:
        """Count another's too."""
        self.done += other.done
        for kind, count in other.failed.items():
            self.failed[kind] = self.failed.get(kind, 0) + count
        self.latency.merge(other.latency)


class Totals:
    """Everything that testers told, by (stage, name); and what they told of themselves by second."""

    def __init__(self) -> None:
        self.by_stage: dict[tuple[int, str], Total] = {}
        self.due: dict[int, int] = {}
        self.dropped: dict[int, int] = {}
        self.late: dict[int, Histogram] = {}
        self.seconds: dict[int, list[Second]] = {}

    def add(self, told: Second) -> None:
        """Count a second of one tester."""
        self.seconds.setdefault(told.second, []).append(told)
        for cell in told.cells:
            self.by_stage.setdefault((cell.stage, cell.name), Total()).add(cell)
        for counts, into in ((told.due, self.due), (told.dropped, self.dropped)):
            for stage, count in counts.items():
                into[stage] = into.get(stage, 0) + count
        for stage, buckets in told.late.items():
            self.late.setdefault(stage, Histogram()).merge(Histogram(buckets))

    def of(self, name: str, stages: Iterable[int]) -> Total:
        """One thing over some stages."""
        found = Total()
        for stage in stages:
            if (one := self.by_stage.get((stage, name))) is not None:
                found.merge(one)
        return found

    def names(self) -> list[str]:
        """All that was counted."""
        return sorted({name for _, name in self.by_stage})


def summed(told: Iterable[Second], names: Iterable[str]) -> Total:
    """Some things over the seconds of several testers."""
    wanted = set(names)
    found = Total()
    for one in told:
        for cell in one.cells:
            if cell.name in wanted:
                found.add(cell)
    return found
