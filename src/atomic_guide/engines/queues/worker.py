"""Runs jobs: claims what it has room for, one task for each job, one heartbeat for all.

Guarantees:
- At least once: a job whose worker dies is taken over when its lease ends; a job is never lost.
- Once in effect: whatever a handler writes through its lease is refused after the lease is lost.
- A bad job does not hold up its neighbours: each runs in its own task, fails by itself, and after its last
  attempt becomes a dead letter with the reason. Its handler learns of that in the same transaction.
- `stop` claims nothing more, gives running jobs a short while, and hands the rest back with their attempt.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import structlog

from atomic_guide.engines.queues.claim import claim
from atomic_guide.engines.queues.ending import Return, bury_job, end_jobs, extend_leases, return_jobs, tidy
from atomic_guide.engines.queues.jobs import Job
from atomic_guide.engines.queues.lease import Lease, LeaseLost
from atomic_guide.engines.queues.retry import Failure, decide, judge
from atomic_guide.errors import GuideError, Permanent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction, Work
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.settings import QueueSettings

_log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 600.0
"""How often finished jobs of long ago are forgotten."""


class Handler(Protocol):
    """What runs the jobs of one kind."""

    async def run(self, lease: Lease) -> None:
        """Do the job; what it changes in the database it writes through the lease.

        Raises `RetryLater` or `Permanent`; any other error is retried too, and logged. Cancelled where the
        lease is lost or the worker stops; it may be started again, so every step is safe to repeat.
        """
        ...

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """The job has become a dead letter, in this transaction."""
        ...

    async def buried(self, job: Job, reason: str) -> None:
        """That transaction is committed."""
        ...


Observe = Callable[[str, str, float], None]
"""Told of every run of a job: its kind, its outcome (done, retried, dead, lost, returned) and its seconds."""


def unobserved(kind: str, outcome: str, seconds: float) -> None:
    """An `Observe` for programs without metrics."""
    del kind, outcome, seconds


def owner_name() -> str:
    """A name for a worker that no other has, beginning with the machine's."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Worker:
    """Runs the jobs of one queue with bounded concurrency; `observe` may be set to be told of every run."""

    def __init__(
        self,
        shards: Shards,
        queue: str,
        handlers: Mapping[str, Handler],
        *,
        concurrency: int,
        clock: Clock,
        settings: QueueSettings,
    ) -> None:
        self.observe: Observe = unobserved
        self.owner = owner_name()
        self._shards = shards
        self._queue = queue
        self._handlers = handlers
        self._concurrency = concurrency
        self._clock = clock
        self._settings = settings
        self._running: dict[asyncio.Task[None], Lease] = {}
        self._woken = asyncio.Event()
        self._stopping = False
        self._swept = 0.0

    def wake(self, queue: str | None = None) -> None:
        """Look for jobs now instead of at the next poll."""
        if queue in {None, self._queue}:
            self._woken.set()

    @property
    def running(self) -> int:
        """Jobs that run at this moment."""
        return len(self._running)

    async def run(self) -> None:
        """Work until `stop`. An unreachable database is waited for; the loop itself never ends by an error."""
        heart = asyncio.create_task(self._beat(), name=f"heartbeat {self._queue}")
        try:
            while not self._stopping:
                # Cleared before the look, so that a job published during it is not slept over.
                self._woken.clear()
                await self._look()
                try:
                    await asyncio.wait_for(self._woken.wait(), self._settings.poll_seconds)
                except TimeoutError:
                    continue
        finally:
            # Also where the root cancels this task instead of calling `stop`.
            await self._hand_back()
            heart.cancel()
            await asyncio.gather(heart, return_exceptions=True)

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the running jobs have ended or were handed back."""
        self._stopping = True
        self._woken.set()

    async def _look(self) -> None:
        now = self._clock.now()
        try:
            if now - self._swept >= _SWEEP_SECONDS:
                self._swept = now
                await self._sweep(now)
            free = self._concurrency - len(self._running)
            if free > 0:
                times = (now, now + self._settings.lease_seconds)
                for lease in await claim(self._shards, self._queue, self.owner, free, times):
                    task = asyncio.create_task(self._serve(lease), name=f"job {lease.job.id}")
                    self._running[task] = lease
                    task.add_done_callback(self._ended)
        except GuideError as error:
            _log.warning("looking for jobs failed", queue=self._queue, code=error.code)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        self._woken.set()
        if not task.cancelled() and (error := task.exception()):
            # The lease runs out and the job is taken again: nothing is lost, but somebody should know.
            _log.error("a job's end could not be recorded", exc_info=error)

    async def _serve(self, lease: Lease) -> None:
        began = self._clock.monotonic()
        outcome = "returned"
        try:
            outcome = await self._attempt(lease)
        except LeaseLost:
            outcome = "lost"
            _log.info("a job was called off or taken over", job=lease.job.id, kind=lease.job.kind)
        finally:
            self.observe(lease.job.kind, outcome, self._clock.monotonic() - began)

    async def _attempt(self, lease: Lease) -> str:
        """Run a job once and record how it ended; the outcome. Raises `LeaseLost`."""
        job = lease.job
        handler = self._handlers.get(job.kind)
        try:
            if handler is None:
                raise Permanent(f"no part of this program runs jobs of the kind {job.kind}")  # noqa: TRY301 - a failure as any
            if job.attempts > job.max_attempts:
                raise Permanent("its worker ended in the middle of it, time and again")  # noqa: TRY301 - as above
            async with lease.session():
                await handler.run(lease)
            return await self._complete(lease)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 - a defect in one kind of job must not end the worker
            return await self._failed(lease, judge(error), error)

    async def _failed(self, lease: Lease, failure: Failure, error: Exception) -> str:
        """Decide and record how a job goes on after a failure; the outcome."""
        job = lease.job
        named = {"job": job.id, "kind": job.kind, "attempt": job.attempts, "reason": failure.reason}
        _log.warning("a job failed", **named, exc_info=None if failure.expected else error)
        rules = self._settings.rules(self._queue)
        following = decide(failure, (job.attempts, job.max_attempts, 0), random.random(), self._settings, rules)
        if following.course == "dead":
            return await self._bury(lease, following.reason)
        await self._return(lease, following.reason, following.wait, refund=following.course == "trouble")
        return following.course

    async def _complete(self, lease: Lease) -> str:
        async def work(tx: Transaction) -> None:
            if not await end_jobs(tx, [lease.job], self.owner, self._clock.now()):
                raise LeaseLost(lease.job.id)

        await self._shards.of(lease.job.key).write(work)
        return "done"

    async def _return(self, lease: Lease, reason: str | None, wait: float, *, refund: bool) -> None:
        async def work(tx: Transaction) -> None:
            now = self._clock.now()
            if not await return_jobs(tx, [Return(lease.job, now + wait, reason)], self.owner, now, refund=refund):
                raise LeaseLost(lease.job.id)

        await self._shards.of(lease.job.key).write(work)

    async def _bury(self, lease: Lease, reason: str) -> str:
        job = lease.job
        handler = self._handlers.get(job.kind)

        async def work(tx: Transaction) -> None:
            if not await bury_job(tx, job, self.owner, reason, self._clock.now()):
                raise LeaseLost(job.id)
            if handler is not None:
                await handler.bury(tx, job, reason)

        await self._shards.of(job.key).write(work)
        _log.warning("a job is a dead letter", job=job.id, kind=job.kind, attempts=job.attempts)
        if handler is not None:
            await handler.buried(job, reason)
        return "dead"

    async def _beat(self) -> None:
        """Extend every lease in time; cancel the task of a job that is no longer ours."""
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            for courses in self._shards.grouped([lease.job.key for lease in self._running.values()]):
                held = [(task, lease) for task, lease in self._running.items() if lease.job.key in courses.keys]
                try:
                    lost = await courses.write(self._extension([lease for _, lease in held]))
                except Exception as error:  # noqa: BLE001 - the heart goes on beating for the other shards
                    # The next beat comes before the lease ends; the fence holds in any case.
                    _log.warning("a heartbeat failed", queue=self._queue, error=repr(error))
                    continue
                for task, lease in held:
                    if lease.job.id in lost:
                        task.cancel()

    def _extension(self, leases: list[Lease]) -> Work[set[str]]:
        until = self._clock.now() + self._settings.lease_seconds

        async def work(tx: Transaction) -> set[str]:
            held = await extend_leases(tx, [lease.job for lease in leases], self.owner, until)
            return {lease.job.id for lease in leases} - held

        return work

    async def _hand_back(self) -> None:
        """Let running jobs end for a moment, then give the rest back for another worker, attempt included."""
        if self._running:
            await asyncio.wait(self._running, timeout=self._settings.handover_seconds)
        held = dict(self._running)
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
        for task, lease in held.items():
            if task.cancelled():
                try:
                    await self._return(lease, None, 0, refund=True)
                except (GuideError, LeaseLost):
                    _log.warning("a job could not be handed back; its lease will end", job=lease.job.id)

    async def _sweep(self, now: float) -> None:
        """Forget jobs that ended well some time ago."""
        await tidy(self._shards, now, now - self._settings.keep_finished_seconds)
