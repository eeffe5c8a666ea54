"""Reading messages back: pages for people, frames for rooms that missed some."""

from __future__ import annotations

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.chat.message import Author, Message, Page
from atomic_guide.course.chat.store import QUERIES
from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

PAGE_LIMIT = 200
"""Most messages of a page: about 1 ms of reading, and at most 3 MB where each of them is as long as can be."""

PAGE_DEFAULT = 50

_NEWEST = 2**53 - 1


class MessageHistory:
    """The stored messages of every course."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    async def last_seq(self, key: CourseKey) -> int:
        """The newest message's number; 0 where nothing has been said."""
        row = await self._shards.of(key).one(QUERIES["read_last_seq"], key.columns)
        return int(row["last_seq"]) if row is not None else 0

    async def page(
        self, key: CourseKey, *, after: int | None = None, before: int | None = None, limit: int = PAGE_DEFAULT
    ) -> Page:
        """The first messages after a number, or the last ones before it (default: the newest), in order.

        Raises `Invalid` where both are given, for a limit outside 1 to 200, or a number that no message can have.
        """
        if after is not None and before is not None:
            message = "give after or before, not both"
            raise errors.Invalid(message, details={"parameter": "before"})
        for name, number in (("after", after), ("before", before)):
            if number is not None and not 0 <= number <= _NEWEST:
                message = f"{name} must be from 0 to {_NEWEST}"
                raise errors.Invalid(message, details={"parameter": name})
        if not 1 <= limit <= PAGE_LIMIT:
            message = f"limit must be from 1 to {PAGE_LIMIT}"
            raise errors.Invalid(message, details={"parameter": "limit"})
        if after is not None:
            messages = await self._after(key, after, limit)
        else:
            params = {**key.columns, "before": _NEWEST if before is None else before, "limit": limit}
            rows = await self._shards.of(key).read(QUERIES["messages_before"], params)
            messages = [_message(row) for row in reversed(rows)]
        return Page(messages, await self.last_seq(key))

    async def frames(self, key: CourseKey, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` messages that follow `after`, as (seq, frame), in order."""
        return [(message.seq, message.frame()) for message in await self._after(key, after, limit)]

    async def deleted_since(self, key: CourseKey, since: float) -> list[int]:
        """The numbers of the messages of a course that were deleted since a moment, seconds since the epoch."""
        rows = await self._shards.of(key).scan(QUERIES["deleted_since"], {**key.columns, "since": since})
        return [row["seq"] for row in rows]

    async def _after(self, key: CourseKey, after: int, limit: int) -> list[Message]:
        params = {**key.columns, "after": after, "limit": limit}
        return [_message(row) for row in await self._shards.of(key).read(QUERIES["messages_after"], params)]


def _message(row: Row) -> Message:
    author = Author(row["author"], row["name"], row["role"])
    deleted = row["deleted_at"] is not None
    return Message(row["id"], row["seq"], author, row["content"], iso(row["created_at"]), deleted=deleted)
