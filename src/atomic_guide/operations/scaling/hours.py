"""Hours of the week as the clock on the wall shows them: a lecture at eight is at eight after a change of time, too."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_HOUR = 3600
_WEEK = 168
_MONDAY = 72
"""Hours from 1970-01-01, a Thursday, back to a Monday."""


def local_hours(begin: float, count: int, zone: ZoneInfo | None = None) -> NDArray[np.int64]:
    """The hour of the week, 0 is Monday's first, of each of `count` hours from an epoch second on."""
    hours = (int(begin) // _HOUR + np.arange(count)).astype(np.int64)
    if zone is not None:
        # The offset changes at most a few times a year: once a day is looked up exactly, hours of a change too.
        days = np.unique(hours // 24)
        offsets = {day: (_offset(day * 24, zone), _offset(day * 24 + 24, zone)) for day in days.tolist()}
        hours = hours + np.array([_shift(hour, offsets, zone) for hour in hours.tolist()], dtype=np.int64)
    result: NDArray[np.int64] = (hours + _MONDAY) % _WEEK
    return result


def _shift(hour: int, offsets: dict[int, tuple[int, int]], zone: ZoneInfo) -> int:
    first, last = offsets[hour // 24]
    return first if first == last else _offset(hour, zone)


def _offset(hour: int, zone: ZoneInfo) -> int:
    offset = datetime.fromtimestamp(hour * _HOUR, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds() // _HOUR) if offset is not None else 0
