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
        now = self._clock.now()
        # In one order for all writers: two of them that hold a course each would wait for each other.
        last = await _lock(tx, sorted({draft.key for draft in drafts}), now)
        first = dict(last)
        known = await _find(tx, drafts)
        fresh: list[tuple[CourseKey, Message]] = []
        results: list[Posted] = []
        for draft in drafts:
            name = (draft.key, draft.author.id, draft.id)
            message = known.get(name)
            results.append(Posted(message or self._next(draft, last, now), message is None))
            if message is None:
                known[name] = results[-1].message
                fresh.append((draft.key, results[-1].message))
        if fresh:
            await _add(tx, fresh, now)
            moved = {key: seq for key, seq in last.items() if seq > first[key]}
            columns = {**_course_columns(list(moved)), "last_seq": list(moved.values())}
            await tx.execute_columns(QUERIES["set_last_seqs"], columns)
        return results

    @staticmethod
    def _next(draft: Draft, last: dict[CourseKey, int], now: float) -> Message:
        last[draft.key] += 1
        return Message(draft.id, last[draft.key], draft.author, draft.content, iso(now))


async def _lock(tx: Transaction, keys: list[CourseKey], now: float) -> dict[CourseKey, int]:
    """The newest sequence number of each course, which no other writer changes until the commit."""
    found = await tx.read_each(QUERIES["lock_course"], [key.columns for key in keys])
    missing = [key for key, rows in zip(keys, found, strict=True) if not rows]
    last = {key: int(rows[0]["last_seq"]) for key, rows in zip(keys, found, strict=True) if rows}
    if missing:
        await tx.execute_many(QUERIES["add_course"], [{**key.columns, "now": now} for key in missing])
        found = await tx.read_each(QUERIES["lock_course"], [key.columns for key in missing])
        last |= {key: int(rows[0]["last_seq"]) for key, rows in zip(missing, found, strict=True)}
    return last


async def _find(tx: Transaction, drafts: Sequence[Draft]) -> dict[tuple[CourseKey, str, str], Message]:
    """The messages that are there already, by course, author and id."""
    asked = [{**draft.key.columns, "author": draft.author.id, "id": draft.id} for draft in drafts]
    return {
        (draft.key, draft.author.id, draft.id): Message(
            draft.id, rows[0]["seq"], draft.author, rows[0]["content"], iso(rows[0]["created_at"])
        )
        for draft, rows in zip(drafts, await tx.read_each(QUERIES["find_message"], asked), strict=True)
        if rows
    }


async def _add(tx: Transaction, fresh: Sequence[tuple[CourseKey, Message]], now: float) -> None:
    messages = [message for _, message in fresh]
    columns = {
        **_course_columns([key for key, _ in fresh]),
        "seq": [message.seq for message in messages],
        "author": [message.author.id for message in messages],
        "id": [message.id for message in messages],
        "content": [message.content for message in messages],
    }
    await tx.execute_columns(QUERIES["add_messages"], columns, {"now": now})


def _course_columns(keys: Sequence[CourseKey]) -> dict[str, list[int] | list[str]]:
    return {
        "bucket": [key.bucket for key in keys],
        "tenant": [key.tenant for key in keys],
        "course": [key.course for key in keys],
    }


def sortable_id(now: float) -> str:
    """An id that sorts by time: a UUID of version 7, 48 bits of milliseconds and 74 random bits."""
    number = (int(now * 1000) & (1 << 48) - 1) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    number = number & ~(0x3 << 62) | 2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
