"""One worker serves all queues of a process: claims what there is room for, runs it, keeps its leases.

Guarantees:
- At least once: a job whose worker dies is taken over when its lease ends; a job is never lost.
- Once in effect: whatever a handler writes through its lease is refused after the lease is lost.
- A bad job does not hold up its neighbours: each runs in its own task, fails by itself, and after its last
  attempt becomes a dead letter with the reason. Its handler learns of that in the same transaction.
- A slow queue does not hold up another: each looks for its jobs by itself, and slots are shared (slots.py).
- `stop` claims nothing more, gives running jobs a short while, and hands the rest back with their attempt.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
from typing import TYPE_CHECKING

import structlog

from atomic_guide.engines.queues import limits, slots
from atomic_guide.engines.queues.busy import Judgement, judge, over_memory
from atomic_guide.engines.queues.claim import Hold, claim
from atomic_guide.engines.queues.controls import LOOK_SECONDS, PACE_SECONDS, Allowance, Controls
from atomic_guide.engines.queues.ending import tidy
from atomic_guide.engines.queues.endings import Endings
from atomic_guide.engines.queues.handlers import Handler, Observer
from atomic_guide.engines.queues.heart import Heart
from atomic_guide.engines.queues.lane import URGENT, Lane
from atomic_guide.engines.queues.load import Load
from atomic_guide.engines.queues.priority import live_boost
from atomic_guide.engines.queues.runs import Parts, Runs
from atomic_guide.errors import GuideError
from atomic_guide.limit import Used

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lane import Refusal
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.engines.queues.settings import QueueSettings

__all__ = ["Handler", "Observer", "Worker", "owner_name"]

_log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 600.0
"""How often ended jobs of long ago are forgotten."""

_TEND_SECONDS = 0.25
"""How often time limits are looked at, and how late the loop comes."""

_IDLE_SECONDS = 2.0
"""How long a claimed job may wait for a slot before it is given back: others may have room for it."""

_SETTLE_SECONDS = 5.0
"""How long a stopping worker waits for its last ends to be written: two commits of a slow disk."""


def owner_name() -> str:
    """A name for a worker that no other has, beginning with the machine's."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Worker:
    """Runs the jobs of queues; `handlers` are by queue and kind, `observer` is told of everything."""

    def __init__(
        self,
        shards: Shards,
        handlers: Mapping[str, Mapping[str, Handler]],
        *,
        clock: Clock,
        settings: QueueSettings,
        observer: Observer | None = None,
        load: Load | None = None,
    ) -> None:
        self.owner = owner_name()
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._observer = observer or Observer()
        self._controls = Controls(shards.directory)
        self._lanes = [Lane(name, settings.rules(name), own) for name, own in handlers.items()]
        self._allowances = {
            lane.name: Allowance(self._controls, lane.name, lane.rules.per_second)
            for lane in self._lanes
            if lane.rules.per_second
        }
        self._endings = Endings(shards, self.owner, clock, settings.lease_seconds)
        self._runs = Runs(Parts(shards, self._endings, clock, settings), self.owner, self._observer, self._ended)
        self._heart = Heart(shards, clock, settings, self.owner, self._held)
        self._load = load or Load()
        self._urgent = live_boost(settings.priority)
        self._judgement = Judgement(busy=False, reason="")
        self._stopping = asyncio.Event()
        self._filling = False

    def wake(self, queue: str | None = None) -> None:
        """Something of a queue has changed: look for jobs, and for running ones that were called off."""
        for lane in self._lanes:
            if queue in {None, lane.name}:
                lane.published = True
                lane.woken.set()
        self._heart.look()

    @property
    def running(self) -> int:
        """Jobs that run at this moment."""
        return len(self._runs.running)

    def used(self) -> Iterator[Used]:
        """How much of the limits of jobs it uses."""
        now = self._clock.monotonic()
        yield Used(limits.SLOTS, self.running)
        began: dict[str, float] = {}
        for run in self._runs.running.values():
            began[run.lane.name] = min(run.began, began.get(run.lane.name, now))
        for lane in self._lanes:
            oldest = now - began.get(lane.name, now)
            yield Used(limits.QUEUE_JOBS, lane.running, lane.name, lane.rules.concurrency)
            yield Used(limits.JOB_SECONDS, oldest, lane.name, lane.rules.time_limit_seconds)

    @property
    def paused(self) -> set[str]:
        """The queues that are known to be paused."""
        return set(self._controls.paused)

    async def run(self) -> None:
        """Work until `stop`. An unreachable database is waited for; only a defect of the worker's own ends it."""
        await self._look_at_controls()
        feeds = [asyncio.create_task(self._feed(lane)) for lane in self._lanes]
        duties = [
            asyncio.create_task(duty)
            for duty in (
                self._heart.beat(self._lost),
                self._heart.watch(self._runs),
                self._tend(),
                _regularly(LOOK_SECONDS, self._look_at_controls),
                _regularly(_SWEEP_SECONDS, self._sweep),
            )
        ]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([stopping, *feeds, *duties], return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Also where the root cancels this task instead of calling `stop`.
            self.stop()
            await self._hand_back(feeds)
            for task in [stopping, *duties]:
                task.cancel()
            ended = await asyncio.gather(*feeds, *duties, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the running jobs have ended or were handed back."""
        self._stopping.set()
        for lane in self._lanes:
            lane.woken.set()

    async def _feed(self, lane: Lane) -> None:
        """Claim jobs of a queue whenever there is room for them."""
        while not self._stopping.is_set():
            # Cleared before the look, so that a job published during it is not slept over.
            lane.woken.clear()
            pause = self._settings.poll_seconds
            try:
                pause = min(pause, await self._look(lane))
            except GuideError as error:
                _log.warning("looking for jobs failed", queue=lane.name, code=error.code)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await lane.woken.wait()

    async def _look(self, lane: Lane) -> float:
        """Claim what there is room for; after how many seconds to look again, unless woken."""
        lane.measure(self._clock.monotonic())
        wanted = lane.missing(self._room(lane))
        if not wanted and lane.published and lane.waiting:
            wanted = URGENT
        lane.published = False
        if not wanted or lane.refusal in {"paused", "memory"}:
            return self._settings.poll_seconds
        allowance = self._allowances.get(lane.name)
        if allowance is not None:
            wanted = await allowance.of(wanted, self._clock)
            if not wanted:
                return allowance.pause
        leases = await self._claim(lane, wanted)
        if allowance is not None:
            allowance.use(len(leases))
            return PACE_SECONDS if leases else self._settings.poll_seconds
        return 0.0 if len(leases) == wanted else self._settings.poll_seconds

    async def _claim(self, lane: Lane, wanted: int) -> list[Lease]:
        now = self._clock.now()
        held = lane.refusal == "held"
        hold = Hold(self._urgent, now - self._settings.hold_most_seconds) if held else None
        leases = await claim(
            self._shards, lane.name, self.owner, wanted, (now, now + self._settings.lease_seconds), hold
        )
        if leases:
            self._observer.claimed(lane.name, len(leases))
            lane.arrive(leases, self._clock.monotonic())
            self._fill()
        return leases

    def _held(self) -> list[Lease]:
        """Every lease that it has: of what runs, has ended and is not yet written, or waits for a slot."""
        held = [run.lease for run in list(self._runs.running.values())]
        held += list(self._endings.unwritten.values())
        return held + [lease for lane in self._lanes for lease in lane.leases]

    def _lost(self, leases: set[int]) -> None:
        for lane in self._lanes:
            lane.drop(leases)
        self._runs.call_off(leases)

    def _room(self, lane: Lane) -> int:
        return slots.room(self._settings.slots, [one.demand for one in self._lanes], self._lanes.index(lane))

    def _ended(self, lane: Lane) -> None:
        """A slot is free. Jobs that end in one turn of the loop are replaced together."""
        del lane
        if not self._filling:
            self._filling = True
            asyncio.get_running_loop().call_soon(self._fill)

    def _fill(self) -> None:
        """Start what may start, and have more claimed where little is left."""
        self._filling = False
        if self._stopping.is_set():
            return
        demands = [lane.demand for lane in self._lanes]
        while (which := slots.next_queue(self._settings.slots, demands)) is not None:
            lane = self._lanes[which]
            self._runs.start(lane, lane.next())
            demands[which] = lane.demand
        for lane in self._lanes:
            if lane.name not in self._allowances and lane.missing(self._room(lane)):
                lane.woken.set()

    async def _tend(self) -> None:
        """Look after time limits, idle leases and the load, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TEND_SECONDS
            await asyncio.sleep(_TEND_SECONDS)
            late, now = loop.time() - due, self._clock.monotonic()
            self._load.late(now, late)
            if late > self._settings.heartbeat_seconds / 2:
                self._heart.hurry()
            self._runs.overdue(now)
            self._judge(now)
            for lane in self._lanes:
                before = float("inf") if lane.refusal == "paused" else now - _IDLE_SECONDS
                for lease in lane.leave(before):
                    self._runs.back(lease)

    def _judge(self, now: float) -> None:
        """Decide which queues are claimed from, and say where that changes."""
        figures = self._load.figures(now)
        before, self._judgement = self._judgement, judge(figures, self._settings, was_busy=self._judgement.busy)
        if before.busy != self._judgement.busy:
            _log.info(
                "the machine is busy" if self._judgement.busy else "the machine is calm", why=self._judgement.reason
            )
        full = over_memory(figures, self._settings)
        for lane in self._lanes:
            refusal = self._refusal(lane, full=full)
            if refusal != lane.refusal:
                if "memory" in {refusal, lane.refusal}:
                    _log.warning("memory", queue=lane.name, resident_mb=figures.memory >> 20, refusing=bool(refusal))
                lane.refusal = refusal
                self._observer.refused(lane.name, refusal)
                lane.woken.set()

    def _refusal(self, lane: Lane, *, full: bool) -> Refusal:
        if lane.name in self._controls.paused:
            return "paused"
        if full:
            return "memory"
        return "held" if self._judgement.busy and lane.rules.hold_when_busy else ""

    async def _look_at_controls(self) -> None:
        await self._controls.look(self._clock.now())
        self._judge(self._clock.monotonic())

    async def _sweep(self) -> None:
        now = self._clock.now()
        await tidy(self._shards, now, now - self._settings.keep_finished_seconds)

    async def _hand_back(self, feeds: Sequence[asyncio.Task[None]]) -> None:
        """Let running jobs end for a moment, then give the rest back for another worker, attempt included."""
        # A claim that is under way brings jobs that have to be given back too.
        await asyncio.wait(feeds, timeout=_SETTLE_SECONDS)
        for lane in self._lanes:
            for lease in lane.leave():
                self._runs.back(lease)
        if tasks := self._runs.tasks:
            await asyncio.wait(tasks, timeout=self._settings.handover_seconds)
            self._runs.stop()
            # Those that hold on are cut off with the process; their leases end.
            await asyncio.wait(tasks, timeout=_SETTLE_SECONDS)
        await self._endings.settle(_SETTLE_SECONDS)


async def _regularly(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    """Do something now and again, until cancelled; a database that does not answer is asked again next time."""
    while True:
        try:
            await action()
        except GuideError as error:
            _log.warning("a worker's housekeeping failed", action=action.__name__, code=error.code)
        await asyncio.sleep(seconds)
