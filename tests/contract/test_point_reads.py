"""Point reads that are asked for together, on every adapter: everybody gets their own answer."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Engine, Transaction
from atomic_guide.engines.data.ownership import QUERIES as OWNERSHIP
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Make a course.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, '', :title, 0, 1)
-- name: find
-- purpose: Find a course.
-- batch: yes
SELECT title, last_seq FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: rename
-- purpose: Give a course another title.
UPDATE courses SET title = :title WHERE bucket = :bucket AND tenant = :tenant AND course = :course
""",
    "here",
)
KEYS = [CourseKey(f"t{number % 3}", f"c{number:03}", number) for number in range(80)]


@pytest.fixture(params=ENGINES)
async def shard(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    """A shard with a course under each even key, which owns all buckets at epoch 1."""

    async def fill(tx: Transaction) -> None:
        owned = [
            {"bucket": bucket, "tenant": "", "course": "", "epoch": 1, "now": 1.0}
            for bucket in {key.bucket for key in KEYS}
        ]
        await tx.execute_many(OWNERSHIP["own_bucket"], owned)
        await tx.execute_many(QUERIES["add"], [{**key.columns, "title": key.course} for key in KEYS[::2]])

    async with opened_database(request.param, tmp_path, postgres_cluster, "shard") as opened:
        await opened.write(fill)
        yield opened


async def titles(shard: Engine, epoch: int | None) -> list[str | None]:
    rows = await asyncio.gather(*(shard.one(QUERIES["find"], key.columns, epoch=epoch) for key in KEYS))
    return [row["title"] if row is not None else None for row in rows]


@pytest.mark.parametrize("epoch", [None, 1])
async def test_each_gets_its_own_row_or_none(shard: Engine, epoch: int | None) -> None:
    expected = [key.course if number % 2 == 0 else None for number, key in enumerate(KEYS)]
    for _ in range(3):
        assert await titles(shard, epoch) == expected


async def test_a_course_that_is_elsewhere_is_refused_alone(shard: Engine) -> None:
    for _ in range(2):
        epochs = [2 if number == 7 else 1 for number in range(len(KEYS))]
        asked = [shard.one(QUERIES["find"], key.columns, epoch=epoch) for key, epoch in zip(KEYS, epochs, strict=True)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        refused = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, errors.Fenced)]
        assert refused == [7]
        assert not any(isinstance(outcome, BaseException) for outcome in outcomes[:7] + outcomes[8:])


async def test_many_sets_are_refused_where_one_course_is_elsewhere(shard: Engine) -> None:
    sets = [key.columns for key in KEYS]
    assert [len(rows) for rows in await shard.read_each(QUERIES["find"], sets, epoch=1)] == [1, 0] * 40
    with pytest.raises(errors.Fenced):
        await shard.read_each(QUERIES["find"], sets, epoch=2)


async def test_a_read_sees_what_was_committed_before_it(shard: Engine) -> None:
    """Also while others read the same, so that a statement is always under way."""
    key, done = KEYS[0], asyncio.Event()

    async def crowd() -> None:
        while not done.is_set():
            await shard.one(QUERIES["find"], KEYS[2].columns, epoch=1)
            await asyncio.sleep(0)

    readers = [asyncio.create_task(crowd()) for _ in range(8)]
    for number in range(30):

        async def rename(tx: Transaction, title: str = str(number)) -> None:
            await tx.execute(QUERIES["rename"], {**key.columns, "title": title})

        await shard.write(rename)
        row = await shard.one(QUERIES["find"], key.columns, epoch=1)
        assert row is not None
        assert row["title"] == str(number)
    done.set()
    await asyncio.gather(*readers)
