"""People who operate this installation by a name of their own: who was listed, and who came with a claim.

Somebody is known by what the provider calls them (issuer and subject). An e-mail address stands for somebody only until
they sign in with it first, and only where the provider says that it verified it: an address that is given to somebody
else later lets nobody in. Who is listed has the listed role, whatever the provider claims; who was removed is not let
in by a claim either, until they are added again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from atomic_guide import errors
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.operators.model import Operator, Role, person_id

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Row, Transaction

QUERIES = load_queries(__package__)

LISTED, CLAIM, DOMAIN = "listed", "claim", "domain"

_NAME = 120


class NotAnOperator(errors.Forbidden):
    """Somebody whom the provider knows, and who is none of this installation's operators."""

    code = "NOT_AN_OPERATOR"


class Person(msgspec.Struct, frozen=True):
    """Somebody; times are seconds since the epoch. `removed_at` is None but for who was removed."""

    id: str
    issuer: str
    subject: str
    email: str
    name: str
    role: Role
    source: str
    added_by: str
    added_at: float
    signed_in_at: float | None
    removed_at: float | None


class Whom(msgspec.Struct, frozen=True):
    """How somebody is named: by a verified address, or by what their provider calls them, else by our own id."""

    email: str = ""
    issuer: str = ""
    subject: str = ""
    id: str = ""

    def __str__(self) -> str:
        return self.email or self.subject or self.id


class Arrival(msgspec.Struct, frozen=True):
    """Who has signed in at the provider. `email` is empty unless it is verified; `role` is what claims make of them."""

    issuer: str
    subject: str
    email: str
    name: str
    role: Role | None
    source: str = CLAIM


class People:
    """The people of an installation."""

    def __init__(self, directory: Database, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def listed(self, limit: int, *, removed: bool = False) -> list[Person]:
        """Everybody, by name; those who were removed where it is asked."""
        rows = await self._directory.read(QUERIES["list_people"], {"removed": int(removed), "limit": limit})
        return [_person(row) for row in rows]

    async def find(self, whom: Whom) -> Person:
        """Somebody. Raises `NotFound`."""
        row = await self._directory.one(QUERIES["find_person"], msgspec.structs.asdict(whom))
        if row is None:
            raise errors.NotFound(f"nobody called {whom} is known; `atomic-guide operators list` names everybody")
        return _person(row)

    async def add(self, whom: Whom, role: Role, by: str, name: str = "") -> Person:
        """List somebody with a role; who is known, or was removed, has it from now on."""
        now = self._clock.now()
        words = (whom.issuer, whom.subject) if whom.subject else (whom.email,)
        row = {
            "id": person_id(*words), "issuer": whom.issuer if whom.subject else "", "subject": whom.subject,
            "email": whom.email, "name": plain_name(name) or str(whom), "role": role, "source": LISTED, "by": by,
            "now": now,
        }  # fmt: skip

        async def work(tx: Transaction) -> Person:
            known = await tx.one(QUERIES["find_person"], msgspec.structs.asdict(whom))
            if known is None:
                await tx.execute(QUERIES["add_person"], row)
            else:
                await tx.execute(QUERIES["list_person"], {**row, "id": known["id"], "name": plain_name(name)})
            return await _read(tx, str(row["id"] if known is None else known["id"]))

        return await self._directory.write(work)

    async def set_role(self, whom: Whom, role: Role) -> Person:
        """Give somebody a role, which holds from their next request on. Raises `NotFound`."""
        found = await self.find(whom)
        if found.removed_at is not None:
            raise errors.Conflict(f"{found.name} was removed; add them again with `atomic-guide operators add`")

        async def work(tx: Transaction) -> Person:
            await tx.execute(QUERIES["set_role"], {"id": found.id, "role": role})
            return await _read(tx, found.id)

        return await self._directory.write(work)

    async def remove(self, whom: Whom) -> tuple[Person, int]:
        """Let somebody in no more and end their sessions; how many there were. Raises `NotFound`. Again is harmless."""
        found = await self.find(whom)
        now = self._clock.now()

        async def work(tx: Transaction) -> tuple[Person, int]:
            await tx.execute(QUERIES["remove_person"], {"id": found.id, "now": now})
            ended = await tx.execute(QUERIES["end_sessions_of"], {"operator": found.id})
            return await _read(tx, found.id), ended

        return await self._directory.write(work)

    async def arrived(self, arrival: Arrival) -> Operator:
        """The operator that somebody is who signed in. Raises `NotAnOperator`."""
        now = self._clock.now()
        whom = {"issuer": arrival.issuer, "subject": arrival.subject, "email": arrival.email}

        async def work(tx: Transaction) -> Person | None:
            known = await tx.one(QUERIES["find_arrived"], whom)
            role, source = _role(known, arrival)
            if role is None:
                return None
            row = {
                **whom, "id": person_id(arrival.issuer, arrival.subject) if known is None else known["id"],
                "name": plain_name(arrival.name) or arrival.email or arrival.subject, "role": role, "source": source,
                "now": now,
            }  # fmt: skip
            await tx.execute(QUERIES["let_in"], row)
            return await _read(tx, str(row["id"]))

        person = await self._directory.write(work)
        if person is None:
            named = arrival.email or arrival.subject
            raise NotAnOperator(
                f"{named} is no operator here; somebody with a shell on the server can add you:"
                f" atomic-guide operators add {named}"
            )
        return Operator(person.id, person.name, person.role, "oidc")


def _role(known: Row | None, arrival: Arrival) -> tuple[Role | None, str]:
    """What somebody may, and why; None for nothing."""
    if known is not None and known["removed_at"] is not None:
        return None, ""
    if known is not None and known["source"] == LISTED:
        return known["role"], LISTED
    return arrival.role, arrival.source


async def _read(tx: Transaction, person: str) -> Person:
    row = await tx.one(QUERIES["find_person"], {"id": person, "email": "", "issuer": "", "subject": ""})
    if row is None:
        raise errors.Conflict("somebody else changed the list at the same moment; look again")
    return _person(row)


def plain_name(text: str) -> str:
    """A name on one line, without what cannot be seen."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:_NAME]


def _person(row: Row) -> Person:
    return Person(**{name: row[name] for name in Person.__struct_fields__})
