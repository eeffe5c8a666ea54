"""Connections to a server that are kept for the next message, so that a batch signs in once.

A connection that was kept is asked first whether it is ready: one that the server has ended meanwhile costs the next
message nothing. None is kept for longer than `idle` seconds without a message, a server's own limit being minutes, nor
for more than `_MESSAGES`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 5.0
"""A batch's messages follow one another within milliseconds; a mail server has few places for connections that wait."""
_MOST = 4
"""Connections that wait for a message: as many as the queue of notifications runs jobs at a time."""
_MESSAGES = 50
"""Through one connection; some servers end one after a hundred."""


class Line(Protocol):
    """A connection; `messages` have gone through it."""

    messages: int

    async def ready(self) -> bool:
        """Whether it still stands, with nothing half said; bounded. Raises nothing."""
        ...

    async def leave(self) -> None:
        """Say goodbye and end it; bounded. Raises nothing."""
        ...

    def close(self) -> None:
        """End it without a word."""
        ...


L = TypeVar("L", bound=Line)


class _Waiting(NamedTuple, Generic[L]):
    line: L
    since: float


class Kept(Generic[L]):
    """The connections of one process; `clock` gives monotonic seconds, `idle` of 0 keeps none."""

    def __init__(self, idle: float, clock: Callable[[], float]) -> None:
        self._idle = idle
        self._clock = clock
        self._waiting: list[_Waiting[L]] = []
        self._leaving: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> L | None:
        """A connection that is ready for a message; None where there is none."""
        while self._waiting:
            line = self._waiting.pop().line
            ready = False
            try:
                ready = await line.ready()
            finally:
                if not ready:
                    line.close()
            if ready:
                return line
        return None

    def bring(self, line: L) -> None:
        """A message was taken through a connection: keep it, or say goodbye."""
        if self._idle <= 0 or line.messages >= _MESSAGES or len(self._waiting) >= _MOST:
            self._leave(line)
            return
        self._waiting.append(_Waiting(line, self._clock()))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle, self._sweep)

    async def close(self) -> None:
        """Say goodbye on all that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._leave(self._waiting.pop().line)
        if self._leaving:
            await asyncio.wait(self._leaving)

    def _sweep(self) -> None:
        self._timer = None
        before = self._clock() - self._idle
        while self._waiting and self._waiting[0].since <= before:
            self._leave(self._waiting.pop(0).line)
        if self._waiting:
            wait = max(0.01, self._waiting[0].since - before)
            self._timer = asyncio.get_running_loop().call_later(wait, self._sweep)

    def _leave(self, line: L) -> None:
        task = asyncio.create_task(line.leave(), name="goodbye")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
