"""Where a server stands in the log of its shard, and asking it: one question at a time, shared by all who wait.

Every connection that a `Server` holds leads to one process of one server. A new connection tells who it reached; where
that is another process, the connections to the former one end and what was known of it is forgotten: a replica that
starts again may stand further back than it had been. An address behind which several replicas take turns works, and
badly; give each replica its own.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import Position
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.ownership import QUERIES

T = TypeVar("T")

_SMOOTHING = 0.3
"""The weight of the newest round trip in a server's latency: three probes make half of it."""


class Standing(NamedTuple):
    """A server's own word: a replica (`recovering`) has replayed so far, a primary has flushed so far."""

    recovering: bool
    position: Position


class Shared(Generic[T]):
    """A question that is asked once for all callers of a moment.

    Who comes while it is under way shares the next one: every answer was given after its caller asked.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]]) -> None:
        self._ask = ask
        self._current: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def __call__(self) -> T:
        """The answer of a question that is asked from now on."""
        return await asyncio.shield(self.begin())

    def begin(self) -> asyncio.Task[T]:
        """Have it asked, without waiting for the answer."""
        if self._next is None:
            # In no context: it is nobody's session, and belongs to no request.
            self._next = asyncio.get_running_loop().create_task(self._turn(), context=contextvars.Context())
        return self._next

    async def _turn(self) -> T:
        if self._current is not None and not self._current.done():
            await asyncio.wait([self._current])
        self._current, self._next = self._next, None
        return await self._ask()


class Connections(NamedTuple):
    """How a server is reached: for reads, and on one connection of its own for questions, which must not queue."""

    engine: Engine
    asked: Engine
    forget: Callable[[], None]


Connect = Callable[[Callable[[str], None]], Connections]


class Server:
    """A server of a shard. `connect(told)` makes its connections; they call `told(who)` with the process reached.

    It has said nothing where it has not within `limit` seconds.
    """

    def __init__(self, name: str, region: str, connect: Connect, limit: float) -> None:
        self.name = name
        self.region = region
        self.process = 0
        """Grows when another process answers at the address."""
        self.known: Standing | None = None
        """The newest word of this process. A replica is there or further on, since it never goes back."""
        self.latency = 0.0
        """A round trip, smoothed, in seconds; 0 before the first."""
        self.failure = "not asked yet"
        """Why the last question had no answer; empty where it had one."""
        self._who = ""
        self._limit = limit
        self._connections = connect(self._reached)
        self.asked: Shared[Standing | None] = Shared(self._ask)

    @property
    def engine(self) -> Engine:
        """What reads go to."""
        return self._connections.engine

    def forget(self) -> None:
        """End the connections; the next call makes new ones."""
        self._connections.forget()

    def covers(self, position: Position) -> bool:
        """Whether it is known to hold everything up to a position."""
        return self.known is not None and self.known.position.covers(position)

    async def close(self) -> None:
        """Let go of the server."""
        await self._connections.engine.close()
        await self._connections.asked.close()

    def _reached(self, who: str) -> None:
        if who == self._who:
            return
        if self._who:
            self._connections.forget()
        self._who = who
        self.process += 1
        self.known = None

    async def _ask(self) -> Standing | None:
        """Its standing; None, and why in `failure`, where it does not say within the limit."""
        try:
            async with asyncio.timeout(self._limit):
                # Again where the answer may be that of the process before: the first connection, or a restart.
                for _ in range(2):
                    process, began = self.process, time.perf_counter()
                    row = await self._connections.asked.one(QUERIES["read_standing"])
                    if row is not None and process == self.process:
                        self._measured(time.perf_counter() - began)
                        self.known = Standing(row["recovering"], Position(row["timeline"], row["lsn"]))
                        self.failure = ""
                        return self.known
                self.failure = "its address leads to one server after another"
        except TimeoutError:
            self.failure = f"no answer within {self._limit:g} s"
        except errors.GuideError as error:
            self.failure = error.message
        return None

    def _measured(self, seconds: float) -> None:
        self.latency += _SMOOTHING * (seconds - self.latency) if self.latency else seconds
