"""Who is in a room, over all processes. Sans-I/O.

Each process counts its own people by their sockets and hears of the others' people. A person is here as long as
one process has them. What another process says of its people carries a revision: changes say which revision they
follow, so that a lost, doubled or late notice is noticed, and a list stands for itself. With each person come the
moments of their sockets, so that every process counts the same and agrees which are the newest.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import NamedTuple

import msgspec


class Person(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody in a room: the LMS's own id, the name, the role in the course."""

    id: str
    name: str
    role: str

    def shown(self) -> dict[str, str]:
        """As frames show it."""
        return {"id": self.id, "name": self.name, "role": self.role}


class Here(NamedTuple):
    """A person in a process, as it tells the others."""

    person: Person
    since: tuple[int, ...] = ()
    """When each of their sockets came, in microseconds since the epoch."""


class Seat:
    """A person's place in this process."""

    __slots__ = ("leaves_at", "person", "since")

    def __init__(self, person: Person) -> None:
        self.person = person
        self.since: list[int] = []
        """When each of their sockets came, in microseconds since the epoch; no two are equal."""
        self.leaves_at: float | None = None
        """When a person without sockets has left; None while there are some."""


class Heard(NamedTuple):
    """What a notice changed: who is new in the room, who is nowhere in it now.

    `whole` is False where the notice does not follow what is known, and the list has to be asked for.
    """

    joined: list[Person]
    left: list[Person]
    whole: bool = True


class _Elsewhere:
    __slots__ = ("people", "revision")

    def __init__(self) -> None:
        self.people: dict[str, Here] = {}
        self.revision = 0


class _Known:
    __slots__ = ("person", "places")

    def __init__(self, person: Person) -> None:
        self.person = person
        self.places = 1


class Presence:
    """The people of one room."""

    __slots__ = (
        "_elsewhere",
        "_leaders",
        "_others",
        "seats",
    )

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self._elsewhere: dict[str, _Elsewhere] = {}
        # Everybody once, with the number of processes that have them.
        self._leaders: dict[str, _Known] = {}
        self._others: dict[str, _Known] = {}

    @property
    def count(self) -> int:
        """People in the room, each once, over all processes."""
        return len(self._leaders) + len(self._others)

    @property
    def spread(self) -> bool:
        """Whether other processes have people of the room."""
        return any(other.people for other in self._elsewhere.values())

    # --- this process

    def enter(self, person: Person, since: int) -> bool:
        """One more socket of a person in this process; True where they were nowhere in the room before."""
        seat = self.seats.get(person.id)
        new = False
        if seat is None:
            seat = self.seats[person.id] = Seat(person)
            new = self._add(person)
        seat.since.append(since)
        seat.leaves_at = None
        return new

    def leave(self, user: str, since: int, leaves_at: float) -> None:
        """One socket less; without any the person leaves at `leaves_at`, unless they come back before."""
        seat = self.seats.get(user)
        if seat is not None:
            seat.since.remove(since)
            if not seat.since:
                seat.leaves_at = leaves_at

    def leaving(self, now: float) -> list[tuple[Person, bool]]:
        """Those whose time to leave has come: (person, whether they are nowhere in the room now)."""
        gone = [seat.person for seat in self.seats.values() if seat.leaves_at is not None and seat.leaves_at <= now]
        for person in gone:
            del self.seats[person.id]
        return [(person, self._remove(person.id)) for person in gone]

    def here(self, users: Iterable[str] | None = None) -> list[Here]:
        """The people of this process; of `users` those who are among them."""
        seats = self.seats.values() if users is None else [self.seats[user] for user in users if user in self.seats]
        return [Here(seat.person, tuple(seat.since)) for seat in seats]

    # --- everybody

    def sample(self, limit: int) -> list[Person]:
        """Up to `limit` people, each once, instructors first; the work depends on `limit` only."""
        known = chain(self._leaders.values(), self._others.values())
        return [one.person for one in islice(known, limit)]

    def sockets(self, user: str) -> tuple[list[int], list[tuple[int, str]]]:
        """When a person's sockets came: to this process, and to others as (moment, process)."""
        seat = self.seats.get(user)
        others = ((origin, other.people.get(user)) for origin, other in self._elsewhere.items())
        return seat.since if seat is not None else [], [
            (since, origin) for origin, there in others if there is not None for since in there.since
        ]

    # --- the other processes

    def origins(self) -> list[str]:
        """The processes that have, or have had, people here."""
        return list(self._elsewhere)

    def revision_of(self, origin: str) -> int:
        """What is known of a process's people here; 0 where nothing is."""
        other = self._elsewhere.get(origin)
        return other.revision if other is not None else 0

    def hear_change(self, origin: str, steps: tuple[int, int], came: Iterable[Here], gone: Iterable[str]) -> Heard:
        """Another process has some people more, or with other sockets, and some less.

        `steps` are the revision that the change follows, 0 where the process had nobody, and the one it leads to.
        """
        previous, revision = steps
        other = self._elsewhere.get(origin)
        if other is not None and revision <= other.revision:
            return Heard([], [])  # a double, or older than the list that is known
        follows = previous == (other.revision if other is not None else 0)
        if not follows and not (previous == 0 and other is not None and not other.people):
            return Heard([], [], whole=False)
        other = other or self._elsewhere.setdefault(origin, _Elsewhere())
        other.revision = revision
        return Heard(self._bring(other, came), self._take(other, gone))

    def hear_list(self, origin: str, revision: int, people: Iterable[Here]) -> Heard:
        """Another process has exactly these."""
        other = self._elsewhere.setdefault(origin, _Elsewhere())
        if revision <= other.revision:
            return Heard([], [])
        other.revision = revision
        listed = {here.person.id: here for here in people}
        joined = self._bring(other, listed.values())
        return Heard(joined, self._take(other, [user for user in other.people if user not in listed]))

    def disconnect(self, origin: str) -> None:
        """A process closes all of its sockets; its people stay until they are seen elsewhere."""
        other = self._elsewhere.get(origin)
        if other is not None:
            other.people = {user: Here(here.person) for user, here in other.people.items()}

    def lose(self, origin: str) -> list[Person]:
        """A process has ended, or has not been heard for too long: its people who are nowhere now."""
        other = self._elsewhere.pop(origin, None)
        return self._take(other, list(other.people)) if other is not None else []

    # --- inside

    def _bring(self, other: _Elsewhere, people: Iterable[Here]) -> list[Person]:
        new = []
        for here in people:
            known, other.people[here.person.id] = other.people.get(here.person.id), here
            if known is None and self._add(here.person):
                new.append(here.person)
        return new

    def _take(self, other: _Elsewhere, users: Iterable[str]) -> list[Person]:
        gone = []
        for user in users:
            known = other.people.pop(user, None)
            if known is not None and self._remove(user):
                gone.append(known.person)
        return gone

    def _add(self, person: Person) -> bool:
        known = self._leaders.get(person.id) or self._others.get(person.id)
        if known is not None:
            known.places += 1
            return False
        place = self._leaders if person.role == "instructor" else self._others
        place[person.id] = _Known(person)
        return True

    def _remove(self, user: str) -> bool:
        place = self._leaders if user in self._leaders else self._others
        known = place[user]
        known.places -= 1
        if known.places:
            return False
        del place[user]
        return True
