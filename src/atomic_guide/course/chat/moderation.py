"""What instructors do in a room: delete messages, mute people, close it, begin live sessions.

Each action is one unit of work in the course's shard: it locks the course's row, asks for the role that the member
has at that moment, changes what it is about, and counts the room's revision. So no two actions, and no message, are
decided from different states. What was done, by whom and when stands in the table `moderation`, without what was
said. After the commit `changed(key, revision)` is called; a room that does not hear of it finds out by itself.

An action that finds its work done changes nothing, so that it may be repeated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock, iso
from atomic_guide.course.chat.floor import QUERIES
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.engines.data.database import Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

if TYPE_CHECKING:
    from atomic_guide.course.keeping.holds import Holds

Kind = Literal["deleted", "muted", "unmuted", "closed", "opened", "live", "ended"]
Changed = Callable[[CourseKey, int], None]

MUTE_MINUTES = 7 * 1440
"""The longest mute for a time; beyond a week somebody should decide again, or mute until it is lifted."""


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of the log: who did what in the room and when, to whom or to which message."""

    revision: int
    at: str
    by: str
    action: str
    user: str = ""
    seq: int | None = None
    until: str | None = None


class _Turn:
    """An action in its transaction, with the course's row locked."""

    def __init__(self, tx: Transaction, key: CourseKey, by: str, now: float, row: Row) -> None:
        self.tx = tx
        self.now = now
        self._key = key
        self._by = by
        self.room = {name: row[name] for name in ("closed_at", "muted", "live_revision", "live_until")}
        self.revision = row["room_revision"] + 1

    def params(self, **more: object) -> dict[str, object]:
        """The parameters of a statement about the course."""
        return {**self._key.columns, "now": self.now, **more}

    async def role_of(self, user: str) -> str | None:
        """A member's role as the LMS last told it; None for who is no member."""
        row = await self.tx.one(QUERIES["find_role"], self.params(user=user))
        return str(row["role"]) if row is not None else None

    async def check_instructor(self) -> None:
        """Raise `Forbidden` unless the actor teaches the course at this moment."""
        if await self.role_of(self._by) != "instructor":
            message = "only instructors of this course may do this"
            raise errors.Forbidden(message)

    async def done(self, action: Kind, *, subject: str = "", seq: int | None = None, until: float | None = None) -> int:
        """Count the change and note it; returns the room's revision."""
        await self.tx.execute(QUERIES["change_room"], self.params(revision=self.revision, **self.room))
        entry = {"moderator": self._by, "action": action, "subject": subject, "seq": seq, "until": until}
        await self.tx.execute(QUERIES["note_action"], self.params(revision=self.revision, **entry))
        return int(self.revision)


class Moderation:
    """The actions, for every course of an installation. `by` is the LMS's own id of who acts."""

    def __init__(self, shards: Shards, clock: Clock, holds: Holds, settings: ChatSettings, changed: Changed) -> None:
        self._shards = shards
        self._clock = clock
        self._holds = holds
        self.settings = settings
        self._changed = changed

    async def delete(self, key: CourseKey, by: str, seq: int) -> None:
        """Delete a message; its number stays taken. Instructors any, authors their own for a while.

        What is under legal hold keeps its content, where nobody in the room sees it. Raises `NotFound`, `Forbidden`.
        """
        row = await self._shards.of(key).one(QUERIES["find_numbered"], {**key.columns, "seq": seq})
        author = row["author"] if row is not None else ""
        held = any(hold.covers(key.course, author) for hold in await self._holds.of(key.tenant))

        async def act(turn: _Turn) -> int | None:
            found = await turn.tx.one(QUERIES["find_numbered"], turn.params(seq=seq))
            if found is None:
                raise errors.NotFound(f"there is no message {seq} in this room")
            await self._check_deletion(turn, found, by)
            if found["deleted_at"] is not None:
                return None
            values = turn.params(seq=seq, held=int(held), revision=turn.revision)
            await turn.tx.execute(QUERIES["delete_message"], values)
            return await turn.done("deleted", subject=found["author"], seq=seq)

        await self._do(key, by, act)

    async def mute(self, key: CourseKey, by: str, user: str, minutes: int | None) -> None:
        """Let a member not write, for some minutes or until it is lifted.

        Raises `NotFound` for who is no member, `Conflict` for an instructor, `Forbidden`, `Invalid`.
        """
        if minutes is not None and not 1 <= minutes <= MUTE_MINUTES:
            raise errors.Invalid(f"minutes must be from 1 to {MUTE_MINUTES}", details={"field": "minutes"})

        async def act(turn: _Turn) -> int | None:
            await turn.check_instructor()
            role = await turn.role_of(user)
            if role is None:
                raise errors.NotFound("there is no such member in this course")
            if role == "instructor":
                raise errors.Conflict("an instructor cannot be muted; the role is given and taken in the LMS")
            until = turn.now + minutes * 60.0 if minutes is not None else None
            await turn.tx.execute(QUERIES["put_mute"], turn.params(user=user, until=until))
            await _count_mutes(turn)
            return await turn.done("muted", subject=user, until=until)

        await self._do(key, by, act)

    async def unmute(self, key: CourseKey, by: str, user: str) -> None:
        """Let a member write again. Raises `Forbidden`."""

        async def act(turn: _Turn) -> int | None:
            await turn.check_instructor()
            if not await turn.tx.read(QUERIES["find_mute"], turn.params(user=user)):
                return None
            await turn.tx.execute(QUERIES["drop_mutes"], turn.params(user=user))
            await _count_mutes(turn)
            return await turn.done("unmuted", subject=user)

        await self._do(key, by, act)

    async def set_open(self, key: CourseKey, by: str, *, is_open: bool) -> None:
        """Close the room, so that only instructors write, or open it again. Raises `Forbidden`."""

        async def act(turn: _Turn) -> int | None:
            await turn.check_instructor()
            if (turn.room["closed_at"] is None) == is_open:
                return None
            turn.room["closed_at"] = None if is_open else turn.now
            return await turn.done("opened" if is_open else "closed")

        await self._do(key, by, act)

    async def set_live(self, key: CourseKey, by: str, *, is_live: bool) -> None:
        """Begin a live session, which ends by itself after a while, or end it. Raises `Forbidden`."""

        async def act(turn: _Turn) -> int | None:
            await turn.check_instructor()
            until = turn.room["live_until"]
            if (until is not None and until > turn.now) == is_live:
                return None
            until = turn.now + self.settings.live_minutes * 60.0 if is_live else None
            turn.room |= {"live_revision": turn.revision if is_live else None, "live_until": until}
            return await turn.done("live" if is_live else "ended", until=until)

        await self._do(key, by, act)

    async def log(self, key: CourseKey, before: int, limit: int) -> list[Action]:
        """What was done before a revision, the newest first."""
        params = {**key.columns, "before": before, "limit": limit}
        return [_action(row) for row in await self._shards.of(key).read(QUERIES["list_actions"], params)]

    async def _check_deletion(self, turn: _Turn, message: Row, by: str) -> None:
        if await turn.role_of(by) == "instructor":
            return
        minutes = self.settings.own_deletion_minutes
        if message["author"] != by:
            refusal = "only instructors of this course may delete what others have written"
            raise errors.Forbidden(refusal)
        if message["deleted_at"] is None and turn.now - message["created_at"] >= minutes * 60.0:
            refusal = f"a message can be deleted by its author for {minutes} minutes; ask an instructor"
            raise errors.Forbidden(refusal, details={"own_deletion_minutes": minutes})

    async def _do(self, key: CourseKey, by: str, act: Callable[[_Turn], Awaitable[int | None]]) -> None:
        async def work(tx: Transaction) -> int | None:
            row = await tx.one(QUERIES["lock_course"], key.columns)
            if row is None:
                raise errors.NotFound("nobody has come to this course yet")
            return await act(_Turn(tx, key, by, self._clock.now(), row))

        revision = await self._shards.of(key).write(work)
        if revision is not None:
            self._changed(key, revision)


async def _count_mutes(turn: _Turn) -> None:
    await turn.tx.execute(QUERIES["drop_mutes"], turn.params(user=""))
    row = await turn.tx.one(QUERIES["count_mutes"], turn.params())
    turn.room["muted"] = row["found"] if row is not None else 0


def _action(row: Row) -> Action:
    until = iso(row["until"]) if row["until"] is not None else None
    return Action(row["revision"], iso(row["at"]), row["moderator"], row["action"], row["subject"], row["seq"], until)
