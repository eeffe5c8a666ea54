"""The shipped default: it tunes itself by nightly replay of the demand that it has seen.

Each night the day that ended is replayed under all candidates (candidates.py); the next day runs under the one that
would have cost least over the last thirty days:

    paid / needed + price * minutes over capacity a day + EVENT * changes a day + FLAP * flaps a day

with `price` the operator's price of a minute over capacity. The candidate of before is kept unless another is better
by a hundredth. Before the first night it learns from the first hours.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.scaling import candidates
from atomic_guide.operations.scaling.fleet import Choice, Fleet
from atomic_guide.operations.scaling.trace import Series

PRICE = 0.2
EVENT, FLAP = 0.002, 0.02
_BETTER = 0.01
_DAYS = 30
_CANDIDATES = 600
"""A night of 600 takes a third of a second; with 2,400 the outcome differs by less than from one week to another."""

_FIRST_HOURS = (1, 3, 6, 12)
_MIDDLE = candidates.single(
    window=1, margin=1.42, overstep=1.04, guard=1.12, exponent=0.0, trend=0.625, down=20, band=0.1, settle=600.0
)
"""What it begins with."""


class Point(NamedTuple):
    """What a candidate would have cost over the days that are kept: for the picture that operators choose by."""

    price: float
    cost_ratio: float
    minutes_per_day: float
    events_per_day: float
    flaps_per_day: float


class _Day(NamedTuple):
    days: float
    outcome: candidates.Outcome


class Tuned:
    """One component's policy. `tick` and `delay` are seconds; `price` is that of a minute over capacity."""

    def __init__(self, tick: float, delay: float, price: float = PRICE, count: int = _CANDIDATES) -> None:
        self._pace = candidates.pace(tick, delay)
        self._price = price
        self._tick = tick
        drawn = candidates.grid(count)
        self.grid = candidates.joined(_MIDDLE, drawn)
        self.chosen = 0
        self._demand: list[float] = []
        self._sums = [0.0]
        self._last = 0.0
        self._ticks = 0
        self._nights: deque[_Day] = deque(maxlen=_DAYS)
        self._grown = -10 * self._pace.flap
        self._minutes: deque[int] = deque(maxlen=60)
        self._minute_most = 0
        self._read_chosen()

    # --- what the loop calls

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """Step up where the demand's mean with its margin needs more than runs and starts; down after a while."""
        del at
        self._take(demand)
        tick = self._ticks
        self._ticks += 1
        self._learn(tick, fleet)
        now = fleet.coming
        if demand is None:
            return Choice(now, "not measured: nothing is changed")
        trigger, target = self._needs(fleet)
        begins = tick % self._pace.minute == 0
        if begins:
            self._minutes.append(self._minute_most)
            self._minute_most = 0
        self._minute_most = max(self._minute_most, target)
        if trigger > now:
            self._grown = tick
            return Choice(target, self._says(f"needs {trigger} units, and {now} run or start"))
        if begins and tick - self._grown >= self._settle:
            least = max(max(list(self._minutes)[-self._down :], default=0), target)
            if now - least >= max(1.0, self._band * now):
                return Choice(least, self._says(f"has needed at most {least} units for {self._down} minutes"))
        return Choice(now, "as before")

    def frontier(self, prices: tuple[float, ...] = (0.02, 0.05, 0.12, 0.2, 0.4, 1.0)) -> list[Point]:
        """What each price of a minute would have chosen, and how that would have gone over the days that are kept."""
        if not self._nights:
            return []
        ratio, minutes, events, flaps = self._totals()
        points = []
        for price in prices:
            best = int(np.argmin(ratio + price * minutes + EVENT * events + FLAP * flaps))
            values = (float(column[best]) for column in (ratio, minutes, events, flaps))
            points.append(Point(price, *values))
        return points

    # --- inside

    def _take(self, demand: float | None) -> None:
        """Note a tick; one that was not measured counts as the last one that was."""
        if demand is not None:
            self._last = demand
        self._demand.append(math.nan if demand is None else demand)
        self._sums.append(self._sums[-1] + self._last)
        spare = len(self._demand) - self._pace.long - 2 * self._pace.day
        if spare > 0:
            del self._demand[: self._pace.day], self._sums[: self._pace.day]

    def _mean(self, ticks: int, shift: int = 0) -> float:
        sums = self._sums
        end = max(len(sums) - 1 - shift, 1)
        start = max(end - ticks, 0)
        return (sums[end] - sums[start]) / (end - start)

    def _needs(self, fleet: Fleet) -> tuple[int, int]:
        """Units at which it steps up, and to which; the same as `candidates.wants` for the chosen one."""
        pace = self._pace
        level = self._mean(pace.windows[self._window])
        if self._trend:
            level += self._trend * (self._mean(pace.minute) - self._mean(pace.minute, pace.trend))
        level = max(level, 0.0)
        margin = self._margin - 1.0
        if self._exponent and level > 0:
            margin *= math.sqrt(self._mean(pace.long) / level)
        full = level * (1.0 + margin)
        guard = self._guard * self._mean(pace.short)
        trigger, target = max(full, guard) / fleet.unit, max(full * self._overstep, guard) / fleet.unit
        return fleet.bounded(math.ceil(trigger)), fleet.bounded(math.ceil(target))

    def _learn(self, tick: int, fleet: Fleet) -> None:
        """At the end of a day, and a few times in the first one, replay it and choose."""
        day = self._pace.day
        seen = tick % day or day
        first = tick < day and any(tick == hours * day // 24 for hours in _FIRST_HOURS)
        if not (first or tick % day == 0) or not tick:
            return
        if tick <= day and self._nights:
            self._nights.clear()
        demand = np.array(self._demand[-(self._pace.long + seen) :])
        known = candidates.means(demand, len(demand) - seen, self._pace)
        wanted = candidates.play(self.grid, known, self._pace, fleet.unit, (fleet.least, fleet.most))
        outcome = candidates.judge(wanted, demand[-seen:], self._pace, fleet.unit)
        self._nights.append(_Day(seen / day, outcome))
        ratio, minutes, events, flaps = self._totals()
        worth = ratio + self._price * minutes + EVENT * events + FLAP * flaps
        best = int(np.argmin(worth))
        if worth[best] < worth[self.chosen] - _BETTER:
            self.chosen = best
            self._read_chosen()
            self._look_back(demand, fleet)

    def _totals(self) -> tuple[Series, Series, Series, Series]:
        days = sum(night.days for night in self._nights)
        outcomes = [night.outcome for night in self._nights]
        needed = max(sum(one.needed for one in outcomes), 1.0)
        paid = np.sum([one.paid for one in outcomes], axis=0)
        minutes = np.sum([one.minutes for one in outcomes], axis=0)
        events = np.sum([one.events for one in outcomes], axis=0)
        flaps = np.sum([one.flaps for one in outcomes], axis=0)
        return paid / needed, minutes / days, events / days, flaps / days

    def _read_chosen(self) -> None:
        """Keep the chosen constants as plain numbers: they are used at every tick."""
        row = [column[0].item() for column in self.grid.one(self.chosen)]
        self._window, self._margin, self._overstep, self._guard = int(row[0]), row[1], row[2], row[3]
        self._exponent, self._trend, self._down, self._band = row[4], row[5], int(row[6]), row[7]
        self._settle = row[8] / self._tick

    def _look_back(self, demand: Series, fleet: Fleet) -> None:
        """What the newly chosen one would have wanted in the last hour, which its steps down look back upon."""
        length = min(60 * self._pace.minute, len(demand) - 1)
        seen = candidates.means(demand, len(demand) - length, self._pace)
        _, targets = candidates.wants(self.grid.one(self.chosen), seen, fleet.unit)
        ends = range(len(targets) % self._pace.minute, len(targets), self._pace.minute)
        self._minutes.clear()
        for start in ends:
            self._minutes.append(fleet.bounded(int(targets[start : start + self._pace.minute].max())))
        self._minute_most = 0

    def _says(self, what: str) -> str:
        mean = self._mean(self._pace.windows[self._window])
        return f"a demand of {mean:,.0f} with a margin of {self._margin - 1:.0%} {what}"
