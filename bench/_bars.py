"""Figures and the bounds that they must keep, for benchmarks that decide."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


class Bars:
    """Prints figures as they come and remembers which bars were missed.

    `share` scales the load: 1.0 is the size that the bars are meant for.
    """

    def __init__(self, share: float = 1.0) -> None:
        self.share = share
        self._missed: list[str] = []
        self._held = 0

    def size(self, full: int, least: int = 1) -> int:
        """How many of `full` this run does."""
        return max(least, round(full * self.share))

    def show(self, name: str, value: float | str, unit: str = "") -> None:
        """Print a figure that has no bar."""
        print(f"  {name:<56}{_shown(value):>12} {unit}".rstrip())

    def median(self, name: str, values: Sequence[float], unit: str) -> float:
        """Print the median of rounds with the least and the most; returns it."""
        middle = statistics.median(values)
        print(f"  {name:<56}{_shown(middle):>12} {unit}  ({_shown(min(values))} to {_shown(max(values))})")
        return middle

    def least(self, name: str, value: float, bound: float, unit: str = "") -> None:
        """A bar that the figure must reach."""
        self._judge(name, value, f"at least {_shown(bound)}", unit, kept=value >= bound)

    def most(self, name: str, value: float, bound: float, unit: str = "") -> None:
        """A bar that the figure must not pass."""
        self._judge(name, value, f"at most {_shown(bound)}", unit, kept=value <= bound)

    def conclude(self) -> int:
        """Print the verdict; the exit code."""
        if self._missed:
            print(f"\nmissed {len(self._missed)} of {len(self._missed) + self._held} bars: {'; '.join(self._missed)}")
            return 1
        print(f"\nall {self._held} bars are kept")
        return 0

    def _judge(self, name: str, value: float, bound: str, unit: str, *, kept: bool) -> None:
        print(f"  {name:<56}{_shown(value):>12} {unit}  {'ok' if kept else 'MISSED'}: {bound}")
        if kept:
            self._held += 1
        else:
            self._missed.append(name)


def _shown(value: float | str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return f"{int(value):,}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
