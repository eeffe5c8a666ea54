"""Scores are stored and counted as if each row had come alone, on both engines, however they are batched."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.course.analytics.columns import Columns, from_scores
from atomic_guide.course.analytics.scores import KEY_BYTES, Score, check_score
from atomic_guide.course.analytics.store import Storing
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: stored
-- purpose: What is stored of a course.
SELECT "user", activity, at, id, score, maximum FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY "user", activity, at, id
-- name: version
-- purpose: The gradebook's version.
SELECT version FROM gradebooks WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: retitle
-- purpose: Leave a trace in the unit of work.
INSERT INTO gradebooks (bucket, tenant, course, version, updated_at) VALUES (:bucket, :tenant, :other, 7, 0)
""",
    "here",
)
KEY = CourseKey.of("t1", "c1")
NOW = 1_760_000_000.0


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Model:
    """The same, row by row."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, float, str], tuple[float, float]] = {}

    def add(self, score: Score) -> bool:
        key, value = (score.user, score.activity, score.at, score.id), (score.score, score.maximum)
        if score.id:
            if any(identity == score.id for *_, identity in self.rows):
                return False
        elif self.rows.get(key) == value:
            return False
        self.rows[key] = value
        return True


def columns(scores: list[Score]) -> Columns:
    return from_scores(list(enumerate(scores, 1)))


def fresh(count: int, score: float = 5.0) -> list[Score]:
    return [Score(f"u{number:05}", "E1", score, 20.0, 1000.0) for number in range(count)]


async def stored(shards: Shards) -> dict[tuple[str, str, float, str], tuple[float, float]]:
    rows = await shards.of(KEY).scan(QUERIES["stored"], KEY.columns)
    return {(row["user"], row["activity"], row["at"], row["id"]): (row["score"], row["maximum"]) for row in rows}


async def version(shards: Shards) -> int:
    row = await shards.of(KEY).one(QUERIES["version"], KEY.columns)
    return int(row["version"]) if row else 0


@pytest.mark.parametrize("seed", range(4))
async def test_any_batches_store_and_count_what_single_rows_would(shards: Shards, seed: int) -> None:
    chance, model, storing = random.Random(seed), Model(), Storing(shards.of(KEY), KEY)
    for _ in range(12):
        size, users = chance.choice([1, 7, 250]), chance.choice([3, 1000])
        batch = [
            Score(
                f"u{chance.randrange(users)}",
                f"E{chance.randrange(3)}",
                float(chance.randrange(3)),
                20.0,
                float(chance.randrange(3)),
                chance.choice(["", "", "", f"i{chance.randrange(300)}"]),
            )
            for _ in range(size)
        ]
        before = await version(shards)
        found = await storing.store(columns(batch), NOW)
        assert found.changed == sum(model.add(score) for score in batch)
        assert found.version == (before + 1 if found.changed else None)
        assert await version(shards) == before + bool(found.changed)
    assert await stored(shards) == model.rows


async def test_numbers_stay_exact(shards: Shards) -> None:
    numbers = [0.1, 0.1 + 0.2, 16777217.0, 2.0**53 - 1, 1e-300, 5e-324]
    scores = [Score(f"u{place}", "E1", number, 2.0**53, 1.0) for place, number in enumerate(numbers)]
    many = fresh(300)
    await Storing(shards.of(KEY), KEY).store(columns(scores), NOW)
    await Storing(shards.of(KEY), KEY).store(columns([*many, *scores]), NOW)
    found = await stored(shards)
    assert [found[f"u{place}", "E1", 1.0, ""][0] for place in range(len(numbers))] == numbers


async def test_the_longest_row_that_is_taken_is_stored(shards: Shards) -> None:
    chance = random.Random(1)
    # Letters that do not compress: an index holds a row as it is, or not at all.
    user, activity = ("".join(chr(chance.randrange(0x10400, 0x10FFF)) for _ in range(255)) for _ in range(2))
    row = {"user": user, "activity": activity, "id": "12345678", "score": 1, "max": 2, "at": "2025-10-01"}
    score = check_score(row, NOW)
    assert sum(len(text.encode()) for text in (score.user, score.activity, score.id)) == KEY_BYTES
    await Storing(shards.of(KEY), KEY).store(columns([score, *fresh(300)]), NOW)
    assert (user, activity, score.at, "12345678") in await stored(shards)


async def test_a_batch_of_which_one_row_is_there_is_merged(shards: Shards) -> None:
    storing = Storing(shards.of(KEY), KEY)
    await storing.store(columns(fresh(1, score=9.0)), NOW)
    assert (await storing.store(columns(fresh(1000)), NOW)).changed == 1000
    assert (await storing.store(columns(fresh(1500)), NOW)).changed == 500
    assert (await storing.store(columns(fresh(1500)), NOW)).changed == 0
    assert set((await stored(shards)).values()) == {(5.0, 20.0)}


async def test_a_note_is_part_of_the_unit_of_work(shards: Shards) -> None:
    counted: list[int] = []

    async def note(tx: Transaction, changed: int) -> None:
        counted.append(changed)
        await tx.execute(QUERIES["retitle"], {**KEY.columns, "other": "noted"})

    async def refuse(tx: Transaction, changed: int) -> None:
        await tx.execute(QUERIES["retitle"], {**KEY.columns, "other": "refused"})
        raise errors.Forbidden("no")

    storing = Storing(shards.of(KEY), KEY)
    await storing.store(columns(fresh(300)), NOW, note)
    assert counted == [300]
    with pytest.raises(errors.Forbidden):
        await storing.store(columns(fresh(600)), NOW, refuse)
    assert len(await stored(shards)) == 300


async def test_two_senders_of_the_same_rows_store_them_once(shards: Shards) -> None:
    batches = [columns(fresh(2000)[start : start + 500]) for start in range(0, 2000, 250)]

    async def send(order: list[Columns]) -> int:
        storing = Storing(shards.of(KEY), KEY)
        return sum([(await storing.store(batch, NOW)).changed for batch in order])

    assert sum(await asyncio.gather(send(batches), send(batches[::-1]), send(batches))) == 2000
    assert len(await stored(shards)) == 2000
