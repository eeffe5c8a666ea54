"""`atomic-guide replicas`: how the streaming replicas of every shard are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.operations.placement.replicas import ReplicaTold

_LOOKS = 3
_LOOK_SECONDS = 0.2
"""Enough to tell a round trip from the making of a connection, and well under a second."""


@click.command()
@data_options
def command(context: Context) -> None:
    """List the replicas of every shard: region, health, lag, latency, breaker, and how much each has served.

    Each server is asked by this command itself, beside those that run; `served` is what the server has counted, by
    all processes.
    """
    found = asyncio.run(_looked_at(context))
    lines = [_line(one) for one in found]
    context.emit({"replicas": found}, "\n".join(lines) or "no shard has replicas; declare them in databases.servers")


def _line(one: ReplicaTold) -> str:
    lag = "lag unknown" if one.lag_bytes is None else f"lag {one.lag_bytes} B, {one.lag_seconds or 0.0:.2f} s"
    health = "healthy" if one.healthy else f"UNHEALTHY: {one.fault}"
    counted = "?" if one.served is None else str(one.served)
    milliseconds = one.latency_seconds * 1000
    return (
        f"{one.shard:12} {one.replica:24} {one.region or '-':8} {lag:24} {milliseconds:7.2f} ms"
        f"  breaker {one.breaker:10} served {counted:>10}  {health}"
    )


async def _looked_at(context: Context) -> list[ReplicaTold]:
    from atomic_guide.operations.placement.replicas import told_replicas

    async with context.open_shards() as shards:
        await shards.open_all()
        for look in range(_LOOKS):
            await asyncio.sleep(_LOOK_SECONDS if look else 0)
            await asyncio.gather(*(replicas.probe() for replicas in shards.replica_sets))
        return await told_replicas(shards)
