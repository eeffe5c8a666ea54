"""Merged durations and their quantiles. Pure.

The buckets are those of `durations.py`: a quantile is wrong by at most 4.8% of itself, however many processes, shards
and days are merged. Means are exact, since the sum is kept beside the counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from atomic_guide.durations import bucket_of, seconds_of


class Histogram:
    """Durations by bucket; `counts` is its wire form, `total` the sum in seconds."""

    __slots__ = ("counts", "total")

    def __init__(self, counts: Mapping[int, int] | None = None, total: float = 0.0) -> None:
        self.counts: dict[int, int] = dict(counts or {})
        self.total = total

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts and self.total == other.total

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Histogram({self.counts!r}, {self.total!r})"

    @classmethod
    def merged(cls, parts: Iterable[Histogram]) -> Histogram:
        """One over several."""
        found = cls()
        for part in parts:
            found.merge(part)
        return found

    @property
    def count(self) -> int:
        """How many durations."""
        return sum(self.counts.values())

    @property
    def mean(self) -> float | None:
        """Seconds; None where there are none."""
        count = self.count
        return self.total / count if count else None

    def add(self, seconds: float) -> None:
        """Count one."""
        bucket = bucket_of(seconds)
        self.counts[bucket] = self.counts.get(bucket, 0) + 1
        self.total += seconds

    def merge(self, other: Histogram) -> None:
        """Count another's too."""
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.total += other.total

    def since(self, earlier: Histogram) -> Histogram:
        """What has come since an earlier state of the same counts."""
        counts = {
            bucket: count - earlier.counts.get(bucket, 0)
            for bucket, count in self.counts.items()
            if count > earlier.counts.get(bucket, 0)
        }
        return Histogram(counts, max(0.0, self.total - earlier.total) if counts else 0.0)

    def quantile(self, q: float) -> float | None:
        """The duration that a share `q` of them does not pass, in seconds; None where there are none.

        The smallest one that at least `q` times their number are at or below (type 1 of Hyndman and Fan, 1996).
        """
        if not 0 <= q <= 1:
            message = f"a quantile is of 0 to 1, not {q}"
            raise ValueError(message)
        wanted = max(1.0, q * self.count)
        seen = 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return seconds_of(bucket)
        return None

    @property
    def most(self) -> float | None:
        """About the longest, in seconds."""
        return seconds_of(max(self.counts)) if self.counts else None

    @property
    def least(self) -> float | None:
        """About the shortest, in seconds."""
        return seconds_of(min(self.counts)) if self.counts else None
