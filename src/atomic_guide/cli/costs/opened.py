"""The costs of the server whose data directory a command is given."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from atomic_guide.cli.options import Context
from atomic_guide.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from atomic_guide.operations.costs.assembly import Costs

T = TypeVar("T")


def ask(context: Context, question: Callable[[Costs], Awaitable[T]]) -> T:
    """The answer to a question about costs."""
    from atomic_guide.operations.costs.assembly import build_costs

    async def run() -> T:
        async with context.open_shards() as shards:
            settings = context.settings
            return await question(build_costs(shards, SystemClock(), settings.scaling, settings.costs))

    return asyncio.run(run())
