"""`atomic-guide migrate`: bring the databases to this program's schema."""

from __future__ import annotations

import asyncio

import click

from atomic_guide.cli.options import Context, data_options


@click.command()
@data_options
@click.option(
    "--contract", is_flag=True, help="Also apply what programs of earlier releases cannot bear; end those first."
)
def command(context: Context, *, contract: bool) -> None:
    """Bring directory and shards to the schema of this program. Embedded ones also do so by themselves.

    Safe beside running servers: without --contract, only what they can bear is applied.
    """
    from atomic_guide.engines.data.opening import migrate_databases

    told = None if context.as_json else lambda name: click.echo(f"looking at {name}", err=True)
    changed = asyncio.run(migrate_databases(context.data, context.settings.databases, contract=contract, told=told))
    text = "\n".join(f"migrated {name}" for name in changed) or "every database is up to date"
    context.emit({"changed": changed}, text)
