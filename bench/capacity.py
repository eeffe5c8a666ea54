"""How often intervals of fitted laws of scaling hold: `dev.py bench capacity [--systems 200] [--traces DIR]`.

Systems of known laws (tests/synthetic.py) are measured with noise up to a share of their peak and fitted. Asked are the
concurrency of the peak, the throughput at the last point, and that at half as much again: how often the 90% interval
holds the truth, how wide it is (its ends' ratio, the median of all systems), and how often it has no end.

Beside the profile that is shipped, on the same systems: a bootstrap of residuals widened as Student's t asks, and a
Bayesian grid, flat in s and k. Bars hold for the shipped one: the truth in at least 85% of them.

With `--traces DIR` (`timestamp,value` files) also how often the weeks that follow are at or under the need that plans
take from the eight weeks before: the level that one week in twenty is to pass, and the ends of its interval. Origins
are a week apart, four weeks are looked ahead, and growth is none, so that a trace that grows passes it more often.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity import peaks
from atomic_guide.operations.capacity.capacity import slots_of
from atomic_guide.operations.capacity.planner import normal
from atomic_guide.operations.capacity.record import SLOT
from atomic_guide.operations.capacity.spread import HIGH, LOW, student
from atomic_guide.operations.capacity.usl import Fit, Law, Point, fit
from atomic_guide.operations.scaling.reading import read_trace
from atomic_guide.operations.scaling.trace import Trace
from bench._bars import Bars
from tests.synthetic import System, systems

Interval = tuple[float, float]
ASKED = ("peak", "throughput at the last point", "throughput at 1.5 times it")
RESAMPLES = 60


def asked(law: Law, top: float) -> list[float]:
    """What is asked of a law measured up to `top`."""
    return [law.peak, law.throughput(top), law.throughput(1.5 * top)]


def profile(found: Fit, one: System) -> list[Interval]:
    """The shipped intervals."""
    top = one.points[-1].concurrency
    peak = found.peak()
    spreads = [found.throughput(factor * top).interval for factor in (1.0, 1.5)]
    return [(peak.low, peak.high), *((low, high) for low, _, high in spreads)]


def bootstrap(found: Fit, one: System) -> list[Interval]:
    """Residuals drawn anew upon the fit; deviations in logarithms widened by t over the normal quantile."""
    draw = np.random.default_rng(3)
    places = [point.concurrency for point in one.points]
    fitted = np.array([found.law.throughput(place) for place in places])
    off = np.log(np.array([point.throughput for point in one.points]) / fitted) * math.sqrt(len(places) / found.degrees)
    drawn = []
    for _ in range(RESAMPLES):
        values = fitted * np.exp(draw.choice(off, len(off)))
        with contextlib.suppress(Invalid):
            drawn.append(fit([Point(*pair) for pair in zip(places, values.tolist(), strict=True)]).law)
    best = np.array(asked(found.law, places[-1]))
    widened = student(HIGH, found.degrees) / 1.6449
    rows = np.array([asked(law, places[-1]) for law in drawn])
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.nan_to_num(np.log(rows / best), nan=0.0, posinf=np.inf, neginf=-np.inf)
        ends = np.quantile(logs, [LOW, HIGH], axis=0, method="nearest") * widened
        return [(float(b * np.exp(low)), float(b * np.exp(high))) for b, low, high in zip(best, *ends, strict=True)]


def bayesian(found: Fit, one: System) -> list[Interval]:
    """The grid of the fit as a posterior: flat in s, k and log l, the noise's logarithm flat as well."""
    cells, top = found.cells, one.points[-1].concurrency
    sizes = [np.gradient(line) for line in (cells.contention[:, 0], cells.coherency[0])]
    weights = (cells.squares / cells.squares.min()) ** (-(found.degrees + 2) / 2) * np.outer(*sizes)
    intervals = []
    with np.errstate(divide="ignore"):
        peaks = np.sqrt((1 - cells.contention) / cells.coherency)
    intervals.append(_quantiles(peaks, weights))
    for place in (top, 1.5 * top):
        loss = 1 + (cells.contention + cells.coherency * place) * (place - 1)
        here = np.exp(cells.log_rate) * place / loss
        scale = np.sqrt(cells.squares / (found.degrees + 2) / found.total)
        moved = [here * np.exp(scale * shift) for shift in (-1.5, -0.75, 0, 0.75, 1.5)]
        shares = [weights * share for share in (0.13, 0.22, 0.3, 0.22, 0.13)]
        intervals.append(_quantiles(np.stack(moved), np.stack(shares)))
    return intervals


def _quantiles(values: np.ndarray, weights: np.ndarray) -> Interval:
    order = np.argsort(values, axis=None)
    shares = np.cumsum(weights.ravel()[order])
    ends = np.searchsorted(shares / shares[-1], [LOW, HIGH]).clip(max=len(order) - 1)
    low, high = values.ravel()[order][ends]
    return float(low), float(high)


METHODS: dict[str, Callable[[Fit, System], list[Interval]]] = {
    "profile": profile,
    "bootstrap": bootstrap,
    "bayesian": bayesian,
}


class Kind(NamedTuple):
    """Systems of one kind, and the methods that are tried on them."""

    noise: float
    steps: int
    methods: tuple[str, ...] = ("profile",)


KINDS = (Kind(0.03, 8, tuple(METHODS)), Kind(0.03, 6), Kind(0.03, 15), Kind(0.01, 8), Kind(0.05, 8))


def judge(bars: Bars, count: int, reach: float, kind: Kind) -> None:
    """One table: how often each method holds each truth, and how wide it is."""
    noise, steps = kind.noise, kind.steps
    held: dict[tuple[str, str], list[tuple[bool, float]]] = defaultdict(list)
    errors: list[float] = []
    for one in systems(count, reach, steps=steps, noise=noise):
        found = fit(one.points)
        errors.append(abs(found.law.peak / one.law.peak - 1))
        truths = asked(one.law, one.points[-1].concurrency)
        for name in kind.methods:
            for what, truth, (low, high) in zip(ASKED, truths, METHODS[name](found, one), strict=True):
                held[name, what].append((low <= truth <= high, high / low if high < math.inf else math.inf))
    print(f"\n{count} systems, {steps} points up to {reach:.0%} of the peak, noise {noise:.0%}")
    print(f"  the fit's own peak is off by {np.median(errors):.0%} (median), {_high(errors)} (90th percentile)")
    for (name, what), rows in held.items():
        share, wide = float(np.mean([one for one, _ in rows])), np.array([width for _, width in rows])
        shown = f"width x{np.median(wide):<8.3g} no end {np.isinf(wide).mean():.0%}"
        print(f"  {name:10} {what:30} held {share:6.1%}  {shown}")
        if name == "profile":
            bars.least(f"{what}, held at {reach:.0%}, {noise:.0%}, {steps} points", share, 0.85)


def _high(errors: list[float]) -> str:
    value = sorted(errors)[int(0.9 * len(errors))]
    return "no peak" if math.isinf(value) else f"{value:.0%}"


def levels(bars: Bars, folder: Path) -> None:
    """One line for each trace, then the bar over all of them."""
    print(f"\nweeks at or under the need of the {peaks.WEEKS} weeks before, of four weeks ahead")
    means = []
    for file in sorted(folder.glob("*.csv")):
        with file.open(encoding="utf-8") as lines:
            trace = read_trace(lines, file.name)
        weeks = _weeks(trace)
        shares = [share for origin in range(2, len(weeks)) for share in _ahead(weeks, origin)]
        if shares:
            means.append(np.mean(shares, axis=0))
            low, middle, high = means[-1]
            print(f"  {file.name:34} {len(shares):4} origins: low {low:.0%}, level {middle:.0%}, high {high:.0%}")
    bars.least("weeks at or under the level, of all traces", float(np.mean(means, axis=0)[1]), 0.93)


def _weeks(trace: Trace) -> np.ndarray:
    values = slots_of(trace)
    times = trace.end - np.arange(len(values), 0, -1.0) * max(trace.step, float(SLOT))
    count = int((trace.end - trace.start) // peaks.DAY)
    return peaks.days_of(times, values, trace.end, np.zeros(count, dtype=np.int64)).weeks


def _ahead(weeks: np.ndarray, origin: int) -> list[list[float]]:
    """The shares of four weeks at or under each end and the middle; empty where either side is not known."""
    before, after = weeks[max(0, origin - peaks.WEEKS) : origin], weeks[origin : origin + 4]
    known = after[~np.isnan(after)]
    kinds = np.zeros(7 * len(before), dtype=np.int64)
    found = peaks.peak(peaks.Days(0.0, np.repeat(before, 7), kinds, 1.0), normal(HIGH))
    if found is None or not len(known):
        return []
    return [[float((known <= end).mean()) for end in found.need.interval]]


def main() -> None:
    """All tables; ends with 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--systems", type=int, default=200, help="of each kind")
    parser.add_argument("--traces", type=Path, help="folder of timestamp,value files")
    chosen = parser.parse_args()
    bars = Bars()
    began = time.perf_counter()
    for kind in KINDS:
        for reach in (0.6, 1.2):
            judge(bars, chosen.systems, reach, kind)
    if chosen.traces is not None:
        levels(bars, chosen.traces)
    print(f"\n{time.perf_counter() - began:.0f} s")
    sys.exit(bars.conclude())


if __name__ == "__main__":
    main()
