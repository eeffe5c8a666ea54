"""Reads over many shards: what is gathered, and what an answer says of shards that are away or slow."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Database, Params, Row, Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query, parse_queries
from atomic_guide.engines.data.scatter import AT_ONCE, scatter
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.overview import count_jobs
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Make a course.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', '', 0, 1)
-- name: courses
-- purpose: Every course of a shard.
SELECT course FROM courses WHERE {{readable courses}} ORDER BY course
-- name: slow
-- purpose: Take half a second or more.
-- dialect: sqlite
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT count(*) AS found FROM n
-- name: slow
-- dialect: postgresql
SELECT pg_sleep(0.5)
""",
    "here",
)
KEYS = [CourseKey.of("t", f"c{number}") for number in range(40)]


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        for key in KEYS:

            async def add(tx: Transaction, key: CourseKey = key) -> None:
                await tx.execute(QUERIES["add"], key.columns)

            await opened.of(key).write(add)
        yield opened


@pytest.mark.parametrize("short", [False, True])
async def test_the_rows_of_all_shards_come_with_their_shard(shards: Shards, *, short: bool) -> None:
    found = await scatter(shards.all(), QUERIES["courses"], short=short)
    assert found.complete
    assert {row["course"]: shard for shard, row in found.rows} == {key.course: shards.of(key).name for key in KEYS}


async def test_an_answer_names_the_shard_that_is_away(shards: Shards) -> None:
    lost = shards.all()[1]
    await lost.shard.close()
    found = await scatter(shards.all(), QUERIES["courses"], short=True)
    assert {shard for shard, _ in found.rows} == {shards.all()[0].name}
    assert list(found.missing) == [lost.name]
    assert lost.name in found.missing[lost.name]
    with pytest.raises(errors.DataUnavailable, match="in no shard that answers"):
        await DeadLetters(shards).show("none")
    letters = await DeadLetters(shards).list()
    assert (letters.letters, list(letters.missing)) == ([], [lost.name])


async def test_a_slow_shard_is_not_waited_for(shards: Shards) -> None:
    found = await scatter(shards.all(), QUERIES["slow"], timeout=0.05)
    assert [reason.endswith("did not answer within 0.05 s") for reason in found.missing.values()] == [True, True]


async def test_rows_beyond_the_bound_are_left_out_and_told(shards: Shards) -> None:
    found = await scatter(shards.all(), QUERIES["courses"], limit=30)
    first, second = (shard.name for shard in shards.all())
    assert len(found.rows) == 30
    assert found.missing == {second: "10 of its rows are left out, beyond 30 in all"}
    assert {shard for shard, _ in found.rows} == {first, second}


async def test_jobs_are_counted_over_all_shards(shards: Shards) -> None:
    assert await count_jobs(shards) == ([], {})


class Counting:
    """A database that says how many ask it and its like at a time."""

    asking = 0
    most = 0
    name = "counting"

    async def scan(self, query: Query, params: Params | None = None) -> list[Row]:
        Counting.asking += 1
        Counting.most = max(Counting.most, Counting.asking)
        await asyncio.sleep(0.001)
        Counting.asking -= 1
        return [{"query": query.name, "params": params}]


async def test_only_some_shards_are_asked_at_a_time() -> None:
    many: list[Database] = [Counting() for _ in range(50)]  # type: ignore[misc]
    assert len((await scatter(many, QUERIES["courses"])).rows) == 50
    assert Counting.most == AT_ONCE
