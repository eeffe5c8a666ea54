"""The loop that measures, decides, writes down and acts: `tick` every 15 s, `beat` each second between.

Only the leader does anything. Everything is bounded: a source, a target or a policy that hangs costs its own figures
and a stated trouble, never a tick, and what is not known never takes a unit away. Decisions are values (`Mind`), which
of them may be done now is said by `Gate`, and what they do is `Acting`'s.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

import msgspec
import structlog

from atomic_guide import errors, tracing
from atomic_guide.operations.scaling.audit import Deed
from atomic_guide.operations.scaling.controls import NONE, Control
from atomic_guide.operations.scaling.gate import Gate
from atomic_guide.operations.scaling.judging import Recent
from atomic_guide.operations.scaling.leader import Deposed
from atomic_guide.operations.scaling.limits import note_cuts
from atomic_guide.operations.scaling.model import Decision, Mode, Seen
from atomic_guide.operations.scaling.troubles import EVERYTHING, Trouble, Troubles, caution

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.acting import Acting
    from atomic_guide.operations.scaling.controls import Controls
    from atomic_guide.operations.scaling.events import Events, Reader, Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.leader import Leader
    from atomic_guide.operations.scaling.model import Event, Target

T = TypeVar("T")

_log = structlog.get_logger(__name__)

TICK_SECONDS = 15.0
BEAT_SECONDS = 1.0
"""How often acts are looked at and operators' answers seen: a worker is ready in two seconds."""

SAMPLE_SECONDS = 10.0
"""What measuring may take in all; each source has its own, shorter limit."""

LOOK_SECONDS = 5.0
JUDGE_SECONDS = 5.0

_PRUNE_SECONDS = 3600.0

MIND, STANDING = "mind", "standing"
"""Under which names the leader keeps what it knows."""


class Sampler(Protocol):
    """Measures everything once."""

    async def sample(self) -> Seen:
        """What is known now; what failed is in `missing`."""
        ...

    def until_next(self) -> float:
        """Seconds until the next sample is due."""
        ...


class Mind(Protocol):
    """Decides, and remembers what it needs for that."""

    def decide(
        self,
        seen: Seen,
        fleets: Mapping[str, Fleet],
        under_way: Mapping[str, Decision],
        controls: Mapping[str, Control],
    ) -> Sequence[Decision]:
        """At most one decision for a fleet. Which could not be looked at is not in `fleets`.

        `under_way` are the acts that are carried out, by fleet.
        """
        ...

    def hear(self, event: Event) -> None:
        """What became of a decision."""
        ...

    def withdraw(self, decision: Decision) -> None:
        """The decision of this tick is not carried out now: as if it had not been made."""
        ...

    def save(self) -> bytes:
        """What it remembers, as JSON of some kilobytes."""
        ...

    def load(self, saved: bytes) -> None:
        """Go on from there. Raises where it cannot; then it begins anew."""
        ...


class Judge(Protocol):
    """Says what acts have achieved, when that can be told."""

    async def judge(self, at: float, fleets: Mapping[str, Fleet]) -> list[Record]:
        """Judge some; returns those that were."""
        ...

    async def recent(self, at: float) -> Recent:
        """How acts went of late."""
        ...


class Observer:
    """Hears what the loop does; this one does nothing with it."""

    def ticked(self, standing: Standing, fleets: Mapping[str, Fleet]) -> None:
        """A tick is over; the fleets that could be looked at."""

    def decided(self, decision: Decision, mode: Mode) -> None:
        """Something new was decided."""

    def ended(self, record: Record) -> None:
        """An event has come to its end."""

    def led(self, *, leading: bool) -> None:
        """Whether this process leads."""


class Counted(msgspec.Struct, frozen=True):
    """A fleet at a tick; `mode` is that of the settings, `utilisation` of its units, None where it is not known."""

    ready: int
    starting: int
    least: int
    most: int
    unit: float
    mode: Mode
    utilisation: float | None = None


class Standing(msgspec.Struct, frozen=True):
    """How things stood at a tick, for commands: `fleets` that could be looked at, what could not be told and why."""

    at: float
    fleets: dict[str, Counted] = {}
    missing: dict[str, str] = {}
    troubles: list[Trouble] = []
    recent: Recent | None = None


class Parts(NamedTuple):
    """What the loop stands on."""

    sampler: Sampler
    mind: Mind
    targets: Mapping[str, Target]
    events: Events
    acting: Acting
    controls: Controls
    leader: Leader
    judge: Judge


class Loop:
    """The loop of one process."""

    def __init__(self, parts: Parts, gate: Gate, clock: Clock, *observers: Observer) -> None:
        self._parts = parts
        self._gate = gate
        self._clock = clock
        self._observers = observers
        self._troubles = Troubles(clock)
        self._token = 0
        # Decisions that are under way or wait, to hear of their end, whoever ends them.
        self._watched: set[str] = set()
        self._pruned_at = -math.inf

    async def run(self) -> None:
        """Tick and beat until cancelled; for a root task, beside `Leader.keep`."""
        due = self._clock.monotonic()
        while True:
            for observer in self._observers:
                observer.led(leading=self._parts.leader.leading)
            try:
                if self._clock.monotonic() >= due:
                    # Before the tick, which takes a while, and may fail.
                    due = self._clock.monotonic() + self._parts.sampler.until_next()
                    await self.tick()
                else:
                    await self.beat()
            except Deposed:
                _log.info("the lead of scaling was lost; its acts are left to the new leader")
            except errors.GuideError as error:
                _log.warning("a turn of scaling could not be finished", error=error.message)
            except Exception:  # noqa: BLE001 - whatever goes wrong in one turn, the next one is due
                _log.exception("a turn of scaling failed")
            await asyncio.sleep(min(BEAT_SECONDS, max(due - self._clock.monotonic(), 0.0)))

    async def beat(self) -> None:
        """Carry on what is under way, begin what operators have agreed to, let expire what nobody answered."""
        if not await self._leads():
            return
        records = await self._parts.events.pending()
        self._watched |= {record.id for record in records}
        await self._parts.acting.carry_on(records)
        waiting = [record for record in records if record.event.state == "awaiting"]
        controls = await self._parts.controls.look() if waiting else {}
        for record in waiting:
            await self._gate.answer(record, controls.get(record.fleet, NONE))
        await self._hear()

    async def tick(self) -> None:
        """Measure, decide, write down, act. Raises `Deposed` where the lead is lost meanwhile."""
        if await self._leads():
            with tracing.span("scaling tick", parent=tracing.ROOT):
                await self._ticked()

    async def _ticked(self) -> None:
        began = self._clock.now()
        self._troubles.begin()
        seen = self._sane(await self._sampled())
        await self.beat()
        fleets = await self._fleets()
        controls = await self._parts.controls.look()
        records = await self._parts.events.pending()
        for decision in self._decided(seen, fleets, controls, records):
            cautious = caution(decision, self._troubles.present())
            control = controls.get(decision.fleet, NONE)
            self._watched.add(decision.id)
            settled = await self._gate.settle(cautious, fleets[decision.fleet], control, records)
            if not settled.taken and decision.action != "hold":
                self._parts.mind.withdraw(decision)
            if settled.new:
                for observer in self._observers:
                    observer.decided(cautious, self._gate.mode(decision.fleet, control))
        await self._hear()
        recent = await self._judge(fleets)
        counted = {
            name: Counted(*fleet[:5], self._gate.mode(name, NONE), seen.value(name, "utilisation"))
            for name, fleet in fleets.items()
        }
        standing = Standing(began, counted, dict(seen.missing), self._troubles.present(), recent)
        await self._keep(standing)
        for observer in self._observers:
            observer.ticked(standing, fleets)

    async def _leads(self) -> bool:
        leader = self._parts.leader
        if not leader.leading:
            return False
        if self._token != leader.token:
            # A new lead: what the last leader knew is newer than what this process does.
            await self._load()
            await self._parts.events.save({}, [Deed("leads", details={"owner": leader.owner})])
            self._token = leader.token
        return True

    async def _load(self) -> None:
        saved = await self._parts.events.recall(MIND)
        if saved is not None:
            try:
                self._parts.mind.load(saved.encode())
            except Exception as error:  # noqa: BLE001 - an older program may have written it
                _log.warning("what the last leader knew cannot be read; begun anew", error=str(error))
        standing = await recall_standing(self._parts.events)
        for record in await self._parts.events.newest():
            # What ended after the last leader wrote down what it knew.
            if (record.event.ended_at or 0.0) >= (standing.at if standing else 0.0):
                self._watched.add(record.id)

    async def _hear(self) -> None:
        """Tell of each watched decision that has come to its end."""
        pending = {record.id for record in await self._parts.events.pending()}
        for event_id in self._watched - pending:
            self._watched.discard(event_id)
            try:
                record = await self._parts.events.find(event_id)
            except errors.NotFound:
                # Held back for a reason that was written down before.
                continue
            if record.event.decision.action != "hold":
                self._parts.mind.hear(record.event)
                for observer in self._observers:
                    observer.ended(record)

    async def _sampled(self) -> Seen:
        now = self._clock.now()
        try:
            return await _within(self._parts.sampler.sample(), SAMPLE_SECONDS)
        except Exception as error:  # noqa: BLE001 - whatever a source raises, nothing was measured
            return Seen(now, {}, {EVERYTHING: str(error) or f"no answer within {SAMPLE_SECONDS:.0f} s"})

    def _sane(self, seen: Seen) -> Seen:
        """What was measured, without what is no number; the reasons of what is missing become troubles."""
        missing = dict(seen.missing)
        for key, value in seen.values.items():
            if not math.isfinite(value) or value < 0:
                name = "/".join(part for part in key if part)
                missing.setdefault(name, f"{name} was given as {value}, which cannot be")
        values = {key: value for key, value in seen.values.items() if math.isfinite(value) and value >= 0}
        for name, why in missing.items():
            self._troubles.add("source", name, why)
        self._troubles.check_clock()
        return seen._replace(values=values, missing=missing)

    async def _fleets(self) -> dict[str, Fleet]:
        targets = self._parts.targets
        looks = (_within(target.look(), LOOK_SECONDS) for target in targets.values())
        found: dict[str, Fleet] = {}
        for name, fleet in zip(targets, await asyncio.gather(*looks, return_exceptions=True), strict=True):
            if not isinstance(fleet, BaseException):
                found[name] = fleet
            elif isinstance(fleet, Exception):
                self._troubles.add("target", name, str(fleet) or f"no answer within {LOOK_SECONDS:.0f} s")
            else:
                raise fleet
        return found

    def _decided(
        self, seen: Seen, fleets: Mapping[str, Fleet], controls: Mapping[str, Control], records: Sequence[Record]
    ) -> list[Decision]:
        under_way = {each.fleet: each.event.decision for each in records if each.event.state == "acting"}
        # While a fleet is paused, what would be done is still worked out and told.
        seen_as = {
            name: control if control.paused_until is None else control._replace(mode=self._while_paused(name, control))
            for name, control in controls.items()
        }
        try:
            decisions = self._parts.mind.decide(seen, fleets, under_way, seen_as)
            note_cuts(decisions)
        except Exception as error:  # noqa: BLE001 - a defect of a policy must not end the loop
            self._troubles.add("policy", "", str(error) or type(error).__name__)
            return []
        return [decision for decision in decisions if decision.fleet in fleets]

    def _while_paused(self, fleet: str, control: Control) -> Mode:
        return "off" if self._gate.mode(fleet, control) == "off" else "shadow"

    async def _judge(self, fleets: Mapping[str, Fleet]) -> Recent | None:
        now = self._clock.now()
        try:
            await _within(self._parts.judge.judge(now, fleets), JUDGE_SECONDS)
            return await _within(self._parts.judge.recent(now), JUDGE_SECONDS)
        except Deposed:
            raise
        except (errors.GuideError, TimeoutError) as error:
            _log.warning("acts could not be judged now", error=str(error) or "no answer in time")
            return None

    async def _keep(self, standing: Standing) -> None:
        """Save what is known, tell of troubles that began or ended, forget what is old."""
        saved = {MIND: self._parts.mind.save().decode(), STANDING: msgspec.json.encode(standing).decode()}
        await self._parts.events.save(saved, self._troubles.changes())
        if self._clock.monotonic() - self._pruned_at >= _PRUNE_SECONDS:
            self._pruned_at = self._clock.monotonic()
            await self._parts.events.prune()


async def recall_standing(events: Reader) -> Standing | None:
    """How things stood at the last tick of whoever leads; None where there was none."""
    saved = await events.recall(STANDING)
    return None if saved is None else msgspec.json.decode(saved, type=Standing)


async def _within(work: Awaitable[T], seconds: float) -> T:
    async with asyncio.timeout(seconds):
        return await work
