"""The costs of the server whose data directory a command is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

import click

from atomic_guide.cli.options import Context
from atomic_guide.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from atomic_guide.operations.costs.assembly import Costs

T = TypeVar("T")

REPLAYED = "reading the record of the last weeks, and replaying it with fewer units"

_QUIET_SECONDS = 1.0


def ask(context: Context, question: Callable[[Costs], Awaitable[T]], what: str = "") -> T:
    """The answer to a question about costs; says `what` is done where that takes longer than a second."""
    from atomic_guide.operations.costs.assembly import build_costs

    async def run() -> T:
        async with context.open_shards() as shards:
            settings = context.settings
            given = (settings.scaling, settings.costs, settings.assets.cool_class)
            asked = asyncio.ensure_future(question(build_costs(shards, SystemClock(), *given)))
            if what and not (await asyncio.wait([asked], timeout=_QUIET_SECONDS))[0]:
                click.echo(f"{what} ...", err=True)
            return await asked

    return asyncio.run(run())
