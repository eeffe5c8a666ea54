"""Whether somebody was erased: for what would bring people back without their coming, such as a roster."""

from __future__ import annotations

from collections.abc import Iterable

from atomic_guide.clock import Clock
from atomic_guide.course.keeping.key import QUERIES, keeping_key, person_digest, tenant_digest
from atomic_guide.engines.data.database import Database


async def erased_people(directory: Database, clock: Clock, tenant: str, users: Iterable[str]) -> set[str]:
    """Those of `users` who were erased from a tenant; a digest is made only where anybody was."""
    key = await keeping_key(directory, clock)
    rows = await directory.read(QUERIES["erased_of"], {"tenant": tenant_digest(key, tenant)})
    gone = {row["person"] for row in rows}
    return {user for user in users if person_digest(key, tenant, user) in gone} if gone else set()
