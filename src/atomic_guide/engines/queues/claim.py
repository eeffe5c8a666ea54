"""Choosing and taking the next jobs, over all shards, in the order of their ranks (priority.py).

Claiming reads as many entries of one index as it takes jobs, whatever has ended, is delayed or is running: each state
has an index of its own. What has come due and what a dead worker held is put into the order first, some at a time.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from atomic_guide.engines.queues.jobs import QUERIES, Job, read_tags
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.priority import Turns
from atomic_guide.errors import GuideError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.engines.data.database import Database, Row, Transaction
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)

READIED_AT_ONCE = 500
"""Delayed jobs that get their place, and expired leases that are ended, in one transaction: 10 ms of a writer."""


_UNRANKED = 0.0
"""The rank of what a program from before ranks has published, while both run: no time and no boost make it."""


class Hold(NamedTuple):
    """What may be claimed while the rest is held: jobs of this boost, and those that could start before a moment."""

    urgent: float
    before: float


async def claim(
    shards: Shards, queue: str, owner: str, limit: int, times: tuple[float, float], hold: Hold | None = None
) -> list[Lease]:
    """Take up to `limit` jobs for `owner`, in their order; `times` are now and the end of the lease.

    With `hold`, others than it names are passed over.

    Each shard is asked for its heads first, so that the order holds over all of them and a shard
    with nothing to do costs one short read. A shard that does not answer is passed over: the others' jobs go on,
    and what was taken from them is not lost with the error.
    """
    now, lease_until = times
    held = bounds_of(hold)
    peeked = {"queue": queue, "now": now, "limit": limit, **held}
    heads: list[tuple[float, int]] = []
    every = shards.all()
    for number, shard in enumerate(every):
        with _passing_over(shard):
            heads += [(rank, number) for rank in await _ranks(shard, peeked)]
    taken: list[tuple[float, Lease]] = []
    for number, count in Counter(number for _, number in sorted(heads)[:limit]).items():
        params = {"queue": queue, "limit": count, "owner": owner, "lease_until": lease_until, **held}

        async def work(tx: Transaction, params: dict[str, Any] = params) -> list[Row]:
            return await tx.read(QUERIES["claim_jobs"], params)

        with _passing_over(every[number]):
            rows = await every[number].write(work)
            taken += [(row["rank"], Lease(Job.of(row), owner, shards, every[number].shard)) for row in rows]
    return [lease for _, lease in sorted(taken, key=lambda pair: pair[0])]


async def _ranks(shard: Database, peeked: dict[str, Any]) -> list[float]:
    """The ranks of a shard's heads, after what has come due and what was left lying are among them."""
    rows = await shard.read(QUERIES["peek_jobs"], peeked)
    if any(row["kind"] != "ready" or row["rank"] == _UNRANKED for row in rows):

        async def work(tx: Transaction) -> None:
            await make_ready(tx, peeked["queue"], peeked["now"])

        await shard.write(work)
        rows = await shard.read(QUERIES["peek_jobs"], peeked)
    return [row["rank"] for row in rows if row["kind"] == "ready"]


async def make_ready(tx: Transaction, queue: str, now: float) -> None:
    """Give delayed jobs whose time has come their place, and end leases that ran out; at most `READIED_AT_ONCE` each.

    Jobs that come due together get places as if each had been published at its time; those without a rank get one.
    """
    params = {"queue": queue, "now": now, "limit": READIED_AT_ONCE}
    await tx.execute(QUERIES["place_unranked"], params)
    await tx.execute(QUERIES["take_back"], params)
    due = await tx.read(QUERIES["read_due"], params)
    turns = Turns(await read_tags(tx, {(queue, row["tenant"], row["boost"]) for row in due}))
    if due:
        await tx.execute_many(QUERIES["ready_job"], [_placed(queue, row, turns) for row in due])


def _placed(queue: str, row: Row, turns: Turns) -> dict[str, Any]:
    turn = turns.take((queue, row["tenant"], row["boost"]), row["run_after"], row["spacing"])
    key = {name: row[name] for name in ("bucket", "tenant", "course", "id")}
    return {**key, "rank": turn.rank, "tag": turn.tag}


def bounds_of(hold: Hold | None) -> dict[str, float]:
    """A hold as parameters. All that may be claimed has a rank before `before`, or is urgent and arrived by now."""
    if hold is None:
        return {"most": math.inf, "urgent": -math.inf, "before": math.inf}
    return {"most": hold.before, "urgent": hold.urgent, "before": hold.before}


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
    pattern = owner_prefix.replace("%", "").replace("_", "") + "%"

    async def work(tx: Transaction) -> int:
        return await tx.execute(QUERIES["release_leases"], {"owners": pattern})

    return sum([await shard.write(work) for shard in shards.all()])
