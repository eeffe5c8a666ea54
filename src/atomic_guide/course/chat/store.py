"""Storing messages: dense sequence numbers, each message once, many messages in one commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import msgspec

from atomic_guide.clock import Clock, iso
from atomic_guide.course.chat.check import check_content, check_id
from atomic_guide.course.chat.message import Author, Message
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__)

Announce = Callable[[CourseKey, Message], None]


class Draft(msgspec.Struct, frozen=True):
    """A message that waits to be stored."""

    key: CourseKey
    author: Author
    id: str
    content: str


class Posted(msgspec.Struct, frozen=True):
    """The stored message; `fresh` is False where the same author had sent the id before."""

    message: Message
    fresh: bool


class Messages:
    """Takes messages for every course of an installation.

    `announce(key, message)` is called once for each new message, after its commit and in order of `seq` among
    the messages of this process.
    """

    def __init__(self, shards: Shards, clock: Clock, announce: Announce) -> None:
        self._shards = shards
        self._clock = clock
        self._announce = announce
        self._commits: GroupCommit[Draft, Posted] = GroupCommit(self._write, self._done)

    async def post(self, key: CourseKey, author: Author, content: str, identifier: str | None = None) -> Posted:
        """Store a message; returns once it is durable.

        The same id from the same author gives the first message again, whatever the content. Raises `Invalid`
        for a content or an id outside its limits, `DataUnavailable` or `OutOfSpace` from the database.
        """
        checked = check_id(identifier) if identifier is not None else sortable_id(self._clock.now())
        draft = Draft(key, author, checked, check_content(content))
        return await self._commits.add(self._shards.of(key), draft)

    async def close(self) -> None:
        """Wait for what was accepted."""
        await self._commits.close()

    def _done(self, drafts: Sequence[Draft], posted: Sequence[Posted]) -> None:
        for draft, result in zip(drafts, posted, strict=True):
            if result.fresh:
                self._announce(draft.key, result.message)

    async def _write(self, tx: Transaction, drafts: Sequence[Draft]) -> list[Posted]:
        by_course: dict[CourseKey, list[int]] = {}
        for index, draft in enumerate(drafts):
            by_course.setdefault(draft.key, []).append(index)
        results: dict[int, Posted] = {}
        # In one order for all writers: two of them that hold a course each would wait for each other.
        for key in sorted(by_course):
            indexes = by_course[key]
            stored = await self._write_course(tx, key, [drafts[index] for index in indexes])
            results.update(zip(indexes, stored, strict=True))
        return [results[index] for index in range(len(drafts))]

    async def _write_course(self, tx: Transaction, key: CourseKey, drafts: list[Draft]) -> list[Posted]:
        now = self._clock.now()
        seq = first = await self._lock(tx, key, now)
        known: dict[tuple[str, str], Message] = {}
        rows: list[dict[str, object]] = []
        results: list[Posted] = []
        for draft in drafts:
            name = (draft.author.id, draft.id)
            message = known.get(name) or await _find(tx, draft)
            fresh = message is None
            if message is None:
                seq += 1
                message = Message(draft.id, seq, draft.author, draft.content, iso(now))
                rows.append(
                    {
                        **key.columns,
                        "seq": seq,
                        "author": draft.author.id,
                        "id": draft.id,
                        "content": draft.content,
                        "created_at": now,
                    }
                )
            known[name] = message
            results.append(Posted(message, fresh))
        if seq > first:
            await tx.execute_many(QUERIES["add_message"], rows)
            await tx.execute(QUERIES["set_last_seq"], {**key.columns, "last_seq": seq})
        return results

    @staticmethod
    async def _lock(tx: Transaction, key: CourseKey, now: float) -> int:
        row = await tx.one(QUERIES["lock_course"], key.columns)
        if row is None:
            await tx.execute(QUERIES["add_course"], {**key.columns, "now": now})
            row = await tx.one(QUERIES["lock_course"], key.columns)
        return int(row["last_seq"]) if row is not None else 0


async def _find(tx: Transaction, draft: Draft) -> Message | None:
    row = await tx.one(QUERIES["find_message"], {**draft.key.columns, "author": draft.author.id, "id": draft.id})
    if row is None:
        return None
    return Message(draft.id, row["seq"], draft.author, row["content"], iso(row["created_at"]))


def sortable_id(now: float) -> str:
    """An id that sorts by time: a UUID of version 7, 48 bits of milliseconds and 74 random bits."""
    number = (int(now * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
