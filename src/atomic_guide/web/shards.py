"""Shards and moves over HTTP, for operators. The same values as `atomic-guide shards`."""

from __future__ import annotations

import typing
from typing import Annotated, Any

import msgspec

from atomic_guide.engines.data.layout.measure import Measure
from atomic_guide.engines.data.layout.rebalance import AT_ONCE_MOST, PAUSE_LEAST, PAUSE_MOST, PAUSE_SECONDS
from atomic_guide.errors import Invalid
from atomic_guide.operations.operators.approvals import Approval, Voter
from atomic_guide.operations.placement.desk import Layout, Moves, Order, Rebalanced
from atomic_guide.operations.placement.telling import MoveTold
from atomic_guide.web.paging import AFTER, TEXT, Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_MEASURES: tuple[Measure, ...] = typing.get_args(Measure)
_COURSES_MOST = 100
_LIMIT = Limit(50, 1000, "Most ended ones")
_MOST_MOVES = 100_000

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class Rebalance(msgspec.Struct, forbid_unknown_fields=True):
    """What to level, as the command's options say it; what is left out is as there.

    `limit` is the most moves, `at_once` how many at the same time on PostgreSQL, `pause_seconds` how long writes of a
    bucket may wait. `abandon` forgets moves that were planned and not begun, and begins nothing.
    """

    zone: Name | None = None
    by: Measure = "bytes"
    tolerance: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=_MOST_MOVES)] | None = None
    at_once: Annotated[int, msgspec.Meta(ge=1, le=AT_ONCE_MOST)] | None = None
    pause_seconds: Annotated[float, msgspec.Meta(ge=PAUSE_LEAST, le=PAUSE_MOST)] = PAUSE_SECONDS
    abandon: bool = False
    dry_run: bool = False


@calls.add(
    "GET",
    "/api/ops/shards",
    access="operator",
    reply=Layout,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter("zone", TEXT, "Plan only this residency zone."),
        Parameter("by", {"type": "string", "enum": list(_MEASURES)}, "What the plan levels; bytes if not given."),
        Parameter("courses", {"type": "integer", "minimum": 0, "maximum": _COURSES_MOST}, "Also the heaviest courses."),
        Parameter("shard", TEXT, "Courses of this shard only."),
    ),
)
async def show_shards(call: Call[None]) -> Layout:
    """Show what each shard carries beside its share, and what a rebalance would move, with reasons."""
    asked, desk = call.request.query_params, call.tool.placement
    by = asked.get("by", "bytes")
    if by not in _MEASURES:
        raise Invalid(f"by is one of {', '.join(_MEASURES)}", details={"parameter": "by"})
    courses = call.whole_number("courses", default=0, most=_COURSES_MOST) or 0
    what = desk.levelled(asked.get("zone") or None, by)
    needed = call.tool.operators.settings.needed
    return await desk.layout(what, courses, asked.get("shard") or None, needed)


@calls.add(
    "GET",
    "/api/ops/shards/moves",
    access="operator",
    reply=Moves,
    failures=(400, 401, 503),
    parameters=(
        AFTER,
        _LIMIT.parameter,
    ),
)
async def list_moves(call: Call[None]) -> Moves:
    """List moves: under way, waiting, and ended with what came of them, the latest first."""
    limit = _LIMIT.of(call)
    return await call.tool.placement.moves(limit, call.request.query_params.get("after", ""))


_CHANGING: dict[str, Any] = {"access": "operator", "failures": (400, 401, 404, 409, 413, 415, 503, 507)}


class Support(msgspec.Struct, forbid_unknown_fields=True):
    """An order as `agreed` of GET /api/ops/shards names it, word for word."""

    order: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class Supported(msgspec.Struct, frozen=True):
    """Who has agreed to an order by now, and how many it takes."""

    order: str
    needed: int
    approvals: list[Approval]


@calls.add("POST", "/api/ops/shards/rebalance", body=Rebalance, reply=Rebalanced, **_CHANGING)
async def rebalance_shards(call: Call[Rebalance]) -> Rebalanced:
    """Move buckets until each shard carries its share, or only say what would move. Again goes on with it.

    With `operators.two_person` a second operator has to give the same order before anything is begun.
    """
    asked, desk = call.body, call.tool.placement
    if asked.abandon:
        if asked.dry_run:
            raise Invalid("abandon has no dry run: GET /api/ops/shards/moves lists what waits")
        return await desk.abandon()
    what = desk.levelled(asked.zone, asked.by, asked.tolerance)
    order = Order(what, asked.limit, asked.at_once, asked.pause_seconds)
    if asked.dry_run:
        return await desk.plan(order)
    voter = Voter(call.operator.id, call.tool.operators.settings.needed)
    return await desk.rebalance(order, voter, call.operator.name)


@calls.add("POST", "/api/ops/shards/agree", body=Support, reply=Supported, **_CHANGING)
async def agree_to_order(call: Call[Support]) -> Supported:
    """Agree to an order that waits for another operator; whoever gave it gives it again to have it carried out."""
    voter = Voter(call.operator.id, call.tool.operators.settings.needed)
    given = await call.tool.placement.agree(call.body.order, voter, call.operator.name)
    return Supported(call.body.order, voter.needed, given)


@calls.add("POST", "/api/ops/shards/moves/{id}/cancel", reply=MoveTold, **_CHANGING)
async def cancel_move(call: Call[None]) -> MoveTold:
    """Take a move back that has not switched, whoever carries it out; its source owns the bucket as before."""
    return await call.tool.placement.cancel(call.request.path_params["id"], call.operator.name)


@calls.add("POST", "/api/ops/shards/moves/{id}/pause", reply=MoveTold, **_CHANGING)
async def pause_move(call: Call[None]) -> MoveTold:
    """Have a move that waits not begun until it is resumed. Again is harmless."""
    return await call.tool.placement.hold(call.request.path_params["id"], call.operator.name)


@calls.add("POST", "/api/ops/shards/moves/{id}/resume", reply=MoveTold, **_CHANGING)
async def resume_move(call: Call[None]) -> MoveTold:
    """Let a paused move be begun; a rebalance carries it out. Again is harmless."""
    return await call.tool.placement.hold(call.request.path_params["id"], None)
