"""Looking for a person or a tenant in every shard, leftovers of moved courses included."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from atomic_guide.course.keeping.key import QUERIES
from atomic_guide.course.keeping.places import MENTIONS, PEOPLE, SHARD, TENANT_TABLES
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.tables import count_rows, shapes


class Whom(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an export or an erasure is about: a person of a tenant, or with an empty `user` the whole tenant.

    `videos`: the lectures that the person uploaded, too.
    """

    tenant: str
    user: str = ""
    videos: bool = False

    @property
    def mention(self) -> str:
        """How the person's id stands in JSON text."""
        return msgspec.json.encode(self.user).decode()

    def named(self) -> str:
        """For messages to the operator."""
        return f"{self.user} of tenant {self.tenant}" if self.user else f"tenant {self.tenant}"


class Seen(NamedTuple):
    """Rows in one table of one course, in the database where they are."""

    database: Database
    table: str
    key: CourseKey
    rows: int


async def survey(shards: Shards, whom: Whom) -> list[Seen]:
    """Every row of a person or a tenant, counted by database, table and course. Each table is read once."""
    seen: list[Seen] = []
    for database in shards.all():
        for place in PEOPLE if whom.user else [place for place in SHARD if place.table in TENANT_TABLES]:
            shape = shapes("shard")[place.table]
            for column in place.people if whom.user else ("",):
                filters = ("tenant", column) if column else ("tenant",)
                rows = await database.scan(count_rows(shape, filters), {"tenant": whom.tenant, column: whom.user})
                seen += [
                    Seen(database, place.table, CourseKey(whom.tenant, row["course"], row["bucket"]), row["found"])
                    for row in rows
                ]
        if whom.user:
            params = {"tenant": whom.tenant, "user": whom.user, "mention": whom.mention}
            seen += [
                Seen(database, table, CourseKey(whom.tenant, row["course"], row["bucket"]), row["found"])
                for table, query in MENTIONS.items()
                for row in await database.scan(QUERIES[f"count_{query}"], params)
            ]
    return seen


def counts(seen: Iterable[Seen]) -> dict[str, int]:
    """Rows by table, over all courses and databases."""
    found: Counter[str] = Counter()
    for one in seen:
        found[one.table] += one.rows
    return dict(sorted(found.items()))


def courses_in(seen: Iterable[Seen]) -> list[tuple[Database, CourseKey]]:
    """The databases and courses that were found, each pair once and in order."""
    pairs = {(one.database.name, one.key): (one.database, one.key) for one in seen}
    return [pairs[name] for name in sorted(pairs)]
