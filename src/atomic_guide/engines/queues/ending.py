"""How jobs stop running: done, dead, or back in the queue. Every statement passes the fence.

What has ended well leaves `jobs` in the transaction that ends it, for the narrow table `ended_jobs`, which is pruned;
so the table that is claimed from stays as small as the work that is left. These functions run inside a unit of work on
the shard of their jobs, and take many jobs at once: a worker ends hundreds in one transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.jobs import QUERIES, Job, lock_orders, release_orders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards

PRUNED_AT_ONCE = 2000
"""Archived jobs that are forgotten in one transaction: 10 ms of a shard's writer."""

_STUCK_AT_ONCE = 500


class Return(NamedTuple):
    """A job to put back: to be run from a time on, and why it was not done; None where it was no fault of its own.

    `trouble`: the machine's, which is counted apart from attempts.
    """

    job: Job
    run_after: float
    reason: str | None
    trouble: bool = False


async def end_jobs(tx: Transaction, jobs: Sequence[Job], owner: str, now: float) -> set[str]:
    """Record that jobs are done; the ids of those that `owner` still held, all others are left alone.

    The next job of each one's order key may be claimed when this is committed.
    """
    orders = _orders(jobs)
    await lock_orders(tx, orders)
    ended = await _held(tx, "end_jobs", jobs, {"owner": owner, "now": now})
    if tx.dialect == "sqlite":
        await _archive(tx, [job for job in jobs if job.id in ended], now)
    if orders:
        await release_orders(tx, _orders([job for job in jobs if job.id in ended]), now)
    return ended


async def bury_job(tx: Transaction, job: Job, owner: str, reason: str, now: float) -> bool:
    """Make a job a dead letter; False where `owner` does not hold it any more. The next of its order key may run."""
    orders = _orders([job])
    await lock_orders(tx, orders)
    params = {**job.key.columns, "id": job.id, "token": job.token, "owner": owner, "error": reason, "now": now}
    buried = bool(await tx.execute(QUERIES["bury_job"], params))
    if buried:
        await release_orders(tx, orders, now)
    return buried


async def return_jobs(
    tx: Transaction, returns: Sequence[Return], owner: str, now: float, *, refund: bool = False
) -> set[str]:
    """Put jobs back; the ids of those that `owner` still held. `refund` gives them this attempt back.

    One that may run at once has its old place in the order, a later one gets a new place when its time has come.
    """
    held = await _held(tx, None, [each.job for each in returns], {"owner": owner})
    same = {"owner": owner, "refund": int(refund)}
    rows = [
        {**each.job.key.columns, **same, "id": each.job.id, "token": each.job.token}
        | {"run_after": each.run_after, "state": "delayed" if each.run_after > now else "queued"}
        | {"error": each.reason, "trouble": int(each.trouble)}
        for each in returns
        if each.job.id in held
    ]
    if rows:
        await tx.execute_many(QUERIES["return_job"], rows)
    return held


async def extend_leases(tx: Transaction, jobs: Sequence[Job], owner: str, until: float) -> set[str]:
    """A heartbeat for jobs; the ids of those that `owner` still holds."""
    return await _held(tx, "extend_leases", jobs, {"owner": owner, "lease_until": until})


async def tidy(shards: Shards, now: float, before: float, most: int = 5_000_000) -> int:
    """Forget what is told of jobs that ended `before` a moment, at most so many in each shard; how many that were.

    It also lets jobs go on that wait for one which was removed from outside, with a person or a video.
    """
    pruned = 0
    for shard in shards.all():

        async def prune(tx: Transaction) -> int:
            return await tx.execute(QUERIES["prune_ended"], {"before": before, "limit": PRUNED_AT_ONCE})

        async def mend(tx: Transaction) -> None:
            for query in ("archive_stragglers", "drop_stragglers"):
                await tx.execute(QUERIES[query])
            stuck = [
                (CourseKey(row["tenant"], row["course"], row["bucket"]), row["order_key"])
                for row in await tx.read(QUERIES["list_stuck"], {"limit": _STUCK_AT_ONCE})
            ]
            await lock_orders(tx, stuck)
            await release_orders(tx, stuck, now)

        await shard.write(mend)
        for _ in range(0, most, PRUNED_AT_ONCE):
            done = await shard.write(prune)
            pruned += done
            if done < PRUNED_AT_ONCE:
                break
    return pruned


def columns_of(jobs: Sequence[Job]) -> dict[str, list[Any]]:
    """What the fenced statements over many jobs take."""
    return {
        "bucket": [job.key.bucket for job in jobs],
        "tenant": [job.key.tenant for job in jobs],
        "course": [job.key.course for job in jobs],
        "id": [job.id for job in jobs],
        "token": [job.token for job in jobs],
    }


async def _held(tx: Transaction, query: str | None, jobs: Sequence[Job], same: dict[str, Any]) -> set[str]:
    """Run one of the statements over many jobs on those that `same["owner"]` still holds; their ids.

    On PostgreSQL they are locked first, and then found by their places. One statement would join the jobs to the table,
    for which the server keeps a plan: one from when few jobs were there goes through all of them for each.
    """
    columns = columns_of(jobs)
    if tx.dialect == "sqlite":
        return {str(row["id"]) for row in await tx.read_columns(QUERIES[query or "hold_jobs"], columns, same)}
    rows = await tx.read_columns(QUERIES["hold_jobs"], columns, same)
    if query is not None and rows:
        await tx.execute(QUERIES[query], {**same, "places": [row["place"] for row in rows]})
    return {str(row["id"]) for row in rows}


def _orders(jobs: Sequence[Job]) -> list[tuple[CourseKey, str]]:
    return [(job.key, job.order_key) for job in jobs if job.order_key is not None]


async def _archive(tx: Transaction, jobs: Sequence[Job], now: float) -> None:
    columns = columns_of(jobs)
    del columns["token"]
    columns |= {name: [getattr(job, name) for job in jobs] for name in _TOLD}
    await tx.execute_columns(QUERIES["archive_jobs"], columns, {"now": now})


_TOLD = ("subject", "queue", "kind", "attempts", "created_at")
