"""What was recorded, as plans read it: days and weeks of a series, its highest, its growth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atomic_guide.operations.capacity import peaks
from atomic_guide.operations.capacity.peaks import DAY, Days, Peak
from atomic_guide.operations.capacity.spread import Series, Spread, student
from atomic_guide.operations.scaling.calendar import Span, kinds_of
from atomic_guide.operations.scaling.model import Key

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.histogram import Histogram
    from atomic_guide.operations.scaling.series import Series as Recorded

SLOT = 900
"""A quarter of an hour: what is over capacity for longer is felt, what is shorter is a queue's business."""

_DAY_HOURS = 24
_MEAN_DAYS = 28
_USUAL_DAYS = 119
_ALL_DAYS = 399
"""As far as the series goes; read only for a trend, or where a calendar says what days a year ago were."""


class Load(NamedTuple):
    """A recorded load: its days, the need at its peak, the highest quarter of an hour, what kinds of days do to it."""

    days: Days
    peak: Peak
    most: float
    effects: dict[int, float]

    @property
    def history(self) -> float:
        """Days from the first that was measured."""
        known = np.flatnonzero(~np.isnan(self.days.highs))
        return float(len(self.days.highs) - known[0]) if len(known) else 0.0


class Record:
    """The recorded series up to a moment; `spans` are terms, breaks, exams, holidays, of the past and ahead."""

    def __init__(self, series: Recorded, at: float, spans: Sequence[Span], z: float, *, trends: bool) -> None:
        self._series = series
        self.at = at
        self.spans = spans
        self._z = z
        self._count = _ALL_DAYS if trends or spans else _USUAL_DAYS

    async def load(self, *keys: Key, highest: bool = False) -> Load | None:
        """The sum of some series, of means of quarters of an hour or of what was highest in them; None without."""
        times, total = np.array([]), np.array([])
        for key in keys:
            found = await self._series.read(key, self.at - self._count * DAY, self.at, SLOT)
            values = found.most if highest else found.values
            times = found.times
            total = values if not len(total) else _sum(total, values)
        if not len(total) or np.isnan(total).all():
            return None
        return load_of(times, total, self.at, self.kinds(-self._count, self._count), self._z)

    async def mean(self, key: Key) -> float | None:
        """The mean of the last four weeks, as far as they were measured; None where nothing was."""
        found = await self._series.read(key, self.at - _MEAN_DAYS * DAY, self.at, 3600)
        return float(np.nanmean(found.values)) if not np.isnan(found.values).all() else None

    async def values(self, key: Key) -> Series:
        """The quarters of an hour of the last eight weeks."""
        return (await self._series.read(key, self.at - peaks.WEEKS * peaks.WEEK, self.at, SLOT)).values

    async def daily(self, key: Key) -> Series:
        """The last value of each day, the oldest first, NaN for days without."""
        found = await self._series.read(key, self.at - self._count * DAY, self.at, 3600)
        rows = np.full(self._count * _DAY_HOURS, np.nan)
        count = min(len(found.values), len(rows))
        rows[len(rows) - count :] = found.values[len(found.values) - count :]
        days = rows.reshape(self._count, _DAY_HOURS)
        known = ~np.isnan(days)
        last = _DAY_HOURS - 1 - np.argmax(known[:, ::-1], axis=1)
        values: Series = np.where(known.any(axis=1), days[np.arange(self._count), last], np.nan)
        return values

    async def runs(self, queues: Sequence[str]) -> Histogram | None:
        """All runs of jobs of the last eight weeks; None where there were none."""
        found = None
        for queue in queues:
            one = await self._series.histogram(Key("queues", "run", queue), self.at - peaks.WEEKS * peaks.WEEK, self.at)
            if found is None:
                found = one
            else:
                found.merge(one)
        return found if found is not None and found.count else None

    async def parts(self, component: str, metric: str) -> list[str]:
        """The parts that a metric was ever measured of."""
        return [key.part for key in await self._series.keys() if key[:2] == (component, metric)]

    def kinds(self, first: int, count: int) -> peaks.Numbers:
        """The kind of each of so many days from `first` days from now on, by their middle."""
        hours = kinds_of(self.spans, self.at + first * DAY, count * _DAY_HOURS)
        return hours[_DAY_HOURS // 2 :: _DAY_HOURS]


def load_of(times: Series, values: Series, at: float, kinds: peaks.Numbers, z: float) -> Load | None:
    """A load of a series at regular times; None for under two weeks of it."""
    days = peaks.days_of(times, values, at, kinds)
    found = peaks.peak(days, z)
    return Load(days, found, float(np.nanmax(values)), peaks.effects(days)) if found is not None else None


def inflow(daily: Series) -> Spread | None:
    """What comes a day of something that is kept, from the growth of whole weeks; None for under two weeks."""
    known = np.flatnonzero(~np.isnan(daily))
    if len(known) < 2 * 7 + 1:
        return None
    places = np.arange(int(known[-1]), int(known[0]) - 1, -7)
    levels = np.interp(places, known, daily[known])
    grown = -np.diff(levels)[: peaks.WEEKS] / 7
    error = float(grown.std(ddof=1)) / np.sqrt(len(grown)) if len(grown) > 1 else 0.0
    reach = student(0.95, max(len(grown) - 1, 1)) * error
    middle = max(float(grown.mean()), 0.0)
    return Spread.between(max(middle - reach, 0.0), middle, middle + reach)


def _sum(one: Series, other: Series) -> Series:
    """What was measured of either; NaN where of neither."""
    found: Series = np.where(np.isnan(one) & np.isnan(other), np.nan, np.nan_to_num(one) + np.nan_to_num(other))
    return found
