"""How much a process uses of the limits of rooms and sockets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from atomic_guide.engines.rooms import limits
from atomic_guide.limit import Used

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.registry import Rooms


def used(rooms: Rooms) -> Iterator[Used]:
    """Of this process's rooms; 0.3 us for each of its sockets."""
    now, settings = rooms.clock.monotonic(), rooms.settings
    yield Used(limits.ROOM_SOCKETS, max((room.size for room in rooms.all_rooms()), default=0))
    yield Used(limits.PROCESS_SOCKETS, len(rooms.sockets))
    seats = (seat for room in rooms.all_rooms() for seat in room.people.presence.seats.values())
    yield Used(limits.PERSON_SOCKETS, max((len(seat.since) for seat in seats), default=0))
    frames = faults = now
    waiting = pages = unsent = 0
    for socket in rooms.sockets:
        frames, faults = max(frames, socket.frames), max(faults, socket.faults)
        waiting, pages = max(waiting, socket.waiting), max(pages, socket.pages)
        unsent = max(unsent, socket.unsent)
    yield Used(limits.SOCKET_FRAMES, (frames - now) / 60 * settings.frames_per_minute)
    yield Used(limits.SOCKET_FAULTS, (faults - now) / 60 * settings.faults_per_minute)
    yield Used(limits.SOCKET_MESSAGES, waiting)
    yield Used(limits.SOCKET_PAGES, pages)
    yield Used(limits.SOCKET_UNSENT, unsent)
