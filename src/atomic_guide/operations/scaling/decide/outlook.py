"""What is known of the time ahead when deciding: a forecast, peaks, quiet hours, entries of the schedule. Pure data.

It is made about once an hour by others (lookahead.py), who know calendars and clocks; here are seconds since 1970 only.
"""

from __future__ import annotations

import msgspec


class Peak(msgspec.Struct, frozen=True):
    """A daily peak: from when to when, its demand (p95 of its highest hour), over the mean of the day."""

    begins: float
    ends: float
    demand: float
    intensity: float = 1.0


class Entry(msgspec.Struct, frozen=True):
    """Of the schedule: so many units at least from when to when."""

    begins: float
    ends: float
    units: int
    note: str = ""


class Outlook(msgspec.Struct, frozen=True):
    """The time ahead of one fleet. `p50` and `p95` are demand by hour from `begins` on; empty where not forecast.

    `why` says why there is no forecast; `confidence` is the share of weeks whose peak a forecast's p95 has held;
    `quiet` are spans of quiet hours. `usage` is for people: trend, season, reliability (peaks.py).
    """

    made_at: float
    begins: float = 0.0
    p50: list[float] = []
    p95: list[float] = []
    why: str = ""
    confidence: float | None = None
    peaks: list[Peak] = []
    quiet: list[tuple[float, float]] = []
    entries: list[Entry] = []
    usage: dict[str, float | None] = {}

    def quiet_at(self, at: float) -> bool:
        """Whether a moment is in quiet hours."""
        return any(begins <= at < ends for begins, ends in self.quiet)

    def hour(self, at: float) -> tuple[float, float] | None:
        """The forecast of the hour in which a moment is, as p50 and p95."""
        place = int((at - self.begins) // 3600)
        return (self.p50[place], self.p95[place]) if 0 <= place < len(self.p50) else None

    def most(self, begin: float, end: float, *, upper: bool) -> float | None:
        """The highest forecast of the hours that a span touches, None where it has none."""
        row = self.p95 if upper else self.p50
        first, last = int((begin - self.begins) // 3600), int((end - self.begins) // 3600)
        inside = row[max(first, 0) : max(last + 1, 0)]
        return max(inside, default=None)
