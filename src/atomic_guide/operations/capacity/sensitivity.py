"""Which input moves a plan most: each by itself at the ends of its 90% interval, the others in their middle. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from atomic_guide.operations.capacity.component import Component, Prices, Today
from atomic_guide.operations.capacity.plan import Calendar, Way, month_cost
from atomic_guide.operations.capacity.reckon import Terms, at_levels, course
from atomic_guide.operations.capacity.spread import HIGH, LOW

_WORDS = {"growth": "growth", "need": "the peak of now", "size": "what a unit bears", "inflow": "the daily inflow"}


class Swing(msgspec.Struct, frozen=True):
    """An input's low and high end, and what becomes of a date (null: later than the evidence) and of a month's cost."""

    input: str
    component: str
    date_low: str | None
    date_high: str | None
    days: float | None
    """Between the two; null where one of them is later than the evidence."""
    cost_low: float | None
    cost_high: float | None


def tornado(today: Today, terms: Terms, prices: Prices, calendar: Calendar) -> list[Swing]:
    """The swings of every component that may run out or costs something, the widest first.

    Dates are those of the component itself, costs those of the last month that its evidence reaches.
    """
    found: list[Swing] = []
    for one in today.components:
        for name in _inputs(one):
            low, high = (_at(one, terms, prices, calendar, **{name: level}) for level in (LOW, HIGH))
            days = abs(high[0] - low[0]) if math.isfinite(low[0]) and math.isfinite(high[0]) else None
            if low == high:
                continue
            dates = calendar.day(low[0]), calendar.day(high[0])
            found.append(Swing(_WORDS[name], one.name, *dates, days, low[1], high[1]))
    return sorted(found, key=_weight, reverse=True)


def _inputs(one: Component) -> Sequence[str]:
    return ["growth", *(name for name in ("need", "size", "inflow") if _varies(one, name))]


def _varies(one: Component, name: str) -> bool:
    spread = getattr(one, name)
    return spread is not None and spread.interval[0] < spread.interval[2]


def _at(one: Component, terms: Terms, prices: Prices, calendar: Calendar, **level: float) -> tuple[float, float | None]:
    """The day of running out and the last month's cost with one input moved."""
    way = Way(one, course(one, terms, at_levels(**level)), prices.month(one.billed) if one.billed is not None else None)
    # What evidence supports is judged by the middle, and so the same at both ends.
    spans = [span for span in calendar.spans if span[1] - 1 <= way.found.supported]
    cost = month_cost(way, spans[-1]) if spans else None
    return float(way.found.out[0]), float(cost[0]) if cost is not None else None


def _weight(swing: Swing) -> tuple[float, float]:
    cost = abs((swing.cost_high or 0.0) - (swing.cost_low or 0.0))
    one_end = (swing.date_low is None) != (swing.date_high is None)
    return (math.inf if one_end else swing.days or 0.0), cost
