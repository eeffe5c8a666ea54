"""Connections to the mail server that are kept for the next message, so that a batch signs in once.

A connection that was kept is asked for a clean state (RSET) before anything is said of the next message: one that the
server has ended meanwhile costs that message nothing. None is kept for longer than `idle` seconds without a message, a
server's own limit being minutes, nor for more than `_MESSAGES`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple

import aiosmtplib

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS = 5.0
"""A batch's messages follow one another within milliseconds; a mail server has few places for connections that wait."""
_MOST = 4
"""Connections that wait for a message: as many as the queue of notifications runs jobs at a time."""
_MESSAGES = 50
"""Through one connection; some servers end one after a hundred."""
_ASK_SECONDS = 5.0
_LEAVE_SECONDS = 2.0


class _Waiting(NamedTuple):
    client: aiosmtplib.SMTP
    since: float
    messages: int


class Kept:
    """The connections of one process; `clock` gives monotonic seconds, `idle` of 0 keeps none."""

    def __init__(self, idle: float, clock: Callable[[], float]) -> None:
        self._idle = idle
        self._clock = clock
        self._waiting: list[_Waiting] = []
        self._messages: dict[int, int] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def take(self) -> aiosmtplib.SMTP | None:
        """A connection that is ready for a message; None where there is none. Bring it back, or call `drop`."""
        while self._waiting:
            one = self._waiting.pop()
            try:
                await one.client.rset(timeout=_ASK_SECONDS)
            except (aiosmtplib.SMTPException, OSError, ValueError):
                one.client.close()
                continue
            except BaseException:
                one.client.close()
                raise
            self._messages[id(one.client)] = one.messages
            return one.client
        return None

    def bring(self, client: aiosmtplib.SMTP) -> None:
        """A message was taken through a connection: keep it, or say goodbye."""
        messages = self._messages.pop(id(client), 0) + 1
        if not client.is_connected or self._idle <= 0 or messages >= _MESSAGES or len(self._waiting) >= _MOST:
            self._leave(client)
            return
        self._waiting.append(_Waiting(client, self._clock(), messages))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._idle, self._sweep)

    def drop(self, client: aiosmtplib.SMTP) -> None:
        """Something went wrong with a connection: its state is open, so it ends."""
        self._messages.pop(id(client), None)
        client.close()

    async def close(self) -> None:
        """Say goodbye on all that wait; bounded."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            self._leave(self._waiting.pop().client)
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=2 * _LEAVE_SECONDS)

    def _sweep(self) -> None:
        self._timer = None
        before = self._clock() - self._idle
        while self._waiting and self._waiting[0].since <= before:
            self._leave(self._waiting.pop(0).client)
        if self._waiting:
            wait = max(0.01, self._waiting[0].since - before)
            self._timer = asyncio.get_running_loop().call_later(wait, self._sweep)

    def _leave(self, client: aiosmtplib.SMTP) -> None:
        task = asyncio.create_task(_quit(client), name="goodbye to the mail server")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _quit(client: aiosmtplib.SMTP) -> None:
    """It has every message; how it says goodbye changes nothing."""
    try:
        with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            async with asyncio.timeout(_LEAVE_SECONDS):
                await client.quit()
    finally:
        client.close()
