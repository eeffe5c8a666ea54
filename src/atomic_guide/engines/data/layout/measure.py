"""What each bucket carries, measured on the shards that own them.

Rows are counted by the tables' keys; messages by each course's dense numbers, so that they are not read. Bytes are rows
times the size of one with its index entries, as measured. Writes are what the last day brought: messages, members who
came in, jobs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.plan import Pin
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.shards import Shards, Whole

QUERIES = load_queries(__package__)

Measure = Literal["bytes", "rows", "writes", "buckets"]

DAY = 86_400.0

SIZES = {
    "courses": 570,
    "messages": 430,
    "members": 250,
    "scores": 150,
    "jobs": 850,
    "videos": 1_500,
    "idempotency": 600,
}
"""Bytes of a row with its index entries: 30,000 rows of typical contents in a fresh SQLite file; a course with its
services and its gradebook."""

_MOST_WRITES = 10_000
"""Messages of a course that are looked at for its last day; a course with more is the hottest of any shard."""

_AT_ONCE = 4
"""Shards that are measured at the same time: a scan takes a connection, or a thread, of each."""

_TOGETHER = 200
"""Pinned courses in one statement."""

_CANDIDATES = 10
"""Courses measured for each one that is shown: the largest and the busiest are not the same."""


class Load(NamedTuple):
    """What a bucket, a course or a shard carries."""

    courses: int = 0
    rows: int = 0
    bytes: int = 0
    writes: int = 0

    def plus(self, other: Load) -> Load:
        """Both together."""
        return Load(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def minus(self, other: Load) -> Load:
        """Without a part of it; never below nothing, as parts are measured a moment later."""
        return Load(*(max(0, mine - theirs) for mine, theirs in zip(self, other, strict=True)))


class CourseLoad(NamedTuple):
    """A course that weighs, for a person to decide whether it should be pinned."""

    shard: str
    key: CourseKey
    context: str
    title: str
    load: Load


class Measured(NamedTuple):
    """Loads by zone and bucket, without pinned courses; and those, by tenant and course."""

    buckets: dict[str, list[Load]]
    pins: dict[tuple[str, str], Load]

    def loads(self, zone: str, measure: Measure) -> list[int] | None:
        """The load of each bucket of a zone for a plan, each with one more course of average load.

        Courses to come are spread evenly by the hash, so an empty bucket is not nothing; and where nothing has been
        stored, all are equal. None for `buckets`, which counts them only.
        """
        if measure == "buckets":
            return None
        found = self.buckets[zone]
        courses = sum(load.courses for load in found)
        pad = max(1, sum(getattr(load, measure) for load in found) // max(1, courses))
        return [getattr(load, measure) + pad for load in found]


def load_of(rows: Iterable[Row]) -> Load:
    """The load that counted rows make."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["kind"]] = counts.get(row["kind"], 0) + row["rows"]
    writes = counts.pop("writes", 0)
    size = sum(SIZES[kind] * number for kind, number in counts.items())
    return Load(counts.get("courses", 0), sum(counts.values()), size, writes)


async def measure_shards(shards: Shards, now: float) -> Measured:
    """The load of every bucket, asked of its owner. Raises `DataUnavailable` where a shard does not answer."""
    window = {"since": now - DAY, "most": _MOST_WRITES}
    limit = asyncio.Semaphore(_AT_ONCE)

    async def measured(shard: Whole) -> tuple[str, dict[int, Load]]:
        async with limit:
            by_bucket: dict[int, list[Row]] = {}
            for row in await shard.scan(QUERIES["measure_buckets"], window):
                by_bucket.setdefault(row["bucket"], []).append(row)
            return shard.name, {bucket: load_of(rows) for bucket, rows in by_bucket.items()}

    found = dict(await asyncio.gather(*(measured(shard) for shard in shards.all())))
    nothing = Load()
    buckets = {
        zone: [found.get(shard, {}).get(bucket, nothing) for bucket, (shard, _) in enumerate(owners)]
        for zone, owners in shards.map.buckets.items()
    }
    pins = await read_pins(shards)
    loads = await _pin_loads(shards, pins, window)
    for pin in pins:
        zone = shards.zone_of(pin.key.tenant)
        if shards.map.buckets[zone][pin.key.bucket][0] == pin.shard:
            # Its own shard owns its bucket too, and has counted it there.
            rest = buckets[zone][pin.key.bucket].minus(loads[pin.key.tenant, pin.key.course])
            buckets[zone][pin.key.bucket] = rest
    return Measured(buckets, loads)


async def read_pins(shards: Shards) -> list[Pin]:
    """The courses that have a place of their own, without their loads."""
    rows = await shards.directory.read(QUERIES["read_pins"])
    return [Pin(CourseKey(row["tenant"], row["course"], row["bucket"]), row["shard"]) for row in rows]


async def heaviest_courses(shards: Shards, shard: str, count: int, now: float) -> list[CourseLoad]:
    """The courses of a shard that weigh most: the busiest of the last day, then the largest."""
    database = shards.named(shard)
    window = {"since": now - DAY, "most": _MOST_WRITES}
    rows = await database.scan(QUERIES["largest_courses"], {"limit": count * _CANDIDATES})
    rows += await database.scan(QUERIES["busiest_courses"], {"limit": count * _CANDIDATES, "since": now - DAY})
    names = {CourseKey(row["tenant"], row["course"], row["bucket"]): (row["context"], row["title"]) for row in rows}
    found = [
        CourseLoad(shard, key, *said, await _course_load(shards, shard, key, window)) for key, said in names.items()
    ]
    return sorted(found, key=lambda one: (-one.load.writes, -one.load.rows, one.key))[:count]


async def _pin_loads(shards: Shards, pins: Sequence[Pin], window: Mapping[str, Any]) -> dict[tuple[str, str], Load]:
    by_shard: dict[str, list[Pin]] = {}
    for pin in pins:
        by_shard.setdefault(pin.shard, []).append(pin)
    found: dict[tuple[str, str], Load] = {}
    for name, own in by_shard.items():
        for start in range(0, len(own), _TOGETHER):
            some = own[start : start + _TOGETHER]
            params = [{**pin.key.columns, **window} for pin in some]
            answers = await shards.named(name).read_each(QUERIES["measure_course"], params)
            for pin, rows in zip(some, answers, strict=True):
                found[pin.key.tenant, pin.key.course] = load_of(rows)
    return found


async def _course_load(shards: Shards, shard: str, key: CourseKey, window: Mapping[str, Any]) -> Load:
    return load_of(await shards.named(shard).scan(QUERIES["measure_course"], {**key.columns, **window}))
