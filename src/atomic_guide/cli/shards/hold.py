"""`shards pause`, `resume` and `cancel`: moves that are not to be begun, or to be taken back."""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, actor, data_options

if TYPE_CHECKING:
    from atomic_guide.engines.data.moves import Move, Mover

_MOVE = click.argument("identifier", metavar="MOVE")


@click.command()
@_MOVE
@data_options
def pause(context: Context, identifier: str) -> None:
    """Have a move that waits not begun until it is resumed. `shards list` names moves."""
    _changed(context, lambda mover: mover.hold(identifier, actor()), "is not begun until it is resumed")


@click.command()
@_MOVE
@data_options
def resume(context: Context, identifier: str) -> None:
    """Let a paused move be begun; `shards rebalance` carries it out."""
    _changed(context, lambda mover: mover.let_go(identifier), "waits for its turn")


@click.command()
@_MOVE
@data_options
def cancel(context: Context, identifier: str) -> None:
    """Take a move back that has not switched, whoever carries it out; its source owns it as before."""
    _changed(context, lambda mover: mover.cancel(identifier, actor()), "is taken back")


def _changed(context: Context, work: Callable[[Mover], Awaitable[Move]], said: str) -> None:
    from atomic_guide.engines.data.moves import Mover

    async def run() -> Move:
        async with context.open_shards() as shards:
            return await work(Mover(shards, f"command-{os.getpid()}-{secrets.token_hex(3)}"))

    move = asyncio.run(run())
    context.emit({"id": move.id, "state": move.state, "paused_by": move.held_by}, f"move {move.id} {said}")
