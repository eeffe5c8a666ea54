"""Choosing and taking the next jobs, over all shards: the best priority first, then the longest wait."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from atomic_guide.engines.queues.jobs import QUERIES, Job
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.errors import GuideError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)


async def claim(shards: Shards, queue: str, owner: str, limit: int, times: tuple[float, float]) -> list[Lease]:
    """Take up to `limit` jobs for `owner`; `times` are now and the end of the lease.

    Each shard is asked for its best candidates first, so that the order holds over all of them and a shard
    with nothing to do costs one short read. A shard that does not answer is passed over: the others' jobs go on,
    and what was taken from them is not lost with the error.
    """
    now, lease_until = times
    peeked = {"queue": queue, "now": now, "limit": limit}
    candidates: list[tuple[float, float, int]] = []
    every = shards.all()
    for number, shard in enumerate(every):
        with _passing_over(shard):
            rows = await shard.read(QUERIES["peek_jobs"], peeked)
            candidates += [(-row["priority"], row["created_at"], number) for row in rows]
    taken: list[Lease] = []
    for number, count in Counter(number for *_, number in sorted(candidates)[:limit]).items():
        params = {**peeked, "limit": count, "owner": owner, "lease_until": lease_until}

        async def work(tx: Transaction, params: dict[str, object] = params) -> list[Job]:
            return [Job.of(row) for row in await tx.read(QUERIES["claim_jobs"], params)]

        with _passing_over(every[number]):
            taken += [Lease(job, owner, shards, every[number].shard) for job in await every[number].write(work)]
    return taken


@contextmanager
def _passing_over(shard: Database) -> Iterator[None]:
    try:
        yield
    except GuideError as error:
        _log.warning("a shard's jobs cannot be claimed", shard=shard.name, code=error.code)


async def release_leases(shards: Shards, owner_prefix: str = "") -> int:
    """End the leases of workers that are known to be dead; how many jobs that frees.

    For the process that holds the lock on the data directory, before it starts workers: no other can be alive.
    """
    pattern = owner_prefix.replace("%", "").replace("_", "") + "%" if owner_prefix else "%"

    async def work(tx: Transaction) -> int:
        return await tx.execute(QUERIES["release_leases"], {"owners": pattern})

    return sum([await shard.write(work) for shard in shards.all()])
