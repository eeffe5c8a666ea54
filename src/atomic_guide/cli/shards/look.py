"""`shards list` and `shards plan`: what is, and what a rebalance would do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.shards.draw import bars, saying, size, table

if TYPE_CHECKING:
    from atomic_guide.engines.data.layout.measure import CourseLoad, Measure
    from atomic_guide.engines.data.layout.view import ShardView
    from atomic_guide.engines.data.moves import Move
    from atomic_guide.engines.data.plan import Plan, PlannedMove
    from atomic_guide.engines.data.shards import Shards

_SHOWN_RUNS = 8
"""Runs of buckets that are named for people; --json has every move."""


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
    views, moves, heavy = asyncio.run(_looked(context, courses, shard))
    value = {
        "shards": msgspec.to_builtins(views),
        "moves": msgspec.to_builtins(moves),
        "courses": [_course(one) for one in heavy],
    }
    text = [_shards_table(views)]
    if begun := [move for move in moves if move.state != "planned"]:
        text += ["", "moves under way", _moves_table(begun)]
    if planned := len(moves) - len(begun):
        text += ["", f"{planned} moves are planned; `atomic-guide shards rebalance` ends them"]
    if heavy:
        text += ["", "heaviest courses", _courses_table(heavy)]
    context.emit(value, "\n".join(text))


@click.command()
@data_options
@planning_options
def plan(context: Context, by: Measure, zone: str | None, tolerance: float | None) -> None:
    """Show what `shards rebalance` would move, and the shares before and after. Changes nothing."""

    async def planned() -> tuple[dict[str, Plan], list[Move]]:
        async with context.open_shards() as shards:
            return await plans(context, shards, zone, by, tolerance)

    found, unfinished = asyncio.run(planned())
    context.emit(plans_value(found, unfinished), plans_text(found, unfinished, by))


async def plans(
    context: Context, shards: Shards, zone: str | None, by: Measure, tolerance: float | None
) -> tuple[dict[str, Plan], list[Move]]:
    """A plan for each zone, and the moves that are to end before it."""
    from atomic_guide.engines.data.layout.measure import measure_shards
    from atomic_guide.engines.data.layout.view import zone_now
    from atomic_guide.engines.data.moves import Mover
    from atomic_guide.engines.data.plan import plan_zone

    async with saying("measuring the load of every bucket"):
        measured = await measure_shards(shards, time.time())
    unfinished = [move for move in await Mover(shards, "plan").list_moves(10_000) if not move.ended]
    allowed = context.settings.databases.tolerance if tolerance is None else tolerance
    zones = [zone] if zone else sorted(shards.map.buckets)
    found = {name: plan_zone(await zone_now(shards, name, unfinished, measured, by), allowed) for name in zones}
    return found, unfinished


def plans_value(found: dict[str, Plan], unfinished: list[Move]) -> dict[str, Any]:
    """Plans for --json."""
    return {
        "unfinished": msgspec.to_builtins(unfinished),
        "zones": [
            {
                "zone": zone,
                "moves": [move._asdict() for move in one.moves],
                "shards": [share._asdict() for share in one.shares],
                "over": [share.name for share in one.over],
            }
            for zone, one in found.items()
        ],
    }


def plans_text(found: dict[str, Plan], unfinished: list[Move], by: Measure) -> str:
    """Plans for people."""
    lines = [f"{len(unfinished)} moves of before are ended first"] if unfinished else []
    for zone, one in found.items():
        lines += [f"zone {zone}, by {by}", bars(one)]
        if not one.moves:
            lines.append(f"nothing to move: every shard is within {one.tolerance:.0%} of its share")
        else:
            buckets = sum(not move.course for move in one.moves)
            load = sum(move.load for move in one.moves) / max(1, sum(share.load for share in one.shares))
            said = f"{buckets} of {sum(share.buckets for share in one.shares)} buckets move, {load:.1%} of the load"
            pinned = len(one.moves) - buckets
            lines.append(said + (f", and {pinned} pinned courses" if pinned else ""))
            lines += _ways(one.moves)
        lines += [
            f"{share.name} stays over its share: what it has cannot be divided by buckets;"
            f" `atomic-guide shards list --courses 10 --shard {share.name}` shows what to pin elsewhere"
            for share in one.over
        ]
    return "\n".join(lines)


def _ways(moves: Sequence[PlannedMove]) -> list[str]:
    """The moves from each shard to each other, buckets in runs."""
    ways: dict[tuple[str, str], list[PlannedMove]] = {}
    for move in moves:
        ways.setdefault((move.source, move.target), []).append(move)
    lines = []
    for (source, target), found in sorted(ways.items()):
        runs = _runs(sorted(move.bucket for move in found if not move.course))
        runs += [f"{move.tenant}/{move.course}" for move in found if move.course]
        more = f" and {len(runs) - _SHOWN_RUNS} more" if len(runs) > _SHOWN_RUNS else ""
        lines.append(f"  {source} -> {target}: {len(found)} ({', '.join(runs[:_SHOWN_RUNS])}{more})")
    return lines


def _runs(numbers: Sequence[int]) -> list[str]:
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


async def _looked(
    context: Context, courses: int, shard: str | None
) -> tuple[list[ShardView], list[Move], list[CourseLoad]]:
    from atomic_guide.engines.data.layout.measure import heaviest_courses
    from atomic_guide.engines.data.layout.view import look
    from atomic_guide.engines.data.moves import Mover

    async with context.open_shards() as shards:
        now = time.time()
        moves = [move for move in await Mover(shards, "list").list_moves(10_000) if not move.ended]
        heavy: list[CourseLoad] = []
        async with saying("measuring the load of every bucket"):
            views = await look(shards, moves, now)
            for name in [shard] if shard else [view.name for view in views]:
                if courses:
                    heavy += await heaviest_courses(shards, name, courses, now)
        heavy.sort(key=lambda one: (-one.load.writes, -one.load.rows))
        return views, moves, heavy[:courses]


def _course(one: CourseLoad) -> dict[str, Any]:
    return {
        "shard": one.shard,
        "bucket": one.key.bucket,
        "tenant": one.key.tenant,
        "course": one.key.course,
        "context": one.context,
        "title": one.title,
        **one.load._asdict(),
    }


def _shards_table(views: list[ShardView]) -> str:
    heads = ["shard", "zone", "state", "weight", "target", "share", "buckets", "courses", "pinned", "rows", "size"]
    return table(
        [*heads, "writes/day", "epochs", "moves"],
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


def _moves_table(moves: list[Move]) -> str:
    return table(
        ["move", "scope", "way", "state", "rows", "error"],
        [
            [
                move.id,
                str(move.scope),
                f"{move.source} -> {move.target}",
                move.state,
                f"{move.rows:,}",
                move.error or "",
            ]
            for move in moves
        ],
        left=4,
    )


def _courses_table(heavy: list[CourseLoad]) -> str:
    return table(
        ["shard", "tenant", "context", "title", "bucket", "writes/day", "rows", "size"],
        [
            [
                one.shard,
                one.key.tenant,
                one.context,
                one.title,
                str(one.key.bucket),
                f"{one.load.writes:,}",
                f"{one.load.rows:,}",
                size(one.load.bytes),
            ]
            for one in heavy
        ],
        left=4,
    )
