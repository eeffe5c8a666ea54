"""The table of jobs is vacuumed once enough of its rows are dead, so that it stays small where they stay behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Engine, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.vacuums import Vacuums
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

KEY = CourseKey.of("tenant", "course")
JOBS = 2_000
OWN = parse_queries(
    """
-- name: add
-- purpose: A job that waits for ever.
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, attempts,
                  max_attempts, run_after, lease_until, lease_owner, token, progress, created_at)
VALUES (:bucket, :tenant, :course, :id, 'q', 'k', 's', '{}', 'delayed', 0, 0, 1, 1e12, 0, '', 0, 0, 0)
-- name: drop
-- purpose: All of them.
DELETE FROM jobs
-- name: count
-- purpose: Have the server count at once what this transaction changes; a busy one does so once a second.
-- dialect: postgresql
SELECT pg_stat_force_next_flush()
-- name: count
-- dialect: sqlite
SELECT 1
-- name: size
-- purpose: Bytes of the table, where it has some of its own.
-- dialect: postgresql
SELECT pg_relation_size('jobs') AS bytes
-- name: size
-- dialect: sqlite
SELECT 0 AS bytes
""",
    "tests",
)


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def add(engine: Engine, *, gone: bool) -> None:
    """Jobs that stay, or that are `gone` when the transaction ends: each leaves a dead row on PostgreSQL."""

    async def work(tx: Transaction) -> None:
        if gone:
            await tx.execute(OWN["drop"])
        await tx.execute_many(OWN["add"], [{**KEY.columns, "id": f"job-{number}"} for number in range(JOBS)])
        if gone:
            await tx.execute(OWN["drop"])
        await tx.read(OWN["count"])

    await engine.write(work)


async def settled(vacuums: Vacuums) -> None:
    async with asyncio.timeout(20):
        while vacuums.busy:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0.01)


async def test_the_table_stays_as_large_as_one_round_of_jobs(shards: Shards) -> None:
    shard = shards.all()[0].shard
    vacuums = Vacuums(shards, ask_jobs=JOBS, dead_rows=JOBS)
    sizes = []
    for _ in range(6):
        await add(shard.primary, gone=True)
        vacuums.ended(shard.name, JOBS // 2)
        assert not vacuums.busy
        vacuums.ended(shard.name, JOBS // 2)
        await settled(vacuums)
        sizes.append((await shard.primary.read(OWN["size"]))[0]["bytes"])
    await vacuums.close()
    assert max(sizes) <= 1.2 * sizes[0], sizes


async def test_few_dead_rows_are_left_to_autovacuum(shards: Shards) -> None:
    primary = shards.all()[0].shard.primary
    server = isinstance(primary, PostgresDatabase)
    await add(primary, gone=True)
    assert not await primary.vacuum("jobs", JOBS + 1, 0.0)
    await add(primary, gone=False)
    assert not await primary.vacuum("jobs", 1, 3.0), "twice as many are dead as live"
    assert await primary.vacuum("jobs", 1, 1.0) is server
    assert not await primary.vacuum("jobs", 1, 0.0), "none is dead any more"


async def test_a_shard_that_is_away_is_no_trouble(shards: Shards, capsys: pytest.CaptureFixture[str]) -> None:
    vacuums = Vacuums(shards, 1)
    vacuums.ended("gone", 1)
    assert vacuums.busy
    await settled(vacuums)
    told = capsys.readouterr()
    assert "the table of jobs could not be vacuumed" in told.out + told.err
