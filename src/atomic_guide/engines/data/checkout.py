"""Lending out the connections of a pool, the most recently used first.

asyncpg's pool makes, checks and ends connections; its own `acquire` and `release` cost about as much as a point read,
since each return runs in a task of its own. So connections are kept here between two uses, and go back to the pool
only when they are broken or idle.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from atomic_guide import errors

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"


def is_gone(connection: Connection) -> bool:
    """Whether a connection is of no more use; the pool takes back by itself one that broke, and its proxy says so."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


class Checkout:
    """At most `size` connections; at most `pending` callers wait for one, each at most `patience` seconds."""

    def __init__(self, make: Callable[[], Any], size: int, pending: int, patience: float, name: str) -> None:
        self._make = make
        self._size = size
        self._pending = pending
        self._patience = patience
        self._name = name
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._opening = asyncio.Lock()
        self._idle: list[Connection] = []
        self._lent = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        # Connections that are in use while `forget` is called end when they come back.
        self._generation = 0
        self._born: dict[Connection, int] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def in_use(self) -> int:
        """Connections that are lent out."""
        return self._lent

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection."""
        return len(self._waiting)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection for the length of a block."""
        connection = await self.take()
        try:
            yield connection
        finally:
            self.give_back(connection)

    async def take(self) -> Connection:
        """A connection; bring it back with `give_back`.

        Raises what connecting raises, and `DataUnavailable` where too many wait or none comes free in time.
        """
        while self._idle:
            connection = self._idle.pop()
            if not is_gone(connection):
                self._lent += 1
                return connection
            self._end(connection)
        if self._lent < self._size:
            self._lent += 1
            return await self._connected()
        return await self._queued()

    def give_back(self, connection: Connection) -> None:
        """Bring a connection back; a broken one is ended."""
        self._lent -= 1
        if is_gone(connection) or self._born.get(connection) != self._generation:
            self._end(connection)
        else:
            self._idle.append(connection)
        self._pass_on()

    def forget(self) -> None:
        """End every connection: those at rest now, the others when they come back."""
        self._generation += 1
        for connection in self._idle:
            self._end(connection)
        self._idle.clear()

    async def close(self, limit: float) -> None:
        """End everything; what is still in use after `limit` seconds is cut off."""
        self.forget()
        if self._ending:
            await asyncio.wait(self._ending, timeout=limit)
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), limit)
            except TimeoutError:
                self._pool.terminate()

    async def _connected(self) -> Connection:
        """A new connection in a place that is already counted as lent."""
        try:
            if self._pool is None:
                async with self._opening:
                    if self._pool is None:
                        self._pool = await self._make()
            connection: Connection = await self._pool.acquire(timeout=self._patience)
        except BaseException:
            self._lent -= 1
            self._pass_on()
            raise
        self._born[connection] = self._generation
        return connection

    async def _queued(self) -> Connection:
        if len(self._waiting) >= self._pending:
            raise errors.DataUnavailable(f"database {self._name} has too many statements waiting", retry_after=1)
        future: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        try:
            async with asyncio.timeout(self._patience):
                connection = await future
        except BaseException as error:
            self._give_up(future)
            if isinstance(error, TimeoutError):
                busy = f"database {self._name}: all {self._size} connections are busy"
                raise errors.DataUnavailable(busy, retry_after=1) from None
            raise
        return connection if connection is not None else await self._connected()

    def _give_up(self, future: asyncio.Future[Connection | None]) -> None:
        """Nobody waits any more: what was handed over in the same moment goes to the next."""
        if not future.done() or future.cancelled():
            if future in self._waiting:
                self._waiting.remove(future)
            return
        connection = future.result()
        if connection is not None:
            self.give_back(connection)
        else:
            self._lent -= 1
            self._pass_on()

    def _pass_on(self) -> None:
        """Give what has come free, a connection or the place for one, to who has waited longest."""
        while self._waiting and (self._idle or self._lent < self._size):
            future = self._waiting.popleft()
            if not future.done():
                self._lent += 1
                future.set_result(self._idle.pop() if self._idle else None)

    def _end(self, connection: Connection) -> None:
        self._born.pop(connection, None)
        if self._pool is None:
            return
        if not is_gone(connection):
            connection.terminate()
        task = asyncio.ensure_future(self._pool.release(connection))
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            # A connection that is being thrown away may fail as it likes.
            task.exception()
