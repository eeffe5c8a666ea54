"""Jobs as people and scaling see them: counts and lists over all shards. Times are ISO 8601."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.jobs import QUERIES

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards


ENDED = ("done", "cancelled")
"""The states of jobs in the archive."""

_TIMES = {"created_at", "finished_at", "run_after"}


class Overview(NamedTuple):
    """Jobs of the shards that answered; why the others' are missing, by shard."""

    jobs: list[dict[str, Any]]
    missing: dict[str, str]


async def count_jobs(shards: Shards, *, ended: bool = True) -> Overview:
    """Jobs by queue and state: `{"queue", "state", "jobs", "oldest"}`, where `oldest` is when that one was made.

    Those that have `ended` well are as many as the archive keeps; without them the answer costs little.
    """
    asked = ["count_jobs", *(["count_ended"] if ended else [])]
    answers = [await scatter(shards.all(), QUERIES[query]) for query in asked]
    totals: dict[tuple[str, str], tuple[int, float]] = {}
    for _, row in (each for found in answers for each in found.rows):
        jobs, oldest = totals.get((row["queue"], row["state"]), (0, float("inf")))
        totals[row["queue"], row["state"]] = (jobs + row["jobs"], min(oldest, row["oldest"]))
    counts = [
        {"queue": queue, "state": state, "jobs": jobs, "oldest": iso(oldest)}
        for (queue, state), (jobs, oldest) in sorted(totals.items())
    ]
    return Overview(counts, {shard: why for found in answers for shard, why in found.missing.items()})


async def count_dead(shards: Shards) -> dict[str, int]:
    """Dead letters by queue, of the shards that answer; cheap enough to be asked each second."""
    totals: dict[str, int] = {}
    for _, row in (await scatter(shards.all(), QUERIES["count_dead"])).rows:
        totals[row["queue"]] = totals.get(row["queue"], 0) + row["letters"]
    return totals


async def count_live(shards: Shards) -> dict[str, dict[str, int]]:
    """Live jobs by queue and state, of the shards that answer."""
    totals: dict[str, dict[str, int]] = {}
    for _, row in (await scatter(shards.all(), QUERIES["count_live"])).rows:
        states = totals.setdefault(row["queue"], {})
        states[row["state"]] = states.get(row["state"], 0) + row["jobs"]
    return totals


async def list_jobs(shards: Shards, state: str, limit: int) -> Overview:
    """The newest jobs of a state over all shards; of done and cancelled ones those that ended last."""
    ended = state in ENDED
    found = await scatter(
        shards.all(), QUERIES["list_ended" if ended else "list_jobs"], {"state": state, "limit": limit}
    )
    jobs = [
        {name: row[name] for name in row.keys() if name != "bucket"} | {"shard": shard}  # noqa: SIM118 - a row is no mapping
        for shard, row in found.rows
    ]
    jobs.sort(key=lambda job: job["finished_at" if ended else "created_at"], reverse=True)
    for job in jobs[:limit]:
        for name in _TIMES & job.keys():
            job[name] = iso(job[name]) if job[name] else None
        if "why" in job:
            job["why"] = msgspec.json.decode(job["why"]) if job["why"] else None
    return Overview(jobs[:limit], found.missing)
