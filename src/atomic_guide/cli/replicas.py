"""`atomic-guide replicas`: how the streaming replicas of every shard are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import click
import msgspec

from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from atomic_guide.engines.data.replica import Report

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
    rows = asyncio.run(_looked_at(context))
    lines = [_line(report, served) for report, served in rows]
    values: list[dict[str, Any]] = [{**msgspec.to_builtins(report), "served": served} for report, served in rows]
    context.emit({"replicas": values}, "\n".join(lines) or "no shard has replicas; declare them in databases.servers")


def _line(report: Report, served: int | None) -> str:
    lag = "lag unknown" if report.lag_bytes is None else f"lag {report.lag_bytes} B, {report.lag_seconds or 0.0:.2f} s"
    health = "healthy" if report.healthy else f"UNHEALTHY: {report.fault}"
    counted = "?" if served is None else str(served)
    milliseconds = report.latency_seconds * 1000
    return (
        f"{report.shard:12} {report.replica:24} {report.region or '-':8} {lag:24} {milliseconds:7.2f} ms"
        f"  breaker {report.breaker:10} served {counted:>10}  {health}"
    )


async def _looked_at(context: Context) -> list[tuple[Report, int | None]]:
    from atomic_guide.engines.data.replicas import count_served

    async with context.open_shards() as shards:
        await shards.open_all()
        sets = shards.replica_sets
        for look in range(_LOOKS):
            await asyncio.sleep(_LOOK_SECONDS if look else 0)
            await asyncio.gather(*(replicas.probe() for replicas in sets))
        return [
            (replica.report(replicas.name), await count_served(replica))
            for replicas in sets
            for replica in replicas.replicas
        ]
