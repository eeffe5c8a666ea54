"""`rooms`: the sockets of live rooms, over all web processes."""

from __future__ import annotations

from collections import Counter
from heapq import nlargest
from typing import TYPE_CHECKING

from atomic_guide.app.sources.web import READY
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import ROOMS, Key, Sample
from atomic_guide.operations.scaling.reports import Told, named

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.registry import Rooms
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


def rooms_telling(rooms: Rooms) -> Tell:
    """What a process tells of its rooms; the eight fullest go by their marks, which name no course."""

    def tell() -> Told:
        fullest = nlargest(_TOLD, rooms.all_rooms(), key=lambda room: room.size)
        sizes = {named("rooms.size", room.mark.hex()): float(room.size) for room in fullest}
        gauges = {"rooms.sockets": float(len(rooms.sockets)), **sizes}
        return Told({"rooms.delivered": float(rooms.delivered)}, gauges)

    return tell


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
