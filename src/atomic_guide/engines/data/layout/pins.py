"""Courses that have a place of their own: moved there, or kept where they are when their bucket goes.

A course whose bucket is on the chosen shard already is pinned in place: an entry in the directory, then one in the
shard, both of the bucket's epoch, so that no router is refused on the way. The other way round the shard's entry goes
first. In between, a bucket may begin to move; it leaves the course's rows, and at worst the course is not answered for
until the second step, or until the command is given again.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.layout.measure import QUERIES, read_pins
from atomic_guide.engines.data.layout.waves import Outcome, Wanted, Waves
from atomic_guide.engines.data.moves import Scope
from atomic_guide.engines.data.ownership import QUERIES as MAP
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, NotFound

MOST_PINS = 10_000
"""Courses with a place of their own: every process holds them in memory, at about 300 bytes each."""


async def find_course(shards: Shards, tenant: str, context: str) -> CourseKey:
    """The key of a course that its LMS calls `context`. Raises `NotFound` where nobody has opened it yet."""
    key = CourseKey.of(tenant, context)
    if await shards.of(key).one(QUERIES["find_course"], key.columns) is None:
        raise NotFound(f"tenant {tenant} has no course {context} here; `atomic-guide shards list --courses` shows some")
    return key


async def courses_of(shards: Shards, tenant: str) -> list[CourseKey]:
    """Every course of a tenant. Raises `NotFound` where it has none, `Conflict` where so many cannot be pinned."""
    found: list[CourseKey] = []
    for shard in shards.all():
        rows = await shard.scan(QUERIES["courses_of_tenant"], {"tenant": tenant, "limit": MOST_PINS + 1})
        found += [CourseKey(row["tenant"], row["course"], row["bucket"]) for row in rows]
    if not found:
        raise NotFound(f"tenant {tenant} has no courses here")
    others = sum(pin.key.tenant != tenant for pin in await read_pins(shards))
    if len(found) + others > MOST_PINS:
        raise Conflict(
            f"{len(found)} courses of {tenant} cannot be pinned: at most {MOST_PINS} may be. Give such a tenant a zone"
            " of its own before its first course (`atomic-guide shards zone`), or all of them one more shard"
        )
    return sorted(found)


async def pinned_of(shards: Shards, tenant: str, context: str | None) -> list[CourseKey]:
    """The pinned courses of a tenant, or the one that its LMS calls `context`. Raises `NotFound` for none."""
    course = CourseKey.of(tenant, context).course if context is not None else None
    keys = [pin.key for pin in await read_pins(shards) if pin.key.tenant == tenant and course in {None, pin.key.course}]
    if not keys:
        raise NotFound(f"no such course of tenant {tenant} is pinned")
    return keys


def elsewhere(shards: Shards, keys: Sequence[CourseKey], target: str | None) -> list[Wanted]:
    """Those of the courses that have to move: to the target, or without one to the shards of their buckets."""
    wanted = []
    for key in keys:
        zone = shards.zone_of(key.tenant)
        goal = target or shards.map.buckets[zone][key.bucket][0]
        if shards.place(key).shard.name != goal:
            wanted.append(Wanted(Scope.of_course(zone, key), goal))
    return wanted


async def pin(shards: Shards, waves: Waves, keys: Sequence[CourseKey], target: str) -> Outcome:
    """Bring courses to a shard, where they stay. Repeatable."""
    outcome = await waves.carry_out(elsewhere(shards, keys, target))
    await shards.refresh()
    here = [key for key in keys if shards.place(key).shard.name == target]
    for key in here:
        await _pin_here(shards, key, target)
    await shards.refresh()
    return outcome._replace(pinned=len(here))


async def unpin(shards: Shards, waves: Waves, keys: Sequence[CourseKey]) -> Outcome:
    """Let courses go where their buckets are, from now on. Repeatable."""
    outcome = await waves.carry_out(elsewhere(shards, keys, None))
    await shards.refresh()
    for key in keys:
        if (key.tenant, key.course) in shards.map.overrides and not elsewhere(shards, [key], None):
            await _unpin_here(shards, key)
    await shards.refresh()
    return outcome


async def _pin_here(shards: Shards, key: CourseKey, name: str) -> None:
    params = _params(shards, key)

    async def promise(tx: Transaction) -> int | None:
        bucket = await tx.one(QUERIES["hold_bucket_of_course"], params)
        if await tx.read(QUERIES["find_pin"], params):
            return None
        if bucket is None or bucket["shard"] != name or await tx.read(QUERIES["find_move"], params):
            raise Conflict(f"bucket {key.bucket} has begun to move; pin the course once it is there")
        epoch = int(bucket["epoch"])
        await tx.execute(QUERIES["add_pin"], {**params, "shard": name, "epoch": epoch})
        await tx.read(MAP["count_map_change"])
        return epoch

    epoch = await shards.directory.write(promise)
    if epoch is None:
        # Pinned before; the step in the shard may be missing.
        await shards.refresh()
        epoch = shards.place(key).epoch
    await _write_entry(shards, key, name, epoch)


async def _unpin_here(shards: Shards, key: CourseKey) -> None:
    params = _params(shards, key)
    name, epoch = shards.map.overrides[key.tenant, key.course]

    async def check(tx: Transaction) -> None:
        bucket = await tx.one(QUERIES["hold_bucket_of_course"], params)
        if bucket is None or bucket["shard"] != name or await tx.read(QUERIES["find_move"], params):
            raise Conflict(f"bucket {key.bucket} has begun to move; unpin the course once it is there")

    async def forget(tx: Transaction) -> None:
        await check(tx)
        await tx.execute(QUERIES["remove_pin"], params)
        await tx.read(MAP["count_map_change"])

    await shards.directory.write(check)
    await shards.named(name).primary.write(lambda tx: tx.execute(QUERIES["drop_course_entry"], params))
    try:
        await shards.directory.write(forget)
    except Conflict:
        await _write_entry(shards, key, name, epoch)
        raise


async def _write_entry(shards: Shards, key: CourseKey, name: str, epoch: int) -> None:
    entry = {**key.columns, "epoch": epoch, "now": time.time()}
    await shards.named(name).primary.write(lambda tx: tx.execute(MAP["own_bucket"], entry))


def _params(shards: Shards, key: CourseKey) -> dict[str, Any]:
    return {**key.columns, "zone": shards.zone_of(key.tenant)}
