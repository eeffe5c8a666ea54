"""`atomic-guide limits`: how full every limit is, over all processes of a running server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.limits.telling import Shown


@click.command()
@data_options
@click.option("--near", is_flag=True, help="Only what is nearly reached, or has refused something.")
@click.option("--markdown", is_flag=True, help="Print the table of docs/limits.md.")
def command(context: Context, *, near: bool, markdown: bool) -> None:
    """List every limit: setting, value, use, the most so far, and what it has refused since the server's start."""
    from atomic_guide.app.limits import LIMITS, values_of
    from atomic_guide.operations.limits import pages
    from atomic_guide.operations.limits.telling import shown
    from atomic_guide.operations.scaling.reports import Reports

    if markdown:
        click.echo(pages.table(LIMITS))
        return

    async def read() -> list[Shown]:
        async with context.open_shards() as shards:
            look = await Reports(shards.directory).look(time.time())
        return shown(LIMITS, values_of(context.settings), look.reports)

    rows = [row for row in asyncio.run(read()) if not near or row.near or row.refused]
    text = "\n".join(pages.line(row) for row in rows)
    context.emit({"limits": rows}, text or "no limit is nearly reached, and none has refused anything")
