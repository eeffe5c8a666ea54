"""Who is in a room, over all processes. Sans-I/O.

Each process counts its own people by their sockets and hears of the others' people. A person is here as long
as one process has them; a process that has been silent for too long has nobody.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Person(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Somebody in a room: the LMS's own id, the name, the role in the course."""

    id: str
    name: str
    role: str

    def shown(self) -> dict[str, str]:
        """As frames show it."""
        return {"id": self.id, "name": self.name, "role": self.role}


class Seat:
    """A person's place in this process."""

    __slots__ = ("leaves_at", "person", "sockets", "typed_at")

    def __init__(self, person: Person) -> None:
        self.person = person
        self.sockets = 0
        self.typed_at = 0.0
        self.leaves_at: float | None = None
        """When a person without sockets has left; None while there are some."""


class _Elsewhere:
    __slots__ = ("heard_at", "people")

    def __init__(self) -> None:
        self.people: dict[str, Person] = {}
        self.heard_at = 0.0


class Presence:
    """The people of one room."""

    def __init__(self) -> None:
        self.seats: dict[str, Seat] = {}
        self._elsewhere: dict[str, _Elsewhere] = {}
        self.count = 0
        """People in the room, each once, over all processes."""

    def enter(self, person: Person) -> bool:
        """One more socket of a person in this process; True where they were nowhere in the room before."""
        seat = self.seats.get(person.id)
        new = False
        if seat is None:
            new = not self._is_elsewhere(person.id)
            self.count += new
            seat = self.seats[person.id] = Seat(person)
        seat.sockets += 1
        seat.leaves_at = None
        return new

    def leave(self, user: str, leaves_at: float) -> None:
        """One socket less; without any the person leaves at `leaves_at`, unless they come back before."""
        seat = self.seats.get(user)
        if seat is not None:
            seat.sockets -= 1
            if seat.sockets <= 0:
                seat.leaves_at = leaves_at

    def leaving(self, now: float) -> list[tuple[Person, bool]]:
        """Those whose time to leave has come: (person, whether they are nowhere in the room now)."""
        gone = [seat.person for seat in self.seats.values() if seat.leaves_at is not None and seat.leaves_at <= now]
        return [(person, self._remove(person)) for person in gone]

    def people(self) -> list[Person]:
        """Everybody in the room, instructors first, each once."""
        everybody = {person.id: person for other in self._elsewhere.values() for person in other.people.values()}
        everybody.update((user, seat.person) for user, seat in self.seats.items())
        return sorted(everybody.values(), key=lambda person: person.role != "instructor")

    def here(self) -> list[Person]:
        """The people of this process."""
        return [seat.person for seat in self.seats.values()]

    def hear_in(self, origin: str, people: Iterable[Person], now: float) -> list[Person]:
        """Another process has these too; returns those who are new in the room."""
        other = self._elsewhere.setdefault(origin, _Elsewhere())
        other.heard_at = now
        new = []
        for person in people:
            if person.id not in other.people:
                if person.id not in self.seats and not self._is_elsewhere(person.id):
                    self.count += 1
                    new.append(person)
                other.people[person.id] = person
        return new

    def hear_out(self, origin: str, users: Iterable[str]) -> list[Person]:
        """Another process has these no more; returns those who are nowhere in the room now."""
        other = self._elsewhere.get(origin)
        if other is None:
            return []
        gone = []
        for user in users:
            person = other.people.pop(user, None)
            if person is not None and user not in self.seats and not self._is_elsewhere(user):
                self.count -= 1
                gone.append(person)
        if not other.people:
            del self._elsewhere[origin]
        return gone

    def hear_list(self, origin: str, people: list[Person], now: float) -> tuple[list[Person], list[Person]]:
        """Another process has exactly these; returns (new in the room, nowhere in the room now)."""
        new = self.hear_in(origin, people, now)
        listed = {person.id for person in people}
        gone = self.hear_out(origin, [user for user in self._elsewhere[origin].people if user not in listed])
        return new, gone

    def expire(self, before: float) -> list[Person]:
        """Forget processes that were last heard before that time; returns their people who are nowhere now."""
        silent = [origin for origin, other in self._elsewhere.items() if other.heard_at < before]
        return [person for origin in silent for person in self.hear_out(origin, list(self._elsewhere[origin].people))]

    def _is_elsewhere(self, user: str) -> bool:
        return any(user in other.people for other in self._elsewhere.values())

    def _remove(self, person: Person) -> bool:
        del self.seats[person.id]
        gone = not self._is_elsewhere(person.id)
        self.count -= gone
        return gone
