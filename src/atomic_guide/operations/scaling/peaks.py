"""What usage looks like: daily peaks, weekly trend, season, how far the week's pattern can be relied upon. Pure.

All of it is read from the forecast and the recorded hours; a day of the week has its own peaks, so that Sunday is not
prepared for like Monday.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.calendar import Span
from atomic_guide.operations.scaling.forecast import HOUR, LEAST_HOURS, WEEK, Forecast, forecast
from atomic_guide.operations.scaling.trace import Series, Trace

SHARE = 0.8
"""Hours with over four fifths of the day's highest belong to its peak."""

INTENSITY = 1.25
"""A peak stands out by a quarter over the mean of its day; a flat day has none."""

NOTABLE = 0.2
"""A day whose highest hour is less than a fifth of the week's has no peak that anything must be ready for."""

_DAY = 24
_SEASON_WEEKS = 53
_TREND_WEEKS = 8

_HELD_LEAST = 3
"""Weeks: of one or two a share says nothing, and a single crowd makes it none."""


class DailyPeak(NamedTuple):
    """From when to when (epoch seconds), its highest hour's p50 and p95, and that p50 over the day's mean."""

    begins: float
    ends: float
    p50: float
    p95: float
    intensity: float


class Usage(NamedTuple):
    """What the recorded hours say. None where too little is recorded.

    `trend` is the growth from week to week, the median of the last eight; `season` is the last four weeks over the same
    four of the year before; `reliability` is the share of the hours' variance that the hour of the week explains.
    """

    trend: float | None
    season: float | None
    reliability: float | None


def daily_peaks(found: Forecast, slots: NDArray[np.int64]) -> list[DailyPeak]:
    """The peaks of each day of a forecast; `slots` are its hours of the week by the clock on the wall."""
    highest = float(found.p50.max(initial=0.0))
    # A new day begins where the hour of the day falls; a day is cut where the forecast begins or ends.
    cuts = [0, *(np.flatnonzero(np.diff(slots % _DAY) < 0) + 1).tolist(), len(slots)]
    peaks: list[DailyPeak] = []
    for first, last in pairwise(cuts):
        day = found.p50[first:last]
        mean, most = (float(day.mean()), float(day.max())) if last > first else (0.0, 0.0)
        if most < INTENSITY * mean or most < NOTABLE * highest or not most:
            continue
        inside = np.concatenate(([False], day > SHARE * most, [False]))
        edges = np.flatnonzero(np.diff(inside.astype(int)))
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            hours = slice(first + begin, first + end)
            peaks.append(
                DailyPeak(
                    found.start + (first + begin) * HOUR, found.start + (first + end) * HOUR,
                    float(found.p50[hours].max()), float(found.p95[hours].max()), float(found.p50[hours].max()) / mean,
                )
            )  # fmt: skip
    return peaks


def held_peaks(trace: Trace, zone: ZoneInfo | None, spans: Sequence[Span], most: int = 8) -> float | None:
    """The share of past weeks in which the highest hour was at or under the highest p95 forecast before that week.

    None where fewer than three weeks can be told.
    """
    held: list[bool] = []
    for back in range(1, most + 1):
        origin = len(trace.values) - back * WEEK
        actual = trace.values[max(origin, 0) : max(origin, 0) + WEEK]
        if origin < LEAST_HOURS or np.isnan(actual).all():
            break
        try:
            found = forecast(Trace(trace.start, HOUR, trace.values[:origin]), WEEK, zone, spans)
        except Invalid:
            continue
        held.append(bool(np.nanmax(actual) <= found.p95.max()))
    return sum(held) / len(held) if len(held) >= _HELD_LEAST else None


def usage(trace: Trace, slots: NDArray[np.int64]) -> Usage:
    """Trend, season and reliability of recorded hours; `slots` are their hours of the week."""
    values = trace.values
    weeks = len(values) // WEEK
    with np.errstate(invalid="ignore", divide="ignore"):
        sums = _means(values[len(values) - weeks * WEEK :].reshape(weeks, WEEK)) if weeks else np.array([])
        growth = np.diff(np.log(sums[-_TREND_WEEKS - 1 :]))
    growth = growth[np.isfinite(growth)]
    trend = float(np.expm1(np.median(growth))) if len(growth) >= 2 else None  # noqa: PLR2004 - of one, it is a change
    season = None
    if weeks >= _SEASON_WEEKS + 3:
        now, then = (_mean(values[-4 * WEEK - back : len(values) - back]) for back in (0, (_SEASON_WEEKS - 1) * WEEK))
        season = now / then - 1 if now is not None and then else None
    return Usage(trend, season, _reliability(values[-_TREND_WEEKS * WEEK :], slots[-_TREND_WEEKS * WEEK :]))


def _reliability(values: Series, slots: NDArray[np.int64]) -> float | None:
    known = ~np.isnan(values)
    if np.count_nonzero(known) < 2 * WEEK:
        return None
    logs, slots = np.log1p(values[known]), slots[known]
    counts = np.bincount(slots, minlength=WEEK)
    means = np.bincount(slots, weights=logs, minlength=WEEK) / np.maximum(counts, 1)
    # Each hour is compared with the mean of the others of its slot: with few weeks its own share would flatter.
    others = (means[slots] * counts[slots] - logs) / np.maximum(counts[slots] - 1, 1)
    use = counts[slots] > 1
    total = float(np.var(logs[use])) if use.any() else 0.0
    if not total:
        return None
    return float(np.clip(1 - np.mean((logs[use] - others[use]) ** 2) / total, 0.0, 1.0))


def _means(rows: Series) -> Series:
    known = ~np.isnan(rows)
    counts = known.sum(axis=1)
    result: Series = np.where(counts > 0, np.where(known, rows, 0.0).sum(axis=1) / np.maximum(counts, 1), np.nan)
    return result


def _mean(values: Series) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
