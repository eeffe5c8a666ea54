"""Live rooms over HTTP, for operators: which are open over all processes, and whose sockets are behind here."""

from __future__ import annotations

import msgspec

from atomic_guide.engines.rooms.laggards import Laggard
from atomic_guide.operations.rooms.standing import RoomsShown, show_rooms
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Call, Calls

calls = Calls()

_LIMIT = Limit(50, 200)
_LAGGARDS_LIMIT = 1000
_LAGGARDS = Limit(20, _LAGGARDS_LIMIT)


class Lagging(msgspec.Struct, frozen=True):
    """The sockets of one process that are behind, the worst first, of so many that are connected to it."""

    process: str
    sockets: int
    laggards: list[Laggard]


@calls.add(
    "GET",
    "/api/ops/rooms",
    access="operator",
    reply=RoomsShown,
    failures=(400, 401, 503),
    parameters=(_LIMIT.parameter,),
)
async def list_rooms(call: Call[None]) -> RoomsShown:
    """List the open rooms of all processes by their last reports, the fullest first, with slow members counted."""
    limit = _LIMIT.of(call)
    most = call.tool.chat.rooms.settings.room_sockets
    return await show_rooms(call.tool.shards, call.tool.clock.now(), limit, most)


@calls.add(
    "GET",
    "/api/ops/rooms/laggards",
    access="operator",
    reply=Lagging,
    failures=(400, 401),
    parameters=(_LAGGARDS.parameter,),
)
async def show_laggards(call: Call[None]) -> Lagging:
    """Name the sockets of the process that answers which are furthest behind, with bytes, frames and seconds."""
    rooms = call.tool.chat.rooms
    limit = _LAGGARDS.of(call)
    return Lagging(rooms.origin, len(rooms.sockets), rooms.laggards(limit))
