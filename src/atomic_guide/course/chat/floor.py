"""Who has the floor: whether an author may write in a room, decided in the transaction that would store the message.

Almost always nobody is muted and the room is open, which the course's row says; nothing more is read then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.chat.message import Author
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries

QUERIES = load_queries(__package__)


class Draft(msgspec.Struct, frozen=True):
    """A message that waits to be stored."""

    key: CourseKey
    author: Author
    id: str
    content: str


class Standing(msgspec.Struct):
    """Where a course's room stands: its newest number, what is spent of its rate, whether it is closed or has mutes."""

    last_seq: int
    mark: float
    closed: bool
    muted: bool


class Floor:
    """Who of some authors may not write."""

    def __init__(self, muted: dict[tuple[CourseKey, str], float | None], closed: set[tuple[CourseKey, str]]) -> None:
        self._muted = muted
        self._closed = closed

    def check(self, draft: Draft) -> None:
        """Raise `Muted` or `RoomClosed` where the author may not write."""
        name = (draft.key, draft.author.id)
        if name in self._closed:
            message = "the room is closed: everybody may read, only instructors may write"
            raise errors.RoomClosed(message)
        if name in self._muted:
            until = self._muted[name]
            when = "until an instructor lifts it" if until is None else f"until {iso(until)}"
            details = {"until": None if until is None else iso(until)}
            raise errors.Muted(f"an instructor has muted you in this room, {when}", details=details)


async def read_floor(
    tx: Transaction, drafts: Sequence[Draft], standings: Mapping[CourseKey, Standing], now: float
) -> Floor:
    """Who of the authors of drafts may not write. `standings` are the drafts' courses, locked."""
    muted: dict[tuple[CourseKey, str], float | None] = {}
    asked = list({(one.key, one.author.id): None for one in drafts if standings[one.key].muted})
    if asked:
        params = [{**key.columns, "user": user, "now": now} for key, user in asked]
        found = await tx.read_each(QUERIES["find_mute"], params)
        muted = {name: rows[0]["until"] for name, rows in zip(asked, found, strict=True) if rows}
    inside = list({(one.key, one.author.id): None for one in drafts if standings[one.key].closed})
    closed = set(inside)
    if inside:
        # The role of now, not of the session, which may be older than a change in the LMS.
        found = await tx.read_each(QUERIES["find_role"], [{**key.columns, "user": user} for key, user in inside])
        teaching = zip(inside, found, strict=True)
        closed -= {name for name, rows in teaching if rows and rows[0]["role"] == "instructor"}
    return Floor(muted, closed)
