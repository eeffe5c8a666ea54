"""Choosing and taking the next jobs, over all shards: the best priority first, then the longest wait."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from atomic_guide.engines.queues.jobs import QUERIES, Job
from atomic_guide.engines.queues.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.database import Database, Transaction


async def claim(
    shards: Sequence[Database], queue: str, owner: str, limit: int, times: tuple[float, float]
) -> list[Lease]:
    """Take up to `limit` jobs for `owner`; `times` are now and the end of the lease.

    Each shard is asked for its best candidates first, so that the order holds over all of them and a shard
    with nothing to do costs one short read.
    """
    now, lease_until = times
    peeked = {"queue": queue, "now": now, "limit": limit}
    candidates = [
        (-row["priority"], row["created_at"], number)
        for number, shard in enumerate(shards)
        for row in await shard.read(QUERIES["peek_jobs"], peeked)
    ]
    taken: list[Lease] = []
    for number, count in Counter(number for *_, number in sorted(candidates)[:limit]).items():
        params = {**peeked, "limit": count, "owner": owner, "lease_until": lease_until}

        async def work(tx: Transaction, params: dict[str, object] = params) -> list[Job]:
            return [Job.of(row) for row in await tx.read(QUERIES["claim_jobs"], params)]

        taken += [Lease(job, owner, shards[number]) for job in await shards[number].write(work)]
    return taken


async def release_leases(shards: Sequence[Database], owner_prefix: str = "") -> int:
    """End the leases of workers that are known to be dead; how many jobs that frees.

    For the process that holds the lock on the data directory, before it starts workers: no other can be alive.
    """
    pattern = owner_prefix.replace("%", "").replace("_", "") + "%" if owner_prefix else "%"

    async def work(tx: Transaction) -> int:
        return await tx.execute(QUERIES["release_leases"], {"owners": pattern})

    return sum([await shard.write(work) for shard in shards])
