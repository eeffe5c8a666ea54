"""Many candidate policies replayed side by side over one day of demand. Pure, numpy only.

A candidate is a row of constants (`Grid`). At each tick it knows means of the demand that came before:

- L, the mean of its window, with its share of how far the trend leads until a start is ready; B, the mean of seven
  days; f, the mean of the last two ticks;
- margin m = (M - 1) * (B / L)**g, wider where little runs: few units are relatively more uneven;
- it steps up, to ceil(target / unit), where the trigger needs more than runs and starts:
  trigger = max(L * (1 + m), F * f), target = max(L * (1 + m) * r, F * f);
- once a minute it steps down to the highest target of its down window, where that is lower by its band and at least
  one, and nothing has been added for its time to settle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.scaling.simulate import FLAP_SECONDS
from atomic_guide.operations.scaling.trace import Series

_WINDOWS = (15.0, 30.0, 60.0, 240.0, 900.0)
"""Seconds of the mean L."""

_SHORT, _MINUTE, _LONG, _DAY = 30.0, 60.0, 7 * 86400.0, 86400.0

_SPANS = ((60.0, 30.0), (120.0, 60.0), (240.0, 60.0))
"""A trend is the rise of a mean of so many seconds (the second) over so many (the first)."""

# Few values of each constant, far apart: of many, close to each other, it is luck which good ones are drawn.
_MARGINS = (1.03, 1.08, 1.15, 1.25, 1.4, 1.65, 2.0, 2.7)
_OVERSTEPS = (1.05, 1.15)
_GUARDS = (1.0, 1.1)
_EXPONENTS = (0.0, 0.6)
_TRENDS = (0.0, 1.0, 2.0)
_DOWN_MINUTES = (5, 12, 20, 40, 60)
_SETTLES = (300.0, 600.0)
"""Seconds after a step up in which nothing is taken away; less than ten minutes allow flaps, which are counted."""

_BANDS = (0.0, 0.1, 0.3)

Ints = NDArray[np.int32]


class Pace(NamedTuple):
    """The times above in ticks."""

    windows: tuple[int, ...]
    short: int
    minute: int
    spans: tuple[tuple[int, int], ...]
    leads: tuple[float, ...]
    """How often the time from a change to the end of a start goes into each span."""
    flap: int
    long: int
    day: int
    delay: int


def pace(tick: float, delay: float) -> Pace:
    """How many ticks of so many seconds each time has; `delay` is from start to ready, in seconds."""

    def ticks(seconds: float) -> int:
        return max(round(seconds / tick), 1)

    return Pace(
        windows=tuple(ticks(seconds) for seconds in _WINDOWS),
        short=ticks(_SHORT),
        minute=ticks(_MINUTE),
        spans=tuple((ticks(span), ticks(mean)) for span, mean in _SPANS),
        leads=tuple((delay + tick) / (ticks(span) * tick) for span, _ in _SPANS),
        flap=ticks(FLAP_SECONDS),
        long=ticks(_LONG),
        day=ticks(_DAY),
        delay=math.ceil(delay / tick),
    )


class Grid(NamedTuple):
    """Candidates: one constant of each in each array; `window` and `span` are places in the pace, `down` minutes."""

    window: NDArray[np.intp]
    margin: Series
    overstep: Series
    guard: Series
    exponent: Series
    trend: Series
    span: NDArray[np.intp]
    down: NDArray[np.intp]
    band: Series
    settle: Series

    def one(self, number: int) -> Grid:
        """A grid of one candidate."""
        return Grid(**{name: column[number : number + 1] for name, column in self._asdict().items()})


class Means(NamedTuple):
    """What is known at each tick of a day, from the ticks before it."""

    windows: Series
    """Shape (ticks, windows): the means of each window."""
    short: Series
    """Mean of the last two ticks."""
    long: Series
    """Mean of seven days, or of what there is of them."""
    rises: Series
    """Shape (ticks, spans): how far each trend leads until what is started now is ready."""
    known: NDArray[np.bool_]
    """Whether the tick before was measured; where not, nothing is decided."""


class Outcome(NamedTuple):
    """What each candidate did in a day."""

    paid: Series
    needed: float
    minutes: Series
    events: Series
    flaps: Series


def signature(of: Grid) -> str:
    """What tells one grid from another: its length and the sum of its constants, for what is kept by numbers."""
    total = sum(float(np.sum(column * np.arange(1, len(column) + 1))) for column in of)
    return f"{len(of.margin)}-{total:.4f}"


def single(**constants: float) -> Grid:
    """A grid of one candidate from its constants."""
    return Grid(**{name: np.array([value]) for name, value in constants.items()})


def joined(first: Grid, second: Grid) -> Grid:
    """The candidates of one grid before those of another."""
    return Grid(*[np.concatenate(pair) for pair in zip(first, second, strict=True)])


def grid(count: int) -> Grid:
    """So many candidates, spread evenly over all combinations of the constants, always the same ones."""
    axes: tuple[Sequence[float], ...] = (
        range(len(_WINDOWS)), _MARGINS, _OVERSTEPS, _GUARDS, _EXPONENTS, _TRENDS, range(len(_SPANS)), _DOWN_MINUTES,
        _BANDS, _SETTLES,
    )  # fmt: skip
    every = math.prod(len(axis) for axis in axes)
    # Steps of the golden ratio visit all combinations without favouring any value of an axis.
    stride = round(every * 0.6180339887)
    while math.gcd(stride, every) != 1:
        stride += 1
    numbers = np.arange(min(count, every)) * stride % every
    places = np.unravel_index(numbers, [len(axis) for axis in axes])
    columns = [np.array(axis, dtype=float)[place] for axis, place in zip(axes, places, strict=True)]
    window, margin, overstep, guard, exponent, trend, span, down, band, settle = columns
    return Grid(
        window.astype(np.intp), margin, overstep, guard, exponent, trend, span.astype(np.intp), down.astype(np.intp),
        band, settle,
    )  # fmt: skip


def means(demand: Series, begin: int, of: Pace) -> Means:
    """The means known at each tick from `begin` on; `demand` also holds what came before, NaN where unknown.

    A tick that was not measured counts as the last one that was.
    """
    known = ~np.isnan(demand)
    last = np.maximum.accumulate(np.where(known, np.arange(len(demand)), -1))
    filled = np.where(last >= 0, demand[np.maximum(last, 0)], 0.0)
    sums = np.concatenate(([0.0], np.cumsum(filled)))
    at = np.arange(begin, len(demand))

    def mean(ticks: int, shift: int = 0) -> Series:
        end = np.maximum(at - shift, 1)
        start = np.maximum(end - ticks, 0)
        result: Series = (sums[end] - sums[start]) / (end - start)
        return result

    return Means(
        np.stack([mean(ticks) for ticks in of.windows], axis=1),
        mean(of.short),
        mean(of.long),
        np.stack(
            [(mean(ticks) - mean(ticks, span)) * lead for (span, ticks), lead in zip(of.spans, of.leads, strict=True)],
            axis=1,
        ),
        known[np.maximum(at - 1, 0)],
    )


def wants(of: Grid, seen: Means, unit: float) -> tuple[Ints, Ints]:
    """Units at which each candidate steps up, and to which: two arrays of shape (ticks, candidates)."""
    level = np.maximum(seen.windows[:, of.window] + seen.rises[:, of.span] * of.trend, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(level > 0, np.sqrt(seen.long[:, None] / level), 1.0)
    margin = (of.margin - 1.0) * np.where(of.exponent > 0, ratio, 1.0)
    full = level * (1.0 + margin)
    guard = seen.short[:, None] * of.guard
    trigger = np.maximum(full, guard) / unit
    target = np.maximum(full * of.overstep, guard) / unit
    limit = 2.0**31 - 1
    return (
        np.ceil(np.minimum(trigger, limit)).astype(np.int32),
        np.ceil(np.minimum(target, limit)).astype(np.int32),
    )


def play(of: Grid, seen: Means, at: Pace, unit: float, bounds: tuple[int, int]) -> Ints:
    """How many units each candidate wants at each tick, from its own target at the first one on."""
    triggers, targets = wants(of, seen, unit)
    np.clip(triggers, *bounds, out=triggers)
    np.clip(targets, *bounds, out=targets)
    highest = _highest(targets, of.down, at.minute)
    wanted = np.empty_like(targets)
    now = targets[0].copy()
    settle = of.settle * at.minute / _MINUTE
    grown = np.full(len(now), -10 * at.flap)
    for tick in range(len(targets)):
        if seen.known[tick]:
            up = triggers[tick] > now
            if up.any():
                np.copyto(now, targets[tick], where=up)
                grown[up] = tick
            if tick % at.minute == 0:
                least = highest[tick // at.minute]
                spare = now - least
                down = (spare >= np.maximum(1, of.band * now)) & (tick - grown >= settle)
                np.copyto(now, least, where=down)
        wanted[tick] = now
    return wanted


def judge(wanted: Ints, demand: Series, at: Pace, unit: float) -> Outcome:
    """Paid and needed unit-ticks, violated minutes, changes and flaps of each candidate over a day."""
    known = ~np.isnan(demand)
    need = np.ceil(np.where(known, demand, 0.0) / unit).astype(np.int32)
    ready = wanted.copy()
    # What is ready has been wanted for all of the start delay.
    for shift in range(1, at.delay + 1):
        np.minimum(ready[shift:], wanted[:-shift], out=ready[shift:])
    over = ready < need[:, None]
    whole = -(-len(over) // at.minute) * at.minute
    padded = np.zeros((whole, over.shape[1]), bool)
    padded[: len(over)] = over
    minutes = padded.reshape(-1, at.minute, over.shape[1]).any(axis=1).sum(axis=0)
    steps = np.diff(wanted, axis=0).T
    candidate, tick = np.nonzero(steps)
    rising = steps[candidate, tick] > 0
    same = candidate[1:] == candidate[:-1]
    flap = same & (rising[1:] != rising[:-1]) & (np.diff(tick) <= at.flap)
    count = wanted.shape[1]
    return Outcome(
        wanted[known].sum(axis=0, dtype=np.int64).astype(np.float64),
        float(need.sum(dtype=np.int64)),
        minutes.astype(np.float64),
        np.bincount(candidate, minlength=count).astype(np.float64),
        np.bincount(candidate[1:][flap], minlength=count).astype(np.float64),
    )


def _highest(targets: Ints, down: NDArray[np.intp], minute: int) -> Ints:
    """The highest target of each candidate's last `down` minutes, at each whole minute."""
    count = -(-len(targets) // minute)
    padded = np.zeros((count * minute, targets.shape[1]), targets.dtype)
    padded[: len(targets)] = targets
    minutes = padded.reshape(count, minute, -1).max(axis=1)
    result = np.empty_like(minutes)
    for length in np.unique(down):
        chosen = down == length
        result[:, chosen] = _trailing(minutes[:, chosen], int(length))
    shifted = np.empty_like(result)
    shifted[0] = targets[0]
    shifted[1:] = result[:-1]
    # The minute that begins is known by its first target only.
    known: Ints = np.maximum(shifted, targets[::minute])
    return known


def _trailing(rows: Ints, length: int) -> Ints:
    """Maximum over each row and the `length - 1` before it, by doubling."""
    best, span = rows.copy(), 1
    while span < length:
        step = min(span, length - span)
        best[step:] = np.maximum(best[step:], best[:-step].copy())
        span += step
    return best
