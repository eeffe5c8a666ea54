"""Limits by name, in place of the defaults: what the scaling guide's table of limits is here.

The table is of one vendor's platform, and some of it is not what that platform does today; docs/limits.md says of each
row what it became here, and why the others have become nothing. A preset only ever lowers a limit; what is set by
itself wins over it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Preset = Literal["none", "guide"]


class Preferred(NamedTuple):
    """A limit that a preset prefers. `unbounded` says that 0 is no limit at all, and so the most."""

    value: float
    why: str
    unbounded: bool = False

    def lowers(self, default: float) -> bool:
        """Whether it is less than the default."""
        return self.value < default or (self.unbounded and not default)


_SHORT = Preferred(30, "30 s of a Worker, for an attempt of a job: of the clock, since jobs share their process's CPU.")
_RATE = Preferred(400, "400 messages a second and queue, over all processes.", unbounded=True)
_MEMORY = Preferred(128, "128 MB, for a program that a job starts.")

PRESETS: dict[str, dict[str, Preferred]] = {
    "none": {},
    "guide": {
        "rooms.room_sockets": Preferred(1000, "1,000 sockets of a Durable Object, which is a room in one process."),
        "queues.memory_mb": Preferred(
            256, "128 MB of a request, for all work of a process, beside as much that it takes at rest."
        ),
        "databases.sqlite.size_limit": Preferred(
            10_000_000_000, "10 GB of a D1 database, which is a file.", unbounded=True
        ),
        **{
            f"queues.{queue}.{name}": preferred
            for queue in ("analytics", "notifications", "rosters")
            for name, preferred in (("time_limit_seconds", _SHORT), ("memory_mb", _MEMORY), ("per_second", _RATE))
        },
        "queues.video.per_second": _RATE,
    },
}
