"""Point reads that arrive together become one statement.

Reads of one query that are asked for in the same tick of the event loop, or while an earlier statement of that query is
under way, are sent together as one. A read that is alone goes straight to the server, so that it waits for nothing and
costs nothing more. A read never joins a statement that has been sent: it sees everything that was committed before it.

What one caller does is no other's matter: a caller that gives up leaves the statement to the rest (the last one takes
it along), a course that the shard does not own is refused alone, and a value that no column can hold fails alone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from atomic_guide import errors
from atomic_guide.engines.data.database import Params, Row
from atomic_guide.engines.data.limits import SERVER_CALLS
from atomic_guide.engines.data.queries import Query

Answer: TypeAlias = "list[Row] | errors.Fenced"
One: TypeAlias = Callable[[Query, Params, "int | None"], Awaitable["list[Row]"]]
Many: TypeAlias = Callable[[Query, Sequence[Params], "Sequence[int] | None"], Awaitable[Sequence[Answer]]]

_TOGETHER = 512
"""Most reads in one statement; it takes the server some milliseconds."""

_PATIENCE_SECONDS = 0.01
"""How long reads wait for the statement before theirs: a slow one, or a silent connection, does not hold up others."""


class _Group:
    """Reads that will be one statement."""

    __slots__ = ("epochs", "futures", "late", "left", "params", "task")

    def __init__(self) -> None:
        self.params: list[Params] = []
        self.epochs: list[int] = []
        self.futures: list[asyncio.Future[list[Row]]] = []
        self.left = 0
        """Callers that gave up."""
        self.late: asyncio.TimerHandle | None = None
        self.task: asyncio.Task[None] | None = None

    def leave(self) -> None:
        """A caller gave up; where it was the last one, the statement is broken off."""
        self.left += 1
        if self.left == len(self.futures) and self.task is not None:
            self.task.cancel()


class _Lane:
    """The reads of one query: the statements under way, and the group that gathers for the next."""

    __slots__ = ("crowded", "gathering", "query", "running")

    def __init__(self, query: Query) -> None:
        self.query = query
        self.running = 0
        self.gathering: _Group | None = None
        # Whether reads came together the last time; then the first of a tick waits for the others of its tick.
        self.crowded = False


class PointReads:
    """Sends the reads of a database together: one by `one`, several by `many`, which answers in their order.

    At most `pending` reads wait; the next is refused with `DataUnavailable`.
    """

    def __init__(self, name: str, one: One, many: Many, pending: int) -> None:
        self._name = name
        self._one = one
        self._many = many
        self._pending = pending
        self._waiting = 0
        self._free: dict[Query, _Lane] = {}
        self._fenced: dict[Query, _Lane] = {}

    @property
    def waiting(self) -> int:
        """Reads that wait to be sent."""
        return self._waiting

    async def read(self, query: Query, params: Params, epoch: int | None) -> list[Row]:
        """The rows of one point read. Raises what reading raises."""
        lanes = self._free if epoch is None else self._fenced
        lane = lanes.get(query) or lanes.setdefault(query, _Lane(query))
        if not (lane.running or lane.crowded or lane.gathering):
            lane.running = 1
            try:
                return await self._one(query, params, epoch)
            finally:
                self._ended(lane)
        if self._waiting >= self._pending:
            refusal = errors.DataUnavailable(f"database {self._name} has too many statements waiting", retry_after=1)
            raise SERVER_CALLS.over(refusal)
        group, future = self._joined(lane, params, epoch)
        try:
            return await future
        except asyncio.CancelledError:
            group.leave()
            raise

    def _joined(self, lane: _Lane, params: Params, epoch: int | None) -> tuple[_Group, asyncio.Future[list[Row]]]:
        loop = asyncio.get_running_loop()
        group = lane.gathering
        if group is None:
            group = lane.gathering = _Group()
            if lane.running:
                group.late = loop.call_later(_PATIENCE_SECONDS, self._send, lane, group)
            else:
                # At the end of this tick: everything that it still asks for goes along.
                loop.call_soon(self._send, lane, group)
        future: asyncio.Future[list[Row]] = loop.create_future()
        self._waiting += 1
        group.params.append(params)
        group.futures.append(future)
        if epoch is not None:
            group.epochs.append(epoch)
        if len(group.futures) >= _TOGETHER:
            self._send(lane, group)
        return group, future

    def _send(self, lane: _Lane, group: _Group) -> None:
        if lane.gathering is not group:
            return
        lane.gathering = None
        if group.late is not None:
            group.late.cancel()
        if group.left == len(group.futures):
            self._waiting -= group.left
            return
        lane.running += 1
        # In a context of its own: it belongs to all of its callers, not to the one who began it.
        group.task = asyncio.get_running_loop().create_task(self._run(lane, group), context=contextvars.Context())

    def _ended(self, lane: _Lane) -> None:
        lane.running -= 1
        if lane.gathering is not None:
            # After the callers that this statement has answered: what they ask for next goes along.
            asyncio.get_running_loop().call_soon(self._send, lane, lane.gathering)

    async def _run(self, lane: _Lane, group: _Group) -> None:
        lane.crowded = len(group.futures) > 1
        try:
            answers = await self._asked(lane.query, group)
        except asyncio.CancelledError:
            for future in group.futures:
                future.cancel()
        except Exception as error:  # noqa: BLE001 - it is the callers' error, and each of them gets it
            await self._refuse(lane, group, error)
        else:
            for future, answer in zip(group.futures, answers, strict=True):
                if not future.done():
                    if isinstance(answer, list):
                        future.set_result(answer)
                    else:
                        future.set_exception(answer)
        finally:
            self._waiting -= len(group.futures)
            self._ended(lane)

    async def _asked(self, query: Query, group: _Group) -> Sequence[Answer]:
        if len(group.params) > 1:
            return await self._many(query, group.params, group.epochs or None)
        return [await self._one(query, group.params[0], group.epochs[0] if group.epochs else None)]

    async def _refuse(self, lane: _Lane, group: _Group, error: Exception) -> None:
        """Fail a group; where one of its reads may be the reason, each is tried alone."""
        alone = len(group.futures) > 1 and not isinstance(error, errors.DataUnavailable)
        for index, future in enumerate(group.futures):
            if future.done():
                continue
            if not alone:
                future.set_exception(error)
                continue
            try:
                epoch = group.epochs[index] if group.epochs else None
                rows = await self._one(lane.query, group.params[index], epoch)
            except Exception as own:  # noqa: BLE001 - as above
                if not future.done():
                    future.set_exception(own)
            else:
                if not future.done():
                    future.set_result(rows)
