"""`atomic-guide import-sqlite`: carry the databases of a data directory to PostgreSQL."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.options import Context, Progress, data_options

if TYPE_CHECKING:
    from atomic_guide.engines.data.carry import Carried


@click.command()
@data_options
@click.option("--dry-run", is_flag=True, help="Count what would be carried, and check that the target is empty.")
def command(context: Context, *, dry_run: bool) -> None:
    """Carry the databases of the data directory to the PostgreSQL servers that the settings name.

    The target must be migrated and empty. Every bucket is compared by count and hash. After a crash, the same call
    goes on. The files stay as they are; lectures' files stay in the data directory, which the server goes on using.
    """
    from atomic_guide.app.keeping.carrying import import_files

    carried: Carried = asyncio.run(import_files(context.settings, Progress(), dry_run=dry_run))
    lines = [f"{'would carry' if dry_run else 'carried and compared'} {carried.buckets} buckets"]
    lines += [f"  {table:16} {count:10}" for table, count in carried.rows.items() if count]
    context.emit({**msgspec.to_builtins(carried), "dry_run": dry_run}, "\n".join(lines))
