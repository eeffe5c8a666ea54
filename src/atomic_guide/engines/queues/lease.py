"""A worker's hold on one job: every write passes the fence, so a worker that lost its lease can change nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from atomic_guide.engines.queues.jobs import QUERIES, Job

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database, Transaction, Work

T = TypeVar("T")


class LeaseLost(Exception):
    """The job was cancelled, or another worker has it: stop, and leave the result to that one."""


class Lease:
    """A claimed job with the way to write on its behalf."""

    def __init__(self, job: Job, owner: str, database: Database) -> None:
        self.job = job
        self._owner = owner
        self._database = database

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work if the lease still holds, in one transaction with that check. Raises `LeaseLost`."""

        async def fenced(tx: Transaction) -> T:
            await self.check(tx)
            return await work(tx)

        return await self._database.write(fenced)

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
        return {**self.job.key.columns, "id": self.job.id, "token": self.job.token, "owner": self._owner}
