"""Whether a course has a live session: for whoever gives it precedence or capacity."""

from __future__ import annotations

from typing import Protocol

from atomic_guide.course.chat.floor import QUERIES
from atomic_guide.engines.data.database import Params, Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query


class Reader(Protocol):
    """A database, or a transaction on it."""

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of the answer."""
        ...


async def is_live(reader: Reader, key: CourseKey, now: float) -> bool:
    """Whether a course has a live session at a moment, seconds since the epoch."""
    row = await reader.one(QUERIES["find_live"], key.columns)
    return row is not None and row["live_until"] is not None and row["live_until"] > now
