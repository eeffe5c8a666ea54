"""Reading messages back: pages for people, frames for rooms that missed some."""

from __future__ import annotations

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.course.chat.floor import QUERIES
from atomic_guide.course.chat.message import Author, Message, Page
from atomic_guide.course.chat.state import read_room
from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.rooms.record import DELETIONS_LIMIT, Changes, Deletion, Standing

PAGE_LIMIT = 200
"""Most messages of a page: about 1 ms of reading, and at most 3 MB where each of them is as long as can be."""

PAGE_DEFAULT = 50

_NEWEST = 2**53 - 1


class MessageHistory:
    """The stored messages of every course."""

    def __init__(self, shards: Shards, clock: Clock) -> None:
        self._shards = shards
        self._clock = clock

    async def standing(self, key: CourseKey) -> Standing:
        """The newest message's number and the room's revision; 0 where nothing has been said or done."""
        row = await self._shards.of(key).one(QUERIES["read_standing"], key.columns)
        return Standing(row["last_seq"], row["room_revision"]) if row is not None else Standing(0, 0)

    async def changes(self, key: CourseKey, after: int) -> Changes:
        """How a course's room is, and what was deleted there after a revision."""
        # Before the deletions: these may then go further than the revision, never less far.
        room = await read_room(self._shards, self._clock, key)
        params = {**key.columns, "after": after, "limit": DELETIONS_LIMIT + 1}
        rows = await self._shards.of(key).read(QUERIES["deleted_after"], params)
        newest = [Deletion(row["revision"], row["seq"], row["deleted_at"]) for row in rows[:DELETIONS_LIMIT]]
        return Changes(
            room.revision,
            {"open": room.open, "live": room.live},
            {mute.id: msgspec.to_builtins(mute) for mute in room.mutes},
            newest[::-1],
            whole=len(rows) <= DELETIONS_LIMIT,
            ends_at=room.ends_at,
        )

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
        return Page(messages, (await self.standing(key)).last_seq)

    async def frames(self, key: CourseKey, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` messages that follow `after`, as (seq, frame), in order."""
        return [(message.seq, message.frame()) for message in await self._after(key, after, limit)]

    async def _after(self, key: CourseKey, after: int, limit: int) -> list[Message]:
        params = {**key.columns, "after": after, "limit": limit}
        return [_message(row) for row in await self._shards.of(key).read(QUERIES["messages_after"], params)]


def _message(row: Row) -> Message:
    author = Author(row["author"], row["name"], row["role"])
    deleted = row["deleted_at"] is not None
    return Message(row["id"], row["seq"], author, row["content"], iso(row["created_at"]), deleted=deleted)
