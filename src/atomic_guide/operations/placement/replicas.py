"""What the command and the operators' call tell of replicas: one form for both."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.replicas import count_served

if TYPE_CHECKING:
    from atomic_guide.engines.data.replica import Replica
    from atomic_guide.engines.data.shards import Shards

HISTORY_SECONDS = 3600.0


class ReplicaTold(msgspec.Struct, frozen=True):
    """How a replica is; `fault` is empty while it is healthy, and says else why no read goes there.

    Seconds and bytes are null where they are not known. `served` is what the server has counted, by all processes, null
    where it is away. `since` is when it became healthy, or ceased to be; null where whoever tells has found it so.
    """

    shard: str
    replica: str
    region: str
    healthy: bool
    fault: str
    since: str | None
    timeline: int | None
    lag_bytes: int | None
    lag_seconds: float | None
    latency_seconds: float
    breaker: str
    served: int | None


async def told_replicas(shards: Shards) -> list[ReplicaTold]:
    """Every replica, in the order of the shards' names, as this process has found it at its last look."""
    found = [(replicas.name, replica) for replicas in shards.replica_sets for replica in replicas.replicas]
    return await asyncio.gather(*(_told(shard, replica) for shard, replica in found))


async def _told(shard: str, replica: Replica) -> ReplicaTold:
    report = msgspec.structs.asdict(replica.report(shard))
    since = report.pop("since")
    report["served"] = await count_served(replica)
    return ReplicaTold(since=iso(since) if since is not None else None, **report)
