"""`rooms`: the sockets of live rooms, over all web processes."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING, cast

import msgspec

from atomic_guide.app.sources.web import READY
from atomic_guide.operations.rooms.standing import LISTED, SLOW_SECONDS, RoomTold
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import ROOMS, Key, Sample
from atomic_guide.operations.scaling.reports import Told, named

if TYPE_CHECKING:
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.rooms.registry import Rooms
    from atomic_guide.engines.rooms.room import Room
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell

METRICS = (
    Metric(ROOMS, "sockets", "sockets", "Connected sockets."),
    Metric(ROOMS, "fullest_room", "sockets", "Sockets of the fullest room, for each web process that it spreads over."),
    Metric(ROOMS, "largest_room", "sockets", "Sockets of the fullest room, in all processes together."),
    Metric(ROOMS, "fullest_process", "sockets", "Sockets of the process that has most."),
    Metric(ROOMS, "deliveries", "frames/s", "Messages times the sockets that they were written to."),
)

_TOLD = 8
"""Rooms that a process tells the size of, the fullest first; nobody asks for others."""

_LISTED = 50
"""Rooms that a process lists for people, the fullest first: 10 kB of a report."""


def rooms_telling(rooms: Rooms) -> Tell:
    """What a process tells of its rooms; the eight fullest go by their marks, which name no course.

    The fullest fifty are listed for operators, with their courses.
    """
    seen: dict[bytes, tuple[int, float]] = {}

    def tell() -> Told:
        nonlocal seen
        taken = [room for room in rooms.all_rooms() if room.size]
        fullest = nlargest(_LISTED, taken, key=lambda room: room.size)
        sizes = {named("rooms.size", room.mark.hex()): float(room.size) for room in fullest[:_TOLD]}
        gauges = {"rooms.sockets": float(len(rooms.sockets)), "rooms.open": float(len(taken)), **sizes}
        now = rooms.clock.monotonic()
        listed = [msgspec.to_builtins(_told(room, seen.get(room.mark), now)) for room in fullest]
        seen = {room.mark: (room.order.last, now) for room in fullest}
        return Told({"rooms.delivered": float(rooms.delivered)}, gauges, listed={LISTED: listed})

    return tell


def _told(room: Room, before: tuple[int, float] | None, now: float) -> RoomTold:
    """A room as this process has it; `before` is the newest message of the report before, and when that was."""
    key = cast("CourseKey", room.key)
    lags = [lag.seconds for socket in room.live.behind() if (lag := socket.lag()) is not None]
    rate = (room.order.last - before[0]) / (now - before[1]) if before is not None and now > before[1] else None
    return RoomTold(
        tenant=key.tenant,
        course=key.course,
        bucket=key.bucket,
        sockets=room.size,
        people=room.people.presence.count,
        rate=rate,
        slow=sum(seconds >= SLOW_SECONDS for seconds in lags),
        behind=max(lags, default=0.0),
    )


class RoomsSource:
    """Over all web processes; a room is spread over them, so that its parts are added up."""

    name = ROOMS
    metrics = METRICS

    def __init__(self, reports: Once[Look]) -> None:
        self._reports = reports

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a process is silent or none is ready."""
        look = await self._reports.at(at)
        look.whole(READY)
        sockets = look.gauges("rooms.sockets")
        rooms: Counter[str] = Counter()
        for mark in look.parts("rooms.size"):
            rooms[mark] = int(sum(look.gauges(named("rooms.size", mark))))
        largest = max(rooms.values(), default=0)
        found = {
            "sockets": sum(sockets),
            "fullest_room": largest / len(look.gauges(READY)),
            "largest_room": largest,
            "fullest_process": max(sockets, default=0.0),
            "deliveries": look.rate("rooms.delivered") or 0.0,
        }
        return [Sample(Key(ROOMS, name), float(value)) for name, value in found.items()]
