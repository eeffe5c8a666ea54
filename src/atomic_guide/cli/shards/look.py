"""`shards list` and `shards plan`: what is, and what a rebalance would do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.shards.draw import bars, saying, size, table

if TYPE_CHECKING:
    from atomic_guide.engines.data.layout.measure import Measure
    from atomic_guide.engines.data.layout.rebalance import Levelled, Plans
    from atomic_guide.engines.data.layout.view import ShardView
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.placement.telling import CourseTold, Listed, MoveTold, Way


def planning_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that choose what a plan goes by."""
    for option in (
        click.option("--zone", metavar="ZONE", help="Only this residency zone (default: all of them)."),
        click.option(
            "--by",
            type=click.Choice(["bytes", "rows", "writes", "buckets"]),
            default="bytes",
            help="What to level: bytes, rows or writes of the last day as measured, or the number of buckets.",
        ),
        click.option(
            "--tolerance",
            type=click.FloatRange(0, 1),
            help="How far from its share a shard may be before anything moves (setting databases.tolerance).",
        ),
    ):
        function = option(function)
    return function


@click.command(name="list")
@data_options
@click.option("--courses", type=click.IntRange(0, 1000), default=0, metavar="N", help="Also the N heaviest courses.")
@click.option("--shard", metavar="SHARD", help="Courses of this shard only.")
def list_shards(context: Context, courses: int, shard: str | None) -> None:
    """List the shards: what each holds beside the share that its weight stands for, and moves under way."""
    found = asyncio.run(_looked(context, courses, shard))
    text = [_shards_table(found.shards)]
    if begun := [move for move in found.moves if move.state != "planned"]:
        text += ["", "moves under way", _moves_table(begun)]
    if planned := len(found.moves) - len(begun):
        text += ["", f"{planned} moves are planned; `atomic-guide shards rebalance` ends them"]
    if found.courses:
        text += ["", "heaviest courses", _courses_table(found.courses)]
    context.emit(found, "\n".join(text))


@click.command()
@data_options
@planning_options
def plan(context: Context, by: Measure, zone: str | None, tolerance: float | None) -> None:
    """Show what `shards rebalance` would move, and the shares before and after. Changes nothing."""
    emit_plans(context, levelled(context, zone, by, tolerance))


def levelled(context: Context, zone: str | None, by: Measure, tolerance: float | None) -> Levelled:
    """What the planning options say."""
    from atomic_guide.engines.data.layout.rebalance import Levelled

    return Levelled(zone, by, context.settings.databases.tolerance if tolerance is None else tolerance)


async def planned(shards: Shards, what: Levelled) -> Plans:
    """The plan of now, said to be in the making once that takes a second."""
    from atomic_guide.engines.data.layout.rebalance import plan_zones

    async with saying("measuring the load of every bucket"):
        return await plan_zones(shards, what, time.time())


def emit_plans(context: Context, what: Levelled) -> None:
    """Plan, and print that."""
    from atomic_guide.operations.placement.telling import told_move, told_plans

    async def opened() -> Plans:
        async with context.open_shards() as shards:
            return await planned(shards, what)

    plans = asyncio.run(opened())
    value = {
        "unfinished": [told_move(move, time.time()) for move in plans.unfinished],
        "zones": told_plans(plans, what.by),
    }
    context.emit(value, _plans_text(plans, what.by))


def _plans_text(plans: Plans, by: Measure) -> str:
    from atomic_guide.operations.placement.telling import verdict, ways

    lines = [f"{len(plans.unfinished)} moves of before are ended first"] if plans.unfinished else []
    for zone, one in plans.zones.items():
        lines += [f"zone {zone}, by {by}", bars(one), verdict(one, by)]
        lines += [f"  {way.source} -> {way.target}: {_moved(way)}" for way in ways(one)]
        lines += [
            f"{share.name} stays over its share: what it has cannot be divided by buckets;"
            f" `atomic-guide shards list --courses 10 --shard {share.name}` shows what to pin elsewhere"
            for share in one.over
        ]
    return "\n".join(lines)


def _moved(way: Way) -> str:
    """How many buckets and courses go a way, and which."""
    named = [*way.buckets, *([f"{way.courses} pinned courses"] if way.courses else [])]
    return f"{way.moves} ({', '.join(named)})"


async def _looked(context: Context, courses: int, shard: str | None) -> Listed:
    from atomic_guide.engines.data.layout.view import look
    from atomic_guide.engines.data.moves import Mover
    from atomic_guide.operations.placement.desk import heaviest
    from atomic_guide.operations.placement.telling import Listed, told_course, told_move

    async with context.open_shards() as shards:
        now = time.time()
        moves = list(await Mover(shards, "list").under_way())
        async with saying("measuring the load of every bucket"):
            views = await look(shards, moves, now)
            heavy = await heaviest(shards, [shard] if shard else [view.name for view in views], courses, now)
        return Listed(views, [told_move(move, now) for move in moves], [told_course(one) for one in heavy])


def _shards_table(views: list[ShardView]) -> str:
    heads = ["shard", "zone", "state", "weight", "target", "share", "buckets", "courses", "pinned", "rows", "size"]
    return table(
        [*heads, "writes/day", "epochs", "moving"],
        [
            [
                view.name,
                view.zone,
                view.state,
                f"{view.weight:g}",
                f"{view.target:.1%}",
                f"{view.share:.1%}",
                str(view.buckets),
                str(view.courses),
                str(view.pinned),
                f"{view.rows:,}",
                size(view.bytes),
                f"{view.writes:,}",
                "{}-{}".format(*view.epochs) if view.epochs else "-",
                str(view.moves),
            ]
            for view in views
        ],
        left=3,
    )


def _moves_table(moves: list[MoveTold]) -> str:
    return table(
        ["move", "scope", "way", "state", "rows", "error"],
        [
            [
                move.id,
                _scope(move),
                f"{move.source} -> {move.target}",
                move.state,
                f"{move.rows:,}",
                move.error,
            ]
            for move in moves
        ],
        left=4,
    )


def _scope(move: MoveTold) -> str:
    bucket = f"bucket {move.bucket} of zone {move.zone}"
    return f"course {move.tenant}/{move.course} of {bucket}" if move.course else bucket


def _courses_table(heavy: list[CourseTold]) -> str:
    return table(
        ["shard", "tenant", "context", "title", "bucket", "writes/day", "rows", "size"],
        [
            [
                one.shard,
                one.tenant,
                one.context,
                one.title,
                str(one.bucket),
                f"{one.writes:,}",
                f"{one.rows:,}",
                size(one.bytes),
            ]
            for one in heavy
        ],
        left=4,
    )
