"""`atomic-guide cache`: how the cache stands, what it has of a course, dropping and warming; beside a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, Leading, actor, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.caching.desk import Desk, Dropped, Layers, Stats

T = TypeVar("T")

_MIB = 1 << 20

_tenant = click.option("--tenant", metavar="ID", required=True, help="The tenant; `platforms list` shows them.")
_course = click.option("--course", metavar="CONTEXT", required=True, help="The course, as its LMS calls it.")
_space = click.option("--space", default="reports", show_default=True, metavar="NAME", help="The kind of value.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be done.")


@click.group(cls=Leading, leads="stats")
def command() -> None:
    """Look at what the server remembers, have it forget something, or have it load something ahead."""


@command.command()
@data_options
def stats(context: Context) -> None:
    """Show hits, loads and bytes of each process since its start, and what lies on NATS for all of them."""
    found = _at(context, lambda desk: desk.stats())
    context.emit(found, _stats_text(found))


@command.command()
@data_options
@_space
@_tenant
@_course
@click.option("--content", is_flag=True, help="With what it says, which is noted with your name.")
def get(context: Context, space: str, tenant: str, course: str, *, content: bool) -> None:
    """Show whether NATS has the value of a course, until when, and what it says."""
    found = _at(context, lambda desk: desk.find(space, tenant, course, who=actor() if content else ""))
    lines = [
        f"{place.layer}: {place.bytes} bytes until {place.ends_at}" + ("" if place.holds else ", which holds no more")
        for place in found.places
    ]
    if content:
        lines += [msgspec.json.format(msgspec.json.encode(place.value)).decode() for place in found.places]
    context.emit(found, "\n".join(lines))


@command.command()
@data_options
@click.option("--tenant", default="", metavar="ID", help="Everything of a tenant.")
@click.option("--course", default="", metavar="CONTEXT", help="With --tenant: of one course, as its LMS calls it.")
@click.option("--space", default="", metavar="NAME", help="Everything of a kind, such as reports.")
@click.option("--everything", is_flag=True, help="All that there is.")
@_dry_run
def drop(context: Context, tenant: str, course: str, space: str, *, everything: bool, dry_run: bool) -> None:
    """Have every process forget values, and remove them from NATS; they are loaded when they are asked for."""
    from atomic_guide.engines.cache.keys import Scope

    scope = Scope(tenant, course, space)
    if any(scope) == everything:
        raise click.UsageError("say --tenant, --tenant and --course, --space, or --everything")
    found = _at(context, lambda desk: desk.drop(scope, actor(), dry_run=dry_run))
    context.emit(found, _dropped_text(found))


@command.command()
@data_options
@_space
@_tenant
@_course
@_dry_run
def warm(context: Context, space: str, tenant: str, course: str, *, dry_run: bool) -> None:
    """Have the value of a course loaded, so that the next who asks finds it on NATS."""
    found = _at(context, lambda desk: desk.warm(space, tenant, course, actor(), dry_run=dry_run))
    text = "would load it" if found.seconds is None else f"there after {found.seconds:.2f} s"
    context.emit(found, f"{space} of the course {course} of {tenant}: {text}")


@command.command()
@data_options
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many.")
def log(context: Context, limit: int) -> None:
    """List what was dropped, warmed and read, by whom and when, the newest first."""
    from atomic_guide.operations.caching.desk import FLEET
    from atomic_guide.operations.scaling.audit import Entry, entries

    async def read() -> list[Entry]:
        async with context.open_shards() as shards:
            return await entries(shards.directory, fleet=FLEET, limit=limit)

    found = asyncio.run(read())
    lines = [f"{one.at}  {one.who}  {one.what}  {msgspec.json.encode(one.details).decode()}" for one in found]
    context.emit({"log": found}, "\n".join(lines) or "nothing was dropped, warmed or read")


def _at(context: Context, work: Callable[[Desk], Awaitable[T]]) -> T:
    from atomic_guide.app.caching import desk_beside

    async def whole() -> T:
        async with context.open_shards() as shards, desk_beside(context.settings, shards) as desk:
            return await work(desk)

    return asyncio.run(whole())


def _stats_text(found: Stats) -> str:
    lines = [_process_text(one) for one in found.processes] or ["no process has reported"]
    if found.on_nats is not None:
        lines.append(f"on NATS: {found.on_nats.keys} values, {found.on_nats.bytes / _MIB:.1f} MiB")
    for space in found.spaces:
        kept = f", on NATS {space.shared_seconds:g} s" if space.shared else ", not on NATS"
        lines.append(f"{space.name}: in memory {space.memory_seconds:g} s{kept}")
    return "\n".join(lines)


def _process_text(one: Layers) -> str:
    reads = one.memory_hits + one.nats_hits + one.loads
    share = f"{100 * (one.memory_hits + one.nats_hits) / reads:.0f}%" if reads else "nothing read"
    heard = {True: "", False: "; does not hear of changes", None: "; alone"}[one.hears]
    return (
        f"{one.process}: {share}, {one.memory_hits} from memory, {one.nats_hits} from NATS, {one.loads} loaded,"
        f" {one.stale} aged, {one.negative} absent, {one.evicted} evicted, {one.skipped} without NATS,"
        f" {one.garbage} unreadable, {one.memory_bytes / _MIB:.1f} MiB{heard}"
    )


def _dropped_text(found: Dropped) -> str:
    on_nats = "an unknown number" if found.on_nats is None else str(found.on_nats)
    if found.dry_run:
        return f"would drop {on_nats} values from NATS, and those of every process"
    return f"dropped {on_nats} values from NATS, and those of every process" + (f"; {found.note}" if found.note else "")
