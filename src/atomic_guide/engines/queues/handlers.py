"""What a worker and those who use it know of each other: handlers of jobs, and observers of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.queues.jobs import Job
    from atomic_guide.engines.queues.lease import Lease


class Handler(Protocol):
    """What runs the jobs of one kind."""

    async def run(self, lease: Lease) -> None:
        """Do the job; what it changes in the database it writes through the lease, the last of it with `finish`.

        Raises `RetryLater`, `MachineTrouble` or `Permanent`; any other error is retried too, and logged. Cancelled
        where the lease is lost, the job takes too long or the worker stops; it may be started again, so every step is
        safe to repeat.
        """
        ...

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """The job has become a dead letter, in this transaction."""
        ...

    async def buried(self, job: Job, reason: str) -> None:
        """That transaction is committed."""
        ...


class Unmourned:
    """A handler's part where nothing but the dead letter itself shows that a job has failed for good."""

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """Nothing changes with it."""

    async def buried(self, job: Job, reason: str) -> None:
        """Nobody is told."""


class Observer:
    """Is told what a worker does; this one does nothing with it."""

    def claimed(self, queue: str, jobs: int) -> None:
        """So many jobs of a queue were claimed at once."""

    def started(self, job: Job, waited: float) -> None:
        """A job starts, `waited` seconds after it could have."""

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        """A run has ended: done, retried, dead, trouble (put off by the machine), lost or returned (handed back)."""

    def refused(self, queue: str, reason: str) -> None:
        """The worker claims nothing of a queue: paused, memory; held (what is not urgent); empty where it does."""
