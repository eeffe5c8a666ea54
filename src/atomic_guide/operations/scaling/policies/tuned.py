"""The shipped default: it tunes itself by nightly replay of the demand that it has seen.

Each night the day that ended is replayed under all candidates (candidates.py); the next day runs under the one that
would have cost least over the last thirty days:

    paid / needed + price * minutes over capacity a day + EVENT * changes a day + FLAP * flaps a day

with `price` the operator's price of a minute over capacity. The candidate of before is kept unless another is better
by a hundredth. In the first day it runs under a patient one, and for a week only cautious ones are chosen.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling import candidates
from atomic_guide.operations.scaling.fleet import Choice, Fleet, of_units
from atomic_guide.operations.scaling.trace import Series

PRICE = 0.2
EVENT, FLAP = 0.001, 0.0075
"""No edge: on the hardest of the benchmark's traces it costs 3.0% less than the HPA target that is best in hindsight;
1.4% less with a minute at 0.15; 3.7% less and 0.8% more with a flap at 0.005 and at 0.01."""

_BETTER = 0.01
_DAYS = 30
_CANDIDATES = 1600
"""A night of so many takes a second."""

_RISING = 1.05
"""Over the noise of means of a minute: 2% where ticks differ by 3%."""

FRONTIER = (0.02, 0.05, 0.12, 0.2, 0.4, 1.0)
"""Prices of a minute whose choices operators are shown."""


class _Caution(NamedTuple):
    """Until that many whole days have been seen: at least this margin, minutes until it lets go, seconds to settle."""

    days: float
    margin: float
    down: int
    settle: float


_CAUTION = (_Caution(2.0, 1.15, 40, 600.0), _Caution(7.0, 1.08, 12, 300.0))
"""From a weekend nothing can be learned of a Monday at eight."""

_MIDDLE = candidates.single(
    window=2, margin=1.22, overstep=1.1, guard=1.1, exponent=0.5, trend=1.0, span=0, down=20, band=0.1, settle=600.0
)
"""What it begins with. From its first hours, which may be a night, nothing is learned: what they chose had 11 minutes
over capacity in the first day of the hardest trace, and this one 2."""

_LONGEST_DOWN = 60
"""Minutes. Until a day has been seen, to let go too early is learned at once: each step up within ten minutes of a step
down doubles the time until the next one, up to the hour after which lectures begin again. Without it they made up to
eight flaps in a first day."""


class Point(NamedTuple):
    """What a candidate would have cost over the days that are kept: for the picture that operators choose by."""

    price: float
    candidate: int
    cost_ratio: float
    minutes_per_day: float
    events_per_day: float
    flaps_per_day: float


class TunedState(msgspec.Struct):
    """What a policy needs to go on beside the demand that it has seen: small enough to be written at every tick."""

    ticks: int = 0
    chosen: int = 0
    last: float = 0.0
    grown: int = -1_000_000
    minutes: list[int] = []
    minute_most: int = 0
    pinned: int | None = None
    grid: str = ""
    """Which candidates the numbers are of."""
    down: int = 0
    """Minutes until it lets go, which its first day may have doubled; 0 for those of the candidate."""


class Night(NamedTuple):
    """What a replay of the last day found: sums over so many days, an entry for each candidate; what was chosen."""

    grid: str
    days: float
    needed: float
    paid: list[float]
    minutes: list[float]
    events: list[float]
    flaps: list[float]
    chosen: int


class _Day(NamedTuple):
    days: float
    outcome: candidates.Outcome


class Prices(NamedTuple):
    """What a minute over capacity, a change and a flap a day are worth, in shares of the least capacity."""

    minute: float = PRICE
    event: float = EVENT
    flap: float = FLAP


_SHIPPED = Prices()


class Tuned:
    """One component's policy. `tick` and `delay` are seconds.

    With `alone` it studies by itself when a day has ended, as in a replay; a server has `study` called in a thread.
    """

    def __init__(
        self, tick: float, delay: float, prices: Prices = _SHIPPED, count: int = _CANDIDATES, *, alone: bool = True
    ) -> None:
        self._pace = candidates.pace(tick, delay)
        self._prices = prices
        self._alone = alone
        self.delay = delay
        self.due = False
        self._ended_at = 0
        self._found: int | None = None
        self._tick = tick
        drawn = candidates.grid(count)
        self.grid = candidates.joined(_MIDDLE, drawn)
        self.signature = candidates.signature(self.grid)
        self.chosen = 0
        self.pinned: int | None = None
        self._demand: list[float] = []
        self._sums = [0.0]
        self._last = 0.0
        self._ticks = 0
        self._nights: deque[_Day] = deque(maxlen=_DAYS)
        self._grown = -10 * self._pace.flap
        self._shrunk = -10 * self._pace.flap
        self._before = 0
        self._minutes: deque[int] = deque(maxlen=_LONGEST_DOWN)
        self._minute_most = 0
        self._spare: int | None = None
        self._down, self._settle = 0, 0.0
        self._read_chosen()

    # --- what the loop calls

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """Step up where the demand's mean with its margin needs more than runs and starts; down after a while."""
        self._take(demand)
        tick, now = self._begin(at, fleet), fleet.coming
        if demand is None:
            return Choice(now, "not measured: nothing is changed")
        trigger, target = self._needs(fleet)
        begins = tick % self._pace.minute == 0
        if begins:
            self._minutes.append(self._minute_most)
            self._minute_most = 0
        self._minute_most = max(self._minute_most, target)
        if trigger > now:
            if not self._nights and tick - self._shrunk <= self._pace.flap:
                self._down = min(2 * self._down, _LONGEST_DOWN)
            self._grown, self._spare = tick, None
            runs = f"{now} {'runs or starts' if now == 1 else 'run or start'}"
            return Choice(target, self._says(fleet, f"needs {of_units(trigger)}, and {runs}"))
        if begins:
            self._spare = self._enough(now, target) if tick - self._grown >= self._settle else None
        # It is said until the next minute, for those who do not let a unit go at its first word.
        if self._spare is not None and target <= self._spare < now:
            few = f"has needed at most {of_units(self._spare)} for {self._down} minutes"
            return Choice(self._spare, self._says(fleet, few))
        return Choice(now, "as before")

    def study(self, fleet: Fleet) -> Night:
        """Replay the day that ended under all candidates, and choose; about a second.

        It may run in a thread beside `decide`, which takes the choice over at its next tick.
        """
        self.due, day = False, self._pace.day
        # A server comes to it some ticks after the day's end: they are replayed with it.
        later = self._ticks - 1 - self._ended_at
        seen = min(day + later, len(self._demand) - 1)
        # It begins with a minute of the clock.
        seen -= (seen - self._ended_at - later) % self._pace.minute
        demand = np.array(self._demand[-(self._pace.long + seen) :])
        known = candidates.means(demand, len(demand) - seen, self._pace)
        wanted = candidates.play(self.grid, known, self._pace, fleet.unit, (fleet.least, fleet.most))
        outcome = candidates.judge(wanted, demand[-seen:], self._pace, fleet.unit)
        self._nights.append(_Day(seen / day, outcome))
        self._found = best = self._best()
        paid, minutes, events, flaps = (
            column.tolist() for column in (outcome.paid, outcome.minutes, outcome.events, outcome.flaps)
        )
        return Night(self.signature, seen / day, outcome.needed, paid, minutes, events, flaps, best)

    @property
    def rising(self) -> bool:
        """Whether demand has risen by more than a twentieth in four minutes: what goes now would be started again."""
        span, ticks = self._pace.spans[-1]
        return self._mean(ticks) > _RISING * self._mean(ticks, span)

    def frontier(self, prices: tuple[float, ...] = FRONTIER) -> list[Point]:
        """What each price of a minute would have chosen, and how that would have gone over the days that are kept."""
        if not self._nights:
            return []
        columns = self._totals()
        points = []
        for price in prices:
            best = int(np.argmin(self._worth(columns, self._prices._replace(minute=price))))
            values = (float(column[best]) for column in columns)
            points.append(Point(price, best, *values))
        return points

    def has(self, number: int) -> bool:
        """Whether there is a candidate of that number."""
        return 0 <= number < len(self.grid.margin)

    def pin(self, number: int | None, fleet: Fleet) -> None:
        """Run under one candidate whatever the nights find, or with None under the best again.

        Raises `Invalid` for a number that no candidate has.
        """
        if number is not None and not self.has(number):
            raise Invalid(f"there is no candidate {number}; they have the numbers 0 to {len(self.grid.margin) - 1}")
        self.pinned = number
        self._choose(self._best() if self._nights or number is not None else self.chosen, fleet)

    def constants(self, number: int | None = None) -> dict[str, float]:
        """The constants of a candidate by their names (candidates.py), of the one that is used if none is named."""
        one = self.grid.one(self.chosen if number is None else number)
        return {name: column[0].item() for name, column in one._asdict().items()}

    # --- going on where another one stopped

    def state(self) -> TunedState:
        """What `resume` needs."""
        return TunedState(
            self._ticks, self.chosen, self._last, self._grown, list(self._minutes), self._minute_most, self.pinned,
            self.signature, self._down,
        )  # fmt: skip

    def resume(self, state: TunedState) -> None:
        """Go on from what `state` gave; candidates of another version are forgotten."""
        self._ticks, self._last, self._grown = state.ticks, state.last, state.grown
        if state.grid == self.signature:
            self.chosen, self.pinned = state.chosen, state.pinned
            self._minutes.extend(state.minutes)
            self._minute_most = state.minute_most
            self._read_chosen()
            self._down = state.down or self._down

    def recall(self, demand: Series, nights: Sequence[Night] = ()) -> None:
        """Know recorded demand by ticks, NaN where it was not measured, and the nights before, the oldest first."""
        self._demand, self._sums = [], [0.0]
        for value in demand.tolist()[-(self._pace.long + self._pace.day) :]:
            self._take(None if math.isnan(value) else value)
        if nights:
            self._nights.clear()
        for night in nights:
            if night.grid == self.signature:
                arrays = (np.array(column) for column in (night.minutes, night.events, night.flaps))
                self._nights.append(_Day(night.days, candidates.Outcome(np.array(night.paid), night.needed, *arrays)))

    # --- inside

    def _begin(self, at: float, fleet: Fleet) -> int:
        """A tick begins, with a day's end in it or a choice that was found meanwhile; its number."""
        if not self._ticks:
            # Its minutes are those of the clock, by which minutes over capacity are counted.
            self._ticks = round(at / self._tick) % self._pace.minute
        tick = self._ticks
        self._ticks += 1
        if tick and tick % self._pace.day == 0:
            self.due, self._ended_at = True, tick
        if self.due and self._alone:
            self.study(fleet)
        if self._found is not None:
            self._choose(self._found, fleet)
            self._found = None
        if fleet.coming < self._before:
            self._shrunk = tick
        self._before = fleet.coming
        return tick

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

    def _enough(self, now: int, target: int) -> int | None:
        """The most that was needed within the down window, where that is lower than now by the band."""
        least = max(max(list(self._minutes)[-self._down :], default=0), target)
        return least if now - least >= max(1.0, self._band * now) else None

    def _needs(self, fleet: Fleet) -> tuple[int, int]:
        """Units at which it steps up, and to which; the same as `candidates.wants` for the chosen one."""
        pace = self._pace
        level = self._mean(pace.windows[self._window])
        if self._trend:
            span, ticks = pace.spans[self._span]
            level += self._trend * pace.leads[self._span] * (self._mean(ticks) - self._mean(ticks, span))
        level = max(level, 0.0)
        margin = self._margin - 1.0
        if self._exponent and level > 0:
            margin *= math.sqrt(self._mean(pace.long) / level)
        full = level * (1.0 + margin)
        guard = self._guard * self._mean(pace.short)
        trigger, target = max(full, guard) / fleet.unit, max(full * self._overstep, guard) / fleet.unit
        return fleet.bounded(math.ceil(trigger)), fleet.bounded(math.ceil(target))

    def _best(self) -> int:
        """The candidate to run under: the pinned one, else the best unless it is hardly better than the present one."""
        if self.pinned is not None:
            return self.pinned
        worth = np.where(self._allowed(), self._worth(self._totals(), self._prices), np.inf)
        best = int(np.argmin(worth))
        return best if worth[best] < worth[self.chosen] - _BETTER else self.chosen

    def _allowed(self) -> NDArray[np.bool_]:
        """Which candidates may be chosen by what has been seen so far; the one that it begins with always may."""
        days = sum(night.days for night in self._nights)
        grid = self.grid
        caution = next((one for one in _CAUTION if days < one.days), None)
        if caution is None:
            return np.ones(len(grid.margin), bool)
        allowed: NDArray[np.bool_] = (
            (grid.down >= caution.down) & (grid.settle >= caution.settle) & (grid.margin >= caution.margin)
        )
        allowed[0] = True
        return allowed

    def _choose(self, number: int, fleet: Fleet) -> None:
        if number != self.chosen:
            self.chosen = number
            self._read_chosen()
            if len(self._demand) > 1:
                self._look_back(np.array(self._demand[-self._pace.long - self._pace.day :]), fleet)

    def _worth(self, columns: tuple[Series, Series, Series, Series], prices: Prices) -> Series:
        ratio, minutes, events, flaps = columns
        worth: Series = ratio + prices.minute * minutes + prices.event * events + prices.flap * flaps
        return worth

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
        chosen = self.constants()
        self._window, self._span, self._down = (int(chosen[name]) for name in ("window", "span", "down"))
        self._margin, self._overstep, self._guard = (chosen[name] for name in ("margin", "overstep", "guard"))
        self._exponent, self._trend, self._band = (chosen[name] for name in ("exponent", "trend", "band"))
        self._settle = chosen["settle"] / self._tick

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

    def _says(self, fleet: Fleet, what: str) -> str:
        mean = self._mean(self._pace.windows[self._window])
        return f"a demand of {fleet.work(mean)} with a margin of {self._margin - 1:.0%} {what}"
