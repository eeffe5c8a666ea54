"""How a course's room is: open or closed, who is muted, whether there is a live session."""

from __future__ import annotations

import msgspec

from atomic_guide.clock import Clock, iso
from atomic_guide.course.chat.floor import QUERIES
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards


class Mute(msgspec.Struct, frozen=True):
    """Somebody who may not write: the LMS's own id, the name, and until when; None: until it is lifted."""

    id: str
    name: str
    until: str | None


class Live(msgspec.Struct, frozen=True):
    """A live session: since when, until when at most, and who began it; both empty where that person was erased."""

    since: str
    until: str
    by: dict[str, str]


class RoomState(msgspec.Struct, frozen=True, omit_defaults=True):
    """The room at a `revision`, which counts its changes. `ends_at` is when some of it ends by itself."""

    revision: int
    open: bool
    live: Live | None
    mutes: list[Mute]
    ends_at: float | None = None


async def read_room(shards: Shards, clock: Clock, key: CourseKey) -> RoomState:
    """How a course's room is now; one that nothing is known of is open."""
    database, now = shards.of(key), clock.now()
    row = await database.one(QUERIES["read_room"], key.columns)
    if row is None:
        return RoomState(0, open=True, live=None, mutes=[])
    muted = await database.read(QUERIES["read_mutes"], {**key.columns, "now": now}) if row["muted"] else []
    ends = [mute["until"] for mute in muted if mute["until"] is not None]
    live = None
    if row["live_until"] is not None and row["live_until"] > now:
        ends.append(row["live_until"])
        by = {"id": row["moderator"] or "", "name": row["name"] or ""}
        live = Live(iso(row["live_since"] or now), iso(row["live_until"]), by)
    return RoomState(
        row["room_revision"],
        open=row["closed_at"] is None,
        live=live,
        mutes=[Mute(one["user"], one["name"], iso(one["until"]) if one["until"] else None) for one in muted],
        ends_at=min(ends, default=None),
    )
