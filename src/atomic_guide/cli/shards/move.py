"""`shards move`, `unpin`, `rebalance` and `drain`, which move what is being used; `remove` and `verify`."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from atomic_guide.cli.options import Context, data_options
from atomic_guide.cli.shards.draw import Progress
from atomic_guide.cli.shards.look import emit_plans, levelled, planned, planning_options
from atomic_guide.cli.shards.order import Asked, Noted, emit_noted, ordered

if TYPE_CHECKING:
    from atomic_guide.engines.data.layout.measure import Measure
    from atomic_guide.engines.data.layout.rebalance import Levelled
    from atomic_guide.engines.data.layout.waves import Outcome, Wanted, Waves
    from atomic_guide.engines.data.moves import Finding
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards


class Pace(NamedTuple):
    """How many buckets move at the same time, where that was chosen, and how long writes of one may wait."""

    at_once: int | None
    pause: float


def _default_zone() -> str:
    from atomic_guide.engines.data.settings import DEFAULT_ZONE

    return DEFAULT_ZONE


def moving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options of commands that move something; they come as `pace` and `dry_run`."""

    @functools.wraps(function)
    def paced(*args: Any, at_once: int | None, pause: float, **rest: Any) -> Any:
        return function(*args, pace=Pace(at_once, pause), **rest)

    for option in (
        click.option("--dry-run", is_flag=True, help="Say what would be moved, and move nothing."),
        click.option(
            "--at-once",
            type=click.IntRange(1, 64),
            metavar="K",
            help="Buckets to move at the same time on PostgreSQL (setting databases.moves_at_once).",
        ),
        click.option(
            "--pause",
            type=click.FloatRange(0.1, 300),
            default=2.0,
            show_default=True,
            metavar="SECONDS",
            help="How long writes of a bucket may wait; one of a million rows needs more, and after 5 s they get 503.",
        ),
    ):
        paced = option(paced)
    return paced


@click.command()
@click.argument("bucket", type=click.IntRange(0, 4095), required=False)
@data_options
@click.option("--course", nargs=2, metavar="TENANT CONTEXT", help="One course, as its LMS calls it; it stays pinned.")
@click.option("--tenant", metavar="TENANT", help="Every course of a tenant; they stay pinned.")
@click.option("--to", "target", metavar="SHARD", required=True, help="Where to.")
@click.option("--zone", default=_default_zone, metavar="ZONE", help="The bucket's residency zone.")
@moving_options
def move(context: Context, bucket: int | None, target: str, *, dry_run: bool, pace: Pace, **what: Any) -> None:
    """Move a bucket, one course, or all courses of a tenant to a shard.

    A course that was moved by itself is pinned: it stays when its bucket moves, until `shards unpin`.
    """
    from atomic_guide.engines.data.layout import pins
    from atomic_guide.engines.data.layout.view import find_registered
    from atomic_guide.engines.data.layout.waves import Wanted
    from atomic_guide.engines.data.moves import Scope

    if sum((bucket is not None, bool(what["course"]), bool(what["tenant"]))) != 1:
        raise click.UsageError("name a BUCKET, or a --course, or a --tenant")

    async def courses(shards: Shards) -> list[CourseKey]:
        if what["tenant"]:
            return await pins.courses_of(shards, what["tenant"])
        return [await pins.find_course(shards, *what["course"])]

    async def wanted(shards: Shards) -> list[Wanted]:
        await find_registered(shards, target)
        if bucket is not None:
            return [Wanted(Scope(what["zone"], bucket), target)]
        return pins.elsewhere(shards, await courses(shards), target)

    async def work(shards: Shards, waves: Waves) -> Outcome:
        if bucket is not None:
            return await waves.carry_out(await wanted(shards))
        await find_registered(shards, target)
        return await pins.pin(shards, waves, await courses(shards), target)

    course = f"course={'/'.join(what['course'])}" if what["course"] else f"tenant={what['tenant']}"
    chosen = course if bucket is None else f"bucket={bucket} zone={what['zone']}"
    asked = Asked("move_bucket" if bucket is not None else "move_courses", f"move {chosen} to={target}")
    _run(context, asked, wanted, work, pace, dry_run=dry_run)


@click.command()
@click.argument("tenant")
@click.argument("course", metavar="CONTEXT", required=False)
@data_options
@moving_options
def unpin(context: Context, tenant: str, course: str | None, *, dry_run: bool, pace: Pace) -> None:
    """Let a pinned course, or all those of a tenant, be where their buckets are."""
    from atomic_guide.engines.data.layout import pins

    async def wanted(shards: Shards) -> list[Wanted]:
        return pins.elsewhere(shards, await pins.pinned_of(shards, tenant, course), None)

    async def work(shards: Shards, waves: Waves) -> Outcome:
        return await pins.unpin(shards, waves, await pins.pinned_of(shards, tenant, course))

    asked = Asked("unpin_courses", f"unpin tenant={tenant} course={course or 'all'}")
    _run(context, asked, wanted, work, pace, dry_run=dry_run)


@click.command()
@data_options
@planning_options
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Most moves of this call (default: all).")
@click.option("--abandon", is_flag=True, help="Forget moves that were planned and not begun, instead of ending them.")
@moving_options
def rebalance(context: Context, by: Measure, limit: int | None, *, pace: Pace, **chosen: Any) -> None:
    """Move buckets until each shard carries the share that its weight stands for.

    Stopped or killed, it is continued by calling it again. Ctrl-C ends it after the moves that have begun.
    """
    what = levelled(context, chosen["zone"], by, chosen["tolerance"])

    async def work(shards: Shards, waves: Waves) -> Outcome:
        from atomic_guide.engines.data.layout.rebalance import abandon_planned, rebalance

        if chosen["abandon"]:
            return await abandon_planned(waves)
        return await rebalance(waves, lambda: planned(shards, what), limit)

    if chosen["dry_run"]:
        emit_plans(context, what)
    else:
        _carried(context, _rebalancing(what, limit, abandon=chosen["abandon"]), work, pace)


def _rebalancing(what: Levelled, limit: int | None, *, abandon: bool) -> Asked | None:
    """The order to level shards; to forget what was only planned takes nobody else."""
    from atomic_guide.operations.placement.orders import levelling

    return None if abandon else Asked("rebalance_shards", levelling(what, limit))


@click.command()
@click.argument("name", metavar="SHARD")
@data_options
@click.option("--by", type=click.Choice(["bytes", "rows", "writes", "buckets"]), default="bytes", help="What to level.")
@moving_options
def drain(context: Context, name: str, by: Measure, *, dry_run: bool, pace: Pace) -> None:
    """Move everything off a shard, pinned courses too; it takes nothing from now on.

    Stopped or killed, it is continued by calling it again; `shards add` takes the shard back.
    """
    from atomic_guide.engines.data.layout.drain import finish_drain, leaving

    async def work(shards: Shards, waves: Waves) -> Outcome:
        return await finish_drain(shards, waves, name, by)

    asked = Asked("drain_shard", f"drain shard={name} by={by}")
    _run(context, asked, lambda shards: leaving(shards, name, by), work, pace, dry_run=dry_run)


def _run(
    context: Context,
    asked: Asked,
    wanted: Callable[[Shards], Awaitable[list[Wanted]]],
    work: Callable[[Shards, Waves], Awaitable[Outcome]],
    pace: Pace,
    *,
    dry_run: bool,
) -> None:
    """Do the work; or with `dry_run` print the moves that it would begin with."""

    async def shown() -> list[Wanted]:
        async with context.open_shards() as shards:
            return await wanted(shards)

    if dry_run:
        _show(context, asyncio.run(shown()))
    else:
        _carried(context, asked, work, pace)


def _show(context: Context, wanted: list[Wanted]) -> None:
    moves = [{**msgspec.to_builtins(one.scope), "target": one.target} for one in wanted]
    text = "\n".join(f"would move {one.scope} to {one.target}" for one in wanted) or "nothing to move"
    context.emit({"dry_run": True, "moves": moves}, text)


def _carried(
    context: Context, asked: Asked | None, work: Callable[[Shards, Waves], Awaitable[Outcome]], pace: Pace
) -> None:
    from atomic_guide.engines.data.opening import is_embedded

    settings = context.settings.databases
    # A file has one writer: moves side by side would only wait for each other, and writes of their buckets with them.
    most = 1 if is_embedded(settings) else pace.at_once or settings.moves_at_once
    if asked is not None:
        asked = _paced(asked, pace)
    outcome = asyncio.run(_carry(context, asked, work, Pace(most, pace.pause)))
    if isinstance(outcome, Noted):
        emit_noted(context, outcome)
        return
    value = {
        "moved": len(outcome.done),
        "pinned": outcome.pinned,
        "rows": outcome.rows,
        "longest_pause_ms": round(outcome.longest_pause, 1),
        "failed": list(outcome.failed),
        "left": outcome.left,
    }
    text = f"moved {len(outcome.done)}, {outcome.rows:,} rows of all tables" if outcome.done else "nothing was moved"
    if outcome.done:
        text += f"; writes of a bucket waited {outcome.longest_pause:.0f} ms at most"
    if outcome.pinned:
        stay = "1 course stays" if outcome.pinned == 1 else f"{outcome.pinned} courses stay"
        text += f"; {stay} there, until `atomic-guide shards unpin`"
    context.emit(value, text)
    if outcome.failed:
        click.echo(f"{len(outcome.failed)} moves failed, the first: {outcome.failed[0]}", err=True)
    elif outcome.left:
        click.echo(f"stopped with {outcome.left} moves left; the same command goes on with them", err=True)
    if outcome.failed or outcome.left:
        sys.exit(1)


def _paced(asked: Asked, pace: Pace) -> Asked:
    from atomic_guide.operations.placement.orders import paced

    return asked._replace(order=paced(asked.order, pace.at_once, pace.pause))


async def _carry(
    context: Context, asked: Asked | None, work: Callable[[Shards, Waves], Awaitable[Outcome]], pace: Pace
) -> Outcome | Noted:
    from atomic_guide.engines.data.layout.waves import Waves
    from atomic_guide.engines.data.moves import Limits, Mover

    async with context.open_shards() as shards:
        owner = f"command-{os.getpid()}-{secrets.token_hex(3)}"
        mover = Mover(shards, owner, limits=Limits(pause=pace.pause))
        waves = Waves(mover, pace.at_once or 1, Progress())
        loop = asyncio.get_running_loop()

        def stop() -> None:
            # A second Ctrl-C breaks off at once; the moves are found and ended by the next mover.
            loop.remove_signal_handler(signal.SIGINT)
            waves.stop.set()
            click.echo("stopping after the moves that have begun; once more breaks them off", err=True)

        loop.add_signal_handler(signal.SIGINT, stop)
        if asked is None:
            return await work(shards, waves)
        return await ordered(context, shards, asked, lambda: work(shards, waves))


@click.command()
@click.argument("name", metavar="SHARD")
@data_options
@click.option("--dry-run", is_flag=True, help="Check that it may be removed, and remove nothing.")
def remove(context: Context, name: str, *, dry_run: bool) -> None:
    """Forget a shard that was drained. Its database stays as it is; `shards add` takes it back.

    Running servers close it within a second. On PostgreSQL, take it out of databases.servers afterwards.
    """
    from atomic_guide.engines.data.layout import drain as draining

    async def removed() -> None:
        async with context.open_shards() as shards:
            await (draining.check_removable(shards, name) if dry_run else draining.remove(shards, name))

    asyncio.run(removed())
    said = f"would forget {name}" if dry_run else f"{name} is forgotten; its database holds no course and may go"
    context.emit({"shard": name, "removed": not dry_run, "dry_run": dry_run}, said)


@click.command()
@data_options
@click.option("--repair", is_flag=True, help="Put right what loses nothing: rows and entries that moves left behind.")
def verify(context: Context, *, repair: bool) -> None:
    """Check that directory and shards agree on who owns what, and that no move left anything behind."""
    from atomic_guide.engines.data.moves import verify as verified

    async def looked() -> Sequence[Finding]:
        async with context.open_shards() as shards:
            return await verified(shards, repair=repair)

    findings = asyncio.run(looked())
    open_ones = [one for one in findings if not one.repaired]
    lines = [f"{one.shard}: {one.text}: {'put right' if one.repaired else one.remedy}" for one in findings]
    text = "\n".join(lines) or "directory and shards agree on every bucket"
    context.emit({"ok": not open_ones, "findings": msgspec.to_builtins(findings)}, text)
    if open_ones:
        click.echo(f"{len(open_ones)} findings are open, the first: {open_ones[0].text}", err=True)
        sys.exit(1)
