"""What a month will have cost: what is measured, and for the rest what such weekdays cost. Pure.

A weekday's cost is the mean of the last eight of it, drawn towards the mean of all days as by one more day of that
(a Monday that was seen once says little). For n days with residuals of deviation s and correlation r from one day to
the next, what R days to come cost has the deviation

    s * sqrt((R + R^2 / n) * (1 + r) / (1 - r))

the first part being theirs, the second that the means are means of n days. The interval is Student's, with n - 1
degrees of freedom by Cornish and Fisher's expansion.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec
import numpy as np

from atomic_guide.operations.costs.money import cents, exact

CONFIDENCE = 0.9

_LEAST_DAYS = 7
"""Below a week of whole days there is no interval: of a Monday nothing is known on a Sunday."""

_MOST_DAYS = 56
_WHOLE = 0.9
"""The share of a day that must be measured to be learned from; what is missing counts as the mean of what is not."""

_NORMAL = 1.6449
"""The 95th percentile: nine tenths lie between it and its like below."""

_MOST_CORRELATION = 0.8
_PRIOR_DAYS = 1.0


class DayTotal(NamedTuple):
    """A day's cost, and the share of it that was measured."""

    day: dt.date
    cost: Decimal
    share: float


class MonthForecast(msgspec.Struct, frozen=True):
    """A month: `to_date` is measured, the rest expected; nine in ten such months end between `low` and `high`.

    `low` and `high` are None where too few days are known; `why` says what it was made from.
    """

    month: str
    to_date: Decimal
    expected: Decimal | None
    low: Decimal | None
    high: Decimal | None
    confidence: float
    days: int
    why: str


def forecast_month(days: Sequence[DayTotal], today: dt.date, passed: float, pace: Decimal | None) -> MonthForecast:
    """The month of `today`, of which `passed` (0..1) is over; `days` in order, with today's as far as it is measured.

    `pace` is what a day costs at the pace of now, for a record that is too short.
    """
    month = [one for one in days if (one.day.year, one.day.month) == (today.year, today.month)]
    to_date = sum((one.cost for one in month), Decimal(0))
    rest = _rest(today, passed)
    known = [one for one in days if one.day < today and one.share >= _WHOLE][-_MOST_DAYS:]
    name = f"{today:%Y-%m}"
    if len(known) < _LEAST_DAYS:
        whole = sum(share for _, share in rest)
        expected = None if pace is None else cents(to_date + pace * exact(whole))
        why = f"{len(known)} whole days are measured, of which {_LEAST_DAYS} are needed; at the pace of now"
        return MonthForecast(name, cents(to_date), expected, None, None, CONFIDENCE, len(known), why)
    costs = np.array([float(one.cost) / one.share for one in known])
    weekdays = np.array([one.day.weekday() for one in known])
    means = _profile(costs, weekdays)
    ahead = exact(sum(means[day.weekday()] * share for day, share in rest))
    width = exact(_width(costs - means[weekdays], sum(share for _, share in rest)))
    expected = to_date + ahead
    low = max(expected - width, to_date)
    why = f"{len(known)} whole days, by the day of the week"
    return MonthForecast(
        name, cents(to_date), cents(expected), cents(low), cents(expected + width), CONFIDENCE, len(known), why
    )


def _rest(today: dt.date, passed: float) -> list[tuple[dt.date, float]]:
    """The days that are left of a month, today's as far as it is."""
    first = (today.replace(day=1) + dt.timedelta(days=32)).replace(day=1)
    rest = [(today, 1.0 - passed)]
    day = today + dt.timedelta(days=1)
    while day < first:
        rest.append((day, 1.0))
        day += dt.timedelta(days=1)
    return rest


def _profile(costs: np.ndarray, weekdays: np.ndarray) -> np.ndarray:
    mean = costs.mean()
    sums = np.bincount(weekdays, weights=costs, minlength=7)
    counts = np.bincount(weekdays, minlength=7)
    return np.asarray((sums + _PRIOR_DAYS * mean) / (counts + _PRIOR_DAYS))


def _width(residuals: np.ndarray, ahead: float) -> float:
    """Half of the interval of what `ahead` days cost."""
    count = len(residuals)
    # A week's means are taken from the same days, and make their residuals too small.
    free = max(count - min(count - 1, 6), 1)
    deviation = math.sqrt(float((residuals**2).sum()) / free)
    if not deviation:
        return 0.0
    around = residuals - residuals.mean()
    whole = float((around**2).sum())
    lag = float((around[1:] * around[:-1]).sum()) / whole if whole else 0.0
    lag = min(max(lag, 0.0), _MOST_CORRELATION)
    spread = deviation * math.sqrt((ahead + ahead**2 / count) * (1 + lag) / (1 - lag))
    return _student(count - 1) * spread


def _student(free: int) -> float:
    """The 95th percentile of Student's t."""
    z = _NORMAL
    return z + (z**3 + z) / (4 * free) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
