"""The open rooms of all processes, as their reports of the last seconds tell.

Each process lists its fullest rooms in its report, each 15 s. A room that is spread over several processes is put
together here: sockets and slow members are added up; people and the pace of messages are what the process that knows
most says, since each of them counts all. Who the slow members are is in no report: only the process that has them
knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.errors import DataUnavailable
from atomic_guide.operations.scaling.reports import Report, Reports

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__)

LISTED = "rooms"
"""The name of a report's list of rooms."""

SLOW_SECONDS = 1.0
"""A member is slow when something that was written to them has waited as long: people notice."""


class RoomTold(msgspec.Struct, frozen=True):
    """A room as one process reports it; `rate` is messages a second since its report before, null in its first."""

    tenant: str
    course: str
    bucket: int
    sockets: int
    people: int
    rate: float | None
    slow: int
    behind: float


class Part(msgspec.Struct, frozen=True):
    """What of a room is in one process: its sockets, those that are slow, and the longest wait, in seconds."""

    process: str
    sockets: int
    slow: int
    behind_seconds: float


class RoomShown(msgspec.Struct, frozen=True):
    """An open room over all processes.

    `title` is null where its shard does not answer, `messages_per_second` where it has not been open for two reports.
    """

    tenant: str
    course: str
    title: str | None
    people: int
    sockets: int
    messages_per_second: float | None
    slow: int
    behind_seconds: float
    processes: list[Part]


class ProcessShown(msgspec.Struct, frozen=True):
    """A process that has rooms: how many, of which it lists some, and when it reported. `silent` ones are not in it."""

    process: str
    at: str
    rooms: int
    listed: int
    sockets: int


class RoomsShown(msgspec.Struct, frozen=True):
    """The open rooms, the fullest first. `room_sockets` is how many one room may have in one process.

    `open` are those that some process lists; where a process has more than it lists, the emptiest are missing.
    `silent` names processes without a report for a while, whose rooms are missing.
    """

    rooms: list[RoomShown]
    open: int
    complete: bool
    room_sockets: int
    processes: list[ProcessShown]
    silent: list[str]


async def show_rooms(shards: Shards, at: float, limit: int, room_sockets: int) -> RoomsShown:
    """The fullest rooms of all processes at a moment. Raises as reads of the directory do."""
    look = await Reports(shards.directory).look(at)
    processes = [_process(report) for report in look.reports if LISTED in report.listed]
    found = joined(look.reports)
    titles = await asyncio.gather(*(_title(shards, key) for key, _ in found[:limit]))
    rooms = [msgspec.structs.replace(room, title=title) for (_, room), title in zip(found[:limit], titles, strict=True)]
    complete = not look.late and all(one.listed == one.rooms for one in processes)
    return RoomsShown(rooms, len(found), complete, room_sockets, processes, list(look.late))


def joined(reports: Iterable[Report]) -> list[tuple[CourseKey, RoomShown]]:
    """The rooms of all reports, each once, the fullest first; pure."""
    told: dict[CourseKey, list[tuple[str, RoomTold]]] = {}
    for report in reports:
        for room in msgspec.convert(report.listed.get(LISTED, []), list[RoomTold]):
            told.setdefault(CourseKey(room.tenant, room.course, room.bucket), []).append((report.process, room))
    rooms = [(key, _room(key, parts)) for key, parts in told.items()]
    return sorted(rooms, key=lambda each: (-each[1].sockets, -each[1].people, each[0]))


def _room(key: CourseKey, parts: Sequence[tuple[str, RoomTold]]) -> RoomShown:
    rates = [room.rate for _, room in parts if room.rate is not None]
    return RoomShown(
        tenant=key.tenant,
        course=key.course,
        title=None,
        people=max(room.people for _, room in parts),
        sockets=sum(room.sockets for _, room in parts),
        messages_per_second=max(rates, default=None),
        slow=sum(room.slow for _, room in parts),
        behind_seconds=max(room.behind for _, room in parts),
        processes=[Part(process, room.sockets, room.slow, room.behind) for process, room in parts],
    )


def _process(report: Report) -> ProcessShown:
    listed = len(report.listed[LISTED])
    rooms, sockets = (int(report.gauges.get(name, 0.0)) for name in ("rooms.open", "rooms.sockets"))
    return ProcessShown(report.process, iso(report.at), max(rooms, listed), listed, sockets)


async def _title(shards: Shards, key: CourseKey) -> str | None:
    try:
        row = await shards.of(key).one(QUERIES["room_title"], key.columns)
    except DataUnavailable:
        return None
    return str(row["title"]) if row is not None else None
