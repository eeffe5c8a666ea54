"""When arrivals are due: a declared rate over time, turned into moments. Pure.

The model is open: an arrival is due when it is due, whatever became of those before. A `Profile` is a piecewise linear
rate; its integral is the number that has arrived by a moment, and the n-th arrival is where the integral reaches n
(constant) or the sum of n exponential steps (Poisson, by the time change of Lewis and Shedler, 1979).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

Pattern = Literal["poisson", "constant"]
Kind = Literal["ramp", "settle", "hold"]


class Stage(msgspec.Struct, frozen=True):
    """A part of a test: `seconds` in which the rate goes evenly from `first` to `last`, in arrivals a second.

    Only what arrives in a `hold` is judged. A `ramp` is on the way there; while it `settle`s the rate is that of the
    hold after it, but queues and caches are still those of the step before. `step` counts the holds, from 0.
    """

    kind: Kind
    step: int
    seconds: float
    first: float
    last: float

    def expected(self, after: float) -> float:
        """How many are due within its first `after` seconds, on average."""
        return after * (self.first + (self.last - self.first) * after / (2 * self.seconds))

    def when(self, count: float) -> float:
        """After how many seconds `count` are due: the inverse of `expected`."""
        slope = (self.last - self.first) / self.seconds
        if abs(slope) * self.seconds < 1e-9 * max(self.first, self.last):
            return count / self.first
        # Of the two forms of the root this one loses no digits where the rate rises from 0 or hardly changes.
        return 2 * count / (self.first + math.sqrt(max(0.0, self.first**2 + 2 * slope * count)))


class Profile(msgspec.Struct, frozen=True):
    """The stages of a test, one after the other."""

    stages: tuple[Stage, ...]

    @property
    def seconds(self) -> float:
        """How long arrivals come."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def expected(self) -> float:
        """How many there are, on average."""
        return sum(stage.expected(stage.seconds) for stage in self.stages)

    @property
    def most(self) -> float:
        """The highest rate."""
        return max(max(stage.first, stage.last) for stage in self.stages)

    def rate(self, at: float) -> float:
        """The rate at a moment; 0 outside of the test."""
        for begin, stage in zip(self.begins(), self.stages, strict=True):
            if begin <= at < begin + stage.seconds:
                return stage.first + (stage.last - stage.first) * (at - begin) / stage.seconds
        return 0.0

    def begins(self) -> list[float]:
        """When each stage begins, in seconds from the begin of the test."""
        found, at = [], 0.0
        for stage in self.stages:
            found.append(at)
            at += stage.seconds
        return found

    def split(self, parts: int) -> Profile:
        """A part's share where `parts` testers send together."""
        stages = tuple(
            Stage(one.kind, one.step, one.seconds, one.first / parts, one.last / parts) for one in self.stages
        )
        return Profile(stages)


def steady(rate: float, seconds: float, ramp: float) -> Profile:
    """`seconds` in all, of which the first `ramp` bring the rate up from 0."""
    stages = [Stage("ramp", 0, ramp, 0.0, rate)] if ramp > 0 else []
    return Profile((*stages, Stage("hold", 0, seconds - ramp, rate, rate)))


def staircase(rates: Sequence[float], seconds: float, ramp: float, settle: float) -> Profile:
    """`seconds` in all, shared evenly: each rate is reached within `ramp`, settles, and is held."""
    each = seconds / len(rates)
    stages: list[Stage] = []
    before = 0.0
    for step, rate in enumerate(rates):
        if ramp > 0:
            stages.append(Stage("ramp", step, ramp, before, rate))
        if settle > 0:
            stages.append(Stage("settle", step, settle, rate, rate))
        stages.append(Stage("hold", step, each - ramp - settle, rate, rate))
        before = rate
    return Profile(tuple(stages))


def moments(profile: Profile, gap: Callable[[], float], phase: float = 0.0) -> Iterator[tuple[float, int]]:
    """Each arrival: its moment in seconds from the begin, and the number of its stage.

    `gap` gives the steps of the count: `lambda: 1.0` for a constant pattern, an exponential of mean 1 for Poisson.
    `phase` (0 to 1) shifts the first step, so that several testers of a constant pattern do not send at one moment.
    """
    done = 0.0
    count = gap() * (1 - phase) if phase else gap()
    for number, (begin, stage) in enumerate(zip(profile.begins(), profile.stages, strict=True)):
        whole = stage.expected(stage.seconds)
        while count - done < whole:
            yield begin + stage.when(count - done), number
            count += gap()
        done += whole
