"""Recorded series as people are shown them, by the command and over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.errors import Invalid

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.histogram import Histogram
    from atomic_guide.operations.scaling.model import Key
    from atomic_guide.operations.scaling.series import Readings, Series

_MOST_POINTS = 100_000
"""Of one answer: 10 MB of JSON."""


class Asked(NamedTuple):
    """Which series, from when until when (epoch seconds); empty names are all."""

    since: float
    until: float
    component: str = ""
    metric: str = ""
    part: str = ""
    resolution: int | None = None


class Point(msgspec.Struct, frozen=True):
    """A slot: its mean and the most in it, null where nothing was measured."""

    timestamp: str
    value: float | None
    most: float | None


class Shown(msgspec.Struct, frozen=True):
    """A series with values each `resolution` seconds; quantiles, in seconds, of durations in the whole time."""

    component: str
    metric: str
    part: str
    resolution: int
    p50: float | None
    p95: float | None
    points: list[Point]


class Measured(NamedTuple):
    """A series as it was read; `durations` is empty where it is none of durations."""

    key: Key
    readings: Readings
    durations: Histogram

    @property
    def name(self) -> str:
        """How it is called in tables and pictures."""
        return " ".join(part for part in self.key if part)

    def shown(self) -> Shown:
        """As JSON."""
        columns = (part.tolist() for part in self.readings[:3])
        points = [Point(stamp(at), known(value), known(most)) for at, value, most in zip(*columns, strict=True)]
        quantiles = self.durations.quantile(0.5), self.durations.quantile(0.95)
        return Shown(*self.key, self.readings.step, *quantiles, points)


async def measured(series: Series, asked: Asked) -> list[Measured]:
    """The series that are asked for, in order. Raises `Invalid` where that is too much for one answer."""
    found: list[Measured] = []
    points = 0
    for key in await series.keys():
        if any(wanted not in {"", name} for wanted, name in zip(asked[2:5], key, strict=True)):
            continue
        readings = await series.read(key, asked.since, asked.until, asked.resolution)
        points += len(readings.values)
        if points > _MOST_POINTS:
            raise Invalid("that is too much at once; choose a component, a metric, or a coarser resolution")
        found.append(Measured(key, readings, await series.histogram(key, asked.since, asked.until)))
    return found


def known(value: float) -> float | None:
    """A value; None for NaN."""
    return value if value == value else None  # noqa: PLR0124 - NaN differs from itself


def stamp(at: float) -> str:
    """A begin of a slot as ISO 8601."""
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
