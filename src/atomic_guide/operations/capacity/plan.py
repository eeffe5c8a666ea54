"""The plan of each component: what there is, what is needed by month, when it runs out, what to do, what it costs.

Pure. Everything is an interval that holds nine of ten draws (reckon.py); what is beyond the evidence is None, with the
reason. A figure that is told once has one name everywhere: in the JSON, in the table and in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np

from atomic_guide.operations.capacity.component import Component, Kind, Price, Prices, Today
from atomic_guide.operations.capacity.growth import Driver
from atomic_guide.operations.capacity.reckon import Course, Terms, course, drawn, interval, units_needed
from atomic_guide.operations.capacity.settings import CapacitySettings
from atomic_guide.operations.capacity.spread import Series, Spread
from atomic_guide.operations.scaling.metric import FEW
from atomic_guide.operations.scaling.model import Mode

GIGABYTE = 1e9

_CLEAR = 0.05
"""A component runs out within the horizon where one draw in twenty says so."""


class Figure(msgspec.Struct, frozen=True):
    """A figure's 90% interval and its median."""

    low: float
    middle: float
    high: float


class Until(msgspec.Struct, frozen=True):
    """A date's 90% interval and its median, ISO 8601; null is later than the evidence reaches."""

    low: str | None
    middle: str | None
    high: str | None
    chance: float
    """The share of draws in which it comes within that."""


class Month(msgspec.Struct, frozen=True):
    """A month's highest need, the units that bear it and what they cost; null beyond the evidence."""

    month: str
    need: Figure | None
    units: Figure | None
    cost: Figure | None


class Place(msgspec.Struct, frozen=True):
    """The need at the peak of a day."""

    date: str
    need: Figure


class ComponentPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One component: capacity today and at its ceiling, need today and by month, when it runs out."""

    name: str
    what: str
    unit: str
    driver: str
    growth_measured: bool
    """Whether it grows as it has grown itself, in the place of its driver's growth."""
    units: int
    ceiling: int
    mode: Mode | None
    """Of the fleet that it is of: in `auto` units come by themselves, as far as `ceiling`; null without a fleet."""
    short: int
    """Units that its bounds allow and that are missing at the peak of now, where nothing adds them by itself."""
    unit_size: Figure | None
    capacity_now: Figure | None
    capacity: Figure | None
    need_now: Figure
    per_driver: Figure | None
    """The need of now for each of what drives it: a user, a course, a lecture; null where there are fewer than ten."""
    months: list[Month]
    course: list[Place]
    """Week by week as far as the evidence reaches, for a picture."""
    runs_out: Until
    supported_until: str
    unsupported: str
    notes: list[str]


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """Something to do: what, how much, and the latest day to begin, which is the lead time before it may run out."""

    action: Kind
    component: str
    add: Figure | None
    unit: str
    runs_out: Until
    lead_days: float
    begin_by: str
    overdue: bool
    monthly_cost: Figure | None
    why: str


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What all that has a price costs in a month; `unpriced` has none. Null beyond the evidence of a part of it."""

    currency: str
    months: list[Figure | None]
    labels: list[str]
    unpriced: list[str]
    sources: list[str]


class Way(NamedTuple):
    """A component with its reckoned course and its price."""

    component: Component
    found: Course
    price: Price | None


class Calendar(NamedTuple):
    """The months of a plan: labels, and the days of each, the first one from today."""

    begins: date
    labels: list[str]
    spans: list[tuple[int, int]]

    def day(self, number: float) -> str | None:
        """The date of a day from now on; None where it is infinite."""
        return None if math.isinf(number) else (self.begins + timedelta(days=int(number))).isoformat()


def months_of(at: float, months: int) -> Calendar:
    """So many calendar months from a moment on, by UTC; the last one ends where its day comes again."""
    begins = datetime.fromtimestamp(at, UTC).date()
    index = begins.year * 12 + begins.month - 1
    labels, spans, first = [], [], 0
    for number in range(months + 1):
        year, month = divmod(index + number, 12)
        following = date((index + number + 1) // 12, (index + number + 1) % 12 + 1, 1)
        last = (following - begins).days
        if number == months:
            last = min(last, first + begins.day - 1)
        if last > first:
            labels.append(f"{year:04}-{month + 1:02}")
            spans.append((first, last))
        first = last
    return Calendar(begins, labels, spans)


def reckon_all(today: Today, terms: Terms, prices: Prices) -> list[Way]:
    """Every component's course. Raises `Invalid` where a growth in numbers lacks today's number."""
    return [
        Way(one, course(one, terms, drawn(one)), prices.month(one.billed) if one.billed is not None else None)
        for one in today.components
    ]


def component_plan(way: Way, calendar: Calendar, drivers: Mapping[Driver, float]) -> ComponentPlan:
    """What is told of one component."""
    one, found, _ = way
    now, count = of_draws(found.needs[:, 0]), drivers.get(one.driver)
    size = figure(one.size) if one.size is not None else None
    return ComponentPlan(
        name=one.name,
        what=one.what,
        unit=one.unit,
        driver=one.driver,
        growth_measured=one.growth is not None,
        units=one.units,
        ceiling=one.ceiling,
        mode=one.mode,
        short=_short(one, now, size),
        unit_size=size,
        capacity_now=scaled(size, one.units),
        capacity=scaled(size, one.ceiling),
        need_now=now,
        per_driver=scaled(now, 1 / count) if count and count >= FEW else None,
        months=[_month(way, label, span) for label, span in zip(calendar.labels, calendar.spans, strict=True)],
        course=[Place(str(calendar.day(day)), of_draws(found.needs[:, day])) for day in _weekly(found.supported)],
        runs_out=until(found.out, calendar),
        supported_until=str(calendar.day(found.supported)),
        unsupported=found.why,
        notes=list(one.notes),
    )


def _short(one: Component, now: Figure, size: Figure | None) -> int:
    if one.mode in {None, "auto"} or size is None:
        return 0
    return max(min(math.ceil(now.middle / size.middle - 1e-9), one.ceiling) - one.units, 0)


def _weekly(supported: int) -> list[int]:
    return sorted({*range(0, supported + 1, 7), supported})


def _month(way: Way, label: str, span: tuple[int, int]) -> Month:
    if span[1] - 1 > way.found.supported:
        return Month(label, None, None, None)
    most = way.found.needs[:, span[0] : span[1]].max(axis=1)
    units = units_needed(way.found, most)
    cost = month_cost(way, span)
    return Month(
        label,
        of_draws(most),
        of_draws(units) if units is not None else None,
        of_draws(cost) if cost is not None else None,
    )


def month_cost(way: Way, span: tuple[int, int]) -> Series | None:
    """What a component costs in a month, by draw: its gigabytes, or its units; None if unknown.

    A peak does not last for a month. Where it is known how many units were paid for in the mean, a month has more of
    them as its peak needs more than today's does; else the units that bear the peak count for all of it.
    """
    if way.price is None or span[1] - 1 > way.found.supported:
        return None
    most = way.found.needs[:, span[0] : span[1]].max(axis=1)
    if way.component.billed == "storage":
        stored: Series = most / GIGABYTE * way.price.month
        return stored
    units = units_needed(way.found, most)
    if units is None:
        return None
    least, others = way.component.least, way.component.others
    billed: Series = np.maximum(units - others, least)
    today = units_needed(way.found, way.found.needs[:, 0])
    if way.component.paid is not None and today is not None:
        billed = _in_the_mean(way.component.paid, np.maximum(today - others, least), billed)
    cost: Series = billed * way.price.month
    return cost


def _in_the_mean(paid: float, now: Series, then: Series) -> Series:
    """Units of a month's mean, from those of the last weeks, and what the peaks of now and then need at once."""
    if not paid:
        return np.maximum(then - now, 0.0)
    return paid * then / np.maximum(now, 1.0)


def total_cost(ways: Sequence[Way], calendar: Calendar) -> Cost | None:
    """What all components with a price cost together, draw by draw; None where none has one."""
    priced = [way for way in ways if way.price is not None]
    if not priced:
        return None
    months: list[Figure | None] = []
    for span in calendar.spans:
        parts = [month_cost(way, span) for way in priced]
        known = [part for part in parts if part is not None]
        months.append(of_draws(np.sum(known, axis=0)) if len(known) == len(parts) else None)
    prices = [way.price for way in priced if way.price is not None]
    return Cost(
        currency=prices[0].currency,
        months=months,
        labels=calendar.labels,
        unpriced=[way.component.name for way in ways if way.component.billed is not None and way.price is None],
        sources=sorted({price.source for price in prices}),
    )


def acts(ways: Sequence[Way], calendar: Calendar, settings: CapacitySettings) -> list[Act]:
    """What to do, the earliest to begin first: for each component that may run out as far as the evidence reaches."""
    found = [act for way in ways if (act := _act(way, calendar, settings)) is not None]
    return sorted(found, key=lambda act: (act.begin_by, act.component))


def _act(way: Way, calendar: Calendar, settings: CapacitySettings) -> Act | None:
    one, found, price = way
    if float(np.isfinite(found.out).mean()) < _CLEAR or found.sizes is None:
        return None
    earliest = interval(found.out)[0]
    lead = float(getattr(settings.lead_days, one.kind))
    begin = math.floor(earliest - lead)
    most = found.needs[:, : found.supported + 1].max(axis=1)
    stored = one.unit == "bytes"
    more = np.maximum(most - found.sizes * one.ceiling, 0.0) if stored else units_needed(found, most)
    if more is None:
        return None
    add = more if stored else np.maximum(more - one.ceiling, 0.0)
    monthly = add / (GIGABYTE if stored else 1.0) * price.month if price is not None else None
    unit = one.unit if stored else _THINGS[one.kind]
    return Act(
        action=one.kind,
        component=one.name,
        add=of_draws(add),
        unit=unit,
        runs_out=until(found.out, calendar),
        lead_days=lead,
        begin_by=str(calendar.day(begin)),
        overdue=begin < 0,
        monthly_cost=of_draws(monthly) if monthly is not None else None,
        why=_why(one, found, calendar),
    )


_THINGS = {
    "add_process": "processes",
    "add_consumer": "workers",
    "add_read_replica": "replicas",
    "add_shard": "shards",
    "add_storage": "bytes",
    "add_memory": "bytes",
}


def _why(one: Component, found: Course, calendar: Calendar) -> str:
    chance = float(np.isfinite(found.out).mean())
    end = calendar.day(found.supported)
    held = f"{one.ceiling} of them" if one.ceiling != 1 else "what there is"
    return f"in {chance:.0%} of what may be, the need passes what {held} can bear by {end}"


def until(out: Series, calendar: Calendar) -> Until:
    """Days of running out as dates."""
    low, middle, high = (calendar.day(day) for day in interval(out))
    return Until(low, middle, high, float(np.isfinite(out).mean()))


def of_draws(values: Series) -> Figure:
    """The figure of draws."""
    return Figure(*interval(values))


def figure(spread: Spread) -> Figure:
    """The figure of a spread."""
    return Figure(*spread.interval)


def scaled(found: Figure | None, count: float) -> Figure | None:
    """So many times a figure."""
    return Figure(found.low * count, found.middle * count, found.high * count) if found is not None else None
