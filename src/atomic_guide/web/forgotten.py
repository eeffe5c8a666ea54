"""How a running process takes part in an erasure that another process carries out.

The directory tells of every erasure; each process looks once a second. When one begins, the sessions of whom it is
about end here: tokens are refused although they are good, sockets are closed. When it is done, the rooms drop the
frames that they keep and tell their members which messages are gone. Nothing of this depends on the bus.

A launch after the erasure began makes a new session, which is let in: whoever comes back starts afresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.keeping.key import QUERIES, person_digest, tenant_digest
from atomic_guide.engines.data.placement import CourseKey

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database
    from atomic_guide.engines.rooms.registry import Rooms
    from atomic_guide.web.sessions import Session, Sessions

LOOK_SECONDS = 1.0
"""How often a process looks; an erasure waits longer than two of these before it removes anything."""

_WINDOW = 2 * 3600.0
"""Seconds that an erasure is held in memory: longer than any token lives, and than clocks of two machines differ."""


class _Known(NamedTuple):
    tenant: str
    person: str
    began_at: float


class Forgotten:
    """Whom erasures of the last hours are about, as one process knows them."""

    def __init__(self, directory: Database, clock: Clock, key: bytes, sessions: Sessions) -> None:
        self._directory = directory
        self._clock = clock
        self._key = key
        self._sessions = sessions
        self._known: dict[str, _Known] = {}
        self._acted: set[tuple[str, str]] = set()
        sessions.ended = self.ended

    def ended(self, session: Session) -> bool:
        """Whether a session began before its person, or its tenant, was erased."""
        if not self._known:
            return False
        concerned = self._about(session.tenant, session.user)
        return any(self._sessions.begun_at(session) <= known.began_at for known in concerned)

    async def look(self, rooms: Rooms) -> None:
        """Read what is new and act on it; for a root task."""
        since = self._clock.now() - _WINDOW
        rows = await self._directory.read(QUERIES["read_changed_erasures"], {"since": since})
        self._known = {row["id"]: _Known(row["tenant"], row["person"], row["began_at"]) for row in rows}
        fresh = [row for row in rows if (row["id"], row["state"]) not in self._acted]
        if fresh:
            self._sessions.forget()
            begun = [self._known[row["id"]] for row in fresh]
            rooms.evict(lambda room, user: any(known in begun for known in self._about(room.tenant, user)))
        for row in fresh:
            if row["state"] == "done":
                for key in self._rooms_of(self._known[row["id"]], rooms):
                    rooms.look_again(key)
        # Last: where the database did not answer, the next look begins again.
        self._acted = {(row["id"], row["state"]) for row in rows}

    def _rooms_of(self, known: _Known, rooms: Rooms) -> list[CourseKey]:
        return [
            key
            for key in rooms.open_rooms()
            if isinstance(key, CourseKey) and tenant_digest(self._key, key.tenant) == known.tenant
        ]

    def _about(self, tenant: str, user: str) -> list[_Known]:
        known = [one for one in self._known.values() if one.tenant == tenant_digest(self._key, tenant)]
        return [one for one in known if not one.person or one.person == person_digest(self._key, tenant, user)]
