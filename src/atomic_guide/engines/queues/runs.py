"""The jobs that a worker runs at this moment, each in a task of its own; and how each goes on afterwards."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Literal, NamedTuple

import structlog

from atomic_guide import tracing
from atomic_guide.engines.queues.ending import Return, bury_job
from atomic_guide.engines.queues.endings import Ending
from atomic_guide.engines.queues.lease import LeaseLost
from atomic_guide.engines.queues.limits import JOB_SECONDS
from atomic_guide.engines.queues.retry import Failure, decide, judge
from atomic_guide.errors import GuideError, Permanent

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction, Work
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.endings import Endings
    from atomic_guide.engines.queues.handlers import Handler, Observer
    from atomic_guide.engines.queues.jobs import Job
    from atomic_guide.engines.queues.lane import Lane
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.engines.queues.settings import QueueSettings

_log = structlog.get_logger(__name__)

CalledOff = Literal["", "lost", "overdue", "stopping"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Run:
    """One run of a job; `called_off` says why its task was cancelled."""

    __slots__ = ("began", "called_off", "lane", "lease", "task")

    def __init__(self, lane: Lane, lease: Lease, began: float) -> None:
        self.lane = lane
        self.lease = lease
        self.began = began
        self.called_off: CalledOff = ""
        self.task: asyncio.Task[None] | None = None

    def call_off(self, why: CalledOff) -> None:
        """Cancel its task, and say why. One that is cancelled again has not listened."""
        self.called_off = self.called_off or why
        if self.task is not None:
            self.task.cancel()


class Parts(NamedTuple):
    """What runs stand on."""

    shards: Shards
    endings: Endings
    clock: Clock
    settings: QueueSettings


class Runs:
    """Starts runs and sees them to their ends; `ended(lane)` is called when a slot is free again."""

    def __init__(self, parts: Parts, owner: str, observer: Observer, ended: Callable[[Lane], None]) -> None:
        self._parts = parts
        self._owner = owner
        self._observer = observer
        self._ended = ended
        self.running: dict[int, Run] = {}

    def start(self, lane: Lane, lease: Lease) -> None:
        """Start a job in a slot of its queue."""
        clock, job = self._parts.clock, lease.job
        lease.clock = clock
        run = Run(lane, lease, clock.monotonic())
        self.running[id(run)] = run
        lane.running += 1
        self._observer.started(job, max(0.0, clock.now() - max(job.created_at, job.run_after)))
        run.task = asyncio.create_task(self._serve(run))
        run.task.add_done_callback(lambda task: self._done(run, task))

    def overdue(self, now: float) -> None:
        """Stop what has run longer than its queue allows; `now` is monotonic."""
        for run in self.running.values():
            if now - run.began > run.lane.rules.time_limit_seconds:
                run.call_off("overdue")

    def call_off(self, leases: set[int]) -> None:
        """Stop the runs whose leases, by identity, are lost. One that is being ended, or tells of its end, is not."""
        for run in list(self.running.values()) if leases else ():
            if id(run.lease) in leases and not (run.lease.finishing or run.lease.finished):
                run.call_off("lost")

    def stop(self) -> None:
        """Stop every run; its job goes back."""
        for run in list(self.running.values()):
            run.call_off("stopping")

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks of the runs."""
        return [run.task for run in self.running.values() if run.task is not None]

    def back(self, lease: Lease, seconds: float = 0.0) -> None:
        """Give a job back that was not begun or not finished, its attempt included."""
        returned = Return(lease.job, self._parts.clock.now(), None)
        self._parts.endings.add(Ending(lease, "returned", self._told(lease, seconds), returned, refund=True))

    def _done(self, run: Run, task: asyncio.Task[None]) -> None:
        self.running.pop(id(run), None)
        run.lane.running -= 1
        if task.cancelled():
            # Before its first step, or by the program's end.
            self.back(run.lease)
        elif error := task.exception():
            # The lease runs out and the job is taken again: nothing is lost, but somebody should know.
            _log.error("a job's end could not be recorded", job=run.lease.job.id, exc_info=error)
            self._told(run.lease, self._seconds(run))("lost")
        self._ended(run.lane)

    async def _serve(self, run: Run) -> None:
        lease = run.lease
        handler = run.lane.handlers.get(lease.job.kind)
        try:
            with _traced(lease.job):
                await _attempt(handler, lease)
        except LeaseLost:
            self._told(lease, self._seconds(run))("lost")
        except asyncio.CancelledError:
            await self._called_off(run, handler)
        except Exception as error:  # noqa: BLE001 - a defect in one kind of job must not end the worker
            await self._failed(run, judge(error), error, handler)
        else:
            told = self._told(lease, self._seconds(run))
            if lease.finished:
                told("done")
            else:
                self._parts.endings.add(Ending(lease, "done", told))

    async def _called_off(self, run: Run, handler: Handler | None) -> None:
        seconds = self._seconds(run)
        if run.called_off == "lost":
            _log.info("a job was called off or taken over", job=run.lease.job.id, kind=run.lease.job.kind)
            self._told(run.lease, seconds)("lost")
        elif run.called_off == "overdue":
            limit = run.lane.rules.time_limit_seconds
            JOB_SECONDS.refused += 1
            await self._failed(run, Failure(f"it ran longer than its time limit of {limit:g} s"), None, handler)
        else:
            self.back(run.lease, seconds)

    async def _failed(self, run: Run, failure: Failure, error: Exception | None, handler: Handler | None) -> None:
        """Decide and record how a job goes on."""
        job, settings = run.lease.job, self._parts.settings
        named = {"job": job.id, "queue": job.queue, "kind": job.kind, "attempt": job.attempts, "reason": failure.reason}
        _log.warning("a job failed", **named, exc_info=None if failure.expected else error)
        counts = (job.attempts, job.max_attempts, job.troubles)
        following = decide(failure, counts, random.random(), settings, run.lane.rules)
        if following.course == "dead":
            await self._bury(run, following.reason, handler)
            return
        trouble = following.course == "trouble"
        back = Return(job, self._parts.clock.now() + following.wait, following.reason, trouble=trouble)
        told = self._told(run.lease, self._seconds(run))
        self._parts.endings.add(Ending(run.lease, following.course, told, back, refund=trouble))

    async def _bury(self, run: Run, reason: str, handler: Handler | None) -> None:
        job, told = run.lease.job, self._told(run.lease, self._seconds(run))

        async def work(tx: Transaction) -> None:
            if not await bury_job(tx, job, self._owner, reason, self._parts.clock.now()):
                raise LeaseLost(job.id)
            if handler is not None:
                await handler.bury(tx, job, reason)

        # From here on nobody holds it: what is still to be told of it must not be broken off for that.
        run.lease.finishing = True
        try:
            await self._insist(run, work)
        except LeaseLost:
            told("lost")
            return
        _log.warning("a job is a dead letter", job=job.id, queue=job.queue, kind=job.kind, attempts=job.attempts)
        told("dead")
        if handler is not None:
            await handler.buried(job, reason)

    async def _insist(self, run: Run, work: Work[None]) -> None:
        """Write, and try again for as long as a lease lasts where the database does not answer."""
        deadline, pause = self._parts.clock.monotonic() + self._parts.settings.lease_seconds, _FIRST_PAUSE
        while True:
            try:
                await self._parts.shards.of(run.lease.job.key).write(work)
            except GuideError as error:
                if not error.machine or self._parts.clock.monotonic() > deadline:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            else:
                return

    def _seconds(self, run: Run) -> float:
        return self._parts.clock.monotonic() - run.began

    def _told(self, lease: Lease, seconds: float) -> Callable[[str], None]:
        return lambda outcome: self._observer.ended(lease.job, outcome, seconds)


def _traced(job: Job) -> tracing.Span:
    """The span of an attempt: it goes on with the trace in which the job was published."""
    if not tracing.active():
        return tracing.NOTHING
    queue, attempt = {"messaging__destination__name": job.queue}, {"atomic_guide__job__attempt": job.attempts}
    return tracing.span(f"job {job.kind}", "consumer", job.trace or tracing.ROOT, **queue, **attempt)


async def _attempt(handler: Handler | None, lease: Lease) -> None:
    job = lease.job
    if handler is None:
        raise Permanent(f"no part of this program runs jobs of the kind {job.kind}")
    if job.attempts > job.max_attempts:
        raise Permanent("its worker ended in the middle of it, time and again")
    async with lease.session():
        await handler.run(lease)
