"""From 4 to 5 shards with 100,000 courses, beside `hash % n`; measuring load; how fast a changed map is seen."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import xxhash

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import make_shard, open_embedded
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.layout.measure import measure_shards
from atomic_guide.engines.data.layout.view import zone_now
from atomic_guide.engines.data.placement import BUCKETS, CourseKey, assign
from atomic_guide.engines.data.plan import Member, Plan, Zone, plan_zone
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars

COURSES, TENANTS = 100_000, 40
CHANGES = 20
COLUMNS = ("bucket", "tenant", "course", "context", "title", "last_seq", "created_at")
FOUR = [f"shard-{number}" for number in range(4)]
FIVE = [*FOUR, "shard-4"]


async def measure(bars: Bars) -> None:
    """From 4 to 5 shards, by number and by load."""
    courses = bars.size(COURSES, 10_000)
    names = [(f"tenant-{number % TENANTS}", f"course-{number}") for number in range(courses)]
    keys = [CourseKey.of(*name) for name in names]
    by_number(bars, keys)
    modulo(bars, names)
    with tempfile.TemporaryDirectory() as name:
        await by_load(bars, keys, Path(name))


def by_number(bars: Bars, keys: Sequence[CourseKey]) -> None:
    """Buckets counted, not weighed."""
    zone = Zone([Member(name) for name in FIVE], assign(FOUR))
    began = time.perf_counter()
    plan = plan_zone(zone)
    bars.show("plan by number of buckets", (time.perf_counter() - began) * 1000, "ms")
    moved = moving(bars, plan, keys, "by number")
    bars.least("by number: courses that move", moved, 19.5, "%")
    bars.most("by number: courses that move", moved, 20.5, "%")


def modulo(bars: Bars, names: Sequence[tuple[str, str]]) -> None:
    """The peer: the shard is the hash modulo the number of shards."""
    hashes = [xxhash.xxh3_64_intdigest(f"{tenant}/{context}".encode()) for tenant, context in names]
    moved = sum(value % 4 != value % 5 for value in hashes) / len(hashes)
    bars.show("hash % n: courses that move", moved * 100, "%")


async def by_load(bars: Bars, keys: Sequence[CourseKey], folder: Path) -> None:
    """Courses of different sizes in real files: 200 messages in the middle, a hundredth of them have 16 times that."""
    settings = DataSettings(shards=4)
    shards = await open_embedded(folder, settings)
    chance = random.Random(7)
    sizes = {key: int(chance.lognormvariate(5.3, 1.2)) for key in keys}
    for place in shards.all():
        own = [key for key in keys if shards.place(key).shard.name == place.name]
        rows = [(key.bucket, key.tenant, key.course, key.course, "A course", sizes[key], 1.0) for key in own]

        async def work(tx: Transaction, rows: Sequence[Sequence[object]] = rows) -> None:
            await tx.copy_rows("courses", COLUMNS, rows)

        await place.shard.primary.write(work)
    began = time.perf_counter()
    measured = await measure_shards(shards, time.time())
    bars.show("load of every bucket measured", (time.perf_counter() - began) * 1000, "ms")
    make_shard(folder, settings, "shard-4")
    await change.add(shards, "shard-4", None, time.time())
    zone = await zone_now(shards, "default", [], measured, "bytes")
    began = time.perf_counter()
    plan = plan_zone(zone)
    bars.show("plan by measured bytes", (time.perf_counter() - began) * 1000, "ms")
    moving(bars, plan, keys, "by bytes")
    total = sum(share.load for share in plan.shares)
    load = 100 * sum(move.load for move in plan.moves) / total
    bars.least("by bytes: load that moves", load, 19.5, "%")
    bars.most("by bytes: load that moves", load, 20.5, "%")
    bars.most("heaviest shard beside its share", max(share.load_after / share.target for share in plan.shares), 1.01)
    await seen(bars, shards, folder, settings)
    await shards.close()


def moving(bars: Bars, plan: Plan, keys: Sequence[CourseKey], how: str) -> float:
    """The share of the courses that a plan moves, in percent."""
    courses = Counter(key.bucket for key in keys)
    moved = 100 * sum(courses[move.bucket] for move in plan.moves) / len(keys)
    bars.show(f"{how}: buckets that move, of {BUCKETS}", len(plan.moves))
    bars.show(f"{how}: courses that move", f"{moved:.2f}", "%")
    return moved


async def seen(bars: Bars, shards: Shards, folder: Path, settings: DataSettings) -> None:
    """How long another process goes by an old map, where no shard has refused it."""
    other = await open_embedded(folder, settings)
    watching = asyncio.create_task(other.run())
    took = []
    for number in range(CHANGES):
        await change.weigh(shards, "shard-4", 1.0 + number / 10)
        await shards.look()
        began = time.perf_counter()
        while other.map.number < shards.map.number:  # noqa: ASYNC110 - no event tells of it
            await asyncio.sleep(0.002)
        took.append(time.perf_counter() - began)
        await asyncio.sleep(random.Random(number).uniform(0, 0.5))
    watching.cancel()
    await other.close()
    bars.most("a change of the map is seen after, at most", max(took), 1.0, "s")
