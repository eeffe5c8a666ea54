"""What kinds of days do to demand: terms, exam weeks, breaks and holidays, learned from those that were recorded.

An hour of a kind is compared with the same hour of the last ordinary weeks before it, in logarithms. Its effect is the
median by hour of the day, drawn towards that of all its hours where few were seen:

    effect_h = (n_h * median_h + 3 * median) / (n_h + 3)

A holiday is compared with Sundays, and so is a Sunday where none has been seen yet. Pure, numpy only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.scaling.calendar import HOLIDAY, KINDS
from atomic_guide.operations.scaling.trace import Series

_WEEK, _DAY = 168, 24
_SUNDAY = 6 * _DAY
_WEEKS_BACK = 4
_DRAWN = 3.0
_ENOUGH = 6
"""Hours of a kind below which nothing is said of it: a quarter of a day may be an accident."""

Numbers = NDArray[np.int64]


def mapped(slots: Numbers, kinds: Numbers) -> Numbers:
    """Hours of the week, holidays as Sundays."""
    result: Numbers = np.where(kinds == HOLIDAY, _SUNDAY + slots % _DAY, slots)
    return result


def effects(values: Series, slots: Numbers, kinds: Numbers) -> Series:
    """What each kind adds to the logarithm of each hour of the day, shape (kinds + 1, 24); 0 where it is not known.

    `slots` are hours of the week as the clock shows them, `kinds` numbers as of `calendar.kinds_of`, one an hour.
    """
    found = np.zeros((1 + len(KINDS), _DAY))
    logs = np.log1p(values)
    for kind in range(1, 1 + len(KINDS)):
        at = np.flatnonzero((kinds == kind) & ~np.isnan(values))
        residual = logs[at] - _reference(logs, slots, kinds, at)
        known = ~np.isnan(residual)
        if np.count_nonzero(known) < _ENOUGH:
            continue
        residual, hours = residual[known], slots[at[known]] % _DAY
        overall = float(np.median(residual))
        for hour in range(_DAY):
            mine = residual[hours == hour]
            middle = float(np.median(mine)) if len(mine) else 0.0
            found[kind, hour] = (len(mine) * middle + _DRAWN * overall) / (len(mine) + _DRAWN)
    return found


def _reference(logs: Series, slots: Numbers, kinds: Numbers, at: Numbers) -> Series:
    """The mean of the same hour in the ordinary weeks before each hour, NaN where there was none."""
    back = (slots[at] - mapped(slots, kinds)[at]) % _WEEK
    sums, counts = np.zeros(len(at)), np.zeros(len(at))
    # A break is longer than the weeks that count, so that those before it are looked for up to a term back.
    for week in range(1, 5 * _WEEKS_BACK):
        place = at - back - week * _WEEK
        inside = place >= 0
        place = np.maximum(place, 0)
        use = inside & (kinds[place] == 0) & ~np.isnan(logs[place]) & (counts < _WEEKS_BACK)
        sums += np.where(use, logs[place], 0.0)
        counts += use
    result: Series = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return result
