"""How many sockets a person has in a room, over all processes, and which of them are too many.

A process counts its own sockets and those that the others have told it of, a tenth of a second ago. Whoever has as many
as they may is refused at the door. Sockets that come to several processes within that moment may all get in, or where a
process has only just opened the room; then each process closes, within a second, those of its own that are the newest
of all and too many, and never an older one: all know the moment at which every socket came, and two that came at once
are told apart by their process.

What others have told counts only while they are heard, and not until enough time has passed since they were not.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from atomic_guide.engines.rooms.limits import PERSON_SOCKETS
from atomic_guide.engines.rooms.placement import comes_again
from atomic_guide.engines.rooms.settings import LATE_SECONDS
from atomic_guide.engines.rooms.wire import CloseCode

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.room import Room

_TOLD_SECONDS = 2 * LATE_SECONDS + 0.1
"""After which a socket that was closed elsewhere is known to be gone: told within `LATE_SECONDS`, and on its way."""


def held(room: Room, user: str) -> tuple[int, int]:
    """How many sockets a person has here and in the other processes."""
    mine, others = room.people.presence.sockets(user)
    return len(mine), len(others) if room.rooms.peers.informed else 0


async def settle(room: Room, user: str) -> None:
    """Where a person's next socket would be refused for those elsewhere, give one that is just closing its time.

    A reload closes a tab's socket in one process and opens the next one in another.
    """
    here, elsewhere = held(room, user)
    if elsewhere and here < room.rooms.settings.person_sockets <= here + elsewhere:
        await asyncio.sleep(_TOLD_SECONDS)


def close_newest(room: Room) -> None:
    """Close the sockets of this process that are too many, of those people of whom others have told something."""
    if not room.people.doubled or not room.rooms.peers.informed:
        return
    users, room.people.doubled = room.people.doubled, set()
    for user in users:
        above = _above(room, user)
        sockets = [*room.live, *room.joining] if above else []
        for socket in [one for one in sockets if one.person.id == user and one.since in above]:
            room.rooms.refused += 1
            PERSON_SOCKETS.refused += 1
            socket.bye("tabs", CloseCode.TRY_AGAIN_LATER, *comes_again("tabs", ()))


def _above(room: Room, user: str) -> set[int]:
    """The moments of a person's sockets of this process that are the newest of all, and too many."""
    mine, others = room.people.presence.sockets(user)
    limit = room.rooms.settings.person_sockets
    if len(mine) + len(others) <= limit:
        return set()
    origin = room.rooms.origin
    ranked = sorted([*((since, origin) for since in mine), *others])
    return {since for since, where in ranked[limit:] if where == origin}
