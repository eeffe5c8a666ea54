"""Carrying decisions out: an event is written down, its target asked, and watched until it is so, or taken back.

Each call of `carry_on` looks once at every act under way and takes its next step (steps.py). Each step is written
before what it stands for is done, so that a leader that finds the row knows what may have happened: asking again
under the same key is the same act. An act that has begun to go back never goes forward again. Its keys are the event's
id, and `ID/back`: a target that knows the second does nothing any more for the first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import structlog

from atomic_guide import errors
from atomic_guide.operations.scaling.leader import Deposed
from atomic_guide.operations.scaling.patience import ActSettings
from atomic_guide.operations.scaling.steps import Act, Next, advise

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.events import Events, Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.leader import Leader
    from atomic_guide.operations.scaling.model import Decision, Mode, State, Target

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 5.0
"""What a target may take to tell what runs."""

ASK_SECONDS = 20.0
"""What a target may take to accept a wish; it does not wait for units."""


_REFUSALS = (errors.Conflict, errors.Invalid, errors.NotFound, errors.Forbidden)
"""What a target says no with: asking again would not help."""


class Unanswered(errors.Unavailable):
    """A target did not say whether it has taken a wish."""


class Acting:
    """The acts under way, as one leader carries them."""

    def __init__(
        self,
        events: Events,
        targets: Mapping[str, Target],
        leader: Leader,
        clock: Clock,
        settings: ActSettings | None = None,
    ) -> None:
        self._events = events
        self._targets = targets
        self._leader = leader
        self._clock = clock
        self._settings = settings or ActSettings()
        # When an act was first seen here, by the clock that never jumps, and how much of its time had passed by then.
        self._found: dict[str, tuple[float, float]] = {}
        # Which acts this leader has asked for, and asked back.
        self._asked: set[str] = set()
        self._asked_back: set[str] = set()

    async def begin(self, decision: Decision, mode: Mode) -> bool:
        """Write an act down and take its first step; False where its id or its fleet is taken by another.

        It begins from what is counted now. Where that is beyond what was decided, nothing is done, and the event says
        so.
        """
        fleet = await self._look(decision.fleet)
        before = decision.before if fleet is None else fleet.coming
        if decision.after == before or (decision.after > before) != (decision.after > decision.before):
            why = f"the fleet has {before} units now, and the decision was made for {decision.before}"
            await self._events.record(decision, mode, "refused", why)
            return False
        try:
            if not await self._events.record(decision, mode, "acting", before=before):
                return False
        except errors.Conflict:
            return False
        await self._carry(await self._events.find(decision.id))
        return True

    async def begin_approved(self, record: Record) -> bool:
        """Begin what an operator has agreed to, as `begin` does; where the fleet has changed since, it expires."""
        decision = record.event.decision
        fleet = await self._look(record.fleet)
        if fleet is None:
            return False
        if fleet.coming != decision.before:
            why = f"the fleet has {fleet.coming} units now, and the decision was made for {decision.before}"
            await self._end(record, "expired", why)
            return False
        try:
            if not await self._events.start(record):
                return False
        except errors.Conflict:
            return False
        await self._carry(await self._events.find(record.id))
        return True

    async def carry_on(self, records: list[Record]) -> None:
        """Take the next step of each act of these that is under way, side by side. Raises `Deposed`."""
        acting = [record for record in records if record.event.state == "acting"]
        self._found = {record.id: self._found[record.id] for record in acting if record.id in self._found}
        failures = await asyncio.gather(*(self._carry(record) for record in acting), return_exceptions=True)
        for failure in failures:
            if failure is not None:
                raise failure

    async def _carry(self, record: Record) -> None:
        if record.fleet not in self._targets:
            await self._end(record, "failed", f"there is no target for the fleet {record.fleet} any more")
            return
        fleet = await self._look(record.fleet)
        advice = advise(self._act(record), fleet)
        match advice.what:
            case "ask":
                await self._ask(record)
            case "wait" if fleet is not None and record.id not in self._asked:
                # An earlier leader has; but its target may have ended with it, and forgotten the wish.
                await self._ask(record)
            case "turn_back":
                await self._turn_back(record, advice.why)
            case "ask_back":
                await self._ask_back(record)
            case "done":
                await self._end(record, "done")
            case "returned" if record.id not in self._asked_back:
                # The fleet is as it was; but a wish that was not answered may be about to come true.
                await self._ask_back(record)
            case "returned":
                await self._end(record, "rolled_back", record.event.error)
            case "failed":
                await self._end(record, "failed", _joined(record.event.error, advice))

    async def _ask(self, record: Record) -> None:
        try:
            await self._scale(record.fleet, record.after, record.id)
        except _REFUSALS as error:
            await self._refused(record, error.message)
        except Unanswered as error:
            # It may have been taken: asked again at the next look, under the same key.
            _log.warning("a target did not answer", fleet=record.fleet, act=record.id, error=error.message)
        else:
            self._asked.add(record.id)
            await self._events.advance(record, "watching")

    async def _refused(self, record: Record, why: str) -> None:
        """A target has said no: nothing has changed, unless an earlier wish of the same key went through."""
        fleet = await self._look(record.fleet)
        if fleet is not None and fleet.coming == record.before:
            await self._end(record, "failed", f"the target refused: {why}")
        else:
            await self._turn_back(record, f"the target refused: {why}")

    async def _turn_back(self, record: Record, why: str) -> None:
        if await self._events.advance(record, "returning", why):
            await self._ask_back(record)

    async def _ask_back(self, record: Record) -> None:
        try:
            await self._scale(record.fleet, record.before, f"{record.id}/back")
        except Unanswered as error:
            _log.warning("an act could not be taken back yet", fleet=record.fleet, act=record.id, error=error.message)
            return
        except _REFUSALS as error:
            _log.warning("a target refused to go back", fleet=record.fleet, act=record.id, error=error.message)
        self._asked_back.add(record.id)

    async def _end(self, record: Record, state: State, error: str = "") -> None:
        if not await self._events.end(record, state, error):
            return
        self._found.pop(record.id, None)
        self._asked.discard(record.id)
        self._asked_back.discard(record.id)

    async def _scale(self, fleet: str, units: int, key: str) -> None:
        """Ask a target. Raises what it refuses with, `Unanswered` where nobody knows, `Deposed`."""
        try:
            await self._leader.while_leading(self._targets[fleet].scale(units, key), ASK_SECONDS)
        except (Deposed, *_REFUSALS):
            raise
        except Exception as error:
            raise Unanswered(f"{fleet}: {str(error) or 'no answer in time'}") from error

    async def _look(self, fleet: str) -> Fleet | None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                return await self._targets[fleet].look()
        except Exception as error:  # noqa: BLE001 - whatever a target raises, it has not told what runs
            _log.warning("a target could not be looked at", fleet=fleet, error=str(error) or "no answer in time")
            return None

    def _act(self, record: Record) -> Act:
        limit = self._settings.limit(record.fleet)
        now = self._clock.monotonic()
        if record.id not in self._found:
            passed = self._clock.now() - (record.event.started_at or 0.0)
            # A time of day that has jumped back would make it younger than nothing; forward, it has had its time.
            self._found[record.id] = (now, min(max(passed, 0.0), limit))
        since, passed = self._found[record.id]
        return Act(record.step, record.before, record.after, passed + (now - since), limit)


def _joined(error: str, advice: Next) -> str:
    return f"{error}; {advice.why}" if error else advice.why
