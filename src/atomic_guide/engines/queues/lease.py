"""A worker's hold on one job: every write passes the fence, so a worker that lost its lease can change nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.session import FIRST_PRIMARY, Session
from atomic_guide.engines.queues.ending import end_jobs
from atomic_guide.engines.queues.jobs import QUERIES, Job

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction, Work
    from atomic_guide.engines.data.shard import Shard
    from atomic_guide.engines.data.shards import Shards

T = TypeVar("T")


class LeaseLost(Exception):
    """The job was cancelled, or another worker has it: stop, and leave the result to that one."""


class Lease:
    """A job that was claimed in a shard, with the way to write on its behalf.

    `finishing` while its handler or a burial ends it, `finished` once its handler has committed that.
    """

    def __init__(self, job: Job, owner: str, shards: Shards, shard: Shard) -> None:
        self.job = job
        self.owner = owner
        self._shards = shards
        self.shard = shard
        self.clock: Clock = SystemClock()
        self.finishing = False
        self.finished = False
        self._database = shards.of(job.key)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """Enter the session of the job's handler: it sees what its publisher had seen, and all until the claim."""
        async with self._shards.session(self.job.bookmark or FIRST_PRIMARY) as session:
            # Asked together for all jobs of the claim.
            position = await self.shard.position()
            if position is not None:
                session.reach(self.shard.name, position)
            yield session

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work if the lease still holds, in one transaction with that check. Raises `LeaseLost`."""

        async def fenced(tx: Transaction) -> T:
            await self.check(tx)
            return await work(tx)

        return await self._database.write(fenced)

    async def finish(self, work: Work[T]) -> T:
        """Run a unit of work and end the job, in one transaction: its effect is there exactly once.

        The last thing that a handler does; nothing can be written through the lease afterwards. Raises `LeaseLost`.
        """

        async def both(tx: Transaction) -> T:
            # First, because its statement takes the row: whoever else has the job waits or is refused.
            if not await end_jobs(tx, [self.job], self.owner, self.clock.now()):
                raise LeaseLost(self.job.id)
            return await work(tx)

        self.finishing = True
        try:
            result = await self._database.write(both)
        finally:
            self.finishing = False
        self.finished = True
        return result

    async def is_held(self) -> bool:
        """Whether the job is still this worker's."""
        return await self._database.one(QUERIES["hold_lease"], self._params) is not None

    async def progress(self, value: float) -> None:
        """Record how far the job is, 0 to 1. Raises `LeaseLost`."""

        async def work(tx: Transaction) -> None:
            await self.change(tx, "note_progress", progress=value)

        await self._database.write(work)

    async def check(self, tx: Transaction) -> None:
        """Raise `LeaseLost` inside a unit of work unless the lease holds."""
        if await tx.one(QUERIES["hold_lease"], self._params) is None:
            raise LeaseLost(self.job.id)

    async def change(self, tx: Transaction, query: str, **values: Any) -> None:
        """Run one of the fenced statements; `LeaseLost` where it changed nothing."""
        if not await tx.execute(QUERIES[query], {**self._params, **values}):
            raise LeaseLost(self.job.id)

    @property
    def _params(self) -> dict[str, Any]:
        return {**self.job.key.columns, "id": self.job.id, "token": self.job.token, "owner": self.owner}
