"""The log of staff reads: who read students' education records, when and by which call.

A read is noted beside the answer, which does not wait for it, and together with others in one commit. What is the
same within a minute is one row with a count, so that a page which asks every second does not fill the log.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence

import msgspec
import structlog

from atomic_guide.clock import Clock
from atomic_guide.course.keeping.key import QUERIES
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import GuideError

_log = structlog.get_logger(__name__)

_MINUTE = 60.0


class Read(msgspec.Struct, frozen=True, kw_only=True):
    """An entry. `reader` is an LMS id or `operator`; `subject` is the student's, empty for all of the course."""

    at: float
    reader: str
    call: str
    subject: str
    reads: int


class Reads:
    """The log of an installation; `failed` counts entries that could not be stored."""

    def __init__(self, shards: Shards, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock
        self._commits: GroupCommit[tuple[CourseKey, Read], None] = GroupCommit(_write)
        self._tasks: set[asyncio.Task[None]] = set()
        self.failed = 0

    def note(self, key: CourseKey, reader: str, call: str, subject: str = "") -> None:
        """Note a read, without waiting for the database."""
        # Outside the request's session, which may be one that only reads.
        task = asyncio.create_task(self._noted(key, reader, call, subject), context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def record(self, key: CourseKey, reader: str, call: str, subject: str = "") -> None:
        """Note a read and wait until that is durable. Raises what the database raises."""
        at = self._clock.now() // _MINUTE * _MINUTE
        read = Read(at=at, reader=reader, call=call, subject=subject, reads=1)
        await self._commits.add(self._shards.of(key), (key, read))

    async def of(self, key: CourseKey, limit: int = 1000) -> list[Read]:
        """The newest entries of a course."""
        rows = await self._shards.of(key).scan(QUERIES["list_reads"], {**key.columns, "limit": limit})
        return [Read(**{name: row[name] for name in Read.__struct_fields__}) for row in rows]

    async def close(self) -> None:
        """Wait for what was noted."""
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._commits.close()

    async def _noted(self, key: CourseKey, reader: str, call: str, subject: str) -> None:
        try:
            await self.record(key, reader, call, subject)
        except GuideError as error:
            self.failed += 1
            _log.error("a read of education records could not be noted", call=call, code=error.code)


async def _write(tx: Transaction, items: Sequence[tuple[CourseKey, Read]]) -> list[None]:
    for key, read in items:
        await tx.execute(QUERIES["note_read"], {**key.columns, **msgspec.structs.asdict(read)})
    return [None] * len(items)
