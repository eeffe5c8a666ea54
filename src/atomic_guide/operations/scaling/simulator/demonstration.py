"""Demand for trying the simulator before a server has a history: made by a formula, the same at each time. Pure.

Both are one day by 15 s in requests a second, from 0:00 to 24:00. With h the hour of the day, a bell b(m, w) =
exp(-((h - m) / w)**2) and noise of a normal distribution in logarithms:

- `lecture-day`: 40 + 160 (b(10, 2.2) + 0.8 b(14.5, 2.6)), times 1.5 in the first eight minutes of each hour from 8 to
  17, when a lecture begins; noise 10%, and twelve minutes from 17:20 on that were not measured.
- `flash-crowd`: 60 + 90 b(13, 4); from 9:10 on 500 more within two minutes, of which half is gone each 35 minutes, as
  when a result is published; noise 8%.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.trace import Series, Trace

_STEP = 15.0
_COUNT = 5760
_START = 1_798_761_600.0
"""A Friday, 1 January 2027: for hours of the day only, and for nobody's data."""

_SEED = 20_270_101


class Demonstration(NamedTuple):
    """A trace by its name: what it shows, what one unit does of it in a second, how it is made."""

    name: str
    title: str
    what: str
    unit: float
    make: Callable[[Series, Series], Series]


def _bell(hours: Series, middle: float, width: float) -> Series:
    bell: Series = np.exp(-(((hours - middle) / width) ** 2))
    return bell


def _lecture_day(hours: Series, noise: Series) -> Series:
    level = 40 + 160 * (_bell(hours, 10, 2.2) + 0.8 * _bell(hours, 14.5, 2.6))
    begins = (hours >= 8) & (hours < 18) & (hours % 1 < 8 / 60)  # noqa: PLR2004 - the hours of the formula
    values: Series = level * np.where(begins, 1.5, 1.0) * np.exp(0.1 * noise)
    values[(hours >= 17 + 20 / 60) & (hours < 17 + 32 / 60)] = np.nan
    return values


def _flash_crowd(hours: Series, noise: Series) -> Series:
    since = (hours - (9 + 10 / 60)) * 60
    crowd = np.where(since < 0, 0.0, 500 * np.clip(since / 2, 0, 1) * 0.5 ** (np.maximum(since - 2, 0) / 35))
    values: Series = (60 + 90 * _bell(hours, 13, 4) + crowd) * np.exp(0.08 * noise)
    return values


DEMONSTRATIONS = (
    Demonstration(
        "lecture-day",
        "A day of lectures",
        "Requests rise by half when a lecture begins, each hour from 8 to 17; twelve minutes were not measured.",
        20.0,
        _lecture_day,
    ),
    Demonstration(
        "flash-crowd",
        "A flash crowd",
        "At 9:10 the load is five times as high within two minutes, as when a result is published.",
        20.0,
        _flash_crowd,
    ),
)


def find_demonstration(name: str) -> Demonstration:
    """The demonstration of a name. Raises `Invalid` naming those that there are."""
    for one in DEMONSTRATIONS:
        if one.name == name:
            return one
    raise Invalid(f"there is no trace {name}; there are {', '.join(one.name for one in DEMONSTRATIONS)}")


def demand_of(one: Demonstration) -> Trace:
    """Its demand."""
    hours = np.arange(_COUNT) * _STEP / 3600
    noise = np.random.default_rng(_SEED).standard_normal(_COUNT)
    return Trace(_START, _STEP, one.make(hours, noise))
