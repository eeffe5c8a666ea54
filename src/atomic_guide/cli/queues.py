"""`atomic-guide queues`: what waits and why, what runs and has ended; pause, resume, cancel."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, actor, data_options
from atomic_guide.cli.scale.demand import DURATION
from atomic_guide.errors import ConfigurationError

if TYPE_CHECKING:
    from atomic_guide.engines.queues.overview import Overview
    from atomic_guide.operations.jobs.desk import Desk, Lane

T = TypeVar("T")

STATES = ("queued", "delayed", "blocked", "running", "done", "dead", "cancelled")


def _state(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    del context, parameter
    if value is not None and value not in STATES:
        raise click.BadParameter(f"it is one of {', '.join(STATES)}")
    return value


@click.group(cls=Leading, leads="list")
def command() -> None:
    """Look at queues and jobs; pause and resume queues, cancel jobs. Works beside a running server."""


@command.command(name="list")
@data_options
@click.option("--state", metavar="STATE", callback=_state, help=f"List the jobs of a state: {', '.join(STATES)}.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most jobs to list (default 100).")
def list_queues(context: Context, state: str | None, limit: int) -> None:
    """Show each queue: depth, oldest wait, rate, jobs by state, and which are next and why."""
    if state is None:
        lanes = _ask(context, lambda desk: desk.lanes())
        context.emit_found("queues", msgspec.to_builtins(lanes.queues), "\n".join(_lines(lanes.queues)), lanes.missing)
        return
    rows, missing = asyncio.run(_listed(context, state, limit))
    lines = [
        f"{row['id']}  {row['kind']:18} {row['subject']:20} {row.get('progress', 1):4.0%}"
        f"  attempts {row['attempts']}  {row['created_at']}"
        for row in rows
    ]
    context.emit_found("jobs", rows, "\n".join(lines) or f"no job is {state}", missing)


@command.command()
@click.argument("job")
@data_options
def show(context: Context, job: str) -> None:
    """Show one job: where it stands and why, its attempts and progress, its last error."""
    found = msgspec.to_builtins(_ask(context, lambda desk: desk.job(job)))
    context.emit(found, "\n".join(f"{name:13} {'-' if value is None else value}" for name, value in found.items()))


@command.command()
@click.argument("job")
@data_options
def cancel(context: Context, job: str) -> None:
    """Call a job off; where it runs, its worker stops it within a second.

    A lecture whose processing is called off is shown as failed, for that reason; one that plays goes on playing.
    """
    _ask(context, lambda desk: desk.cancel(job))
    context.emit({"cancelled": job}, f"called {job} off")


@command.command()
@click.argument("queue")
@data_options
@click.option("--why", default="", metavar="TEXT", help="The reason, for whoever looks later.")
@click.option(
    "--for", "seconds", type=DURATION, metavar="TIME", help="How long, such as 30m; then it goes on by itself."
)
def pause(context: Context, queue: str, why: str, seconds: float | None) -> None:
    """Start no more jobs of a queue for a time, or until it is resumed; those that run go on.

    A running server sees it within a second. Of one that is paused the end is set anew.
    """
    from atomic_guide.operations.jobs.desk import PAUSE_MOST

    _declared(context, queue)
    if seconds is not None and not 0 < seconds <= PAUSE_MOST:
        raise click.UsageError(
            f"--for is more than nothing and at most {PAUSE_MOST / 86_400:g}d; without it, until resumed"
        )
    until = _ask(context, lambda desk: desk.pause(queue, actor(), why, seconds))
    ends = f" until {until}" if until else ""
    context.emit({"paused": queue, "paused_until": until}, f"{queue} is paused{ends}; jobs are accepted and wait")


@command.command()
@click.argument("queue")
@data_options
def resume(context: Context, queue: str) -> None:
    """Go on with a queue that was paused."""
    _declared(context, queue)
    changed = _ask(context, lambda desk: desk.resume(queue, actor()))
    context.emit(
        {"resumed": queue, "was_paused": changed}, f"{queue} goes on" if changed else f"{queue} was not paused"
    )


def _declared(context: Context, queue: str) -> None:
    try:
        context.settings.queues.rules(queue)
    except ConfigurationError as error:
        raise click.UsageError(error.message) from error


def _lines(views: list[Lane]) -> list[str]:
    lines = []
    for view in views:
        states = ", ".join(f"{jobs} {state}" for state, jobs in view.states.items()) or "no jobs"
        by = f" by {view.paused_by}" if view.paused_by else ""
        by += f" ({view.paused_why})" if view.paused_why else ""
        by += f" until {view.paused_until}" if view.paused_until else ""
        paused = f"  PAUSED since {view.paused_since}{by}" if view.paused_since else ""
        lines.append(
            f"{view.queue:14} depth {view.depth:<7} oldest wait {view.oldest_wait_seconds:8.1f} s"
            f"  {view.per_minute:6} a minute  ({states}){paused}"
        )
        lines += [f"    next: {one['id']}  {one['kind']}  {one['subject']}: {one['why']}" for one in view.next]
    return lines


def _ask(context: Context, question: Callable[[Desk], Awaitable[T]]) -> T:
    from atomic_guide.app.jobs import made_desk

    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(made_desk(context.settings, shards))

    return asyncio.run(ask())


async def _listed(context: Context, state: str, limit: int) -> Overview:
    from atomic_guide.engines.queues.overview import list_jobs

    async with context.open_shards() as shards:
        return await list_jobs(shards, state, limit)
