"""Recorded demand replayed under a policy: what ran, what it cost, in which minutes it was too little.

A policy sees only what came before the tick that it decides for. A unit that is started is paid for at once and ready
after the start delay; what is taken away ends at once, units that still start before others.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.scaling.fleet import Choice, Fleet, Policy
from atomic_guide.operations.scaling.trace import Series

FLAP_SECONDS = 600.0
"""Two changes in opposite directions within ten minutes are a flap."""

_DAY = 86400.0
_MINUTE = 60.0

Counts = NDArray[np.int64]


class Terms(NamedTuple):
    """What a replay assumes: seconds of a tick and from start to ready, work per second and unit, bounds."""

    unit: float = 100.0
    delay: float = 90.0
    tick: float = 15.0
    least: int = 2
    most: int = 200

    @property
    def delay_ticks(self) -> int:
        """Ticks until a started unit is ready."""
        return int(np.ceil(self.delay / self.tick))


class Run(NamedTuple):
    """What ran in each tick: units that were ready and that were wanted; the reasons, by the tick that changed it."""

    ready: Counts
    desired: Counts
    reasons: dict[int, str]


class Score(NamedTuple):
    """How good a run was. `cost_ratio` is paid unit-time over the least that covers the demand."""

    violation_minutes: int
    violation_minutes_per_day: float
    cost_ratio: float | None
    events_per_day: float
    flaps_per_day: float
    peak: int


class Units:
    """The units of a replayed component: started, becoming ready in time, ended."""

    def __init__(self, ready: int, terms: Terms) -> None:
        self.ready = ready
        self.desired = ready
        self._terms = terms
        self._starting: deque[tuple[int, int]] = deque()
        self._started = 0

    def fleet(self) -> Fleet:
        """As a policy sees them."""
        return Fleet(self.ready, self._started, self._terms.least, self._terms.most, self._terms.unit)

    def advance(self, tick: int) -> None:
        """Let what has started become ready."""
        while self._starting and self._starting[0][0] <= tick:
            count = self._starting.popleft()[1]
            self._started -= count
            self.ready += count

    def set(self, desired: int, tick: int) -> None:
        """Start or end units until so many are wanted."""
        change = desired - self.desired
        self.desired = desired
        if change > 0:
            if self._terms.delay_ticks:
                self._starting.append((tick + self._terms.delay_ticks, change))
                self._started += change
            else:
                self.ready += change
            return
        leaving = -change
        while leaving and self._starting:
            due, count = self._starting.pop()
            gone = min(count, leaving)
            leaving -= gone
            self._started -= gone
            if count > gone:
                self._starting.append((due, count - gone))
        self.ready -= leaving


def replay(policy: Policy, start: float, demand: Series, terms: Terms) -> Run:
    """Let a policy decide for each tick of a demand. It begins with the least that covers the first known tick."""
    known = demand[~np.isnan(demand)]
    first = float(np.ceil(known[0] / terms.unit)) if len(known) else 0.0
    units = Units(int(min(max(first, terms.least), terms.most)), terms)
    ready, desired = np.empty(len(demand), np.int64), np.empty(len(demand), np.int64)
    reasons: dict[int, str] = {}
    seen: float | None = None
    for tick, value in enumerate(demand.tolist()):
        units.advance(tick)
        if tick:
            choice: Choice = policy.decide(start + tick * terms.tick, seen, units.fleet())
            wanted = min(max(choice.units, terms.least), terms.most)
            if wanted != units.desired:
                units.set(wanted, tick)
                reasons[tick] = choice.reason
        ready[tick], desired[tick] = units.ready, units.desired
        seen = value if value == value else None  # noqa: PLR0124 - NaN differs from itself
    return Run(ready, desired, reasons)


def learn(policy: Policy, start: float, demand: Series, terms: Terms) -> None:
    """Let a policy see earlier demand, as if it had run then."""
    replay(policy, start, demand, terms)


def score(run: Run, demand: Series, terms: Terms) -> Score:
    """Judge a run. Ticks without known demand are neither violated nor paid; a minute is violated by any tick of it."""
    known = ~np.isnan(demand)
    filled = np.where(known, demand, 0.0)
    days = max(len(demand) * terms.tick, terms.tick) / _DAY
    violated = len(violated_minutes(run, demand, terms))
    needed = float(np.ceil(filled / terms.unit).sum())
    paid = float(run.desired[known].sum())
    events, flaps = changes(run.desired, terms.tick)
    return Score(
        violated,
        violated / days,
        paid / needed if needed else None,
        events / days,
        flaps / days,
        int(run.desired.max(initial=0)),
    )


def violated_minutes(run: Run, demand: Series, terms: Terms) -> Counts:
    """The numbers of the minutes, from the first tick on, in any tick of which demand exceeded what was ready."""
    # What is not known compares as false.
    over = demand > run.ready * terms.unit
    minutes = np.floor(np.arange(len(demand)) * terms.tick / _MINUTE).astype(np.int64)
    return np.unique(minutes[over])


def changes(desired: Counts, tick: float) -> tuple[int, int]:
    """How often a count changed, and how often within ten minutes in the other direction."""
    steps = np.diff(desired)
    at = np.flatnonzero(steps)
    up = steps[at] > 0
    turned = (up[1:] != up[:-1]) & (np.diff(at) * tick <= FLAP_SECONDS)
    return len(at), int(turned.sum())
