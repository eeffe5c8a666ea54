"""The table of jobs is vacuumed after so many jobs, so that it stays small where dead rows stay behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.vacuums import Vacuums
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

KEY = CourseKey.of("tenant", "course")
ADD = Query(
    "add",
    "A job that waits for ever.",
    {
        None: "INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, attempts,"
        " max_attempts, run_after, lease_until, lease_owner, token, progress, created_at)"
        " VALUES (:bucket, :tenant, :course, :id, 'q', 'k', 's', '{}', 'delayed', 0, 0, 1, 1e12, 0, '', 0, 0, 0)"
    },
)
DROP = Query("drop", "All of them.", {None: "DELETE FROM jobs"})
SIZE = Query(
    "size", "Pages of the table.", {"postgresql": "SELECT pg_relation_size('jobs') AS n", "sqlite": "SELECT 0 AS n"}
)
JOBS = 2_000


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def test_the_table_stays_as_large_as_one_round_of_jobs(shards: Shards) -> None:
    shard = shards.all()[0].shard
    vacuums = Vacuums(shards, JOBS)

    async def come_and_go(tx: Transaction) -> None:
        await tx.execute_many(ADD, [{**KEY.columns, "id": f"job-{number}"} for number in range(JOBS)])
        await tx.execute(DROP)

    sizes = []
    for _ in range(6):
        await shard.primary.write(come_and_go)
        vacuums.ended(shard.name, JOBS // 2)
        vacuums.ended(shard.name, JOBS // 2)
        async with asyncio.timeout(20):
            while vacuums.busy:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
        sizes.append((await shard.primary.read(SIZE))[0]["n"])
    await vacuums.close()
    assert max(sizes) <= 1.2 * sizes[0], sizes


async def test_a_shard_that_is_away_is_no_trouble(shards: Shards, capsys: pytest.CaptureFixture[str]) -> None:
    vacuums = Vacuums(shards, 1)
    vacuums.ended("gone", 1)
    assert vacuums.busy
    for _ in range(100):
        if not vacuums.busy:
            break
        await asyncio.sleep(0.01)
    assert not vacuums.busy
    told = capsys.readouterr()
    assert "the table of jobs could not be vacuumed" in told.out + told.err
