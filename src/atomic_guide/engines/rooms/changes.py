"""Keeps a room's record of changes as the database has it.

A notice, the periodic comparison and the clock only say that there may be something new; what it is comes from the
database, so that a process that has missed any of them ends up with the same as all others.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from atomic_guide import errors
from atomic_guide.engines.rooms.record import Record, Told

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.bus import RoomKey
    from atomic_guide.engines.rooms.ports import History

_log = structlog.get_logger(__name__)

_ATTEMPTS = 6
_READ_SECONDS = 5.0


class ChangeWatch:
    """The changes of one room. `tell` is called with what the members must be told of."""

    __slots__ = ("_history", "_key", "_looking", "_tell", "_wanted", "record")

    def __init__(self, key: RoomKey, history: History, tell: Callable[[Told], None]) -> None:
        self.record = Record()
        self._key = key
        self._history = history
        self._tell = tell
        self._wanted = 0
        self._looking: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Read how the room is; nobody is in it yet. Raises what the history raises."""
        self.record.take(await self._history.changes(self._key, 0))

    def expect(self, revision: int) -> None:
        """Changes up to `revision` are stored: read them, unless they are known."""
        if revision > self.record.revision:
            self._wanted = max(self._wanted, revision)
            self.look()

    def compare(self, revision: int) -> None:
        """The database is at `revision`; it may also be behind us, where a backup was put back."""
        if revision != self.record.revision:
            self.look()

    def tick(self, epoch: float) -> None:
        """Look where something has ended by itself."""
        if self.record.ends_at is not None and epoch >= self.record.ends_at:
            self.look()

    def look(self) -> None:
        """Read what is new, soon."""
        if self._looking is None or self._looking.done():
            # Outside the caller's session of the databases, whose replica may be behind.
            self._looking = asyncio.create_task(self._look(), context=contextvars.Context())

    async def settled(self) -> None:
        """Wait until what was begun to be read is told."""
        if self._looking is not None and not self._looking.done():
            await asyncio.wait([self._looking])

    def end(self) -> None:
        """Read nothing more."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        """Read until what is wanted is known; where the database cannot be read, the next comparison tries again."""
        for attempt in range(_ATTEMPTS):
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    changes = await self._history.changes(self._key, max(self.record.revision, 0))
            except (errors.GuideError, TimeoutError) as error:
                _log.warning("changes of a room wait for the database", error=repr(error))
            else:
                self._tell(self.record.take(changes))
                if self.record.revision >= self._wanted:
                    return
            await asyncio.sleep(0.05 * 2**attempt * random.uniform(0.5, 1.0))
        self._wanted = 0
