"""Jobs as people and scaling see them: counts and lists over all shards. Times are ISO 8601."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from atomic_guide.clock import iso
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.queues.jobs import QUERIES

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards


class Overview(NamedTuple):
    """Jobs of the shards that answered; why the others' are missing, by shard."""

    jobs: list[dict[str, Any]]
    missing: dict[str, str]


async def count_jobs(shards: Shards) -> Overview:
    """Jobs by queue and state: `{"queue", "state", "jobs", "oldest"}`, where `oldest` is when that one was made."""
    found = await scatter(shards.all(), QUERIES["count_jobs"])
    totals: dict[tuple[str, str], tuple[int, float]] = {}
    for _, row in found.rows:
        jobs, oldest = totals.get((row["queue"], row["state"]), (0, float("inf")))
        totals[row["queue"], row["state"]] = (jobs + row["jobs"], min(oldest, row["oldest"]))
    counts = [
        {"queue": queue, "state": state, "jobs": jobs, "oldest": iso(oldest)}
        for (queue, state), (jobs, oldest) in sorted(totals.items())
    ]
    return Overview(counts, found.missing)


async def list_jobs(shards: Shards, state: str, limit: int) -> Overview:
    """The newest jobs of a state over all shards."""
    found = await scatter(shards.all(), QUERIES["list_jobs"], {"state": state, "limit": limit})
    jobs = [
        {name: row[name] for name in row.keys() if name != "bucket"} | {"shard": shard}  # noqa: SIM118 - a row is no mapping
        for shard, row in found.rows
    ]
    jobs.sort(key=lambda job: job["created_at"], reverse=True)
    for job in jobs:
        job["created_at"] = iso(job["created_at"])
        job["finished_at"] = iso(job["finished_at"]) if job["finished_at"] else None
    return Overview(jobs[:limit], found.missing)
