"""Statements about jobs stay on the right index after PostgreSQL's planner has seen the table empty."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.claim import claim
from atomic_guide.engines.queues.ending import columns_of, end_jobs
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import QUERIES, Job, Queues
from atomic_guide.engines.queues.settings import QueueRules
from tests.engines import opened_shards
from tests.postgres import Cluster
from tests.queueing import declaring

KEY = CourseKey.of("tenant", "course")
SETTINGS = declaring(q=QueueRules())
BATCH = 500


@pytest.fixture
async def shards(tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards("postgresql", tmp_path, postgres_cluster) as opened:
        yield opened


async def taken(shards: Shards) -> list[Job]:
    """As many jobs of one course as are ended together, published and claimed."""
    clock = ManualClock()
    queues = Queues(shards, clock, SETTINGS)

    async def publish(tx: Transaction) -> None:
        await queues.publish_many(tx, KEY, [NewJob(queue="q", kind="k", subject=f"s{n}") for n in range(BATCH)])

    await shards.of(KEY).write(publish)
    now = clock.now()
    return [lease.job for lease in await claim(shards, "q", "w", BATCH, (now, now + 30))]


async def seen_empty(shards: Shards) -> None:
    """Have the planner know a table whose pages hold no job, as those before one that goes on; indexes grew unlike."""
    for _ in range(12):
        jobs = await taken(shards)

        async def end(tx: Transaction, jobs: list[Job] = jobs) -> None:
            assert len(await end_jobs(tx, jobs, "w", 0.0)) == BATCH

        await shards.of(KEY).write(end)
    primary = shards.place(KEY).shard.primary
    assert isinstance(primary, PostgresDatabase)
    connection = await asyncpg.connect(primary.address)
    try:
        await connection.execute("VACUUM (TRUNCATE FALSE) jobs")
    finally:
        await connection.close()


async def scans(shards: Shards, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    """How a statement reads jobs."""
    text = f"EXPLAIN (ANALYZE, FORMAT JSON) {QUERIES[name].text('postgresql')}"

    async def work(tx: Transaction) -> list[Row]:
        return await tx.read(Query("plan", "A plan.", {"postgresql": text}), params)

    (row,) = await shards.of(KEY).write(work)
    (top,) = json.loads(row["QUERY PLAN"])
    return [node for node in nodes(top["Plan"]) if node.get("Relation Name") == "jobs" and "Index Name" in node]


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """A node and all below it."""
    return [plan, *(each for child in plan.get("Plans", ()) for each in nodes(child))]


async def test_jobs_are_found_by_their_key_and_those_of_a_subject_by_it(shards: Shards) -> None:
    await seen_empty(shards)
    jobs = await taken(shards)
    (held,) = await scans(shards, "hold_jobs", {**columns_of(jobs), "owner": "w"})
    assert held["Actual Loops"] == BATCH
    one = {**KEY.columns, "id": jobs[-1].id, "token": jobs[-1].token, "owner": "w"}
    (lease,) = await scans(shards, "hold_lease", one)
    (noted,) = await scans(shards, "note_progress", {**one, "progress": 0.5})
    (subject,) = await scans(shards, "cancel_jobs", {**KEY.columns, "subject": jobs[-1].subject})
    found = (held, lease, noted, subject)
    assert [scan["Index Name"] for scan in found] == ["jobs_pkey", "jobs_pkey", "jobs_pkey", "jobs_subject"]
    assert [scan["Rows Removed by Filter"] for scan in found] == [0, 0, 0, 0]
