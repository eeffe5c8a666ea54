"""The made-up demand of a demo: a university's weeks, and a crowd that nobody expected. Nothing of it was measured.

Working days rise from seven, with peaks at ten and at two, and a smaller one in the evening; weekends have a quarter of
it. Each week is a little larger than the one before (2%). Noise is that of the sum of many people, with a memory of
some minutes, and of what makes a day unlike the same day a week before, with one of hours. The crowd comes at five past
eleven of the last day: within two minutes there is 2.4 times the load of a peak, for a quarter of an hour, and lectures
are uploaded afterwards. Everything follows from a seed: the same moment gives the same history.
"""

from __future__ import annotations

from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.scaling.hours import local_hours

TICK = 15
"""Seconds of a measurement, as the sampler's."""

DAY = 86_400
_HOUR_TICKS = 3600 // TICK
_DAY_TICKS = DAY // TICK

WORKING_DAY = (
    0.06, 0.04, 0.03, 0.03, 0.03, 0.05, 0.10, 0.28, 0.62, 0.85, 1.00, 0.92,
    0.66, 0.80, 0.96, 0.86, 0.66, 0.48, 0.42, 0.46, 0.50, 0.40, 0.24, 0.12,
)  # fmt: skip
"""Shares of the peak by the hour of a working day."""

_WEEKEND = 0.25
_GROWTH_A_WEEK = 0.02
_NOISES = ((0.05, 0.97), (0.09, 0.9985))
"""How much, and of a tick before: noise that lasts about eight minutes, and some that lasts two or three hours."""

CROWD_HOUR, CROWD_MINUTE = 11, 5
_CROWD_SIZE = 2.4
_CROWD_RISE, _CROWD_STAY, _CROWD_FALL = 8, 60, 40
"""Ticks: two minutes up, a quarter of an hour, ten minutes down."""

_UPLOADS_LATER = 6 * _HOUR_TICKS // 4
"""Ticks after which what was recorded in a lecture is uploaded: an hour and a half."""

Values = NDArray[np.float64]


class Sizes(NamedTuple):
    """How large the made-up installation is: cores of web processes and slots of workers at a usual peak."""

    cores: float
    slots: float


class Demand(NamedTuple):
    """What was asked for in each tick from `begin` on."""

    begin: float
    cores: Values
    slots: Values

    @property
    def times(self) -> Values:
        """The begins of the ticks."""
        return self.begin + TICK * np.arange(len(self.cores), dtype=np.float64)


def made(until: float, days: int, zone: ZoneInfo, sizes: Sizes, seed: int = 1) -> Demand:
    """The demand of so many days before a moment, which is the end of a tick."""
    count = days * _DAY_TICKS
    begin = until - count * TICK
    draw = np.random.default_rng(seed)
    shape = shares(begin, count, zone)
    grown = (1 + _GROWTH_A_WEEK) ** (np.arange(count) / (7 * _DAY_TICKS) - days / 7)
    crowd = _crowd(begin, count, zone)
    web = shape * grown * _noise(draw, count) + crowd
    uploads = np.roll(shape, _UPLOADS_LATER) * grown * _noise(draw, count) + np.roll(crowd, _UPLOADS_LATER // 6) * 0.8
    return Demand(begin, np.maximum(sizes.cores * web, 0.01), np.maximum(sizes.slots * uploads, 0.01))


def shares(begin: float, count: int, zone: ZoneInfo) -> Values:
    """The usual demand of so many ticks as shares of a peak: between the middles of hours it goes straight."""
    first = begin // 3600 * 3600 - 3600
    hours = local_hours(first, count // _HOUR_TICKS + 4, zone)
    weekday, hour = hours // 24, hours % 24
    levels = np.array(WORKING_DAY)[hour] * np.where(weekday < 5, 1.0, _WEEKEND)  # noqa: PLR2004 - Saturday
    middles = first + 3600.0 * np.arange(len(levels)) + 1800.0
    found: Values = np.interp(begin + TICK * np.arange(count), middles, levels)
    return found


def _noise(draw: np.random.Generator, count: int) -> Values:
    """Around one; each value remembers the one before."""
    values = np.zeros(count)
    for much, memory in _NOISES:
        steps = draw.standard_normal(count) * much * np.sqrt(1 - memory**2)
        level = 0.0
        for place, step in enumerate(steps.tolist()):
            level = memory * level + step
            values[place] += level
    return np.exp(values)


def _crowd(begin: float, count: int, zone: ZoneInfo) -> Values:
    """What the crowd adds, as shares of a peak."""
    values = np.zeros(count)
    hours = local_hours(begin, count // _HOUR_TICKS + 1, zone) % 24
    # The last one that is over, with an hour of what followed it.
    ends = count - _HOUR_TICKS - _CROWD_RISE - _CROWD_STAY - _CROWD_FALL
    offset = CROWD_MINUTE * 60 // TICK - int(begin % 3600) // TICK
    places = [int(at) * _HOUR_TICKS + offset for at in np.flatnonzero(hours == CROWD_HOUR)]
    usable = [place for place in places if 0 <= place <= ends]
    if usable:
        rise = np.linspace(0, 1, _CROWD_RISE)
        wave = np.concatenate((rise, np.ones(_CROWD_STAY), np.linspace(1, 0, _CROWD_FALL)))
        values[usable[-1] : usable[-1] + len(wave)] = (_CROWD_SIZE - 1) * wave
    return values
