"""`atomic-guide assets carry`: bring lectures to where `assets.main` says that they are kept."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.app.carrying_lectures import Carried


@click.command()
@click.option(
    "--from",
    "source",
    metavar="STORE",
    default="local",
    show_default=True,
    help="Where they are: `local`, the data directory, or a bucket of assets.stores.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be carried.")
@click.option("--remove-strays", is_flag=True, help="Remove what the target has of lectures that are no more.")
@data_options
def carry(context: Context, source: str, *, dry_run: bool, remove_strays: bool) -> None:
    """Carry all lectures from another store into the main one, as `assets.main` names it.

    Works beside a running server; what is there already is passed over, so give it again after the switch, and where
    it ended half way. Nothing is removed from where it comes.
    """
    done = asyncio.run(_carried(context, source, dry_run=dry_run, remove_strays=remove_strays))
    would = "would be " if done.dry_run else ""
    said = f"{done.objects} objects ({done.bytes} bytes) of {done.lectures} lectures {would}carried"
    lines = [f"{said} from {done.source} to {done.target}; {done.present} were there"]
    if done.strays:
        end = "removed" if done.removed else "left; --remove-strays removes them"
        lines.append(f"{done.strays} objects in {done.target} belong to no lecture: {end}")
    context.emit(msgspec.to_builtins(done), "\n".join(lines))


async def _carried(context: Context, source: str, *, dry_run: bool, remove_strays: bool) -> Carried:
    from atomic_guide.app.carrying_lectures import Wanted, carry, source_of
    from atomic_guide.app.keeping.assembly import assembled
    from atomic_guide.engines.assets.settings import LOCAL

    settings = context.settings
    opened = source_of(settings, source)
    async with context.open_shards() as shards:
        parts = (await assembled(settings, context.data, shards)).parts
        names = source, settings.assets.main or LOCAL
        return await carry(parts, opened, names, Wanted(dry_run, remove_strays), Progress())
