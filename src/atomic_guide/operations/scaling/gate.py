"""Which decision may be done now: modes, pauses, acts under way, operators' answers.

What is held back is written down when its reason changes and not at each tick, so that `scale explain` can tell why
nothing is done, and a quiet day stays a page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.operations.scaling.troubles import held

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.acting import Acting
    from atomic_guide.operations.scaling.controls import Control
    from atomic_guide.operations.scaling.events import Events, Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.model import Decision, Mode
    from atomic_guide.operations.scaling.patience import ActSettings


class Settled(NamedTuple):
    """What was done with a decision: whether it is on its way now, and whether something new was written down."""

    taken: bool
    new: bool


class Gate:
    """The gate of one leader. `mode_of` says a fleet's mode by the settings."""

    def __init__(
        self, events: Events, acting: Acting, settings: ActSettings, clock: Clock, mode_of: Callable[[str], Mode]
    ) -> None:
        self._events = events
        self._acting = acting
        self._settings = settings
        self._clock = clock
        self._mode_of = mode_of
        # What was last written down as held back, by fleet.
        self._said: dict[str, str] = {}

    def mode(self, fleet: str, control: Control) -> Mode:
        """A fleet's mode: the operators', else that of the settings."""
        return control.mode or self._mode_of(fleet)

    async def settle(self, decision: Decision, fleet: Fleet, control: Control, records: list[Record]) -> Settled:
        """Do with a decision what may be done."""
        mode = self.mode(decision.fleet, control)
        if mode == "off":
            return Settled(taken=False, new=False)
        why = _hindrance(decision, fleet, control, records)
        if why or decision.action == "hold":
            said = await self._say(held(decision, why) if why else decision, mode)
            return Settled(taken=False, new=said)
        self._said.pop(decision.fleet, None)
        if mode == "shadow":
            return Settled(taken=True, new=await self._events.record(decision, mode, "shadowed"))
        if mode == "approve":
            return Settled(taken=True, new=await self._ask(decision, records))
        begun = await self._acting.begin(decision, mode)
        return Settled(begun, begun)

    async def answer(self, record: Record, control: Control) -> None:
        """Do with a decision that waits what may be done: begin it, let it expire, or nothing yet."""
        mode = self.mode(record.fleet, control)
        waited = self._clock.now() - record.event.decision.at
        if mode in {"off", "shadow"}:
            await self._events.end(record, "expired", f"the mode of {record.fleet} is {mode} now")
        elif waited > self._settings.approval_seconds:
            await self._events.end(record, "expired", f"nobody answered within {waited:.0f} s")
        elif record.step == "approved" and control.paused_until is None:
            await self._acting.begin_approved(record)

    async def _ask(self, decision: Decision, records: list[Record]) -> bool:
        """Let a decision wait for an operator, in the place of an older one that says something else."""
        for record in records:
            if record.fleet == decision.fleet and record.event.state == "awaiting":
                older = record.event.decision
                if (older.before, older.after) == (decision.before, decision.after) or record.step == "approved":
                    return False
                await self._events.end(record, "expired", f"replaced by {decision.id}")
        return await self._events.record(decision, "approve", "awaiting")

    async def _say(self, decision: Decision, mode: Mode) -> bool:
        """Write down what is held back, where that is new."""
        said = _gist(decision)
        if self._said.get(decision.fleet) == said:
            return False
        self._said[decision.fleet] = said
        return await self._events.record(decision, mode, "refused", decision.reason)


def _hindrance(decision: Decision, fleet: Fleet, control: Control, records: list[Record]) -> str:
    """Why a decision is not done now; empty where it may be."""
    if decision.action == "hold":
        return ""
    if control.paused_until is not None:
        return f"the fleet is paused: {control.why}"
    if any(each.fleet == decision.fleet and each.event.state == "acting" for each in records):
        return "an act on the fleet is under way"
    low, high = sorted((fleet.least, fleet.most))
    # Towards the bounds is allowed from beyond them.
    if not min(low, decision.before) <= decision.after <= max(high, decision.before):
        return f"{decision.after} units are outside {fleet.least} to {fleet.most}"
    return ""


def _gist(decision: Decision) -> str:
    """What makes a hold another one: its words, not its figures, which differ at each tick."""
    said = " ".join((decision.rule, decision.reason, *(one.why for one in decision.rejected)))
    words = "".join(letter for letter in said if not letter.isdigit() and letter not in ".,-+")
    return f"{decision.before} {decision.after} {words}"
