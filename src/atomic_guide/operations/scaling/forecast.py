"""Demand of the next weeks, hour by hour, with an honest upper quantile. Pure, numpy only.

The point forecast is a weekly profile in logarithms, y = log1p(value), slots k by weekday and hour:

    profile_k = (sum w y + c mean(w) prior_k) / (sum w + c mean(w)),  w = 0.5 ** (age / 20 days)

drawn by c = 1.5 towards the mean of its hour on working days or at the weekend, plus the level of the last 72 hours
(their median residual), of which half lasts and half fades within eight days.

The quantile is conformal: forecasts are made from six earlier origins with nothing that came after them, and their
errors, in units of the root of the forecast, give the width. That a week has become wilder than these is noticed by
who watches the forecast (decide/watch.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.calendar import Span, kinds_of
from atomic_guide.operations.scaling.hours import local_hours
from atomic_guide.operations.scaling.special import effects, mapped
from atomic_guide.operations.scaling.trace import Series, Trace

HOUR = 3600.0
WEEK = 168
_DAY_HOURS = 24
TRAIN_HOURS = 30 * _DAY_HOURS
"""Thirty days: what is older says less about next week than it costs in change."""

_HALF_LIFE = 20.0 * _DAY_HOURS
_PRIOR = 1.5
_LEVEL_HOURS = 72
_LEVEL_FADES = 8.0 * _DAY_HOURS
_LEVEL_STAYS = 0.5

_ORIGINS = (7, 10, 13, 16, 19, 22)
"""Days back from which errors of up to a week are taken, all alike: to weigh younger ones more made the upper quantile
follow the last odd week (pinball loss 4.23 against 4.36% of the mean over the five traces of the benchmark)."""

_QUANTILE = 0.965
"""A little over 0.95: with few origins the empirical quantile is low."""

LEAST_HOURS = 2 * WEEK

_SPECIAL_HOURS = 400 * _DAY_HOURS
"""A year and a month: last year's break says what this year's will do."""


class Forecast(NamedTuple):
    """Hours from `start` on (epoch seconds): what is expected and what is passed in one hour of twenty."""

    start: float
    p50: Series
    p95: Series


class Backtest(NamedTuple):
    """Rolling origins, each forecast with only what came before it.

    `mase` is the mean absolute error over that of the same hour a week before; `pinball_95` the pinball loss of the
    upper quantile in percent of the mean demand; `coverage_95` the share of hours at or under it.
    """

    mase: float | None
    pinball_95: float | None
    coverage_95: float | None
    origins: int


def hourly(trace: Trace) -> Trace:
    """A trace as means of whole hours of the clock, NaN where an hour has no value."""
    begin = math.floor(trace.start / HOUR) * HOUR
    count = max(math.ceil((trace.end - begin) / HOUR), 1)
    if trace.step >= HOUR:
        at = np.floor((begin + np.arange(count) * HOUR + HOUR / 2 - trace.start) / trace.step).astype(int)
        inside = (at >= 0) & (at < len(trace.values))
        return Trace(begin, HOUR, np.where(inside, trace.values[np.clip(at, 0, len(trace.values) - 1)], np.nan))
    hours = np.floor((trace.start + np.arange(len(trace.values)) * trace.step - begin) / HOUR).astype(np.int64)
    known = ~np.isnan(trace.values)
    sums = np.bincount(hours[known], weights=trace.values[known], minlength=count)
    counts = np.bincount(hours[known], minlength=count)
    with np.errstate(invalid="ignore"):
        return Trace(begin, HOUR, np.where(counts > 0, sums / counts, np.nan))


def forecast(trace: Trace, horizon: int, zone: ZoneInfo | None = None, spans: Sequence[Span] = ()) -> Forecast:
    """The next `horizon` hours after a trace of hours. Raises `Invalid` where there are less than two weeks of it.

    `spans` are the terms, breaks, holidays and exam weeks of the past and of the time ahead.
    """
    values = trace.values[-TRAIN_HOURS:]
    begin = trace.end - len(values) * HOUR
    if np.count_nonzero(~np.isnan(values)) < LEAST_HOURS:
        raise Invalid(f"a forecast needs {LEAST_HOURS // _DAY_HOURS} days with demand; there are fewer")
    slots = local_hours(begin, len(values) + horizon, zone)
    effect = np.zeros(len(slots))
    if spans:
        slots, effect = _special(trace, len(values), horizon, zone, spans)
        # What special days did is taken out of the past, so that ordinary weeks are learned from all of it.
        values = np.maximum(np.expm1(np.log1p(values) - effect[: len(values)]), 0.0)
    point = _point(values, slots, horizon)
    width = _width(values, slots, horizon)
    upper = np.maximum(point, point + width * np.sqrt(point))
    ahead = effect[len(values) :]
    return Forecast(trace.end, _shifted(point, ahead), _shifted(upper, ahead))


def _special(
    trace: Trace, train: int, horizon: int, zone: ZoneInfo | None, spans: Sequence[Span]
) -> tuple[NDArray[np.int64], Series]:
    """Hours of the week and effects of the training hours and those ahead, learned from all that is recorded."""
    count = min(len(trace.values), _SPECIAL_HOURS)
    begin = trace.end - count * HOUR
    slots = local_hours(begin, count + horizon, zone)
    kinds = kinds_of(spans, begin, count + horizon)
    learned = effects(trace.values[-count:], slots[:count], kinds[:count])
    effect = learned[kinds, slots % _DAY_HOURS]
    return mapped(slots, kinds)[count - train :], effect[count - train :]


def _shifted(values: Series, effect: Series) -> Series:
    shifted: Series = np.maximum(np.expm1(np.log1p(values) + effect), 0.0)
    return shifted


def backtest(
    trace: Trace, horizon: int = WEEK, most: int = 8, zone: ZoneInfo | None = None, spans: Sequence[Span] = ()
) -> Backtest:
    """Forecast from up to `most` origins, a week apart and the last one `horizon` hours before the end."""
    last = len(trace.values) - horizon
    origins = [last - WEEK * back for back in range(most) if last - WEEK * back >= LEAST_HOURS + WEEK]
    absolute: list[Series] = []
    naive: list[Series] = []
    losses: list[Series] = []
    kept: list[Series] = []
    made = 0
    for origin in origins:
        past = Trace(trace.start, HOUR, trace.values[:origin])
        actual = trace.values[origin : origin + horizon]
        known = ~np.isnan(actual)
        try:
            found = forecast(past, horizon, zone, spans)
        except Invalid:
            continue
        if not known.any():
            continue
        made += 1
        over = actual - found.p95
        absolute.append(np.abs(actual - found.p50)[known])
        losses.append(np.where(over > 0, 0.95 * over, -0.05 * over)[known] / max(float(actual[known].mean()), 1e-12))
        kept.append((over <= 0)[known].astype(float))
        naive.append(_naive_errors(past.values))
    if not made:
        return Backtest(None, None, None, 0)
    scale = float(np.concatenate(naive).mean())
    return Backtest(
        float(np.concatenate(absolute).mean()) / scale if scale else None,
        100.0 * float(np.concatenate(losses).mean()),
        float(np.concatenate(kept).mean()),
        made,
    )


def _naive_errors(values: Series) -> Series:
    """How wrong the same hour of a week before was, within the training hours."""
    values = values[-TRAIN_HOURS:]
    errors = np.abs(values[WEEK:] - values[:-WEEK])
    result: Series = errors[~np.isnan(errors)]
    return result


def _point(values: Series, slots: NDArray[np.int64], horizon: int) -> Series:
    """The point forecast of the hours after `values`; `slots` are hours of the week of both."""
    count = len(values)
    known = ~np.isnan(values)
    logs = np.log1p(np.where(known, values, 0.0))
    ages = np.arange(count, 0, -1, dtype=np.float64)
    weights = np.where(known, 0.5 ** (ages / _HALF_LIFE), 0.0)
    past = slots[:count]
    prior = _prior(logs, weights, past)
    mean = weights.sum() / np.count_nonzero(known)
    sums = np.bincount(past, weights=weights * logs, minlength=WEEK)
    totals = np.bincount(past, weights=weights, minlength=WEEK)
    profile = (sums + _PRIOR * mean * prior) / (totals + _PRIOR * mean)
    recent = slice(max(count - _LEVEL_HOURS, 0), count)
    residual = (logs - profile[past])[recent][known[recent]]
    level = float(np.median(residual)) if len(residual) else 0.0
    ahead = np.arange(1, horizon + 1)
    share = _LEVEL_STAYS + (1 - _LEVEL_STAYS) * 0.5 ** (ahead / _LEVEL_FADES)
    point: Series = np.maximum(np.expm1(profile[slots[count : count + horizon]] + level * share), 0.0)
    return point


def _prior(logs: Series, weights: Series, slots: NDArray[np.int64]) -> Series:
    """For each hour of the week the mean of its hour of the day, over working days or the weekend."""
    kinds = _DAY_HOURS * (np.arange(WEEK) >= 5 * _DAY_HOURS) + np.arange(WEEK) % _DAY_HOURS
    sums = np.bincount(kinds[slots], weights=weights * logs, minlength=2 * _DAY_HOURS)
    totals = np.bincount(kinds[slots], weights=weights, minlength=2 * _DAY_HOURS)
    everything = sums.sum() / max(totals.sum(), 1e-12)
    means = np.where(totals > 0, sums / np.maximum(totals, 1e-12), everything)
    result: Series = means[kinds]
    return result


def _width(values: Series, slots: NDArray[np.int64], horizon: int) -> float:
    """The conformal width: a quantile of earlier errors over the root of their forecasts."""
    errors: list[Series] = []
    for back in _ORIGINS:
        origin = len(values) - back * _DAY_HOURS
        if np.count_nonzero(~np.isnan(values[: max(origin, 0)])) < WEEK:
            continue
        length = min(horizon, WEEK)
        point = _point(values[:origin], slots, length)
        error = (values[origin : origin + length] - point) / np.sqrt(np.maximum(point, 1e-9))
        errors.append(error[~np.isnan(error)])
    every = np.sort(np.concatenate(errors)) if errors else np.array([])
    if not len(every):
        return 0.0
    # The least that so many of them are at or under.
    return float(every[math.ceil(_QUANTILE * len(every)) - 1])
