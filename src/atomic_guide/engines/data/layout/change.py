"""Changes of the shards themselves: adding, weighing, draining, and the zone of a tenant."""

from __future__ import annotations

import asyncio

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.layout.measure import QUERIES
from atomic_guide.engines.data.layout.view import find_registered, registered
from atomic_guide.engines.data.ownership import QUERIES as MAP
from atomic_guide.engines.data.plan import State
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict, NotFound

_SEEN_SECONDS = 1.2
"""How long a change of the map may take to reach every process (shards.py looks twice a second, and may be late)."""


async def free_name(shards: Shards) -> str:
    """The first name of a shard file that is not registered."""
    known = {one.name for one in await registered(shards)}
    return next(name for number in range(len(known) + 1) if (name := f"shard-{number}") not in known)


async def is_new(shards: Shards, name: str) -> bool:
    """Whether `add` would change anything."""
    return not any(one.name == name and one.state == "active" for one in await registered(shards))


async def add(shards: Shards, name: str, weight: float | None, now: float) -> bool:
    """Register an open shard; whether it was new, or had been draining. It has no buckets before some are moved to it.

    Raises `Unavailable` where it is neither in the settings nor a file.
    """
    shard = shards.named(name)
    if not await is_new(shards, name):
        return False
    row = {"name": name, "zone": shard.zone, "weight": weight or shard.weight, "state": "joining", "now": now}

    async def join(tx: Transaction) -> None:
        await tx.execute(MAP["add_shard"], row)
        await tx.execute(QUERIES["rejoin_shard"], row)

    await shards.directory.write(join)
    await shards.refresh()
    await shards.give_buckets(name)
    if weight is not None:
        await weigh(shards, name, weight)
    return True


async def weigh(shards: Shards, name: str, weight: float) -> None:
    """Change a shard's weight; the next plan goes by it. Raises `NotFound`."""
    await find_registered(shards, name)

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["set_shard_weight"], {"name": name, "weight": weight})
        await tx.read(MAP["count_map_change"])

    await shards.directory.write(work)


async def mark(shards: Shards, name: str, state: State) -> None:
    """Say that a shard drains, or has drained. Raises `Conflict` where nothing of its zone would be left."""
    shard = await find_registered(shards, name)
    others = [one for one in await registered(shards) if one.zone == shard.zone and one.name != name]
    if not any(one.state == "active" for one in others):
        raise Conflict(f"{name} is the last active shard of zone {shard.zone}; add another one first")

    async def work(tx: Transaction) -> None:
        await tx.execute(MAP["set_shard_state"], {"name": name, "state": state})
        await tx.read(MAP["count_map_change"])

    await shards.directory.write(work)


async def check_zone(shards: Shards, tenant: str, zone: str) -> None:
    """Raise `NotFound` for a zone without shards, `Conflict` where the tenant has courses in another one.

    What may not leave a zone is not moved out of it by a command, but exported and taken in anew.
    """
    if zone not in shards.map.buckets:
        raise NotFound(f"there is no zone {zone}; declare a shard for it in databases.servers first")
    if zone != shards.zone_of(tenant):
        await _refuse_with_courses(shards, tenant, shards.zone_of(tenant))


async def assign_zone(shards: Shards, tenant: str, zone: str) -> None:
    """Let a tenant's courses be kept in a zone, before its first one is. Raises as `check_zone` does.

    A first course that comes in at this very moment is found once every process has the new map; then nothing is
    changed either.
    """
    before = shards.zone_of(tenant)
    await check_zone(shards, tenant, zone)
    if zone == before:
        return
    await _set_zone(shards, tenant, zone)
    await asyncio.sleep(_SEEN_SECONDS)
    try:
        await _refuse_with_courses(shards, tenant, before)
    except Conflict:
        await _set_zone(shards, tenant, before)
        raise


async def _set_zone(shards: Shards, tenant: str, zone: str) -> None:
    async def work(tx: Transaction) -> None:
        query = QUERIES["remove_zone"] if zone == DEFAULT_ZONE else QUERIES["set_zone"]
        await tx.execute(query, {"tenant": tenant, "zone": zone} if zone != DEFAULT_ZONE else {"tenant": tenant})
        await tx.read(MAP["count_map_change"])

    await shards.directory.write(work)
    await shards.refresh()


async def _refuse_with_courses(shards: Shards, tenant: str, zone: str) -> None:
    for shard in shards.all():
        if shard.shard.zone == zone and await shard.scan(QUERIES["courses_of_tenant"], {"tenant": tenant, "limit": 1}):
            raise Conflict(
                f"tenant {tenant} has courses in zone {zone}, and they may not leave it; export them instead"
            )
