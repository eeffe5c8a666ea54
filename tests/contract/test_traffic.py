"""What an engine tells of the calls that were made to it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Engine, Transaction
from atomic_guide.engines.data.queries import parse_queries
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: find
-- purpose: One row by its key.
SELECT name, value FROM secrets WHERE name = :name

-- name: add
-- purpose: Add a row.
INSERT INTO secrets (name, value, created_at) VALUES (:name, 'v', 0)

-- name: wait
-- purpose: Take a fifth of a second.
-- dialect: postgresql
SELECT pg_sleep(0.2)

-- name: wait
-- dialect: sqlite
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) FROM n
""",
    "here",
)


@pytest.fixture(params=ENGINES)
async def engine(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def adding(name: str, pause: str | None = None):  # type: ignore[no-untyped-def]  # noqa: ANN201 - a unit of work
    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["add"], {"name": name})
        if pause:
            await tx.read(QUERIES[pause])

    return work


async def test_every_call_is_counted_with_its_time(engine: Engine) -> None:
    before = sum(engine.traffic.reads.counts.values())
    for _ in range(5):
        await engine.read(QUERIES["find"], {"name": "a"})
    await engine.one(QUERIES["find"], {"name": "a"})
    await engine.read_each(QUERIES["find"], [{"name": "a"}] * 200)
    await engine.scan(QUERIES["wait"])
    await engine.write(adding("a"))
    reads, writes = engine.traffic.reads, engine.traffic.writes
    assert sum(reads.counts.values()) - before == 8
    assert sum(writes.counts.values()) == 1
    assert reads.total > 0.05
    assert 0 < writes.total < 5


async def test_lanes_are_as_busy_as_their_calls(engine: Engine) -> None:
    await engine.write(adding("first"))
    before = engine.traffic.writers()
    await engine.write(adding("a", "wait"))
    after = engine.traffic.writers()
    assert after.size >= 1
    assert 0.05 < after.busy - before.busy <= engine.traffic.writes.total


async def test_waiting_for_the_writer_is_told_apart(engine: Engine) -> None:
    writers = engine.traffic.writers().size
    works = [engine.write(adding(f"w{number}", "wait")) for number in range(2 * writers)]
    if engine.traffic.one_writer:
        # Those of one turn of the loop are one group; the second comes while that is written.
        first = asyncio.create_task(works[0])
        await asyncio.sleep(0.02)
        works = [first, works[1]]  # type: ignore[list-item]
    await asyncio.gather(*works)
    found = engine.traffic.writers()
    assert 0.03 < found.waited < engine.traffic.writes.total
    assert engine.traffic.readers().waited == 0
