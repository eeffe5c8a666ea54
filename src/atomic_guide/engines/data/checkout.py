"""Lending out connections to a server, the most recently used first, each for a limited time.

A point read through asyncpg's own pool takes over three times the CPU of one on a connection at hand (122 against
34 us), since the pool brings each connection back in a task of its own. And a time limit of asyncpg's adds a sixth, for
a timer that hardly ever rings. So what is lent out is looked at a few times within its limit, and cut off where that is
passed: a server that is merely slow breaks its statements off itself (`statement_timeout`); this is for silent ones.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg

from atomic_guide import errors
from atomic_guide.engines.data.limits import READERS, SERVER_CALLS
from atomic_guide.engines.data.traffic import Lanes

if TYPE_CHECKING:
    _Connection = asyncpg.Connection[asyncpg.Record]
else:
    _Connection = asyncpg.Connection

_LOOKS = 8
"""How often within the limit: a silent server is found at most an eighth after it."""


class Connection(_Connection):
    """A connection that knows how long it is lent, and whether it may be lent again."""

    __slots__ = ("due", "generation", "overdue", "taken")

    due: float
    generation: int
    overdue: bool
    taken: float


class Checkout:
    """At most `size` connections; at most `pending` callers wait for one, each at most `patience` seconds.

    A connection that is not back `limit` seconds after it was taken is cut off, unless it was taken for longer.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        size: int,
        pending: int,
        patience: float,
        limit: float = math.inf,
    ) -> None:
        self._name = name
        self._connect = connect
        self._size = size
        self._pending = pending
        self._patience = patience
        self._limit = limit
        self._idle: list[Connection] = []
        self._out: set[Connection] = set()
        # Places that are taken: connections lent out, handed over or being made.
        self._lent = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        # Connections that are in use while `forget` is called end when they come back.
        self._generation = 0
        self._watch: asyncio.TimerHandle | None = None
        self._closed = False
        self._all_back = asyncio.Event()
        self._busy = self._waited = 0.0
        self.lanes_limit = READERS
        """Which limit its connections are counted under."""

    def lanes(self) -> Lanes:
        """For how long connections were lent out since the start, those included that are now."""
        now = time.monotonic()
        out = sum(now - connection.taken for connection in self._out)
        return Lanes(self._busy + out, self._size, self._waited)

    @property
    def in_use(self) -> int:
        """Connections that are lent out."""
        return self._lent

    @property
    def waiting(self) -> int:
        """Callers that wait for a connection."""
        return len(self._waiting)

    @asynccontextmanager
    async def connection(self, limit: float | None = None) -> AsyncIterator[Connection]:
        """A connection for the length of a block, cut off after `limit` seconds, or those of the checkout."""
        connection = await self.take()
        if limit is not None:
            connection.due = time.monotonic() + limit
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
            if not connection.is_closed():
                self._lent += 1
                break
        else:
            if self._lent < self._size:
                self._lent += 1
                connection = await self._connected()
            else:
                connection = await self._queued()
        connection.taken = time.monotonic()
        connection.due = connection.taken + self._limit
        self._out.add(connection)
        if self._watch is None and self._limit < math.inf:
            self._watch = asyncio.get_running_loop().call_later(self._limit / _LOOKS, self._look)
        return connection

    def give_back(self, connection: Connection) -> None:
        """Bring a connection back; a broken one is ended. Raises TimeoutError for one that was cut off."""
        self._lent -= 1
        self._busy += time.monotonic() - connection.taken
        self._out.discard(connection)
        self._rest(connection)
        self._pass_on()
        if connection.overdue:
            raise TimeoutError

    def forget(self) -> None:
        """End every connection: those at rest now, the others when they come back."""
        self._generation += 1
        for connection in self._idle:
            connection.terminate()
        self._idle.clear()

    async def close(self, limit: float) -> None:
        """End everything; what is still in use after `limit` seconds is cut off."""
        idle, self._idle, self._closed = self._idle, [], True
        self.forget()
        waits: list[asyncio.Task[Any]]
        waits = [asyncio.create_task(connection.close(timeout=limit)) for connection in idle]
        if self._out:
            waits.append(asyncio.create_task(self._all_back.wait()))
        if waits:
            # The server hears of it, unless it is away.
            await asyncio.wait(waits, timeout=limit)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
        for connection in self._out:
            connection.terminate()
        if self._watch is not None:
            self._watch.cancel()

    def _look(self) -> None:
        """Cut off what is overdue; look again while anything is lent out."""
        now = time.monotonic()
        for connection in self._out:
            if connection.due <= now and not connection.overdue:
                connection.overdue = True
                connection.terminate()
        again = asyncio.get_running_loop().call_later(self._limit / _LOOKS, self._look) if self._out else None
        self._watch = again

    def _rest(self, connection: Connection) -> None:
        if connection.generation == self._generation:
            if not connection.is_closed():
                self._idle.append(connection)
            return
        if not connection.is_closed():
            connection.terminate()
        if self._closed and not self._out:
            self._all_back.set()

    async def _connected(self) -> Connection:
        """A new connection in a place that is already counted as lent."""
        generation = self._generation
        try:
            connection = await self._new()
        except BaseException:
            self._lent -= 1
            self._pass_on()
            raise
        connection.generation = generation
        connection.overdue = False
        return connection

    async def _new(self) -> Connection:
        if self._closed:
            raise errors.DataUnavailable(f"database {self._name} is closed", retry_after=5)
        async with asyncio.timeout(self._patience):
            return await self._connect()

    async def _queued(self) -> Connection:
        if len(self._waiting) >= self._pending:
            refusal = errors.DataUnavailable(f"database {self._name} has too many statements waiting", retry_after=1)
            raise SERVER_CALLS.over(refusal)
        future: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        asked = time.monotonic()
        try:
            async with asyncio.timeout(self._patience):
                connection = await future
        except BaseException as error:
            self._give_up(future)
            if isinstance(error, TimeoutError):
                busy = f"database {self._name}: all {self._size} connections are busy"
                raise self.lanes_limit.over(errors.DataUnavailable(busy, retry_after=1)) from None
            raise
        finally:
            self._waited += time.monotonic() - asked
        return connection if connection is not None else await self._connected()

    def _give_up(self, future: asyncio.Future[Connection | None]) -> None:
        """Nobody waits any more: what was handed over in the same moment goes to the next."""
        if not future.done() or future.cancelled():
            if future in self._waiting:
                self._waiting.remove(future)
            return
        connection = future.result()
        self._lent -= 1
        if connection is not None:
            self._rest(connection)
        self._pass_on()

    def _pass_on(self) -> None:
        """Give what has come free, a connection or the place for one, to who has waited longest."""
        while self._waiting and (self._idle or self._lent < self._size):
            future = self._waiting.popleft()
            if not future.done():
                self._lent += 1
                future.set_result(self._idle.pop() if self._idle else None)
