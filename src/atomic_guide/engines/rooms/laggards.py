"""Who is furthest behind, for operators."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nlargest
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.socket import Socket


class Laggard(msgspec.Struct, frozen=True):
    """A socket that is behind, for operators: whose it is and by how much."""

    tenant: str
    course: str
    person: str
    bytes: int
    frames: int
    seconds: float


def laggards(sockets: Iterable[Socket], limit: int) -> list[Laggard]:
    """The members that are furthest behind, the worst (by seconds, then by bytes) first."""
    found = []
    for socket in sockets:
        lag, room = socket.lag(), socket.room
        if lag is not None and room is not None:
            found.append(Laggard(room.key.tenant, room.key.course, socket.person.id, *lag))
    return nlargest(limit, found, key=lambda one: (one.seconds, one.bytes))
