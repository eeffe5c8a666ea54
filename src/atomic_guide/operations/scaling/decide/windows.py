"""The last minutes of a series, kept small: what a rule judges instead of a single sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

Quantile = Callable[[Mapping[int, int], float], float | None]
"""The quantile of counted durations in seconds, None of none."""

_MOST = 60
"""Points of a window, a tick each up to a quarter of an hour; of a longer one, several ticks share a point."""

_COVERED = 0.8
"""The share of a window's points that must be there for it to say anything."""


class Window(msgspec.Struct):
    """Points of a series in order of time, and whether its rule holds at present.

    `values` are the last of their point, `counts` the histograms of durations, added up.
    """

    times: list[float] = []
    values: list[float] = []
    counts: list[dict[int, int]] = []
    holds: bool = False

    def add(self, at: float, length: float, value: float, counts: Mapping[int, int] | None = None) -> None:
        """Note a sample, and forget what is older than the window is long."""
        if self.times and at - self.times[-1] < length / _MOST:
            self.values[-1] = value
            for bucket, count in (counts or {}).items():
                self.counts[-1][bucket] = self.counts[-1].get(bucket, 0) + count
            return
        self.times.append(at)
        self.values.append(value)
        self.counts.append(dict(counts or {}))
        old = sum(1 for time in self.times if time <= at - length)
        # One older point stays: it says that the window is full.
        for column in (self.times, self.values, self.counts):
            del column[: max(old - 1, 0)]

    def back(self, at: float) -> None:
        """The clock has been set back to a moment: what seems to come after it is forgotten."""
        kept = sum(1 for time in self.times if time <= at)
        for column in (self.times, self.values, self.counts):
            del column[kept:]

    def full(self, at: float, length: float, tick: float) -> bool:
        """Whether enough was measured in the window for it to say something."""
        if not length:
            return bool(self.times) and self.times[-1] >= at
        spacing = max(tick, length / _MOST)
        inside = sum(1 for time in self.times if at - length <= time <= at)
        begun = bool(self.times) and self.times[0] <= at - length + 1.5 * spacing
        return begun and inside >= _COVERED * length / spacing

    def quantile(self, share: float, since: float, of_counts: Quantile) -> float | None:
        """The quantile of all durations of the window where they are counted, else of its values."""
        inside = [place for place, time in enumerate(self.times) if time >= since]
        if not inside:
            return None
        merged: dict[int, int] = {}
        for place in inside:
            for bucket, count in self.counts[place].items():
                merged[bucket] = merged.get(bucket, 0) + count
        if merged:
            return of_counts(merged, share)
        if any(self.counts[place] for place in inside):
            return None
        values = sorted(self.values[place] for place in inside)
        return values[min(int(share * len(values)), len(values) - 1)]
