"""Storing messages: dense sequence numbers, each message once, many messages in one commit."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.course.chat.budgets import Rates
from atomic_guide.course.chat.check import check_content, check_id
from atomic_guide.course.chat.floor import QUERIES, Draft, Floor, Standing, read_floor
from atomic_guide.course.chat.limits import PENDING_MESSAGES
from atomic_guide.course.chat.message import Author, Message, tombstone
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

Announce = Callable[[CourseKey, Message], None]


class Posted(msgspec.Struct, frozen=True):
    """The stored message; `fresh` is False where the same author had sent the id before."""

    message: Message
    fresh: bool


class _Fresh(NamedTuple):
    """A new message, and what is spent with it of its author's rate and of the room's."""

    key: CourseKey
    message: Message
    mark: float
    room_mark: float


Marks = dict[tuple[CourseKey, str], float]
"""What is spent of each author's rate, by course and person."""


class Messages:
    """Takes messages for every course of an installation.

    `announce(key, message)` is called once for each new message, after its commit and in order of `seq` among
    the messages of this process. `rates` hold over all processes together.
    """

    def __init__(
        self, shards: Shards, clock: Clock, announce: Announce, rates: Rates | None = None,
        settings: ChatSettings | None = None,
    ) -> None:  # fmt: skip
        self._shards = shards
        self._clock = clock
        self._announce = announce
        self._rates = rates or Rates()
        self._settings = settings or ChatSettings()
        self._commits: GroupCommit[Draft, Posted | errors.GuideError] = GroupCommit(
            self._write, self._done, pending=self._settings.pending_messages, bound=PENDING_MESSAGES
        )

    async def post(self, key: CourseKey, author: Author, content: str, identifier: str | None = None) -> Posted:
        """Store a message; returns once it is durable.

        The same id from the same author gives the first message again, whatever the content. Raises `Invalid`
        for a content or an id outside its limits, `Muted`, `RoomClosed`, `RateLimited` with the time until the next
        message is welcome, `DataUnavailable` or `OutOfSpace` from the database.
        """
        checked = check_id(identifier) if identifier is not None else sortable_id(self._clock.now())
        draft = Draft(key, author, checked, check_content(content, self._settings.message_characters))
        result = await self._commits.add(self._shards.of(key), draft)
        if isinstance(result, errors.GuideError):
            raise result
        return result

    @property
    def waiting(self) -> int:
        """Messages that wait for the next commit of the shard that most wait for."""
        return self._commits.waiting

    async def close(self) -> None:
        """Wait for what was accepted."""
        await self._commits.close()

    def _done(self, drafts: Sequence[Draft], posted: Sequence[Posted | errors.GuideError]) -> None:
        for draft, result in zip(drafts, posted, strict=True):
            if isinstance(result, Posted) and result.fresh:
                self._announce(draft.key, result.message)

    async def _write(self, tx: Transaction, drafts: Sequence[Draft]) -> list[Posted | errors.GuideError]:
        now = self._clock.now()
        # In one order for all writers: two of them that hold a course each would wait for each other.
        standings = await _lock(tx, sorted({draft.key for draft in drafts}), now)
        floor = await read_floor(tx, drafts, standings, now)
        known, marks = await _find(tx, drafts)
        fresh: list[_Fresh] = []
        results: list[Posted | errors.GuideError] = []
        for draft in drafts:
            name = (draft.key, draft.author.id, draft.id)
            if (message := known.get(name)) is not None:
                results.append(Posted(message, fresh=False))
                continue
            try:
                self._spend(draft, standings[draft.key], floor, marks, now)
            except errors.GuideError as refusal:
                results.append(refusal)
                continue
            message = self._next(draft, standings[draft.key], now)
            known[name] = message
            fresh.append(_Fresh(draft.key, message, marks[name[:2]], standings[draft.key].mark))
            results.append(Posted(message, fresh=True))
        if fresh:
            await _add(tx, fresh, now)
        return results

    def _spend(self, draft: Draft, standing: Standing, floor: Floor, marks: Marks, now: float) -> None:
        """Take a message from the budgets. Raises what forbids it, and then takes nothing."""
        floor.check(draft)
        name = (draft.key, draft.author.id)
        person = self._rates.spend_person(marks[name], now, draft.author.role)
        standing.mark = self._rates.spend_room(standing.mark, now)
        marks[name] = person

    @staticmethod
    def _next(draft: Draft, standing: Standing, now: float) -> Message:
        standing.last_seq += 1
        return Message(draft.id, standing.last_seq, draft.author, draft.content, iso(now))


async def _lock(tx: Transaction, keys: list[CourseKey], now: float) -> dict[CourseKey, Standing]:
    """Where each course stands, which no other writer changes until the commit."""
    found = await tx.read_each(QUERIES["lock_course"], [key.columns for key in keys])
    missing = [key for key, rows in zip(keys, found, strict=True) if not rows]
    standings = {key: _standing(rows[0]) for key, rows in zip(keys, found, strict=True) if rows}
    if missing:
        await tx.execute_many(QUERIES["add_course"], [{**key.columns, "now": now} for key in missing])
        found = await tx.read_each(QUERIES["lock_course"], [key.columns for key in missing])
        standings |= {key: _standing(rows[0]) for key, rows in zip(missing, found, strict=True)}
    return standings


def _standing(row: Row) -> Standing:
    return Standing(row["last_seq"], row["room_mark"], closed=row["closed_at"] is not None, muted=row["muted"] > 0)


async def _find(tx: Transaction, drafts: Sequence[Draft]) -> tuple[dict[tuple[CourseKey, str, str], Message], Marks]:
    """The messages that are there already by course, author and id, and the authors' marks."""
    asked = [{**draft.key.columns, "author": draft.author.id, "id": draft.id} for draft in drafts]
    known: dict[tuple[CourseKey, str, str], Message] = {}
    marks: Marks = {}
    for draft, (row,) in zip(drafts, await tx.read_each(QUERIES["find_draft"], asked), strict=True):
        marks[draft.key, draft.author.id] = row["mark"]
        if row["seq"] is not None:
            message = Message(draft.id, row["seq"], draft.author, row["content"], iso(row["created_at"]))
            gone = row["deleted_at"] is not None
            known[draft.key, draft.author.id, draft.id] = tombstone(message) if gone else message
    return known, marks


async def _add(tx: Transaction, fresh: Sequence[_Fresh], now: float) -> None:
    columns = {
        **_course_columns([one.key for one in fresh]),
        "seq": [one.message.seq for one in fresh],
        "author": [one.message.author.id for one in fresh],
        "id": [one.message.id for one in fresh],
        "content": [one.message.content for one in fresh],
        "mark": [one.mark for one in fresh],
        "room_mark": [one.room_mark for one in fresh],
    }
    await tx.execute_columns(QUERIES["add_messages"], columns, {"now": now})
    if tx.dialect == "postgresql":
        return
    courses = {one.key: one for one in fresh}
    moved = {
        **_course_columns(list(courses)),
        "last_seq": [one.message.seq for one in courses.values()],
        "room_mark": [one.room_mark for one in courses.values()],
    }
    await tx.execute_columns(QUERIES["move_courses"], moved)
    people = {(one.key, one.message.author.id): one.mark for one in fresh}
    spent = {
        **_course_columns([key for key, _ in people]),
        "user": [user for _, user in people],
        "mark": list(people.values()),
    }
    await tx.execute_columns(QUERIES["spend_marks"], spent)


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
