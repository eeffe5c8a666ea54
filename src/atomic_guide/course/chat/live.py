"""Whether a course has a live session: for whoever gives it precedence or capacity."""

from __future__ import annotations

from typing import Protocol

from atomic_guide.course.chat.floor import QUERIES
from atomic_guide.engines.data.database import Params, Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards

LIVE_LIMIT = 10_000
"""Courses that `live_courses` names of one shard."""


class Reader(Protocol):
    """A database, or a transaction on it."""

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of the answer."""
        ...


async def is_live(reader: Reader, key: CourseKey, now: float) -> bool:
    """Whether a course has a live session at a moment, seconds since the epoch."""
    row = await reader.one(QUERIES["find_live"], key.columns)
    return row is not None and row["live_until"] is not None and row["live_until"] > now


async def live_courses(shards: Shards, now: float) -> list[CourseKey]:
    """The courses that have a live session at a moment, over all shards."""
    return [
        CourseKey(row["tenant"], row["course"], row["bucket"])
        for shard in shards.all()
        for row in await shard.read(QUERIES["live_now"], {"now": now, "limit": LIVE_LIMIT})
    ]
