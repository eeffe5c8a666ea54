"""Who stands where in a course of any size: mean, rank and percentile of each student, at most 30 bytes a student.

A course is two arrays (a number for each student, in order, and their means) and a histogram of the means whose bins
keep what is in them in order. A student whose mean changes leaves one bin and enters another; nothing else moves.
Rank and percentiles come from the counts of the bins before and the place within one, so they are exact, not to a
bin's width: the same as `figures.ranks` and `figures.percentiles` give for all means at once.

A mean is the float64 sum of a student's shares divided by their number. The performance page adds the same shares in
order of date, so the two may differ in the last bit; both count means as equal that agree to nine digits.

Students are known by `hash`, which takes a secret of the process: that two of a million have the same number has a
chance of 3 in 100 million, and nobody can choose names that do. So standings are for the process that made them.

Bytes: 8 for the number, 8 for the mean, 8 and a sixteenth for the place in the histogram, under 1 for the bins.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from atomic_guide.course.analytics import figures
from atomic_guide.course.analytics.figures import Doubles, Whole

_BIN_MEANS = 512
"""Means of a bin as it is made: its 88 bytes are then nothing beside them, and entering it moves 2 kB."""


class Standing(NamedTuple):
    """Where one student is; `percentile` is None without others."""

    mean: float
    rank: int
    percentile: int | None


class Histogram:
    """Means from 0 to 1 in bins of one width, in order within each."""

    def __init__(self, means: Doubles) -> None:
        self._fill(np.sort(means))

    def __len__(self) -> int:
        return int(self._counts.sum())

    def change(self, old: Iterable[float], new: Iterable[float]) -> None:
        """Take means out and others in. Raises ValueError where one to be taken out is not there."""
        for mean in old:
            number = self._bin(mean)
            held = self._bins[number]
            place = bisect_left(held, mean)
            if place == len(held) or held[place] != mean:
                message = f"{mean!r} is not in the histogram"
                raise ValueError(message)
            del held[place]
            self._counts[number] -= 1
        for mean in new:
            number = self._bin(mean)
            insort(self._bins[number], mean)
            self._counts[number] += 1
        self._before = np.concatenate([[0], np.cumsum(self._counts)])
        if len(self) > 2 * _BIN_MEANS * len(self._bins):
            self._fill(np.concatenate([np.frombuffer(held) for held in self._bins if held]))

    def below(self, mean: float) -> int:
        """How many means are lower."""
        number, rounded = self._bin(mean), _rounded(mean)
        return int(self._before[number]) + bisect_left(self._bins[number], rounded, key=_rounded)

    def up_to(self, mean: float) -> int:
        """How many means are not higher."""
        number, rounded = self._bin(mean), _rounded(mean)
        return int(self._before[number]) + bisect_right(self._bins[number], rounded, key=_rounded)

    def percentile(self, percent: float) -> float:
        """A percentile of the means, between neighbours by the formula of `numpy.percentile`."""
        place = percent / 100 * (len(self) - 1)
        lower = int(place)
        low, high = self._nth(lower), self._nth(min(lower + 1, len(self) - 1))
        part = place - lower
        # From the nearer end, as numpy does: so that the last bit is the same.
        return low + (high - low) * part if part < 0.5 else high - (high - low) * (1 - part)  # noqa: PLR2004 - a half

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return sum(map(sys.getsizeof, self._bins)) + 8 * len(self._bins) + self._counts.nbytes + self._before.nbytes

    def _fill(self, ordered: Doubles) -> None:
        bins = max(1, len(ordered) // _BIN_MEANS)
        edges = np.searchsorted(_bins(ordered, bins), np.arange(1, bins))
        self._bins = [array("d", part.tobytes()) for part in np.split(ordered, edges)]
        self._counts = np.array([len(held) for held in self._bins], np.int64)
        self._before = np.concatenate([[0], np.cumsum(self._counts)])

    def _bin(self, mean: float) -> int:
        return int(_bins(np.array([mean]), len(self._bins))[0])

    def _nth(self, place: int) -> float:
        number = int(np.searchsorted(self._before, place, "right")) - 1
        return self._bins[number][place - int(self._before[number])]


class Standings:
    """The means of a course's students, and the histogram of them."""

    def __init__(self) -> None:
        self._numbers: Whole = np.zeros(0, np.int64)
        self._means: Doubles = np.zeros(0)
        self._tenths: Whole = np.zeros(figures.BINS, np.int64)
        self.histogram = Histogram(self._means)

    @classmethod
    def of(cls, parts: Sequence[tuple[Whole, Doubles]]) -> Standings:
        """The standings of many students, given their numbers (`numbers_of`) and means in parts."""
        new = cls()
        if parts:
            numbers, means = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.argsort(numbers)
            new._numbers, new._means = numbers[order], means[order]
            new._tenths = np.bincount(figures.tenths(means), minlength=figures.BINS)
            new.histogram = Histogram(means)
        return new

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, user: str) -> bool:
        return self._place(user) is not None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return self._numbers.nbytes + self._means.nbytes + self._tenths.nbytes + self.histogram.size

    def change(self, users: Collection[str], with_scores: Sequence[str], means: Doubles) -> None:
        """Say what became of some students: these have scores, with these means; the others have none any more."""
        old = {hash(user): place for user in users if (place := self._place(user)) is not None}
        gone, came = self._means[list(old.values())], means
        self.histogram.change(gone.tolist(), came.tolist())
        self._tenths -= np.bincount(figures.tenths(gone), minlength=figures.BINS)
        self._tenths += np.bincount(figures.tenths(came), minlength=figures.BINS)
        numbers = numbers_of(with_scores)
        stay = np.array([number in old for number in numbers.tolist()], np.bool_)
        self._means[[old.pop(number) for number in numbers[stay].tolist()]] = means[stay]
        if old:
            leave = list(old.values())
            self._numbers, self._means = np.delete(self._numbers, leave), np.delete(self._means, leave)
        if not stay.all():
            numbers, means = numbers[~stay], means[~stay]
            order = np.argsort(numbers)
            places = np.searchsorted(self._numbers, numbers[order])
            self._numbers = np.insert(self._numbers, places, numbers[order])
            self._means = np.insert(self._means, places, means[order])

    def standing(self, user: str) -> Standing | None:
        """Where a student is, None without a score."""
        place = self._place(user)
        if place is None:
            return None
        mean = float(self._means[place])
        below, up_to = self.histogram.below(mean), self.histogram.up_to(mean)
        others = len(self) - 1
        return Standing(mean, len(self) - up_to + 1, figures.percentile_rank(below, up_to - below - 1, others))

    def mean(self) -> float:
        """The mean of the means; there must be one."""
        return float(self._means.mean())

    def percentiles(self) -> list[float]:
        """The percentiles in the order of `figures.PERCENTILES`; there must be a mean."""
        return [self.histogram.percentile(percent) for percent in figures.PERCENTILES]

    def tenths(self) -> list[int]:
        """Students in each tenth of the share, as `figures.histogram`."""
        return [int(count) for count in self._tenths]

    def _place(self, user: str) -> int | None:
        number = hash(user)
        place = int(np.searchsorted(self._numbers, number))
        return place if place < len(self._numbers) and self._numbers[place] == number else None


def numbers_of(users: Iterable[str]) -> Whole:
    """What students are known by in this process."""
    return np.array([hash(user) for user in users], np.int64)


def _bins(means: Doubles, bins: int) -> Whole:
    """The bin of each mean; equal ones are in one bin."""
    return np.clip(np.floor(figures.rounded_means(means) * bins), 0, bins - 1).astype(np.int64)


def _rounded(mean: float) -> float:
    return float(figures.rounded_means(np.float64(mean)))  # type: ignore[arg-type]
