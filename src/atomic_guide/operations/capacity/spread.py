"""A figure that is not known exactly: its quantiles. Pure."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

LEVELS: Series = np.array(
    [0.005, 0.01, 0.025, 0.05, *(round(0.1 * part, 2) for part in range(1, 10)), 0.95, 0.975, 0.99, 0.995]
)
"""Probabilities that a spread is known at; between them it is straight, beyond them it ends."""

LOW, MIDDLE, HIGH = 0.05, 0.5, 0.95
"""The ends of the interval that holds nine of ten."""

_MOST_DEGREES = 500
"""From here on Student's distribution differs from the normal one by less than 0.3% of its quantiles."""

_HALVINGS = 60


class Spread(NamedTuple):
    """Quantiles at `LEVELS`, growing."""

    values: Series

    @classmethod
    def exactly(cls, value: float) -> Spread:
        """A figure that is known."""
        return cls(np.full(len(LEVELS), float(value)))

    @classmethod
    def of(cls, samples: Series) -> Spread:
        """The spread of samples."""
        return cls(np.quantile(samples, LEVELS))

    @classmethod
    def between(cls, low: float, middle: float, high: float) -> Spread:
        """A figure of which the middle and the ends of its 90% interval are told; straight between and beyond them."""
        below, above = (middle - low) / (MIDDLE - LOW), (high - middle) / (HIGH - MIDDLE)
        return cls(middle + np.where(LEVELS < MIDDLE, below, above) * (LEVELS - MIDDLE))

    def at(self, levels: Series) -> Series:
        """Its quantiles at probabilities: draws, where those are drawn uniformly."""
        found: Series = np.interp(levels, LEVELS, self.values)
        return found

    def quantile(self, level: float) -> float:
        """Its quantile at one probability."""
        return float(np.interp(level, LEVELS, self.values))

    def times(self, factor: float) -> Spread:
        """So many times the figure, of a factor that is not negative."""
        return Spread(self.values * factor)

    @property
    def interval(self) -> tuple[float, float, float]:
        """Its median between the ends of its 90% interval: low, middle, high."""
        return self.quantile(LOW), self.quantile(MIDDLE), self.quantile(HIGH)


def student(level: float, degrees: int) -> float:
    """The quantile of Student's t distribution, for a probability over a half.

    By bisection of its distribution in closed form for whole degrees of freedom (Abramowitz and Stegun, 1964, 26.7.3
    and 26.7.4), of which one has none at 500 that differs from the normal one.
    """
    wanted, degrees = 2 * level - 1, min(degrees, _MOST_DEGREES)
    low, high = 0.0, math.pi / 2
    for _ in range(_HALVINGS):
        angle = (low + high) / 2
        low, high = (angle, high) if _within(angle, degrees) < wanted else (low, angle)
    return math.sqrt(degrees) * math.tan((low + high) / 2)


def _within(angle: float, degrees: int) -> float:
    """The probability of a t between -x and x, where x = sqrt(degrees) tan(angle)."""
    sine, square = math.sin(angle), math.cos(angle) ** 2
    odd = degrees % 2
    term = math.cos(angle) if odd else 1.0
    total = term if degrees > 1 else 0.0
    for number in range(2 + odd, degrees - 1, 2):
        term *= square * (number - 1) / number
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total
