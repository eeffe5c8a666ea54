"""Calling off one job from outside, wherever it stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.inspect import QUERIES, find_job
from atomic_guide.engines.queues.jobs import lock_orders, release_orders
from atomic_guide.errors import Conflict

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards

CalledOff = Callable[["Transaction", CourseKey, str], Awaitable[None]]
"""What a job's subject is told, in the transaction that calls it off: the course and the subject's id."""


async def call_off(shards: Shards, job: str, now: float, told: Mapping[str, CalledOff] | None = None) -> str:
    """Call a live job off; its queue. `told` are those to be told in the same transaction, by the job's kind.

    Where it runs, its worker stops it within a second, at once where it is woken (`Queues.wake`). Raises `NotFound`,
    `Conflict` for a job that is dead or has ended, `DataUnavailable` where a shard that does not answer may have it.
    """
    _, row = await find_job(shards, job)
    key = CourseKey(row["tenant"], row["course"], row["bucket"])
    params = {**key.columns, "id": job, "now": now}
    tell = (told or {}).get(row["kind"])

    async def work(tx: Transaction) -> bool:
        order = await tx.one(QUERIES["order_of_job"], params)
        orders = [(key, order["order_key"])] if order is not None and order["order_key"] is not None else []
        await lock_orders(tx, orders)
        await tx.execute(QUERIES["archive_called_off"], params)
        if not await tx.execute(QUERIES["drop_called_off"], params):
            return False
        await release_orders(tx, orders, now)
        if tell is not None:
            await tell(tx, key, row["subject"])
        return True

    if not await shards.of(key).write(work):
        raise Conflict(
            f"the job {job} is {row['state']} and cannot be called off;"
            " `atomic-guide dead-letters drop` forgets a dead one"
        )
    return str(row["queue"])
