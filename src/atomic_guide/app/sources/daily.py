"""What a day has cost so far: the cost of an hour added up since midnight, across restarts.

Where a tenth of the day so far has not been measured, what it cost is not known; what is missing below that counts as
the mean of the rest.
"""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import TYPE_CHECKING

import numpy as np

from atomic_guide.operations.scaling.model import Key

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Series

_HOUR = 3600.0
_LEAST_MEASURED = 0.9
_GAP = 40.0
"""Seconds between two figures for which the second one holds: two missed ticks of 15 s, as alerts bridge them."""


class DailyCost:
    """Adds the cost of a day up; what was before this process is read from the record."""

    def __init__(self, series: Series, zone: tzinfo) -> None:
        self._series = series
        self._zone = zone
        self._midnight: float | None = None
        self._last = 0.0
        self._spent = 0.0
        self._measured = 0.0

    async def add(self, at: float, hourly: float) -> float | None:
        """The cost of the day until `at`, when an hour costs `hourly`; None where too little of it is known."""
        begin = self._begin(at)
        if begin != self._midnight:
            await self._start(begin, at)
        since = at - self._last
        if 0 < since <= _GAP:
            self._spent += hourly * since / _HOUR
            self._measured += since
        self._last = at
        passed = at - begin
        if not self._measured or self._measured < _LEAST_MEASURED * passed:
            return None
        return self._spent * passed / self._measured

    def _begin(self, at: float) -> float:
        local = datetime.fromtimestamp(at, self._zone)
        return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).timestamp()

    async def _start(self, begin: float, at: float) -> None:
        """A new day, or a new process in the middle of one."""
        spent = measured = 0.0
        last = begin
        # As fine as the whole of a day is kept; the slot of now is not over.
        rows = [await self._series.read(key, begin, at, 60) for key in await self._series.keys()
                if key[:2] == Key("costs", "hourly")[:2]]  # fmt: skip
        known = [row for row in rows if len(row.values) and not np.isnan(row.values).all()]
        if known:
            # A part that is not there at some time, such as traffic, costs nothing then.
            values = np.array([row.values for row in known])
            total = np.where(np.isnan(values).all(axis=0), np.nan, np.nansum(values, axis=0))
            there = ~np.isnan(total)
            ends = np.minimum(known[0].times + known[0].step, at)
            lengths = (ends - np.maximum(known[0].times, begin))[there]
            spent = float(np.sum(total[there] * lengths)) / _HOUR
            measured = float(np.sum(lengths))
            last = min(at, float(ends[there][-1]))
        self._midnight, self._last, self._spent, self._measured = begin, last, spent, measured
