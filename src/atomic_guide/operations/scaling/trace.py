"""Recorded demand as a regular series in which what is missing stays missing.

Times are epoch seconds (UTC), values units of work per second. A value holds from its time until the next. Pure.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.errors import Invalid

Series = NDArray[np.float64]

_SLOTS_LIMIT = 20_000_000
"""Thirteen months of two seconds each; a file that spans more at its own step has a wrong timestamp in it."""


class Trace(NamedTuple):
    """Demand at `start`, `start + step`...; NaN where nothing was measured."""

    start: float
    step: float
    values: Series

    @property
    def end(self) -> float:
        """When its last value ends to hold."""
        return self.start + self.step * len(self.values)

    def ticks(self, tick: float) -> Series:
        """Demand in each tick of so many seconds: what holds at its begin, or the most of several values in it."""
        count = int((self.end - self.start) // tick)
        if self.step >= tick:
            at = (np.arange(count) * tick // self.step).astype(int)
            held: Series = self.values[np.minimum(at, len(self.values) - 1)]
            return held
        bounds = np.minimum((np.arange(count) * tick / self.step).round().astype(int), len(self.values) - 1)
        filled = np.where(np.isnan(self.values), -np.inf, self.values)
        most = np.maximum.reduceat(filled, bounds)
        return np.where(np.isinf(most), np.nan, most)


def regular(times: Series, values: Series, name: str) -> Trace:
    """Samples at any times as a series at their usual distance. Raises `Invalid` where they have none."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    gaps = np.diff(times)
    gaps = gaps[gaps > 0]
    if not len(gaps):
        raise Invalid(f"{name}: all its timestamps are the same")
    step = float(np.median(gaps))
    slots = np.round((times - times[0]) / step).astype(np.int64)
    if slots[-1] >= _SLOTS_LIMIT:
        raise Invalid(f"{name}: {slots[-1]:,} steps of {step:g} s lie between its first and its last timestamp")
    known = ~np.isnan(values)
    sums = np.bincount(slots[known], weights=values[known], minlength=slots[-1] + 1)
    counts = np.bincount(slots[known], minlength=slots[-1] + 1)
    with np.errstate(invalid="ignore"):
        return Trace(float(times[0]), step, np.where(counts > 0, sums / counts, np.nan))
