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
from atomic_guide.engines.data.database import Database, Transaction, Work
from atomic_guide.engines.data.ownership import fenced
from atomic_guide.engines.data.shard import note_write, writing_session
from atomic_guide.limit import Limit

_log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

Write = Callable[[Transaction, Sequence[Item]], Awaitable[Sequence[Result]]]
Done = Callable[[Sequence[Item], Sequence[Result]], None]


class _Waiting(NamedTuple, Generic[Item, Result]):
    database: Database
    item: Item
    future: asyncio.Future[Result]


class _Lane(Generic[Item, Result]):
    """What waits for one database, in order; at most one task writes it."""

    __slots__ = ("database", "running", "waiting")

    def __init__(self, database: Database) -> None:
        self.database = database
        self.waiting: deque[_Waiting[Item, Result]] = deque()
        self.running: asyncio.Task[None] | None = None


class GroupCommit(Generic[Item, Result]):
    """Collects items and writes them in groups.

    `write(tx, items)` is the body of a unit of work (see `Database`): it may run again, and returns one result
    for each item, in order. `limit` is the most items of a group, `pending` the most that may wait for one
    database, refused under `bound`.
    """

    def __init__(
        self,
        write: Write[Item, Result],
        done: Done[Item, Result] | None = None,
        *,
        limit: int = 512,
        pending: int = 20_000,
        bound: Limit | None = None,
    ) -> None:
        self._write = write
        self._done = done
        self._limit = limit
        self._pending = pending
        self._bound = bound
        self._lanes: dict[Database, _Lane[Item, Result]] = {}
        # Lanes of courses that are on their way to another shard; each exists until it is empty.
        self._aside: dict[Database, _Lane[Item, Result]] = {}

    @property
    def waiting(self) -> int:
        """Items that wait, for the database that most wait for."""
        lanes = (*self._lanes.values(), *self._aside.values())
        return max((len(lane.waiting) for lane in lanes), default=0)

    async def add(self, database: Database, item: Item) -> Result:
        """Write an item with its neighbours; returns its result once it is durable.

        Raises `Unavailable` when too many wait already, `Forbidden` in a session that only reads, and whatever the
        write raised for this item.
        """
        session = writing_session()
        lane = self._aside.get(database)
        if lane is None:
            target = database.target.database
            lane = self._lanes.get(target) or self._lanes.setdefault(target, _Lane(target))
        if len(lane.waiting) >= self._pending:
            message = f"database {database.name} has too many writes waiting"
            refusal = errors.Unavailable(message, retry_after=1)
            raise self._bound.over(refusal) if self._bound is not None else refusal
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        lane.waiting.append(_Waiting(database, item, future))
        # The task starts in the next tick: everything that this one still adds is in its first group.
        self._start(lane)
        try:
            return await future
        finally:
            # The group may be written in the session of another caller; this is the item's own.
            note_write(session, database)

    async def close(self) -> None:
        """Wait until everything that was accepted is written or refused."""
        while running := [
            lane.running for lane in (*self._lanes.values(), *self._aside.values()) if lane.running is not None
        ]:
            await asyncio.wait(running)

    def _start(self, lane: _Lane[Item, Result]) -> None:
        if lane.running is None:
            lane.running = asyncio.create_task(self._drain(lane))

    async def _drain(self, lane: _Lane[Item, Result]) -> None:
        try:
            while lane.waiting:
                group = [lane.waiting.popleft() for _ in range(min(self._limit, len(lane.waiting)))]
                await self._commit(lane, group)
        finally:
            lane.running = None
            if self._aside.get(lane.database) is lane:
                del self._aside[lane.database]
            for left in lane.waiting:
                left.future.cancel()
            lane.waiting.clear()

    async def _commit(self, lane: _Lane[Item, Result], group: list[_Waiting[Item, Result]]) -> None:
        items = [waiting.item for waiting in group]

        async def work(tx: Transaction) -> Sequence[Result]:
            return await self._write(tx, items)

        try:
            results = await lane.database.write(self._held(lane, group, work))
        except asyncio.CancelledError:
            for waiting in group:
                waiting.future.cancel()
            raise
        except errors.Fenced:
            self._set_aside(group)
            return
        except Exception as error:  # noqa: BLE001 - it is the callers' error, and each of them gets it
            await self._refuse(lane, group, error)
            return
        try:
            if self._done is not None:
                self._done(items, results)
        except Exception:  # noqa: BLE001 - logged; what is stored is stored, and those behind must be written too
            _log.exception("what follows a commit failed", database=lane.database.name)
        for waiting, result in zip(group, results, strict=True):
            if not waiting.future.done():
                waiting.future.set_result(result)

    def _held(
        self, lane: _Lane[Item, Result], group: list[_Waiting[Item, Result]], work: Work[Sequence[Result]]
    ) -> Work[Sequence[Result]]:
        """The work under the fences of its courses. Raises `Fenced` where one is known to be elsewhere by now."""
        if lane.database in self._aside:
            return work
        targets = {waiting.database: waiting.database.target for waiting in group}
        if any(target.database is not lane.database for target in targets.values()):
            raise errors.Fenced(f"a course has left {lane.database.name}")
        fences = [fence for target in targets.values() for fence in target.fences]
        return fenced(work, fences) if fences else work

    def _set_aside(self, group: list[_Waiting[Item, Result]]) -> None:
        """Give each course of a group a lane of its own, so that the others need not wait for one that moves."""
        for waiting in group:
            lane = self._aside.get(waiting.database) or self._aside.setdefault(
                waiting.database, _Lane(waiting.database)
            )
            lane.waiting.append(waiting)
            self._start(lane)

    async def _refuse(self, lane: _Lane[Item, Result], group: list[_Waiting[Item, Result]], error: Exception) -> None:
        """Fail a group; where one of its items may be the reason, each is tried alone first."""
        if len(group) > 1 and not isinstance(error, errors.DataUnavailable):
            for waiting in group:
                await self._commit(lane, [waiting])
        else:
            for waiting in group:
                if not waiting.future.done():
                    waiting.future.set_exception(error)
