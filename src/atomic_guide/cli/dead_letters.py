"""`atomic-guide dead-letters`: jobs that failed for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.engines.queues.deadletter import DeadLetters

T = TypeVar("T")


@click.group(name="dead-letters")
def command() -> None:
    """Look at jobs that failed for good; replay or drop them."""


@command.command(name="list")
@data_options
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, help="Most letters to list (default 100).")
def list_letters(context: Context, limit: int) -> None:
    """List the dead letters, the newest first."""
    found, missing = _ask(context, lambda letters: letters.list(limit))
    lines = [f"{one.id}  {one.died_at}  {one.kind:18} {one.subject:20} {one.reason}" for one in found]
    text = "\n".join(lines) or "there are no dead letters"
    context.emit_found("dead_letters", msgspec.to_builtins(found), text, missing)


@command.command()
@click.argument("job")
@data_options
def show(context: Context, job: str) -> None:
    """Show one dead letter."""
    values = msgspec.to_builtins(_ask(context, lambda letters: letters.show(job)))
    context.emit(values, "\n".join(f"{name:12} {value}" for name, value in values.items()))


@command.command()
@click.argument("job")
@data_options
def replay(context: Context, job: str) -> None:
    """Queue a dead letter again with all its attempts; a running server takes it up within a second."""
    _ask(context, lambda letters: letters.replay(job, time.time()))
    context.emit({"replayed": job}, f"queued {job} again")


@command.command()
@click.argument("job")
@data_options
def drop(context: Context, job: str) -> None:
    """Forget a dead letter for good."""
    _ask(context, lambda letters: letters.drop(job))
    context.emit({"dropped": job}, f"dropped {job}")


def _ask(context: Context, question: Callable[[DeadLetters], Awaitable[T]]) -> T:
    from atomic_guide.engines.queues.deadletter import DeadLetters

    async def ask() -> T:
        async with context.open_shards() as shards:
            return await question(DeadLetters(shards))

    return asyncio.run(ask())
