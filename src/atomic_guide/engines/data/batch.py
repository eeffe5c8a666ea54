"""Group commit: what many callers want written at the same moment becomes one unit of work.

The items of one event-loop tick for one database are written together; while a write is under way, what
arrives waits for the next one, so groups grow with the load and the latency stays at about two commits. One
write at a time for each database also means that results come back in the order of the commits.

`done` is called between the commit and the callers' wake-up, whether or not a caller still waits: what must
follow a commit (telling others of it) belongs there, because a caller may be cancelled at any moment.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import structlog

from atomic_guide import errors
from atomic_guide.engines.data.database import Database, Transaction

_log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result]]]
Done = Callable[[Sequence[Item], Sequence[Result]], None]


class _Waiting(NamedTuple, Generic[Item, Result]):
    item: Item
    future: asyncio.Future[Result]


class _Lane(Generic[Item, Result]):
    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[_Waiting[Item, Result]] = deque()
        self.running: asyncio.Task[None] | None = None


class GroupCommit(Generic[Item, Result]):
    """Collects items and writes them in groups.

    `write(tx, items)` is the body of a unit of work (see `Database`): it may run again, and returns one result
    for each item, in order. `limit` is the most items of a group, `pending` the most that may wait for one
    database.
    """

    def __init__(
        self,
        write: Write[Item, Result],
        done: Done[Item, Result] | None = None,
        *,
        limit: int = 512,
        pending: int = 20_000,
    ) -> None:
        self._write = write
        self._done = done
        self._limit = limit
        self._pending = pending
        self._lanes: dict[Database, _Lane[Item, Result]] = {}

    async def add(self, database: Database, item: Item) -> Result:
        """Write an item with its neighbours; returns its result once it is durable.

        Raises `Unavailable` when too many wait already, and whatever the write raised for this item.
        """
        lane = self._lanes.setdefault(database, _Lane())
        if len(lane.waiting) >= self._pending:
            message = f"database {database.name} has too many writes waiting"
            raise errors.Unavailable(message, retry_after=1)
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        lane.waiting.append(_Waiting(item, future))
        if lane.running is None:
            # The task starts in the next tick: everything that this one still adds is in its first group.
            lane.running = asyncio.create_task(self._drain(database, lane))
        return await future

    async def close(self) -> None:
        """Wait until everything that was accepted is written or refused."""
        running = [lane.running for lane in self._lanes.values() if lane.running is not None]
        if running:
            await asyncio.wait(running)

    async def _drain(self, database: Database, lane: _Lane[Item, Result]) -> None:
        try:
            while lane.waiting:
                group = [lane.waiting.popleft() for _ in range(min(self._limit, len(lane.waiting)))]
                await self._commit(database, group)
        finally:
            lane.running = None
            for left in lane.waiting:
                left.future.cancel()
            lane.waiting.clear()

    async def _commit(self, database: Database, group: list[_Waiting[Item, Result]]) -> None:
        items = [waiting.item for waiting in group]

        async def work(tx: Transaction) -> Sequence[Result]:
            return await self._write(tx, items)

        try:
            results = await database.write(work)
        except asyncio.CancelledError:
            for waiting in group:
                waiting.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the callers' error, and each of them gets it
            await self._refuse(database, group, error)
            return
        try:
            if self._done is not None:
                self._done(items, results)
        except Exception:  # noqa: BLE001 - logged; what is stored is stored, and those behind must be written too
            _log.exception("what follows a commit failed", database=database.name)
        for waiting, result in zip(group, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)

    async def _refuse(self, database: Database, group: list[_Waiting[Item, Result]], error: Exception) -> None:
        """Fail a group; where one of its items may be the reason, each is tried alone first."""
        if len(group) > 1 and not isinstance(error, errors.DataUnavailable):
            for waiting in group:
                await self._commit(database, [waiting])
        else:
            for waiting in group:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
