"""Durations, counted by size where they arise: cheap enough for every read of a database.

A bucket holds what lies within a tenth: durations in (1.1^(b-1), 1.1^b] seconds are of bucket b, and are told as the
middle of it, which is wrong by 4.8% at most (the sketch of Masson, Rim and Lee, "DDSketch", VLDB 2019). Counts of
several processes and times are merged by adding them; see operations/scaling/histogram.py for what is made of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.1
"""From one bucket's upper end to the next's."""

_SCALE = 1 / math.log(GROWTH)

LEAST, MOST = 1e-6, 1e7
"""Seconds. What is shorter than a microsecond, or longer than four months, counts as that: 314 buckets at most."""

_GATHERED = 1024
"""Durations that are counted together: 0.03 us for each of them in place of 0.25 for one by itself."""


def bucket_of(seconds: float) -> int:
    """The bucket of a duration."""
    return math.ceil(math.log(min(max(seconds, LEAST), MOST)) * _SCALE)


def seconds_of(bucket: int) -> float:
    """What a duration of a bucket is told as: 4.8% from both of its ends."""
    return float(2 * GROWTH**bucket / (GROWTH + 1))


class Durations:
    """Durations since its begin; for one thread.

    `add` takes 0.1 us for each on a shared core of 2026, counting included.
    """

    __slots__ = ("_counts", "_gathered", "_total")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._gathered: list[float] = []
        self._total = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        gathered = self._gathered
        gathered.append(seconds)
        if len(gathered) >= _GATHERED:
            self._fold()

    @property
    def total(self) -> float:
        """Their sum in seconds."""
        self._fold()
        return self._total

    @property
    def counts(self) -> Mapping[int, int]:
        """How many there were, by bucket."""
        self._fold()
        return self._counts

    def _fold(self) -> None:
        if not self._gathered:
            return
        import numpy as np  # noqa: PLC0415 - every command would wait a tenth of a second for it

        values = np.array(self._gathered)
        self._gathered.clear()
        self._total += float(values.sum())
        buckets = np.ceil(np.log(values.clip(LEAST, MOST)) * _SCALE).astype(np.int64)
        first = int(buckets.min())
        found = np.bincount(buckets - first)
        for offset in found.nonzero()[0].tolist():
            self._counts[first + offset] = self._counts.get(first + offset, 0) + int(found[offset])
