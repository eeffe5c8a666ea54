"""What commands and the operators' calls tell of shards and moves: one form for both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.layout.view import ShardView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.layout.measure import CourseLoad, Measure
    from atomic_guide.engines.data.layout.rebalance import Plans
    from atomic_guide.engines.data.moves import Move
    from atomic_guide.engines.data.plan import Plan, PlannedMove, Share

STATES: tuple[str, ...] = ("planned", "copying", "fencing", "flipped", "cleaning")
"""The way of a move that nothing stops; `step` is its place here, from 1."""

RUNS = 8
"""Runs of buckets that a way names."""


class MoveTold(msgspec.Struct, frozen=True):
    """A move: a bucket, or with `course` one course of it.

    `step` of `steps` is how far it is, null once it has ended. `rows` and `pause_ms`, how long writes of it waited, are
    known once it has ended. `held`: a mover is at it; `paused_by` did not want it begun, null where nobody does. A move
    that was given up has its reason in `error`.
    """

    id: str
    zone: str
    bucket: int
    tenant: str
    course: str
    source: str
    target: str
    state: str
    step: int | None
    steps: int
    held: bool
    owner: str
    rows: int
    pause_ms: float
    error: str
    paused_by: str | None
    created_at: str
    updated_at: str


class ShareTold(msgspec.Struct, frozen=True):
    """What a shard has before and after a plan; `share`, `share_after` and `share_target` are parts of its zone."""

    name: str
    target: float
    buckets: int
    load: int
    buckets_after: int
    load_after: int
    share: float
    share_after: float
    share_target: float


class MovePlanned(msgspec.Struct, frozen=True):
    """A bucket, or with `course` one course of it, that a plan would move."""

    bucket: int
    source: str
    target: str
    load: int
    tenant: str
    course: str


class Way(msgspec.Struct, frozen=True):
    """All that a plan would move from one shard to another, and why; `buckets` in runs, such as 820-1023."""

    source: str
    target: str
    moves: int
    courses: int
    load: int
    buckets: list[str]
    why: str


class ZonePlan(msgspec.Struct, frozen=True):
    """The plan of a zone. `load` is the part of its load that would move, 0..1; `moves` may be the first of `count`.

    `over` are shards that stay over their share: what they hold cannot be divided by buckets.
    """

    zone: str
    by: str
    tolerance: float
    count: int
    load: float
    verdict: str
    ways: list[Way]
    moves: list[MovePlanned]
    shards: list[ShareTold]
    over: list[str]


class CourseTold(msgspec.Struct, frozen=True):
    """A course that weighs."""

    shard: str
    bucket: int
    tenant: str
    course: str
    context: str
    title: str
    courses: int
    rows: int
    bytes: int
    writes: int


class Listed(msgspec.Struct, frozen=True):
    """What `shards list` tells: shards, moves under way, and the heaviest courses where they were asked for."""

    shards: list[ShardView]
    moves: list[MoveTold]
    courses: list[CourseTold]


def told_move(move: Move, now: float) -> MoveTold:
    """A move at a time."""
    own = ("id", "source", "target", "state", "owner", "rows", "pause_ms")
    return MoveTold(
        step=STATES.index(move.state) + 1 if move.state in STATES else None,
        steps=len(STATES),
        held=move.lease_until > now and not move.ended,
        error=move.error or "",
        paused_by=move.held_by if move.held else None,
        created_at=iso(move.created_at),
        updated_at=iso(move.updated_at),
        **move.scope.params,
        **{name: getattr(move, name) for name in own},
    )


def told_course(one: CourseLoad) -> CourseTold:
    """A course with its load."""
    own: dict[str, Any] = {"bucket": one.key.bucket, "tenant": one.key.tenant, "course": one.key.course}
    return CourseTold(shard=one.shard, context=one.context, title=one.title, **own, **one.load._asdict())


def told_plans(plans: Plans, by: Measure, most: int | None = None) -> list[ZonePlan]:
    """A plan for each zone, each with its first `most` moves."""
    return [_told_plan(zone, plan, by, most) for zone, plan in plans.zones.items()]


def _told_plan(zone: str, plan: Plan, by: Measure, most: int | None) -> ZonePlan:
    total = _total(plan.shares)
    return ZonePlan(
        zone=zone,
        by=by,
        tolerance=plan.tolerance,
        count=len(plan.moves),
        load=sum(move.load for move in plan.moves) / total,
        verdict=verdict(plan, by),
        ways=ways(plan),
        moves=[MovePlanned(**move._asdict()) for move in plan.moves[:most]],
        shards=[
            ShareTold(
                **share._asdict(),
                share=share.load / total,
                share_after=share.load_after / total,
                share_target=share.target / total,
            )
            for share in plan.shares
        ],
        over=[share.name for share in plan.over],
    )


def verdict(plan: Plan, by: Measure) -> str:
    """A plan in a sentence; loads are those of a plan, with courses to come."""
    if not plan.moves:
        if plan.over:
            return "nothing to move: what is over its share cannot be divided by buckets"
        counted = "" if by == "buckets" else ", each bucket counted with one more course of average size"
        return f"nothing to move: every shard is within {plan.tolerance:.0%} of its share{counted}"
    buckets = sum(not move.course for move in plan.moves)
    load = sum(move.load for move in plan.moves) / _total(plan.shares)
    said = f"{buckets} of {sum(share.buckets for share in plan.shares)} buckets move, {load:.1%} of the load"
    pinned = len(plan.moves) - buckets
    return said + (f", and {pinned} pinned courses" if pinned else "")


def ways(plan: Plan) -> list[Way]:
    """A plan's moves from each shard to each other."""
    shares = {share.name: share for share in plan.shares}
    total = _total(plan.shares)
    found: dict[tuple[str, str], list[PlannedMove]] = {}
    for move in plan.moves:
        found.setdefault((move.source, move.target), []).append(move)
    return [
        Way(
            source=source,
            target=target,
            moves=len(moves),
            courses=sum(bool(move.course) for move in moves),
            load=sum(move.load for move in moves),
            buckets=named_few(runs(sorted(move.bucket for move in moves if not move.course))),
            why=_why(shares[source], shares[target], total),
        )
        for (source, target), moves in sorted(found.items())
    ]


def runs(numbers: Sequence[int]) -> list[str]:
    """Ascending numbers as runs: 3, or 5-9."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def named_few(names: Sequence[str]) -> list[str]:
    """The first names, and how many more there are."""
    more = [f"{len(names) - RUNS} more"] if len(names) > RUNS else []
    return [*names[:RUNS], *more]


def _why(source: Share, target: Share, total: int) -> str:
    there = f"{target.name} carries {target.load / total:.1%} of {target.target / total:.1%}"
    if not source.target:
        return f"{source.name} is being emptied; {there}"
    return f"{source.name} carries {source.load / total:.1%}, its share is {source.target / total:.1%}; {there}"


def _total(shares: Sequence[Share]) -> int:
    return max(1, sum(share.load for share in shares))
