"""Stand-ins for what scaling acts with: a target that records its calls and can refuse, hang or fail, and a mind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.engines.data.database import Database
from atomic_guide.operations.scaling.acting import Acting
from atomic_guide.operations.scaling.controls import Control, Controls
from atomic_guide.operations.scaling.events import Events
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.gate import Gate
from atomic_guide.operations.scaling.judging import Judging
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.loop import Loop, Observer, Parts
from atomic_guide.operations.scaling.model import Decision, Event, Expected, Mode, Seen, Target
from atomic_guide.operations.scaling.patience import ActSettings
from atomic_guide.operations.scaling.series import Series
from tests.scaling_units import UNITS

SETTINGS = ActSettings(act_seconds=60, replica_seconds=600, approval_seconds=300)


class TwoClocks(Clock):
    """A time of day and a steady clock that tests turn apart."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self.day = start
        self.steady = 1000.0

    def now(self) -> float:
        return self.day

    def monotonic(self) -> float:
        return self.steady

    def advance(self, seconds: float) -> None:
        self.day += seconds
        self.steady += seconds


class RecordingTarget:
    """A fleet of nothing. Units are ready at once, or when `finish` is called; a key does its act once."""

    def __init__(self, fleet: str = "workers", ready: int = 1, *, at_once: bool = True) -> None:
        self.fleet = fleet
        self.ready = ready
        self.wanted = ready
        self.at_once = at_once
        self.calls: list[tuple[int, str]] = []
        self.done: list[tuple[int, str]] = []
        self.refuses: Exception | None = None
        self.blind: Exception | None = None
        self.hangs = False
        self.hangs_after_taking = False
        self.hangs_looking = False

    async def look(self) -> Fleet:
        if self.hangs_looking:
            await asyncio.Event().wait()
        if self.blind is not None:
            raise self.blind
        return Fleet(self.ready, max(self.wanted - self.ready, 0), 0, 10, 1.0)

    async def scale(self, desired: int, key: str) -> None:
        self.calls.append((desired, key))
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            raise self.refuses
        keys = {one for _, one in self.done}
        if key not in keys and f"{key}/back" not in keys:
            self.done.append((desired, key))
            self.wanted = desired
            self.ready = desired if self.at_once else min(self.ready, desired)
        if self.hangs_after_taking:
            await asyncio.Event().wait()

    def finish(self) -> None:
        """What starts is ready."""
        self.ready = self.wanted


class GivenSeen:
    """Samples that a test gives."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.make: Callable[[float], Seen] = lambda at: Seen(at, {})
        self.hangs = False
        self.pause = 15.0

    def until_next(self) -> float:
        return self.pause

    async def sample(self) -> Seen:
        if self.hangs:
            await asyncio.Event().wait()
        return self.make(self._clock.now())


class GivenMind:
    """Decides what a test says, once; remembers what it heard."""

    def __init__(self) -> None:
        self.next: list[Decision] = []
        self.heard: list[Event] = []
        self.withdrawn: list[str] = []
        self.controls: list[Mapping[str, Control]] = []
        self.under_way: list[Mapping[str, Decision]] = []
        self.seen: list[Seen] = []
        self.memory = b"{}"
        self.fails: Exception | None = None

    def decide(
        self,
        seen: Seen,
        fleets: Mapping[str, Fleet],
        under_way: Mapping[str, Decision],
        controls: Mapping[str, Control],
    ) -> Sequence[Decision]:
        self.seen.append(seen)
        self.controls.append(controls)
        self.under_way.append(under_way)
        if self.fails is not None:
            raise self.fails
        found, self.next = self.next, []
        return found

    def hear(self, event: Event) -> None:
        self.heard.append(event)

    def withdraw(self, decision: Decision) -> None:
        self.withdrawn.append(decision.id)

    def save(self) -> bytes:
        return self.memory

    def load(self, saved: bytes) -> None:
        self.memory = saved


class Controller:
    """One process that could scale, over a directory."""

    def __init__(
        self,
        directory: Database,
        clock: Clock,
        *targets: Target,
        mode: Mode = "auto",
        name: str = "one",
        observers: Sequence[Observer] = (),
    ) -> None:
        self.leader = Leader(directory, name, clock)
        self.events = Events(directory, self.leader, clock)
        self.targets = {target.fleet: target for target in targets}
        self.acting = Acting(self.events, self.targets, self.leader, clock, SETTINGS)
        self.controls = Controls(directory, "ada")
        self.gate = Gate(self.events, self.acting, SETTINGS, clock, lambda _: mode)
        self.mind = GivenMind()
        self.sampler = GivenSeen(clock)
        self.series = Series(directory)
        self.judging = Judging(self.events, self.series, lambda _: 0.5, UNITS)
        parts = Parts(
            self.sampler, self.mind, self.targets, self.events, self.acting, self.controls, self.leader, self.judging
        )
        self.loop = Loop(parts, self.gate, clock, *observers)

    async def decide(self, *decisions: Decision) -> None:
        """A tick with these decisions."""
        self.mind.next = list(decisions)
        await self.loop.tick()


def decision(number: int = 1, before: int = 1, after: int = 3, fleet: str = "workers", at: float = 0.0) -> Decision:
    """A change, under an id of its own."""
    return Decision(
        id=f"d{number}",
        at=at or 1_700_000_000.0,
        fleet=fleet,
        action="add_consumer" if after > before else "remove_consumer",
        before=before,
        after=after,
        rule="backlog",
        urgency="medium",
        reason="12,000 jobs wait",
        inputs={"backlog": 12_000.0},
        expected=Expected("queues", "backlog", 1000.0, 600.0),
    )


def refusal() -> errors.GuideError:
    return errors.Invalid("there is no room for another")
