"""Deciding as the loop uses it: the pure decider with its memory, what operators have set, and what became of acts.

What is slow or needs a clock is done beside the ticks: `study` replays the day that ended in a thread, `recall` tells
the policies of recorded demand, and `look_ahead` (lookahead.py) leaves forecasts and schedules in the memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from atomic_guide.operations.scaling.decide.decider import Decider, Outside
from atomic_guide.operations.scaling.decide.memory import FleetState, Memory
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.decide.tracking import TRACKED, policy_of
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.metric import Units
from atomic_guide.operations.scaling.model import Decision, Event, Mode, Seen
from atomic_guide.operations.scaling.policies.tuned import Night, Point
from atomic_guide.operations.scaling.settings import ScalingSettings
from atomic_guide.operations.scaling.trace import Series


class Control(Protocol):
    """What operators have set for a fleet."""

    @property
    def mode(self) -> Mode | None:
        """None where the settings say it."""

    @property
    def pinned(self) -> dict[str, Any] | None:
        """`{"candidate": NUMBER}`, None where the best is used."""

    @property
    def least(self) -> int | None:
        """Fewest units, None where the settings say it."""

    @property
    def most(self) -> int | None:
        """Most units, None where the settings say it."""


class Mind:
    """Decides for all fleets, and remembers; `units` are those of measurements, for reasons."""

    def __init__(self, settings: ScalingSettings, units: Units) -> None:
        self._settings = settings
        self._decider = Decider(settings, units)
        self.memory = Memory()
        self._bounds: Mapping[str, tuple[int | None, int | None]] = {}
        # How the fleets stood before the last tick's decisions.
        self._before: dict[str, FleetState] = {}

    def decide(
        self,
        seen: Seen,
        fleets: Mapping[str, Fleet],
        under_way: Mapping[str, Decision],
        controls: Mapping[str, Control],
    ) -> Sequence[Decision]:
        """At most one decision for a fleet; none where an act on it is carried out."""
        modes = {name: control.mode for name, control in controls.items() if control.mode is not None}
        self._bounds = {name: (control.least, control.most) for name, control in controls.items()}
        for name in TRACKED:
            control = controls.get(name)
            self._pin(name, fleets.get(name), control.pinned if control is not None else None)
        self._before = {name: msgspec.structs.replace(state) for name, state in self.memory.state.fleets.items()}
        return self._decider.decide(seen, fleets, self.memory, Outside(modes, under_way, self._bounds))

    def withdraw(self, decision: Decision) -> None:
        """The decision of this tick is not carried out now: as if it had not been made, so that it blocks no other."""
        before, state = self._before.get(decision.fleet, FleetState()), self.memory.state.fleet(decision.fleet)
        if state.asked is not None and state.asked.id == decision.id:
            state.asked, state.changed_at, state.grown_at = before.asked, before.changed_at, before.grown_at

    def hear(self, event: Event) -> None:
        """What became of a decision."""
        self.memory.hear(event)

    def save(self) -> bytes:
        """The memory as JSON."""
        return self.memory.saved()

    def load(self, saved: bytes) -> None:
        """Go on from there. Raises `Invalid` where it cannot."""
        self.memory = Memory.loaded(saved)

    @property
    def studies(self) -> bool:
        """Whether a day has ended that should be studied."""
        return any(policy.due for policy in self.memory.policies.values())

    def study(self, fleets: Mapping[str, Fleet]) -> dict[str, Night]:
        """Replay the day that ended under all candidates; in a thread, between two ticks."""
        return self._decider.study(fleets, self.memory, self._bounds)

    def recall(self, fleet: str, demand: Series, nights: Sequence[Night] = ()) -> None:
        """Tell a fleet's policy of recorded demand by ticks, NaN where it is missing, and of the nights before."""
        policy_of(fleet, self.memory, self._settings).recall(demand, nights)

    def frontier(self, fleet: str) -> list[Point]:
        """What each price of a minute over capacity would have chosen for a tracked fleet; empty before a first day."""
        policy = self.memory.policies.get(fleet)
        return policy.frontier() if policy is not None else []

    def look_ahead(self, fleet: str, outlook: Outlook) -> None:
        """Know the time ahead of a fleet."""
        self.memory.state.outlooks[fleet] = outlook

    def _pin(self, name: str, fleet: Fleet | None, pinned: dict[str, Any] | None) -> None:
        if fleet is None:
            return
        policy = policy_of(name, self.memory, self._settings)
        wanted = None if pinned is None else pinned.get("candidate")
        number = wanted if isinstance(wanted, int) and policy.has(wanted) else None
        if number != policy.pinned:
            policy.pin(number, fleet)
