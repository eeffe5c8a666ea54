"""`atomic-guide queues`: what waits, runs and has ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.engines.queues.overview import Overview

_STATES = ("queued", "delayed", "blocked", "running", "dead", "done", "cancelled")


@click.command()
@data_options
@click.option("--state", metavar="STATE", help=f"List the jobs of a state: {', '.join(_STATES)}.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most jobs to list (default 100).")
def command(context: Context, state: str | None, limit: int) -> None:
    """Count the jobs of every queue by state, or list those of one state. Works beside a running server."""
    if state is None:
        rows, missing = asyncio.run(_counts(context))
        lines = [f"{row['queue']:12} {row['state']:10} {row['jobs']:8}  oldest {row['oldest']}" for row in rows]
        context.emit_found("queues", rows, "\n".join(lines) or "there are no jobs", missing)
        return
    if state not in _STATES:
        raise click.UsageError(f"--state is one of {', '.join(_STATES)}")
    rows, missing = asyncio.run(_listed(context, state, limit))
    context.emit_found("jobs", rows, "\n".join(map(_line, rows)) or f"no job is {state}", missing)


def _line(row: dict[str, Any]) -> str:
    """A job for people; of one that has ended it is not kept how far it was."""
    progress = f"{row['progress']:4.0%}" if "progress" in row else "    "
    attempts = f"{row['attempts']}/{row['max_attempts']}" if "max_attempts" in row else f"{row['attempts']}"
    return f"{row['id']}  {row['kind']:18} {row['subject']:20} {progress}  attempt {attempts}  {row['created_at']}"


async def _counts(context: Context) -> Overview:
    from atomic_guide.engines.queues.overview import count_jobs

    async with context.open_shards() as shards:
        return await count_jobs(shards)


async def _listed(context: Context, state: str, limit: int) -> Overview:
    from atomic_guide.engines.queues.overview import list_jobs

    async with context.open_shards() as shards:
        return await list_jobs(shards, state, limit)
