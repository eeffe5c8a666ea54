"""A day at a glance: of each component how full it is, how long it takes, and what goes wrong, of the last 24 hours.

Where demand is forecast, how full a component was and is expected to be stands beside it, as a share of what was ready
then or is ready now.

Slots that have ended do not change: they are read once and remembered, so that a look reads the last minutes only. The
one exception is demo data, whose past comes and goes beside a running server: with its mark all is read anew.
"""

from __future__ import annotations

import asyncio
import math
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.operations.scaling.forecast import HOUR
from atomic_guide.operations.scaling.foresight import Foreseen
from atomic_guide.operations.scaling.marked import Mark, demo_mark
from atomic_guide.operations.scaling.model import CACHE, DATABASE, QUEUES, ROOMS, WEB, WORKERS, Key
from atomic_guide.operations.scaling.reports import QUERIES
from atomic_guide.operations.scaling.series import Series

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database

STEP = 300.0
"""Seconds of a point: 288 are a day, more than a small chart has pixels for."""

_DAY = 86_400.0
_SETTLED_SECONDS = 60.0
"""After so long nothing is added to a slot: samples are stored within seconds of their time."""
_AHEAD_SECONDS = 6 * 3600.0
"""How far the forecast is shown: a lecture day's next peak, with the last 24 hours still wide enough to read."""

_FORESEEN_SECONDS = 60.0
"""A forecast this old is asked for again: one is made each hour."""

_FRESH_SECONDS = 2.0
"""A look this old is given to others that ask: many pages of one console ask at the same moment."""

Unit = Literal["share", "s", "number", "bytes", "per_s"]
State = Literal["good", "over", "unknown"]


class Figure(NamedTuple):
    """A figure of a component, over its parts the highest; `rule` is the alert whose limit it has."""

    name: str
    component: str
    metric: str
    unit: Unit
    of: str = ""
    rule: str = ""
    q: float | None = None


class Fact(NamedTuple):
    """A number beside a component's name, over its parts in all."""

    name: str
    component: str
    metric: str
    unit: Unit = "number"


class Component(NamedTuple):
    """A row of the overview: three figures at most, the first being how full it is."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    facts: tuple[Fact, ...]


_FULL = "resource-utilization-high"
COMPONENTS = (
    Component(
        WEB, "Web",
        (
            Figure("Utilisation", WEB, "utilisation", "share", "of ready", _FULL),
            Figure("Response, p95", WEB, "latency", "s", "", "latency-high", 0.95),
            Figure("Errors", WEB, "errors", "share", "of requests", "errors-high"),
        ),
        (Fact("processes", WEB, "processes"), Fact("sockets", ROOMS, "sockets")),
    ),
    Component(
        WORKERS, "Workers",
        (
            Figure("Utilisation", WORKERS, "utilisation", "share", "of ready", _FULL),
            Figure("Oldest job", QUEUES, "oldest", "s", "waiting", "queue-stalled"),
            Figure("Dead letters", QUEUES, "dead_letters", "number", "in the fullest queue"),
        ),
        (Fact("processes", WORKERS, "processes"), Fact("jobs wait", QUEUES, "backlog")),
    ),
    Component(
        DATABASE, "Database",
        (
            Figure("Utilisation", DATABASE, "utilisation", "share", "of connections", _FULL),
            Figure("Query, p95", DATABASE, "query", "s", "slowest shard", "", 0.95),
            # No limit of its own: writes that wait for one another do harm only where they take long, says the alert.
            Figure("Waiting writes", DATABASE, "lock_wait", "share", "of their time"),
        ),
        (Fact("lag", DATABASE, "lag", "s"),),
    ),
    Component(
        ROOMS, "Rooms",
        (
            Figure("Fullest room", ROOMS, "fullest_room", "number", "sockets in a process"),
            Figure("Fullest process", ROOMS, "fullest_process", "number", "sockets"),
            Figure("Deliveries", ROOMS, "deliveries", "per_s", "a second"),
        ),
        (Fact("sockets", ROOMS, "sockets"),),
    ),
    Component(
        CACHE, "Cache",
        (
            Figure("Hits", CACHE, "hit_share", "share", "of reads"),
            Figure("Load, p95", CACHE, "load", "s", "", "", 0.95),
            Figure("Do not hear", CACHE, "unheard", "number", "processes"),
        ),
        (Fact("in memory", CACHE, "memory", "bytes"),),
    ),
    Component(
        "storage", "Storage",
        (
            Figure("Disk", "disk", "utilisation", "share", "of the data disk, by all files", "disk-full"),
            Figure("Copies behind", "assets", "behind", "s", "longest wait", "copy-late"),
            Figure("Failed copies", "assets", "failed", "number", "copies"),
        ),
        (Fact("stored", "costs", "stored", "bytes"),),
    ),
)  # fmt: skip


class ExpectedShown(msgspec.Struct, frozen=True):
    """What was and is forecast, for slots from `since` to `until`, null where nothing was; one of 20 is over p95."""

    p50: list[float | None]
    p95: list[float | None]


class FigureShown(msgspec.Struct, frozen=True):
    """`value` is of the last 45 s (a quantile: of the last slot with any), null where nothing was measured.

    `points` are for slots from `since` on, null where nothing was; `limit` is that of an alert; `expected` is null
    where no forecast is made.
    """

    name: str
    component: str
    metric: str
    unit: Unit
    of: str
    value: float | None
    limit: float | None
    points: list[float | None]
    expected: ExpectedShown | None = None


class FactShown(msgspec.Struct, frozen=True):
    """A number; null where it was not measured."""

    name: str
    unit: Unit
    value: float | None


class ComponentShown(msgspec.Struct, frozen=True):
    """`unknown` where its first figure is not measured, `over` where one is above its limit."""

    name: str
    title: str
    state: State
    figures: list[FigureShown]
    facts: list[FactShown]


class LastDay(msgspec.Struct, frozen=True):
    """The last 24 hours, in slots of `step` seconds from `since` on; `until` is later than `at` where is forecast."""

    at: str
    since: str
    until: str
    step: float
    components: list[ComponentShown]


Foresee = Callable[[str, float, float, float], Awaitable[list[Foreseen]]]
"""Forecast hours of a component's demand from one time until another, as of a third."""


class Forecasts(NamedTuple):
    """Where forecasts come from, and the demand that one process of a component is full with."""

    foresee: Foresee
    units: Mapping[str, float]


class Overview:
    """The overview of one process. It remembers one day of slots of about twenty series."""

    def __init__(self, directory: Database, clock: Clock, forecasts: Forecasts | None = None) -> None:
        self._forecasts = forecasts
        self._foreseen: dict[str, tuple[float, list[Foreseen]]] = {}
        self._directory = directory
        self._series = Series(directory)
        self._clock = clock
        self._slots: dict[tuple[Key, float | None], dict[int, float]] = {}
        self._settled: dict[tuple[Key, float | None], int] = {}
        self._mark: Mark | None = None
        self._one = asyncio.Lock()
        self._made: tuple[float, LastDay] | None = None

    async def look(self, limits: Mapping[str, float | None]) -> LastDay:
        """The last 24 hours; `limits` are those of alert rules by their names. At most two seconds old."""
        async with self._one:
            now = self._clock.now()
            if self._made is None or not 0 <= now - self._made[0] < _FRESH_SECONDS:
                self._made = now, await self._day(now, limits)
            return self._made[1]

    async def _day(self, now: float, limits: Mapping[str, float | None]) -> LastDay:
        since = (now - _DAY) // STEP * STEP
        await self._forget_other_past()
        keys = await self._series.keys()
        shown = [await self._component(one, keys, (since, now), limits) for one in COMPONENTS]
        ahead = any(one.figures[0].expected is not None for one in shown)
        return LastDay(iso(now), iso(since), iso(now + _AHEAD_SECONDS if ahead else now), STEP, shown)

    async def _forget_other_past(self) -> None:
        """Let go of what is remembered where demo data has been added, completed or removed since."""
        mark = await demo_mark(self._directory)
        if mark != self._mark:
            self._mark = mark
            for remembered in (self._slots, self._settled, self._foreseen):
                remembered.clear()

    async def _component(
        self, one: Component, keys: Sequence[Key], span: tuple[float, float], limits: Mapping[str, float | None]
    ) -> ComponentShown:
        figures = [await self._figure(figure, keys, span, limits.get(figure.rule)) for figure in one.figures]
        if expected := await self._expected(one.name, span):
            figures[0] = msgspec.structs.replace(figures[0], expected=expected)
        facts = []
        for fact in one.facts:
            values = await self._latest(fact.component, fact.metric, keys, span[1])
            facts.append(FactShown(fact.name, fact.unit, sum(values) if values else None))
        over = any(figure.limit is not None and (figure.value or 0.0) > figure.limit for figure in figures)
        state: State = "over" if over else "unknown" if figures[0].value is None else "good"
        return ComponentShown(one.name, one.title, state, figures, facts)

    async def _figure(
        self, figure: Figure, keys: Sequence[Key], span: tuple[float, float], limit: float | None
    ) -> FigureShown:
        since, now = span
        highest: dict[int, float] = {}
        for key in _of(figure.component, figure.metric, keys):
            for slot, one in (await self._read(key, figure.q, span)).items():
                highest[slot] = max(one, highest.get(slot, one))
        count = math.floor((now - since) / STEP) + 1
        first = int(since // STEP)
        points = [highest.get(first + place) for place in range(count)]
        value: float | None
        if figure.q is None:
            value = max(await self._latest(figure.component, figure.metric, keys, now), default=None)
        else:
            value = points[-1] if points[-1] is not None else points[-2] if count > 1 else None
        return FigureShown(figure.name, figure.component, figure.metric, figure.unit, figure.of, value, limit, points)

    async def _expected(self, component: str, span: tuple[float, float]) -> ExpectedShown | None:
        """How full a component was and is expected to be; None where no forecast is made."""
        since, now = span
        if self._forecasts is None or component not in self._forecasts.units:
            return None
        made, hours = self._foreseen.get(component, (-math.inf, []))
        if not 0 <= now - made < _FORESEEN_SECONDS:
            hours = await self._forecasts.foresee(component, since, now + _AHEAD_SECONDS, now)
            self._foreseen[component] = now, hours
        if not hours or hours[-1].begins < now - HOUR:
            return None
        key = Key(component, "processes")
        ready = await self._read(key, None, span)
        first, count = int(since // STEP), math.floor((now + _AHEAD_SECONDS - since) / STEP) + 1
        unit, room, p50, p95 = self._forecasts.units[component], 0.0, [], []
        for slot in range(first, first + count):
            room = ready.get(slot, room)
            near = between(hours, (slot + 0.5) * STEP) if room > 0 else None
            p50.append(None if near is None else round(near.p50 / (room * unit), 4))
            p95.append(None if near is None else round(near.p95 / (room * unit), 4))
        return ExpectedShown(p50, p95)

    async def _latest(self, component: str, metric: str, keys: Sequence[Key], now: float) -> list[float]:
        found = [await self._series.latest(key, now) for key in _of(component, metric, keys)]
        return [value for value in found if value is not None]

    async def _read(self, key: Key, q: float | None, span: tuple[float, float]) -> dict[int, float]:
        """The slots of a series since a time, by their numbers: slot n begins n times `STEP` after 1970."""
        since, now = span
        oldest = int(since // STEP)
        slots = {slot: value for slot, value in self._slots.get((key, q), {}).items() if slot >= oldest}
        first = max(self._settled.get((key, q), oldest), oldest)
        begin = first * STEP
        if q is None:
            rows = await self._directory.read(
                QUERIES["mean_slots"],
                {"component": key.component, "metric": key.metric, "part": key.part, "since": begin, "until": now,
                 "step": STEP},
            )  # fmt: skip
            slots |= {first + int(row["slot"]): row["value"] for row in rows}
        else:
            readings = await self._series.quantiles(key, q, begin, now, int(STEP))
            slots |= {first + at: value for at, value in enumerate(readings.values.tolist()) if not math.isnan(value)}
        self._slots[key, q] = slots
        self._settled[key, q] = max(first, math.floor((now - _SETTLED_SECONDS) / STEP))
        return slots


def between(hours: Sequence[Foreseen], at: float) -> Foreseen | None:
    """What is expected at a moment: between the middles of two hours along a line; None where nothing is."""
    later = bisect_right(hours, at - HOUR / 2, key=lambda one: one.begins)
    before, after = hours[later - 1] if later else None, hours[later] if later < len(hours) else None
    if before is not None and after is not None and after.begins - before.begins <= HOUR:
        share = (at - HOUR / 2 - before.begins) / HOUR
        p50, p95 = (low + (high - low) * share for low, high in zip(before[1:], after[1:], strict=True))
        return Foreseen(at, p50, p95)
    return next((one for one in (before, after) if one is not None and one.begins <= at < one.begins + HOUR), None)


def _of(component: str, metric: str, keys: Sequence[Key]) -> list[Key]:
    """The series of a figure: of all parts, or of the whole."""
    return [key for key in keys if key.component == component and key.metric == metric]
