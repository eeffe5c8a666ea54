"""Legal holds: while one is in force, what it is about is neither erased nor let go by retention."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

import msgspec

from atomic_guide.clock import Clock
from atomic_guide.course.keeping.key import QUERIES
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.engines.data.database import Database, Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Conflict, Invalid, NotFound


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold on a tenant, or with `course` (our id) or `person` (LMS id) on that. Times are since the epoch."""

    id: str
    tenant: str
    course: str
    person: str
    reason: str
    placed_at: float
    lifted_at: float | None

    def covers(self, course: str, person: str) -> bool:
        """Whether a row of the tenant, in a course and about a person, is held."""
        if self.course:
            return self.course == course
        return not self.person or self.person == person


class Holds:
    """The holds of an installation."""

    def __init__(self, directory: Database, clock: Clock) -> None:
        self._directory = directory
        self._clock = clock

    async def all(self) -> list[Hold]:
        """Every hold, lifted ones too, the oldest first."""
        return [_hold(row) for row in await self._directory.read(QUERIES["read_holds"])]

    async def of(self, tenant: str) -> list[Hold]:
        """The holds of a tenant that are in force."""
        return [_hold(row) for row in await self._directory.read(QUERIES["holds_of"], {"tenant": tenant})]

    async def add(self, tenant: str, course: str, person: str, reason: str) -> Hold:
        """Place a hold. Raises `Invalid` where it is about a course and a person at once, or gives no reason."""
        if course and person:
            raise Invalid("a hold is about a tenant, a course or a person; place two for a course and a person")
        if not reason.strip():
            raise Invalid("a hold needs a reason, such as the number of the case")
        row = {"id": f"h{secrets.token_hex(6)}", "tenant": tenant, "course": course, "person": person, "reason": reason}
        now = self._clock.now()

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_hold"], {**row, "now": now})

        await self._directory.write(work)
        return Hold(**row, placed_at=now, lifted_at=None)

    async def lift(self, identifier: str) -> None:
        """Lift a hold. Raises `NotFound` where none of that id is in force."""

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES["lift_hold"], {"id": identifier, "now": self._clock.now()})

        if not await self._directory.write(work):
            raise NotFound(f"no hold {identifier} is in force; `atomic-guide erase hold list` shows those that are")

    async def check(self, whom: Whom, courses: Iterable[str]) -> None:
        """Raise `Conflict` naming the holds that forbid an erasure in these courses."""
        held = await self.of(whom.tenant)
        if whom.user:
            named = set(courses)
            held = [hold for hold in held if (hold.course in named if hold.course else hold.covers("", whom.user))]
        if held:
            names = ", ".join(f"{hold.id} ({hold.reason})" for hold in held)
            raise Conflict(
                f"{whom.named()} is under legal hold and is not erased: {names}; when the case is closed, lift it with"
                " `atomic-guide erase hold remove ID`",
                details={"holds": [hold.id for hold in held]},
            )

    async def check_row(self, key: CourseKey, person: str) -> None:
        """Raise `Conflict` where a row of a course about a person must not be removed; the case stays unnamed."""
        if any(hold.covers(key.course, person) for hold in await self.of(key.tenant)):
            raise Conflict("this is under legal hold and stays; ask the operator of the tool")


def _hold(row: Row) -> Hold:
    return Hold(**{name: row[name] for name in Hold.__struct_fields__})
