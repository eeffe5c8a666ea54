"""The guide's own two policies: a threshold that only adds, and a schedule around daily peaks.

Both are replayed as they are sketched, defects included, to be compared with: the threshold adds one unit at every
tick at which it holds and takes none away; the schedule knows the day's hours and not the day of the week.
"""

from __future__ import annotations

import math

from atomic_guide.operations.scaling.fleet import Choice, Fleet

_HOUR = 3600.0
_DAY = 86400.0
_HOURS = 24


class GuideThresholds:
    """One unit more at each tick with four fifths of the capacity in use, as 800 of 1,000 sockets; never one less."""

    share = 0.8

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """One more, or as before."""
        del at
        if demand is not None and demand > self.share * fleet.ready * fleet.unit:
            return Choice(fleet.bounded(fleet.coming + 1), f"over {self.share:.0%} of capacity")
        return Choice(fleet.coming, "as before")


class GuideSchedule:
    """Capacity for the day's peak from 15 minutes before each peak hour to 30 after it, half of it otherwise.

    Peak hours are those whose mean demand is over four fifths of the highest hour's. The peak is the mean of the days'
    highest demand. Before a first day has been seen, what was highest so far.
    """

    share = 0.8
    before, after = 900.0, 1800.0
    quiet = 0.5

    def __init__(self) -> None:
        self._sums = [0.0] * _HOURS
        self._counts = [0] * _HOURS
        self._peaks: list[float] = []
        self._highest = 0.0
        self._day: float | None = None

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """What the schedule says for now."""
        if self._day is None or at - self._day >= _DAY:
            if self._day is not None:
                self._peaks.append(self._highest)
                self._highest = 0.0
            self._day = at
        if demand is not None:
            hour = int(at % _DAY // _HOUR)
            self._sums[hour] += demand
            self._counts[hour] += 1
            self._highest = max(self._highest, demand)
        if not self._peaks:
            return Choice(fleet.bounded(math.ceil(self._highest / fleet.unit)), "the highest so far")
        means = [total / max(count, 1) for total, count in zip(self._sums, self._counts, strict=True)]
        full = math.ceil(sum(self._peaks) / len(self._peaks) / fleet.unit)
        hours = {int((at + shift) % _DAY // _HOUR) for shift in (self.before, 0.0, -self.after)}
        if any(means[hour] > self.share * max(means) for hour in hours):
            return Choice(fleet.bounded(full), "around a daily peak")
        return Choice(fleet.bounded(math.ceil(self.quiet * full)), "outside of daily peaks")
