"""Plans of a server, from its record and its load tests, or of a trace of demand alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.component import Price, Prices, Today, What
from atomic_guide.operations.capacity.gather import gather
from atomic_guide.operations.capacity.peaks import DAY
from atomic_guide.operations.capacity.plan import months_of
from atomic_guide.operations.capacity.planner import MEASURED, Asked, Plan, make_plan, normal
from atomic_guide.operations.capacity.points import Taken, stored_points
from atomic_guide.operations.capacity.record import SLOT, Record, load_of
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.capacity.sight import Installed, Sight, of_load
from atomic_guide.operations.capacity.spread import Series as Values
from atomic_guide.operations.capacity.spread import Spread
from atomic_guide.operations.scaling.calendar import Span

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Series as Recorded
    from atomic_guide.operations.scaling.trace import Trace

_DAYS_MOST = 399

HOURS = 730.0
"""Of a month: 8760 over twelve, as providers reckon."""


class Capacity:
    """Plans of one server. `installed` says what runs, `spans` what the calendar knows since a moment."""

    def __init__(
        self,
        series: Recorded,
        installed: Callable[[float], Awaitable[Installed]],
        spans: Callable[[float], Awaitable[Sequence[Span]]],
        tests: Path,
        settings: CapacitySettings,
        prices: Callable[[], Awaitable[Prices]],
    ) -> None:
        self._series = series
        self._installed = installed
        self._spans = spans
        self._tests = tests
        self.settings = settings
        self._prices = prices

    async def plan(self, asked: Asked, points: Taken | None = None) -> Plan:
        """The plan; from the newest stored load test, where no `points` are given. Raises `Invalid`."""
        if points is None:
            points = await asyncio.to_thread(stored_points, self._tests)
        trends = asked.growth == MEASURED
        z = normal(self.settings.peak_share)
        spans = await self._spans(asked.at - _DAYS_MOST * DAY)
        record = Record(self._series, asked.at, spans, z, trends=trends)
        ahead = months_of(asked.at, asked.months).spans[-1][1]
        sight = Sight(record, await self._installed(asked.at), self.settings, points, ahead, trends)
        today = await gather(sight)
        return await asyncio.to_thread(make_plan, today, asked, self.settings, await self._prices())


class Unit(NamedTuple):
    """What one unit of a trace's system bears, how many there are, to how many they grow, what one costs an hour."""

    size: float
    units: int
    ceiling: int
    price: float = 0.0
    currency: str = "EUR"

    def month(self, what: What) -> Price | None:
        """As `Prices`: of every thing the same."""
        del what
        return Price(self.price * HOURS, self.currency, "--unit-price") if self.price else None


def plan_of_trace(trace: Trace, unit: Unit, asked: Asked, settings: CapacitySettings) -> Plan:
    """A plan as of the end of a trace of demand, without a server. Raises `Invalid` for under two weeks of it."""
    trends = asked.growth == MEASURED
    count = min(int((trace.end - trace.start) // DAY), _DAYS_MOST)
    values = slots_of(trace)
    back = np.arange(len(values), 0, -1, dtype=np.float64)
    times: Values = trace.end - back * max(trace.step, float(SLOT))
    kinds = np.zeros(count, dtype=np.int64)
    load = load_of(times, values, trace.end, kinds, normal(settings.peak_share)) if count else None
    if load is None:
        raise Invalid("a plan needs at least two weeks of demand in which most of the days were measured")
    ahead = months_of(trace.end, asked.months).spans[-1][1]
    component = of_load(load, np.zeros(ahead + 1, dtype=np.int64), trends=trends)._replace(
        name="trace", what="recorded demand", unit="units of work/s", size=Spread.exactly(unit.size),
        units=unit.units, ceiling=unit.ceiling, billed="web", evidence=load.most,
    )  # fmt: skip
    return make_plan(Today([component], {}, {}), asked._replace(at=trace.end), settings, unit)


def slots_of(trace: Trace) -> Values:
    """Means of whole quarters of an hour, back from the end; as they are, where values are farther apart."""
    per = round(SLOT / trace.step)
    if per <= 1:
        return trace.values
    rows = trace.values[len(trace.values) % per :].reshape(-1, per)
    known = ~np.isnan(rows)
    counts = known.sum(axis=1)
    means: Values = np.where(counts > 0, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
    return means
