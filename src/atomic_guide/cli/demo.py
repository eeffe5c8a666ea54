"""`atomic-guide demo`: clearly marked data that brings every page of the console to life, and its removal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec
from click.core import ParameterSource

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.app.demo.demo import Demo, Outcome

T = TypeVar("T")


@click.group(invoke_without_command=True)
@data_options
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@click.option("--anyway", is_flag=True, help="Also where courses of an LMS are.")
@click.pass_context
def command(call: click.Context, context: Context, *, dry_run: bool, anyway: bool) -> None:
    """Add demo data: courses of nobody, and four weeks of made-up demand with what was decided on it.

    For a new installation that is looked at. It is marked as demo data everywhere; while it is there, nothing is done
    to fleets (their mode is shadow) and alerts reach the console only. `demo remove` takes all of it away again. Works
    beside a running server, whose workers then make the lectures; takes about half a minute.
    """
    if call.invoked_subcommand is not None:
        given = [name for name in call.params if call.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise click.UsageError(f"write options after `{call.invoked_subcommand}`")
        return

    async def work(demo: Demo) -> Outcome:
        planned = await demo.preview(anyway=anyway)
        if dry_run:
            return planned
        click.echo(_where(context), err=True)
        return await demo.add(anyway=anyway)

    found = _with(context, work, first=not dry_run)
    context.emit({**msgspec.to_builtins(found), "dry_run": dry_run}, "\n".join(_lines(found, dry_run=dry_run)))


@command.command()
@data_options
def remove(context: Context) -> None:
    """Take all demo data away, and give fleets their mode back. Again is harmless."""
    found = _with(context, lambda demo: demo.remove())
    if found is None:
        context.emit({"removed": None}, "there is no demo data here")
        return
    rows = sum(found.rows.values())
    text = f"removed demo data: {rows:,} rows of courses, {found.measurements:,} measurements"
    if found.restored:
        text += f"; modes as before: {', '.join(found.restored)}"
    context.emit({"removed": msgspec.to_builtins(found)}, text)


def _where(context: Context) -> str:
    """Which installation is filled: who forgot --data finds out before it is."""
    from atomic_guide.app.supervisor import holder
    from atomic_guide.engines.data.opening import is_embedded

    if not is_embedded(context.settings.databases):
        return "adding demo data to the servers that the settings name"
    runs = "whose server runs" if holder(context.data) else "where no server runs; name another one with --data"
    return f"adding demo data to {context.data.resolve()}, {runs}"


def _lines(found: Outcome, *, dry_run: bool) -> list[str]:
    would = "would add" if dry_run else "added"
    lines = [f"{would} demo data: a made-up history from {found.begins_at} to {found.until}, tenant {found.tenant}"]
    if found.courses is not None and found.history is not None:
        courses, history = found.courses, found.history
        people = f"{courses.members} members, {courses.messages} messages, {courses.scores} scores"
        lines.append(f"{courses.courses} courses, {people}")
        lines.append(f"{courses.lectures} lectures, two of them damaged: a server's workers make or refuse them")
        counts = f"{history.series} series, {history.decisions} decisions, {history.forecasts} forecasts"
        lines.append(f"{counts}, {history.alerts} entries of alerts, {history.days} days of costs")
    if found.shadowed:
        lines.append(f"mode shadow while it is there: {', '.join(found.shadowed)}")
    lines.append("`atomic-guide demo remove` takes it away")
    return lines


def _with(context: Context, work: Callable[[Demo], Awaitable[T]], *, first: bool = False) -> T:
    async def whole() -> T:
        from atomic_guide.app.demo.demo import Demo

        async with context.open_shards(first=first) as shards:
            return await work(Demo(context.settings, shards, time.time(), Progress()))

    return asyncio.run(whole())
