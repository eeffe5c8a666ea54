"""Which buckets should change their shard, so that every shard carries its share. Pure: no clock, no I/O.

A shard's target is its weight's share of the zone's load. What a plan keeps, whatever the loads are
(`tests/unit/test_plan.py` holds it to that):

- Nothing moves while every active shard is within `tolerance` of its target (hysteresis).
- A bucket leaves an active shard only while that shard stays at its target or above, and comes to one only while that
  stays at its target or below. So every move helps, nothing moves twice, a shard under its target loses nothing,
  and a second plan after the first has been carried out is empty.
- Without measured loads, or with equal ones, the shares are exact (they differ by the one bucket that cannot be
  divided) and the moves are the fewest there are: from 4 to 5 equal shards, a fifth.
- With measured loads, the largest bucket that fits goes first. What remains over a target is less than the
  smallest bucket that a shard could give, or than what the emptiest shard can take: at most one bucket's load.
- A shard that drains ends empty; its buckets may carry a shard over its target where one alone is larger than what is
  free anywhere.
- Pinned courses stay where they are and count there. Those of a draining shard go, a tenant's together.
- A plan is about one zone, and knows no shard of another.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Conflict

State = Literal["joining", "active", "draining", "drained"]

TOLERANCE = 0.05
"""How far from its target a shard may be before anything moves, as a share of the target. 4,096 buckets of a few
courses each scatter by 1 to 2% by chance alone."""

_BIG = 20
"""A bucket of more than this part of a shard's target is placed before the others: one alone is the tolerance."""


class Member(NamedTuple):
    """A shard of the zone."""

    name: str
    weight: float = 1.0
    state: State = "active"

    @property
    def stays(self) -> bool:
        """Whether it keeps and takes buckets."""
        return self.state in {"active", "joining"}


class Pin(NamedTuple):
    """A course that has a shard of its own choice, and its load."""

    key: CourseKey
    shard: str
    load: int = 0


class Zone(NamedTuple):
    """A residency zone as it stands: the owner of every bucket, and the load of each if that was measured.

    Loads are whole numbers of any one unit, such as bytes; those of pinned courses are not in their buckets'.
    """

    shards: Sequence[Member]
    owners: Sequence[str]
    loads: Sequence[int] | None = None
    pins: Sequence[Pin] = ()


class PlannedMove(NamedTuple):
    """A bucket, or with `tenant` and `course` one course of it, that is to go to another shard."""

    bucket: int
    source: str
    target: str
    load: int
    tenant: str = ""
    course: str = ""


class Share(NamedTuple):
    """What a shard has: its target, and its buckets and load before and after the plan."""

    name: str
    target: float
    buckets: int
    load: int
    buckets_after: int
    load_after: int


class Plan(NamedTuple):
    """The moves in the order in which they help most, and the shards by name."""

    moves: tuple[PlannedMove, ...]
    shares: tuple[Share, ...]
    tolerance: float

    @property
    def over(self) -> list[Share]:
        """Shards that stay further over their target than the tolerance: what they hold cannot be divided."""
        return [
            share for share in self.shares if share.target and share.load_after > share.target * (1 + self.tolerance)
        ]


def plan_zone(zone: Zone, tolerance: float = TOLERANCE) -> Plan:
    """The least moves that bring each shard to its share. Raises `Conflict` where no shard may take buckets.

    ValueError for a map that names a shard which is not of the zone.
    """
    names = {member.name for member in zone.shards}
    if strangers := {*zone.owners, *(pin.shard for pin in zone.pins)} - names:
        message = f"the map names {', '.join(sorted(strangers))}, which is not a shard of this zone"
        raise ValueError(message)
    if not any(member.stays for member in zone.shards):
        raise Conflict("the zone has no active shard that could take buckets; add one with `atomic-guide shards add`")
    balance = _Balance(zone)
    balance.empty_draining()
    if balance.is_out(tolerance):
        balance.level()
    return balance.plan(tolerance)


def apportioned(total: int, weights: Mapping[str, int], current: Mapping[str, int]) -> dict[str, int]:
    """Divide `total` by weights into whole numbers, each its quota rounded down or up.

    What rounding down leaves goes first to those that have more than their quota now, so that less moves.
    """
    whole = sum(weights.values())
    parts = {name: total * weight // whole for name, weight in weights.items()}
    left = {name: total * weight % whole for name, weight in weights.items()}
    order = sorted(parts, key=lambda name: (current.get(name, 0) <= parts[name], -left[name], name))
    for name in order[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


class _Balance:
    """The zone while it is planned: `owners` are changed in place, what each shard holds is kept beside.

    All in whole numbers, so that nothing depends on rounding: loads are counted in the sum of the weights' parts.
    """

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self.owners = list(zone.owners)
        # Equal loads are counted, not weighed: then the shares come out exactly.
        self._equal = len(set(zone.loads or ())) <= 1 and not any(pin.load for pin in zone.pins)
        self._weights = _whole({member.name: member.weight for member in zone.shards if member.stays})
        self._unit = 1 if self._equal else sum(self._weights.values())
        given = [1] * len(self.owners) if self._equal or zone.loads is None else zone.loads
        self._loads = [load * self._unit for load in given]
        self._counts = Counter(self.owners)
        self._pins = [pin.shard for pin in zone.pins]
        self._held = dict.fromkeys((member.name for member in zone.shards), 0)
        for pin in zone.pins:
            self._held[pin.shard] += pin.load * self._unit
        for name, load in zip(self.owners, self._loads, strict=True):
            self._held[name] += load
        total = sum(self._held.values())
        self.targets = (
            apportioned(total, self._weights, self._held)
            if self._equal
            else {name: total * weight // self._unit for name, weight in self._weights.items()}
        )

    def _room(self, name: str) -> int:
        """What a shard may take before it is at its target; below zero where it is over."""
        return self.targets[name] - self._held[name]

    def _roomiest(self) -> str:
        return max(self.targets, key=lambda name: (self._room(name), name))

    def _give(self, bucket: int, target: str) -> None:
        load = self._loads[bucket]
        self._held[self.owners[bucket]] -= load
        self._held[target] += load
        self._counts[self.owners[bucket]] -= 1
        self._counts[target] += 1
        self.owners[bucket] = target

    def is_out(self, tolerance: float) -> bool:
        """Whether an active shard is further from its target than the tolerance."""
        return any(abs(self._room(name)) > tolerance * target for name, target in self.targets.items())

    def empty_draining(self) -> None:
        """Give away everything that shards hold which do not stay."""
        leaving = [bucket for bucket, owner in enumerate(self.owners) if owner not in self.targets]
        self._move_pins()
        if self._equal and leaving:
            # Rooms add up to what drains, and to what active shards have over their targets.
            rooms = {name: max(self._room(name), 0) for name in self.targets}
            for name, count in sorted(apportioned(len(leaving), rooms, {}).items()):
                for bucket in leaving[:count]:
                    self._give(bucket, name)
                leaving = leaving[count:]
        for bucket in sorted(leaving, key=lambda bucket: (-self._loads[bucket], bucket)):
            self._give(bucket, self._roomiest())

    def _move_pins(self) -> None:
        """Give pinned courses of draining shards to others, a tenant's together, the heaviest tenant first."""
        tenants: dict[str, list[int]] = {}
        for number, pin in enumerate(self._zone.pins):
            if pin.shard not in self.targets:
                tenants.setdefault(pin.key.tenant, []).append(number)
        weights = {tenant: sum(self._zone.pins[number].load for number in found) for tenant, found in tenants.items()}
        for tenant in sorted(tenants, key=lambda tenant: (-weights[tenant], tenant)):
            target = self._roomiest()
            for number in tenants[tenant]:
                pin = self._zone.pins[number]
                self._held[pin.shard] -= pin.load * self._unit
                self._held[target] += pin.load * self._unit
                self._pins[number] = target

    def level(self) -> None:
        """Move buckets from shards over their target to shards under it, while one fits into both distances."""
        kept: dict[str, list[tuple[int, int]]] = {name: [] for name in self.targets}
        for bucket, owner in enumerate(self.owners):
            kept[owner].append((self._loads[bucket], bucket))
        for buckets in kept.values():
            buckets.sort()
        givers = {name for name in self.targets if self._room(name) < 0}
        takers = {name for name in self.targets if self._room(name) > 0}
        while givers and takers:
            source, target = self._pair(givers, takers)
            fits = min(-self._room(source), self._room(target))
            big = self.targets[target] // _BIG
            place = self._chosen(kept[source], fits, fits // self._spare(source, target), big)
            if place < 0:
                # Nothing of it fits where there is most room, and room only shrinks.
                givers.discard(source)
                continue
            self._give(kept[source].pop(place)[1], target)
            if not self._room(target):
                takers.discard(target)

    def _pair(self, givers: set[str], takers: set[str]) -> tuple[str, str]:
        """Equal loads: one shard after the other, so that runs of buckets stay together. Else the furthest first."""
        if self._equal:
            return min(givers), min(takers)
        return min(givers, key=lambda name: (self._room(name), name)), max(
            takers, key=lambda name: (self._room(name), name)
        )

    def _spare(self, source: str, target: str) -> int:
        """How many buckets the one has over its share of them, and the other has room for; at least 1."""
        whole = sum(self._weights.values())
        over = self._counts[source] - len(self.owners) * self._weights[source] // whole
        room = len(self.owners) * self._weights[target] // whole - self._counts[target]
        return max(1, min(over, room))

    def _chosen(self, kept: Sequence[tuple[int, int]], fits: int, average: int, big: int) -> int:
        """The place of the bucket to give; -1 where none fits.

        Big ones first, while there is room for them; then such as level the numbers of buckets too, since courses to
        come are spread over buckets and not over today's load; then the largest that fits.
        """
        largest = bisect_right(kept, (fits, len(self.owners))) - 1
        if self._equal or largest < 0 or kept[largest][0] > big:
            return largest
        return min(largest, bisect_right(kept, (average, -1)))

    def plan(self, tolerance: float) -> Plan:
        """What has changed, as moves."""
        zone = self._zone
        loads = zone.loads if zone.loads is not None else [1] * len(self.owners)
        moves = [
            PlannedMove(bucket, owner, self.owners[bucket], loads[bucket])
            for bucket, owner in enumerate(zone.owners)
            if owner != self.owners[bucket]
        ]
        moves += [
            PlannedMove(pin.key.bucket, pin.shard, self._pins[number], pin.load, pin.key.tenant, pin.key.course)
            for number, pin in enumerate(zone.pins)
            if pin.shard != self._pins[number]
        ]
        moves.sort(key=lambda move: (move.source in self.targets, -move.load, move.bucket, move.tenant, move.course))
        return Plan(tuple(moves), tuple(self._shares(loads)), tolerance)

    def _shares(self, loads: Sequence[int]) -> list[Share]:
        zone = self._zone
        unit = loads[0] if self._equal and loads else 1 / self._unit
        shares = []
        for member in sorted(zone.shards):
            before = [bucket for bucket, owner in enumerate(zone.owners) if owner == member.name]
            after = [bucket for bucket, owner in enumerate(self.owners) if owner == member.name]
            pinned = sum(pin.load for pin in zone.pins if pin.shard == member.name)
            kept = sum(pin.load for pin, at in zip(zone.pins, self._pins, strict=True) if at == member.name)
            load = pinned + sum(loads[bucket] for bucket in before)
            load_after = kept + sum(loads[bucket] for bucket in after)
            target = self.targets.get(member.name, 0) * unit
            shares.append(Share(member.name, target, len(before), load, len(after), load_after))
        return shares


def _whole(weights: Mapping[str, float]) -> dict[str, int]:
    """Weights as whole numbers in the same proportion, to a thousandth."""
    parts = {name: max(Fraction(weight).limit_denominator(1000), Fraction(1, 1000)) for name, weight in weights.items()}
    scale = math.lcm(*(part.denominator for part in parts.values()))
    return {name: int(part * scale) for name, part in parts.items()}
