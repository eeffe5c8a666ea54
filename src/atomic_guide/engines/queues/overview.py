"""Jobs as people and scaling see them: counts and lists over all shards. Times are ISO 8601."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from atomic_guide.clock import iso
from atomic_guide.engines.queues.jobs import QUERIES

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards


async def count_jobs(shards: Shards) -> list[dict[str, Any]]:
    """Jobs by queue and state: `{"queue", "state", "jobs", "oldest"}`, where `oldest` is when that one was made."""
    totals: dict[tuple[str, str], tuple[int, float]] = {}
    for shard in shards.all():
        for row in await shard.scan(QUERIES["count_jobs"]):
            jobs, oldest = totals.get((row["queue"], row["state"]), (0, float("inf")))
            totals[row["queue"], row["state"]] = (jobs + row["jobs"], min(oldest, row["oldest"]))
    return [
        {"queue": queue, "state": state, "jobs": jobs, "oldest": iso(oldest)}
        for (queue, state), (jobs, oldest) in sorted(totals.items())
    ]


async def list_jobs(shards: Shards, state: str, limit: int) -> list[dict[str, Any]]:
    """The newest jobs of a state over all shards."""
    found = [
        {name: row[name] for name in row.keys() if name != "bucket"} | {"shard": shard.name}  # noqa: SIM118 - a row is no mapping
        for shard in shards.all()
        for row in await shard.scan(QUERIES["list_jobs"], {"state": state, "limit": limit})
    ]
    found.sort(key=lambda job: job["created_at"], reverse=True)
    for job in found:
        job["created_at"] = iso(job["created_at"])
        job["finished_at"] = iso(job["finished_at"]) if job["finished_at"] else None
    return found[:limit]
