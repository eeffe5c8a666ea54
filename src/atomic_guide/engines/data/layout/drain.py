"""Emptying a shard, so that it can be taken away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from atomic_guide.engines.data.layout.change import mark
from atomic_guide.engines.data.layout.measure import QUERIES, Measure, load_of, measure_shards, read_pins
from atomic_guide.engines.data.layout.view import find_registered, zone_now
from atomic_guide.engines.data.layout.waves import Outcome, Wanted, Waves, wanted_of
from atomic_guide.engines.data.ownership import QUERIES as MAP
from atomic_guide.engines.data.plan import plan_zone
from atomic_guide.errors import Conflict

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards


async def leaving(shards: Shards, name: str, by: Measure) -> list[Wanted]:
    """What would go where if a shard were drained now. Raises `NotFound`; `Conflict` where nothing else is active."""
    shard = await find_registered(shards, name)
    zone = await zone_now(shards, shard.zone, [], await measure_shards(shards, time.time()), by)
    members = [one._replace(state="draining") if one.name == name else one for one in zone.shards]
    plan = plan_zone(zone._replace(shards=members))
    return wanted_of(shard.zone, [move for move in plan.moves if move.source == name])


async def finish_drain(shards: Shards, waves: Waves, name: str, by: Measure) -> Outcome:
    """Take a shard out of use: it takes nothing any more, what it has goes, then it is drained. Repeatable.

    Moves to it that were only planned are given up; others from or to it are ended first.
    """
    await mark(shards, name, "draining")
    before = [move for move in await waves.unfinished() if name in {move.source, move.target}]
    await waves.abandon([move for move in before if move.target == name and move.state == "planned"])
    await waves.finish([move for move in before if not (move.target == name and move.state == "planned")])
    await shards.refresh()
    outcome = await waves.carry_out(await leaving(shards, name, by))
    await shards.refresh()
    if not await _holds(shards, name):
        await mark(shards, name, "drained")
    return outcome


async def check_removable(shards: Shards, name: str) -> None:
    """Raise `NotFound`, or `Conflict` where a shard is not drained or still has rows."""
    shard = await find_registered(shards, name)
    if shard.state != "drained":
        raise Conflict(f"{name} is {shard.state}; `atomic-guide shards drain {name}` empties it first")
    found = await shards.named(name).primary.scan(QUERIES["measure_buckets"], {"since": time.time(), "most": 0})
    if rows := load_of(found).rows:
        raise Conflict(
            f"{name} still has {rows:,} rows of buckets that are elsewhere; `atomic-guide shards verify` says which"
        )


async def remove(shards: Shards, name: str) -> None:
    """Forget a drained shard: no process opens it any more. Raises as `check_removable`; the database itself stays."""
    await check_removable(shards, name)

    async def work(tx: Transaction) -> None:
        if not await tx.execute(QUERIES["remove_shard"], {"name": name}):
            raise Conflict(f"{name} is in use again; `atomic-guide shards list` shows what it has")
        await tx.read(MAP["count_map_change"])

    await shards.directory.write(work)
    await shards.refresh()


async def _holds(shards: Shards, name: str) -> bool:
    """Whether the map leads anything to a shard."""
    owners = {owner for zone in shards.map.buckets.values() for owner, _ in zone}
    return name in owners or any(pin.shard == name for pin in await read_pins(shards))
