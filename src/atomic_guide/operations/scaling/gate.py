"""Which decision may be done now: modes, pauses, acts under way, operators' answers, and rests after failures.

What is held back is written down when its reason changes and not at each tick, so that `scale explain` can tell why nothing
is done, and a quiet day stays a page.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.operations.scaling.events import Wanted
from atomic_guide.operations.scaling.troubles import held

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.acting import Acting, ActSettings
    from atomic_guide.operations.scaling.controls import Control
    from atomic_guide.operations.scaling.events import Events, Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.model import Decision, Mode

_REST_SECONDS = 60.0
_REST_MOST_SECONDS = 1800.0
"""After a failed act a fleet is left alone for a minute, doubled with each failure up to half an hour."""

_FAILURES_SINCE = 6 * 3600.0
_RECENT_MOST = 100


class Spoken(NamedTuple):
    """What is held back or only watched of a fleet, as it was last written down."""

    event: str
    signature: str


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
        self._spoken: dict[str, Spoken] = {}
        self._heard: set[str] = set()
        # When an act of a fleet may fail again, by the clock that never jumps, and how many have in a row.
        self._rests: dict[str, tuple[float, int]] = {}

    async def load(self) -> None:
        """Begin a lead: what was written down last, failed, or was refused, by whomever."""
        self._spoken, self._rests = {}, {}
        for record in await self._events.newest():
            if record.event.state in {"refused", "shadowed"} and record.event.ended_at is None:
                self._spoken[record.fleet] = Spoken(record.id, _signature(record.event.decision))
        since = self._clock.now() - _FAILURES_SINCE
        for record in reversed(await self._events.list(Wanted(since=since), limit=_RECENT_MOST)):
            if record.event.state in {"failed", "rolled_back", "done"}:
                self.ended(record)

    def ended(self, record: Record) -> None:
        """An act has ended: a failed one makes its fleet rest."""
        if record.event.state not in {"failed", "rolled_back"}:
            self._rests.pop(record.fleet, None)
            return
        failures = self._rests.get(record.fleet, (0.0, 0))[1] + 1
        rest = min(_REST_SECONDS * 2 ** (failures - 1), _REST_MOST_SECONDS)
        passed = max(self._clock.now() - (record.event.ended_at or 0.0), 0.0)
        self._rests[record.fleet] = (self._clock.monotonic() + max(rest - passed, 0.0), failures)

    async def settle(self, decision: Decision, fleet: Fleet, control: Control, records: list[Record]) -> Mode | None:
        """Do with a decision what may be done; its mode where something new came of it."""
        mode = control.mode or self._mode_of(decision.fleet)
        self._heard.add(decision.fleet)
        if mode == "off":
            return None
        why = self._hindrance(decision, fleet, control, records)
        if mode == "approve" and not why and await self._was_refused(decision):
            why = "an operator refused the like of it a while ago"
        if decision.action == "hold" or why:
            return await self._speak(held(decision, why) if why else decision, mode)
        if mode == "shadow":
            return await self._speak(decision, mode)
        await self._hush(decision.fleet)
        if mode == "approve":
            return mode if await self._ask(decision, records) else None
        return mode if await self._acting.begin(decision, mode) else None

    async def answer(self, record: Record, control: Control) -> None:
        """Do with a decision that waits what may be done: begin it, let it expire, or nothing yet."""
        mode = control.mode or self._mode_of(record.fleet)
        waited = self._clock.now() - record.event.decision.at
        if mode in {"off", "shadow"}:
            await self._events.end(record, "expired", f"the mode of {record.fleet} is {mode} now")
        elif waited > self._settings.approval_seconds:
            await self._events.end(record, "expired", f"nobody answered within {waited:.0f} s")
        elif record.step == "approved" and control.paused_until is None:
            await self._acting.begin_approved(record)

    async def sweep(self) -> None:
        """End of a tick: what no decision spoke of any more is over."""
        for fleet in list(self._spoken):
            if fleet not in self._heard:
                await self._hush(fleet)
        self._heard.clear()

    def _hindrance(self, decision: Decision, fleet: Fleet, control: Control, records: list[Record]) -> str:
        """Why a decision is not done now; empty where it may be."""
        steady = self._clock.monotonic()
        if control.paused_until is not None:
            return f"the fleet is paused: {control.why}"
        if any(each.fleet == decision.fleet and each.event.state == "acting" for each in records):
            return "an act on the fleet is under way"
        if decision.action != "hold" and not fleet.least <= decision.after <= fleet.most:
            return f"{decision.after} units are outside {fleet.least} to {fleet.most}"
        rest, failures = self._rests.get(decision.fleet, (0.0, 0))
        if steady < rest:
            return f"the last act failed, {failures} in a row; the fleet rests"
        return ""

    async def _ask(self, decision: Decision, records: list[Record]) -> bool:
        """Let a decision wait for an operator, in the place of an older one that says something else."""
        for record in records:
            if record.fleet == decision.fleet and record.event.state == "awaiting":
                older = record.event.decision
                if (older.before, older.after) == (decision.before, decision.after) or record.step == "approved":
                    return False
                await self._events.end(record, "expired", f"replaced by {decision.id}")
        return await self._events.record(decision, "approve", "awaiting")

    async def _was_refused(self, decision: Decision) -> bool:
        """Whether an operator has said no to a change of this direction not long ago."""
        since = self._clock.now() - 2 * self._settings.approval_seconds
        wanted = Wanted(since=since, fleet=decision.fleet, state="refused")
        for record in await self._events.list(wanted, limit=_RECENT_MOST):
            older = record.event.decision
            if older.action != "hold" and _grows(older) == _grows(decision):
                return self._clock.now() - (record.event.ended_at or 0.0) < self._settings.approval_seconds
        return False

    async def _speak(self, decision: Decision, mode: Mode) -> Mode | None:
        """Write down what is held back or only watched, where that is new."""
        signature = _signature(decision)
        last = self._spoken.get(decision.fleet)
        if last is not None and last.signature == signature:
            return None
        await self._hush(decision.fleet)
        is_hold = decision.action == "hold"
        if not await self._events.record(decision, mode, "refused" if is_hold else "shadowed",
                                         decision.reason if is_hold else ""):  # fmt: skip
            return None
        self._spoken[decision.fleet] = Spoken(decision.id, signature)
        return mode

    async def _hush(self, fleet: str) -> None:
        spoken = self._spoken.pop(fleet, None)
        if spoken is not None:
            await self._events.end_spoken(spoken.event)


def _grows(decision: Decision) -> bool:
    return decision.after > decision.before


def _signature(decision: Decision) -> str:
    """What makes a hold or a shadow another one: not its figures, which differ at each tick."""
    parts = (decision.action, decision.rule, str(decision.before), str(decision.after), _words(decision.reason),
             *(_words(one.why) for one in decision.rejected))  # fmt: skip
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _words(text: str) -> str:
    return "".join(letter for letter in text if not letter.isdigit() and letter not in ".,-+")
