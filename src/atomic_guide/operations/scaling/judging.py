"""Reads the windows around acts from the recorded series, and keeps what effect.py says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from atomic_guide.operations.scaling import effect
from atomic_guide.operations.scaling.effect import Rate, Span, Verdict, Window
from atomic_guide.operations.scaling.events import Reader, Wanted
from atomic_guide.operations.scaling.metric import QUANTILE
from atomic_guide.operations.scaling.model import QUEUES, ROOMS, WEB, WORKERS, Key

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.events import Events, Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.metric import Units
    from atomic_guide.operations.scaling.model import Decision, Expected
    from atomic_guide.operations.scaling.series import Readings

_SINCE_SECONDS = 2 * 86_400.0
"""What was not judged within two days, while every figure of it was there, is not judged any more."""

_AT_ONCE = 20
_SETTLED_SECONDS = 20.0
"""A tick and a little: the last measurements of a window are on record."""

SHADOW_SECONDS = 900.0
"""How long the demand after a change that was only watched is looked at: ten times the start of a unit."""

RECENT_SECONDS = 86_400.0
"""Over which the success rate of now is: a day has all its hours."""

_HOUR = 3600.0
_RATED_MOST = 1000


class Recent(msgspec.Struct, frozen=True):
    """How the acts of the last 24 hours went, and how many there were in the last one."""

    success: Rate
    events_per_hour: int


async def recent(reader: Reader, at: float) -> Recent:
    """How acts went of late; at most the last thousand events count."""
    day = await reader.select(Wanted(since=at - RECENT_SECONDS), _RATED_MOST)
    hour = [each for each in day if each.event.started_at is not None and each.event.decision.at >= at - _HOUR]
    return Recent(effect.rate(each.event for each in day), len(hour))


class Recorded(Protocol):
    """The recorded series (series.py)."""

    async def read(self, key: Key, since: float, until: float, resolution: int | None = None) -> Readings:
        """Means at regular times, NaN where nothing was measured."""
        ...

    async def quantile(self, key: Key, q: float, since: float, until: float) -> float | None:
        """Of the durations of a time; None where there are none."""
        ...

    async def keys(self) -> list[Key]:
        """Every series that there is."""
        ...


class Judging:
    """Judges acts when their windows have passed. `price` is what a unit of a fleet costs in an hour.

    `units` are those of measurements.
    """

    def __init__(self, events: Events, series: Recorded, price: Callable[[str], float], units: Units) -> None:
        self._events = events
        self._series = series
        self._price = price
        self._units = units

    async def judge(self, at: float, fleets: Mapping[str, Fleet]) -> list[Record]:
        """Judge some of what may be judged, the oldest first; returns the events that were."""
        judged = []
        for record in await self._events.unjudged(at - _SINCE_SECONDS, _AT_ONCE):
            verdict = await self.verdict(record, at, fleets)
            if verdict is not None:
                await self._events.judge(record, msgspec.to_builtins(verdict))
                judged.append(record)
        return judged

    async def recent(self, at: float) -> Recent:
        """How acts went of late."""
        return await recent(self._events, at)

    async def verdict(self, record: Record, at: float, fleets: Mapping[str, Fleet]) -> Verdict | None:
        """What can be said of an event by a moment; None where its windows have not passed."""
        decision = record.event.decision
        if record.event.state == "shadowed":
            fleet = fleets.get(record.fleet)
            if fleet is None or at < decision.at + SHADOW_SECONDS + _SETTLED_SECONDS:
                return None
            key = Key(record.fleet, "demand")
            demand, _ = await self._inside(key, Span(decision.at, decision.at + SHADOW_SECONDS))
            return effect.shadow_verdict(decision, demand, fleet.unit)
        found = effect.spans(record.event)
        if found is None or at < found[1].until + _SETTLED_SECONDS:
            return None
        before, after = await self._window(decision, found[0]), await self._window(decision, found[1])
        return effect.judge(decision, before, after, self._price(record.fleet), self._units)

    async def _window(self, decision: Decision, span: Span) -> Window:
        latency = Key(WEB, "latency")
        return Window(
            *span,
            value=await self._value(decision.expected, span) if decision.expected else None,
            load=await self._load(decision, span),
            response_mean=await self._mean(latency, span),
            response_p95=await self._series.quantile(latency, 0.95, *span),
        )

    async def _value(self, expected: Expected, span: Span) -> float | None:
        match = QUANTILE.fullmatch(expected.metric)
        if match is None:
            return await self._mean(Key(expected.component, expected.metric, expected.part), span)
        key = Key(expected.component, match[1], expected.part)
        return await self._series.quantile(key, int(match[2]) / 100, *span)

    async def _load(self, decision: Decision, span: Span) -> float | None:
        """What was asked for in a window: jobs that arrived, sockets, else requests."""
        component = decision.expected.component if decision.expected else decision.fleet
        if component in {QUEUES, WORKERS}:
            part = decision.expected.part if decision.expected and component == QUEUES else ""
            return await self._arrivals(part, span)
        if component == ROOMS:
            return await self._mean(Key(ROOMS, "sockets"), span)
        return await self._mean(Key(WEB, "throughput"), span)

    async def _arrivals(self, queue: str, span: Span) -> float | None:
        """Jobs that arrived a second: those that ended, and what the backlog grew by. Of all queues without a name."""
        names = [queue] if queue else [key.part for key in await self._series.keys()
                                       if key[:2] == (QUEUES, "throughput")]  # fmt: skip
        total, known = 0.0, False
        for name in names:
            ended = await self._mean(Key(QUEUES, "throughput", name), span)
            if ended is None:
                continue
            backlog, _ = await self._inside(Key(QUEUES, "backlog", name), span)
            total += ended + ((backlog[-1] - backlog[0]) / span.seconds if backlog else 0.0)
            known = True
        return max(total, 0.0) if known else None

    async def _mean(self, key: Key, span: Span) -> float | None:
        values, step = await self._inside(key, span)
        return sum(values) / len(values) if effect.covers(values, span.seconds, step) else None

    async def _inside(self, key: Key, span: Span) -> tuple[list[float], int]:
        """What was measured in the slots that lie within a window as a whole, and their length: others tell of both."""
        read = await self._series.read(key, *span)
        inside = (read.times >= span.since) & (read.times + read.step <= span.until) & ~np.isnan(read.values)
        return read.values[inside].tolist(), read.step
