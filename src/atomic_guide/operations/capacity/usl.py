"""The Universal Scalability Law, fitted to load-test points with intervals that hold. Pure, numpy only.

    X(N) = l N / (1 + s (N - 1) + k N (N - 1))        (Gunther, "Guerrilla Capacity Planning", 2007, ch. 4-6)

N is the concurrency, X the throughput; l is the throughput of one, s the share that is done one after another, k what
each pair costs in keeping each other up to date. Throughput is highest at N = sqrt((1 - s) / k); at no N where k is 0.

The fit is by weighted least squares in logarithms, since the noise of a throughput is a share of it, within l > 0,
0 <= s < 1, k >= 0. l is eliminated; the sum of squares over (s, k) is looked at on a grid that covers all of them and
is drawn in upon the region that counts, so that there is no start to choose and no wrong minimum to end in; the last
steps are Gauss and Newton's.

An interval of anything that follows from the three is its range over all (l, s, k) whose sum of squares is at most

    R <= R_min + t(0.95; n - 3)^2 R_min / (n - 3),

the profile t interval (Bates and Watts, "Nonlinear Regression Analysis", 1988, ch. 6). A peak whose region reaches
k = 0 has no upper end. `dev.py bench capacity` measures how often it holds, beside a bootstrap and a Bayesian grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.spread import HIGH, LEVELS, MIDDLE, Series, Spread, student

LEAST_POINTS = 5
"""Different concurrencies: three for the law, two to know the noise."""

MOST_POINTS = 1000

LEAST_RATIO = 2.0
"""The highest concurrency over the lowest; within less, no bend shows beside noise."""

LEAST_VALUE, MOST_VALUE = 1e-6, 1e12
"""Of a concurrency and a throughput: beyond there is no system, and the squares of the fit overflow."""

_ODD = 0.15
"""A residual of 15%: load tests on one machine repeat within 1 to 5%, so that such points follow another law."""

_REPEATS = 0.005
"""The least noise that is believed: no throughput repeats within half a percent, however well a curve fits."""

_CELLS = 96
_ZOOMS = 5
_FIRST = 1e-5
"""The least s N and k N^2 of the grid beside zero, over the highest concurrency: a bend of 0.001%."""

_KEPT = 0.999
"""The quantile whose region the grid is drawn in upon: wider than that of any interval asked for."""

_STEPS = 50


class Point(NamedTuple):
    """A steady stretch of a load test; `weight` says how much it tells beside others."""

    concurrency: float
    throughput: float
    weight: float = 1.0


class Law(NamedTuple):
    """The law with numbers."""

    rate: float
    contention: float
    coherency: float

    def throughput(self, concurrency: float) -> float:
        """X(N)."""
        more = concurrency - 1
        return self.rate * concurrency / (1 + self.contention * more + self.coherency * concurrency * more)

    @property
    def peak(self) -> float:
        """The concurrency of the highest throughput; infinite where it only levels off."""
        return math.sqrt((1 - self.contention) / self.coherency) if self.coherency > 0 else math.inf


class Peak(NamedTuple):
    """The 90% interval of the concurrency of the highest throughput, and the fit's own; infinite where there is none.

    An infinite `high` says that the points hold no evidence for a peak.
    """

    low: float
    middle: float
    high: float


class _Cells(NamedTuple):
    """The grid as it was last: s, k, the logarithm of the best l, and the sum of squares, all of one shape."""

    contention: Series
    coherency: Series
    log_rate: Series
    squares: Series


class Fit(NamedTuple):
    """What points say: the law that fits best, its relative residual, and how uncertain all is."""

    law: Law
    residual: float
    degrees: int
    lowest: float
    highest: float
    total: float
    least: float
    cells: _Cells

    def peak(self) -> Peak:
        """Where throughput is highest."""
        inside = self.cells.squares <= self._bound(HIGH)
        contention, coherency = self.cells.contention[inside], self.cells.coherency[inside]
        with np.errstate(divide="ignore"):
            peaks = np.sqrt((1 - contention) / coherency)
        middle = self.law.peak
        return Peak(min(float(peaks.min()), middle), middle, max(float(peaks.max()), middle))

    def throughput(self, concurrency: float) -> Spread:
        """The throughput at a concurrency."""
        return self._spread(np.full(self.cells.squares.shape, concurrency), concurrency)

    def best(self, most: float) -> Spread:
        """The highest throughput at up to `most` in flight: at the peak, or where that lies beyond it, there.

        Below the fewest in flight that were measured nothing is known: it is the highest of what lies above.
        """
        with np.errstate(divide="ignore"):
            peaks = np.sqrt((1 - self.cells.contention) / self.cells.coherency)
        return self._spread(np.clip(peaks, self.lowest, most), min(max(self.law.peak, self.lowest), most))

    def _spread(self, concurrency: Series, best: float) -> Spread:
        """Quantiles of log X as ends of one-sided profile intervals."""
        cells, more = self.cells, concurrency - 1
        loss = 1 + cells.contention * more + cells.coherency * concurrency * more
        logs = cells.log_rate + np.log(concurrency / loss)
        middle = math.log(self.law.throughput(best))
        found = []
        for level in LEVELS.tolist():
            if level == MIDDLE:
                found.append(middle)
                continue
            side = 1.0 if level > MIDDLE else -1.0
            left = self._bound(max(level, 1 - level)) - cells.squares
            inside = left >= 0
            # What of the sum of squares is left to a cell, its l may use up: R grows by n (log l)^2.
            reach = side * logs[inside] + np.sqrt(left[inside] / self.total)
            found.append(side * max(float(reach.max(initial=-math.inf)), side * middle))
        return Spread(np.exp(np.maximum.accumulate(found)))

    def _bound(self, level: float) -> float:
        """The sum of squares of the region of a one-sided quantile."""
        return self.least + student(level, self.degrees) ** 2 * _variance(self.least, self.degrees)


def fit(points: Sequence[Point]) -> Fit:
    """The law of some points. Raises `Invalid` where they cannot tell it, saying why and what to do."""
    check_points(points)
    concurrency = np.array([point.concurrency for point in points])
    throughput = np.array([point.throughput for point in points])
    weights = np.array([point.weight for point in points])
    weights = weights / weights.mean()
    degrees = len(points) - 3
    cells = _searched(concurrency, np.log(throughput / concurrency), weights, degrees)
    law, least = _polished(concurrency, throughput, weights, cells)
    least = min(least, float(cells.squares.min()))
    residual = math.sqrt(least / degrees)
    if residual > _ODD:
        expected = np.array([law.throughput(value) for value in concurrency.tolist()])
        worst = int(np.argmax(np.abs(np.log(throughput / expected))))
        raise Invalid(
            f"the points follow no law of scaling: they are off by {residual:.0%}, the one at a concurrency of"
            f" {concurrency[worst]:g} most ({throughput[worst]:g}/s, where {expected[worst]:.4g} fits); repeat the test"
            " with longer steps on a machine that does nothing else"
        )
    span = float(concurrency.min()), float(concurrency.max())
    return Fit(law, residual, degrees, *span, float(weights.sum()), least, cells)


def check_points(points: Sequence[Point]) -> None:
    """Raise `Invalid` for points from which no law can be told."""
    for number, point in enumerate(points, 1):
        if not all(LEAST_VALUE <= value <= MOST_VALUE for value in point[:2]) or not point.weight > 0:
            raise Invalid(
                f"point {number}: concurrency {point.concurrency:g} and throughput {point.throughput:g} must both be"
                f" numbers from {LEAST_VALUE:g} to {MOST_VALUE:g}"
            )
    distinct = {point.concurrency for point in points}
    if len(distinct) < LEAST_POINTS:
        raise Invalid(
            f"{len(distinct)} different concurrencies are too few to tell how the system scales; measure at least"
            f" {LEAST_POINTS}, better 8, such as `atomic-guide loadtest run --steps`"
        )
    if len(points) > MOST_POINTS:
        raise Invalid(f"{len(points):,} points are more than {MOST_POINTS:,}; give the mean of each steady stretch")
    if max(distinct) / min(distinct) < LEAST_RATIO:
        raise Invalid(
            f"the points lie between concurrencies of {min(distinct):g} and {max(distinct):g}: no bend shows within"
            f" that; measure over a range of at least 1 to {LEAST_RATIO:g}"
        )


def _variance(squares: float, degrees: int) -> float:
    return max(squares / degrees, _REPEATS**2)


def _searched(concurrency: Series, logs: Series, weights: Series, degrees: int) -> _Cells:
    """The grid, drawn in until only the region that counts is left; `logs` are of throughput over concurrency."""
    top = float(concurrency.max())
    lines = np.geomspace(_FIRST / top, 0.999, _CELLS), np.geomspace(_FIRST / top**2, 1.0, _CELLS)
    cells = _looked(*lines, concurrency, logs, weights)
    for _ in range(_ZOOMS):
        least = float(cells.squares.min())
        inside = cells.squares <= least + student(_KEPT, degrees) ** 2 * _variance(least, degrees)
        lines = _drawn_in(lines[0], np.any(inside, axis=1)), _drawn_in(lines[1], np.any(inside, axis=0))
        cells = _looked(*lines, concurrency, logs, weights)
    return cells


def _drawn_in(line: Series, inside: NDArray[np.bool_]) -> Series:
    """A line of the grid from before the first value that counts to after the last; zero is always in it."""
    whole = np.concatenate(([0.0], line))
    kept = np.flatnonzero(inside)
    low, high = whole[max(int(kept[0]) - 1, 1)], whole[min(int(kept[-1]) + 1, len(line))]
    return np.geomspace(low, max(high, low * 1.0001), _CELLS)


def _looked(contention: Series, coherency: Series, concurrency: Series, logs: Series, weights: Series) -> _Cells:
    """The sums of squares at each pair of the lines, and of zero."""
    s, k = np.meshgrid(np.concatenate(([0.0], contention)), np.concatenate(([0.0], coherency)), indexing="ij")
    total = float(weights.sum())
    sums, squares = np.zeros(s.shape), np.zeros(s.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        for n, log, weight in zip(concurrency.tolist(), logs.tolist(), weights.tolist(), strict=True):
            off = log + np.log1p((s + k * n) * (n - 1))
            sums += weight * off
            squares += weight * off**2
        squares = squares - sums**2 / total
    # Below a concurrency of one the denominator may end; there is no such system.
    return _Cells(s, k, sums / total, np.where(np.isfinite(squares), np.maximum(squares, 0.0), np.inf))


def _polished(concurrency: Series, throughput: Series, weights: Series, cells: _Cells) -> tuple[Law, float]:
    """Gauss and Newton's steps from the best cell, within the bounds, each halved until it helps."""
    place = int(np.argmin(cells.squares))
    values = np.array([part.flat[place] for part in (cells.log_rate, cells.contention, cells.coherency)])
    more = concurrency - 1

    def residuals(at: Series) -> tuple[Series, Series]:
        loss = 1 + (at[1] + at[2] * concurrency) * more
        with np.errstate(invalid="ignore"):
            return np.log(throughput / concurrency) - at[0] + np.log(loss), loss

    off, loss = residuals(values)
    best = float((weights * off**2).sum())
    for _ in range(_STEPS):
        slopes = np.column_stack((-np.ones(len(more)), more / loss, concurrency * more / loss))
        free = [0, *(number for number in (1, 2) if values[number] > 0)]
        root = np.sqrt(weights)[:, None]
        step = np.zeros(3)
        step[free] = np.linalg.lstsq(slopes[:, free] * root, -off * root[:, 0], rcond=None)[0]
        for halving in range(30):
            tried = values + step * 0.5**halving
            tried[1:] = np.clip(tried[1:], 0.0, [0.999, np.inf])
            new, new_loss = residuals(tried)
            squares = float((weights * new**2).sum())
            if squares < best:
                break
        else:
            break
        values, off, loss, best = tried, new, new_loss, squares
    return Law(math.exp(values[0]), float(values[1]), float(values[2])), best
