"""How much may be said: the rates of a person and of a room, over all processes. Pure.

What is spent is one number for each, a time (engines/rooms/budget.py), kept in the database and changed in the
transaction that stores the messages: two processes cannot both spend the same. Clocks of two machines differ a
little; a mark so far in the future that nobody can have spent it is a wrong clock's, and counts for nothing.
"""

from __future__ import annotations

from typing import NamedTuple

from atomic_guide import errors
from atomic_guide.course.chat.limits import INSTRUCTOR_MESSAGES, PERSON_MESSAGES, ROOM_MESSAGES
from atomic_guide.engines.rooms.budget import Rate
from atomic_guide.limit import Limit

_AHEAD = 65.0
"""Seconds that a mark may be ahead: a budget is for a minute, and clocks that are kept in step differ by less."""


class Rates(NamedTuple):
    """Messages a minute: of a person in a course, of an instructor there, of the whole course."""

    person: int = 100
    instructor: int = 1200
    room: int = 6000

    def spend_person(self, mark: float, now: float, role: str) -> float:
        """A person's mark after one more message. Raises `RateLimited` with the time until it is welcome."""
        teaches = role == "instructor"
        rate, limit = (self.instructor, INSTRUCTOR_MESSAGES) if teaches else (self.person, PERSON_MESSAGES)
        return _spend(rate, mark, now, "person", (limit, f"at most {rate} messages a minute from one person"))

    def spend_room(self, mark: float, now: float) -> float:
        """A room's mark after one more message. Raises `RateLimited`."""
        return _spend(
            self.room, mark, now, "room", (ROOM_MESSAGES, f"at most {self.room} messages a minute in one course")
        )


def _spend(rate: int, mark: float, now: float, whose: str, kept: tuple[Limit, str]) -> float:
    spent, wait = Rate(rate).spend(mark if mark <= now + _AHEAD else 0.0, now)
    if wait:
        limit, message = kept
        raise limit.over(errors.RateLimited(message, details={"limit": whose}, retry_after=wait))
    return spent
