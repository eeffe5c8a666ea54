"""A rate with bursts in one number (the generic cell rate algorithm, ITU-T I.371). Pure."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """`per_minute` on average, and as many at once after a pause of a minute."""

    per_minute: int

    def spend(self, mark: float, now: float, cost: int = 1) -> tuple[float, float]:
        """Take `cost` from the budget that `mark` stands for (0.0 at first), at `now` seconds.

        Returns (new mark, 0.0), or (the same mark, seconds until it will do).
        """
        step = 60.0 / self.per_minute
        spent = max(mark, now) + cost * step
        wait = spent - now - 60.0
        # The tolerance absorbs the rounding of sums of steps, so that exactly `per_minute` fit into a full budget.
        return (spent, 0.0) if wait <= step * 1e-3 else (mark, wait)

    def spent(self, until: float) -> float:
        """The mark of a budget from which nothing more can be taken before `until`."""
        return until + 60.0 - 60.0 / self.per_minute
