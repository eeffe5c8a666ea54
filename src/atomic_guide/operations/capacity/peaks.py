"""How much is needed at a peak, from recorded weeks, and what kinds of days do to it. Pure, numpy only.

The highest quarter of an hour of a week is what must find room. Weeks' highs are taken as log-normal; the level that
a share of weeks does not pass is

    exp(m + z s),   s^2 | y ~ (3 * 0.15^2 + sum (y - mean)^2) / chi^2(n + 2),   m | s, y ~ N(mean, s^2 / n)

for y = log of the highs of n weeks, drawn 4,000 times: so two weeks give a wide spread, eight a narrow one. The three
degrees of freedom at 15% stand for what weeks of other systems do (`dev.py bench capacity --traces DIR`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.capacity.spread import LEVELS, Series, Spread, student
from atomic_guide.operations.scaling.calendar import KINDS

DAY, WEEK = 86400.0, 7 * 86400.0

WEEKS = 8
"""What is older says little of the level of now; for a trend all weeks count."""

LEAST_WEEKS = 2
TREND_WEEKS = 8
"""Weeks from which on a trend is told from an accident."""

WHOLE = 0.6
"""Of a week or a day, what must be measured for it to count: its peak is hardly in the rest."""

_DRAWS = 4000
_PRIOR, _PRIOR_SPREAD = 3, 0.15
_DRAWN = 3.0
"""Days of a kind that its effect is drawn towards none by, as in the forecast (scaling/special.py)."""

_LEAST_EFFECT = math.log(0.02)
_ORDINARY = 0
_TERM = 1 + KINDS.index("term")

Numbers = NDArray[np.int64]


class Days(NamedTuple):
    """Days back from a moment, the oldest first: each one's highest value, NaN where too little of it was measured.

    `kinds` are numbers as of `scaling.calendar`; `measured` is the share of all of the time that was.
    """

    ends: float
    highs: Series
    kinds: Numbers
    measured: float

    @property
    def weeks(self) -> Series:
        """The highs of the weeks back from the end, the oldest first; NaN where days are missing."""
        count = len(self.highs) // 7
        rows = self.highs[len(self.highs) - 7 * count :].reshape(count, 7)
        known = ~np.isnan(rows)
        highs: Series = np.where(
            known.mean(axis=1) >= WHOLE, np.where(known, rows, -np.inf).max(axis=1, initial=-np.inf), np.nan
        )
        return highs

    @property
    def usual(self) -> NDArray[np.bool_]:
        """Which weeks lie mostly in the kind of days that the rest is compared with."""
        count = len(self.kinds) // 7
        rows = self.kinds[len(self.kinds) - 7 * count :].reshape(count, 7)
        usual: NDArray[np.bool_] = (rows == reference(self.kinds)).mean(axis=1) > 0.5  # noqa: PLR2004 - most days
        return usual


class Peak(NamedTuple):
    """The need at a peak, how many days ago it was so in the mean, and from how many weeks that is known."""

    need: Spread
    age: float
    weeks: int
    unusual: bool
    """Whether only weeks of other kinds than the usual one were measured."""


def days_of(times: Series, values: Series, at: float, kinds: Numbers) -> Days:
    """The days before `at` of a series at regular times; `kinds` has one number for each, the oldest first."""
    count = len(kinds)
    step = float(times[1] - times[0]) if len(times) > 1 else DAY
    place = np.floor((times - (at - count * DAY)) / DAY).astype(np.int64)
    known = ~np.isnan(values) & (place >= 0) & (place < count)
    highs = np.full(count, -np.inf)
    np.maximum.at(highs, place[known], values[known])
    seen = np.bincount(place[known], minlength=count) * step / DAY
    first = int(place[known].min()) if known.any() else count
    measured = float(np.minimum(seen[first:], 1.0).mean()) if first < count else 0.0
    whole: Series = np.where(seen >= WHOLE, highs, np.nan)
    return Days(at, whole, kinds, measured)


def peak(days: Days, z: float) -> Peak | None:
    """The need that a share of weeks does not pass whose normal quantile is `z`; None for under two weeks."""
    highs, usual = days.weeks, days.usual
    known = ~np.isnan(highs)
    unusual = bool(np.count_nonzero(known & usual) < LEAST_WEEKS)
    chosen = np.flatnonzero(known if unusual else known & usual)[-WEEKS:]
    if len(chosen) < LEAST_WEEKS:
        return None
    age = float((len(highs) - 1 - chosen).mean() * 7 + 3.5)
    most = float(highs[chosen].max())
    if most <= 0:
        return Peak(Spread.exactly(0.0), age, len(chosen), unusual)
    logs = np.log(np.maximum(highs[chosen], most * 1e-3))
    draw = np.random.default_rng(1)
    freedom = _PRIOR + len(logs) - 1
    squares = _PRIOR * _PRIOR_SPREAD**2 + float(((logs - logs.mean()) ** 2).sum())
    spread = np.sqrt(squares / draw.chisquare(freedom, _DRAWS))
    middle = logs.mean() + spread / math.sqrt(len(logs)) * draw.standard_normal(_DRAWS)
    return Peak(Spread.of(np.exp(middle + z * spread)), age, len(chosen), unusual)


def trend(days: Days) -> Spread | None:
    """The growth of weeks' highs a day, of their logarithm, by least squares; None for under eight usual weeks."""
    highs = days.weeks
    chosen = np.flatnonzero(~np.isnan(highs) & (highs > 0) & days.usual)
    if len(chosen) < TREND_WEEKS:
        return None
    logs, at = np.log(highs[chosen]), chosen * 7.0
    spread = at - at.mean()
    slope = float((spread * logs).sum() / (spread**2).sum())
    off = logs - logs.mean() - slope * spread
    error = math.sqrt(float((off**2).sum()) / (len(chosen) - 2) / float((spread**2).sum()))
    reach = [student(max(level, 1 - level), len(chosen) - 2) * (1 if level > 0.5 else -1) for level in LEVELS.tolist()]  # noqa: PLR2004 - the median
    return Spread(slope + error * np.where(LEVELS == 0.5, 0.0, reach))  # noqa: PLR2004 - as above


def reference(kinds: Numbers) -> int:
    """The kind that others are compared with: term where there is any, else ordinary days."""
    return _TERM if (kinds == _TERM).any() else _ORDINARY


def effects(days: Days) -> dict[int, float]:
    """What each kind of days that was measured adds to the logarithm of a day's high, beside the usual kind."""
    usual = reference(days.kinds)
    known = ~np.isnan(days.highs) & (days.highs > 0)
    base = days.highs[known & (days.kinds == usual)]
    found = {usual: 0.0}
    if not len(base):
        return found
    for kind in sorted(set(days.kinds.tolist()) - {usual}):
        highs = days.highs[known & (days.kinds == kind)]
        if len(highs):
            whole = float(np.log(_high(highs)) - np.log(_high(base)))
            found[kind] = max(whole * len(highs) / (len(highs) + _DRAWN), _LEAST_EFFECT)
    return found


def season(kinds: Numbers, known: Mapping[int, float]) -> Series:
    """How many times the usual need there is on days of these kinds; those that were never measured count as usual."""
    found: Series = np.exp([known.get(kind, 0.0) for kind in kinds.tolist()])
    return found


def named(kinds: Sequence[int]) -> str:
    """Kinds of days in words."""
    return ", ".join("ordinary" if not kind else KINDS[kind - 1] for kind in kinds)


def _high(values: Series) -> float:
    """Of a kind's days the level that a fifth of them passes: the busy weekday."""
    return float(np.quantile(values, 0.8))
