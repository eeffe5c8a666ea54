"""What the real policies would have run on made-up demand: a fixed rule for the older weeks, the decider for the last.

The decider is the one that a server uses, with the same settings, memory and rules; only its fleets are counted here
instead of started. A unit that it asks for is ready after the fleet's `start_delay_seconds`, as in the simulator.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.demo.demand import DAY, TICK, Demand
from atomic_guide.operations.scaling.controls import Control
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.metric import Units as MetricUnits
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import WEB, WORKERS, Decision, Event, Key, Mode, Seen
from atomic_guide.operations.scaling.policies.named import make_policy
from atomic_guide.operations.scaling.policies.tuned import Night, Point
from atomic_guide.operations.scaling.settings import ScalingSettings
from atomic_guide.operations.scaling.simulate import Terms, Units, replay

OLDER_POLICY = "hpa-70"
"""What is replayed before the decider begins: it takes a tenth of its time."""

_TOLD_TICKS = 240

_AUTO = Control(mode="auto")

Counts = NDArray[np.int64]
Measure = Callable[[int, Mapping[str, int]], Mapping[Key, float]]
"""What is measured in a tick of the demand, with so many units ready, beside the demand itself."""


class Studied(NamedTuple):
    """What the replay of a day found, as the table of nights takes it."""

    at: float
    fleet: str
    night: Night
    constants: dict[str, float]
    frontier: list[Point]


class Ran(NamedTuple):
    """Units that were ready in each tick by fleet, the decisions with what became of them, in order, the nights."""

    ready: dict[str, Counts]
    events: list[Event]
    nights: list[Studied]


class History:
    """Runs the fleets of a demand; `mind` has afterwards what a server's would remember."""

    def __init__(
        self, demand: Demand, settings: ScalingSettings, units: Mapping[str, float], days: float, named: MetricUnits
    ) -> None:
        """The decider runs for the last `days`; `units` is a unit's work by fleet, `named` what metrics count in."""
        self.mind = Mind(settings, named)
        self.demand = {WEB: demand.cores, WORKERS: demand.slots}
        self._begin = demand.begin
        self._settings = settings
        self._units = units
        self._first = max(len(demand.cores) - int(days * DAY / TICK), 0)

    def run(self, measure: Measure, outlooks: Mapping[str, Sequence[Outlook]], tell: Callable[[float], None]) -> Ran:
        """All of it. `outlooks` were made at their times; `tell` hears what share of the decider's ticks is done."""
        ready = {name: self._older(name) for name in self.demand}
        fleets = {name: _Counted(self._terms(name), int(ready[name][self._first - 1])) for name in self.demand}
        for name, values in self.demand.items():
            self.mind.recall(name, values[max(self._first - 8 * DAY // TICK, 0) : self._first])
        events, nights = list[Event](), list[Studied]()
        coming = {name: deque(sorted(made, key=lambda one: one.made_at)) for name, made in outlooks.items()}
        total = len(self.demand[WEB])
        for tick in range(self._first, total):
            at = self._begin + tick * TICK
            for name, made in coming.items():
                while made and made[0].made_at <= at:
                    self.mind.look_ahead(name, made.popleft())
            events += self._tick(tick, fleets, measure)
            for name, fleet in fleets.items():
                ready[name][tick] = fleet.units.ready
            if self.mind.studies:
                nights += self._studied(at, fleets)
            if tick % _TOLD_TICKS == 0:
                tell((tick - self._first) / (total - self._first))
        return Ran(ready, events, nights)

    def _tick(self, tick: int, fleets: Mapping[str, _Counted], measure: Measure) -> Iterator[Event]:
        """Let acts end, decide by what was measured up to this tick, and begin what was decided."""
        at = self._begin + tick * TICK
        for fleet in fleets.values():
            for event in fleet.advance(tick, at):
                self.mind.hear(event)
                yield event
        for decision in list(self._decided(tick, at, fleets, measure)):
            if decision.action == "hold":
                yield Event(decision, "refused", "auto", ended_at=at, error=decision.reason)
            else:
                fleets[decision.fleet].begin(decision, tick)

    def _decided(self, tick: int, at: float, fleets: Mapping[str, _Counted], measure: Measure) -> Iterator[Decision]:
        counts = {name: fleet.units.ready for name, fleet in fleets.items()}
        values = dict(measure(tick, counts))
        for name, demand in self.demand.items():
            values[Key(name, "demand")] = float(demand[tick])
        under_way = {name: fleet.act for name, fleet in fleets.items() if fleet.act is not None}
        standing = {name: fleet.units.fleet() for name, fleet in fleets.items()}
        yield from self.mind.decide(Seen(at, values), standing, under_way, dict.fromkeys(fleets, _AUTO))

    def _studied(self, at: float, fleets: Mapping[str, _Counted]) -> Iterator[Studied]:
        standing = {name: fleet.units.fleet() for name, fleet in fleets.items()}
        for name, night in self.mind.study(standing).items():
            constants = self.mind.memory.policies[name].constants(night.chosen)
            yield Studied(at, name, night, constants, self.mind.frontier(name))

    def _older(self, name: str) -> Counts:
        terms, values = self._terms(name), self.demand[name]
        ready = np.zeros(len(values), np.int64)
        ready[: self._first] = replay(make_policy(OLDER_POLICY, terms), self._begin, values[: self._first], terms).ready
        return ready

    def _terms(self, name: str) -> Terms:
        own = self._settings.fleet(name)
        # The first process of a server is one of both fleets.
        return Terms(self._units[name], own.start_delay_seconds, TICK, max(own.min, 1), max(own.max, 1))


class _Counted:
    """A fleet that is only counted."""

    def __init__(self, terms: Terms, ready: int) -> None:
        self.units = Units(max(ready, terms.least), terms)
        self.act: Decision | None = None
        self._terms = terms
        self._done_at = 0

    def begin(self, decision: Decision, tick: int) -> None:
        """Carry a decision out."""
        self.act = decision
        self.units.set(decision.after, tick)
        self._done_at = tick + (self._terms.delay_ticks if decision.after > decision.before else 1)

    def advance(self, tick: int, at: float) -> Iterator[Event]:
        """Let what has started become ready; the act that has ended with it."""
        self.units.advance(tick)
        if self.act is not None and tick >= self._done_at:
            mode: Mode = "auto"
            yield Event(self.act, "done", mode, started_at=self.act.at, ended_at=at)
            self.act = None
