"""The shards of an installation as a person sees them, and as a plan needs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import msgspec

from atomic_guide.engines.data.layout.measure import Load, Measure, Measured, measure_shards, read_pins
from atomic_guide.engines.data.moves import Move
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.plan import Member, Pin, State, Zone
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import NotFound


class ShardView(msgspec.Struct, frozen=True):
    """One shard. `share` is its part of its zone's bytes, `target` the part that its weight stands for, both 0..1.

    `epochs` are the lowest and the highest of its buckets; `writes` those of the last day; `moves` those under way
    from or to it.
    """

    name: str
    engine: Literal["sqlite", "postgresql"]
    region: str
    zone: str
    state: State
    weight: float
    target: float
    buckets: int
    epochs: tuple[int, int] | None
    pinned: int
    courses: int
    rows: int
    bytes: int
    writes: int
    share: float
    moves: int


class Registered(msgspec.Struct, frozen=True):
    """A shard as the directory has it."""

    name: str
    zone: str
    state: State
    weight: float


async def registered(shards: Shards) -> list[Registered]:
    """The shards that the directory knows, by name."""
    rows = await shards.directory.read(QUERIES["read_shards"])
    return [Registered(row["name"], row["zone"], cast("State", row["state"]), row["weight"]) for row in rows]


async def find_registered(shards: Shards, name: str) -> Registered:
    """One shard. Raises `NotFound`."""
    for shard in await registered(shards):
        if shard.name == name:
            return shard
    raise NotFound(f"there is no shard {name}; `atomic-guide shards list` shows them")


async def zone_now(
    shards: Shards, zone: str, under_way: Sequence[Move], measured: Measured | None, measure: Measure
) -> Zone:
    """A zone for a plan, as it will be once the moves that are under way have ended.

    Raises `NotFound` for a zone that has no shards.
    """
    if zone not in shards.map.buckets:
        known = ", ".join(sorted(shards.map.buckets))
        raise NotFound(f"there is no zone {zone} (there is {known}); a shard declared for it makes one")
    members = [Member(one.name, one.weight, one.state) for one in await registered(shards) if one.zone == zone]
    owners = [shard for shard, _ in shards.map.buckets[zone]]
    pins = [pin for pin in await read_pins(shards) if shards.zone_of(pin.key.tenant) == zone]
    for move in under_way:
        if move.scope.zone == zone and not move.scope.is_course:
            owners[move.scope.bucket] = move.target
    targets = {(move.scope.tenant, move.scope.course): move.target for move in under_way if move.scope.is_course}
    loads = measured.loads(zone, measure) if measured else None
    return Zone(members, owners, loads, [_weighed(pin, targets, measured, measure) for pin in pins])


async def look(
    shards: Shards, under_way: Sequence[Move], now: float, measured: Measured | None = None
) -> list[ShardView]:
    """Every shard with what it carries, zone by zone; measured now, where it was not just before."""
    measured = measured or await measure_shards(shards, now)
    pins = await read_pins(shards)
    known = await registered(shards)
    weights = {
        zone: sum(one.weight for one in known if one.zone == zone and _takes(one)) for zone in shards.map.buckets
    }
    views = []
    for one in sorted(known, key=lambda one: (one.zone, one.name)):
        own = [number for number, (name, _) in enumerate(shards.map.buckets.get(one.zone, [])) if name == one.name]
        epochs = [shards.map.buckets[one.zone][number][1] for number in own]
        pinned = [pin for pin in pins if pin.shard == one.name]
        load = Load()
        for part in (measured.buckets[one.zone][number] for number in own):
            load = load.plus(part)
        for pin in pinned:
            load = load.plus(measured.pins[pin.key.tenant, pin.key.course])
        views.append(
            ShardView(
                name=one.name,
                engine="sqlite" if isinstance(shards.named(one.name).primary, SqliteDatabase) else "postgresql",
                region=shards.named(one.name).region,
                zone=one.zone,
                state=one.state,
                weight=one.weight,
                target=one.weight / weights[one.zone] if _takes(one) else 0.0,
                buckets=len(own),
                epochs=(min(epochs), max(epochs)) if epochs else None,
                pinned=len(pinned),
                courses=load.courses,
                rows=load.rows,
                bytes=load.bytes,
                writes=load.writes,
                share=0.0,
                moves=sum(one.name in {move.source, move.target} for move in under_way),
            )
        )
    totals = {zone: sum(view.bytes for view in views if view.zone == zone) for zone in weights}
    return [msgspec.structs.replace(view, share=view.bytes / max(1, totals.get(view.zone, 0))) for view in views]


def _takes(one: Registered) -> bool:
    return Member(one.name, one.weight, one.state).stays


def _weighed(pin: Pin, targets: dict[tuple[str, str], str], measured: Measured | None, measure: Measure) -> Pin:
    course = (pin.key.tenant, pin.key.course)
    load = getattr(measured.pins[course], measure) if measured and measure != "buckets" else 0
    return pin._replace(shard=targets.get(course, pin.shard), load=load)
