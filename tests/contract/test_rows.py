"""Many rows at once, on every adapter: reading them by id, and storing them though some are bad."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide import errors
from atomic_guide.engines.data import rows as rows_module
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.rows import Field, Table, insert_rows, read_many
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: find
-- purpose: A score by its activity.
SELECT activity, score FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND "user" = 'u' AND activity = :id
-- name: activities
-- purpose: What is stored of a course.
SELECT activity, score FROM scores
WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY activity, at
-- name: set_state
-- purpose: What a mover does to a bucket.
UPDATE bucket_owner SET state = :state WHERE bucket = :bucket
""",
    "here",
)
SCORES = Table(
    "scores",
    (
        Field("user", "text", 100),
        Field("activity", "text", 20),
        Field("at", "float"),
        Field("id", "text", 20),
        Field("score", "float"),
        Field("maximum", "float"),
    ),
)
KEY = CourseKey.of("t1", "algebra")


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def row(activity: str, score: float = 1.0) -> tuple[object, ...]:
    return ("u", activity, 5.0, "", score, 10.0)


async def stored(shards: Shards, key: CourseKey = KEY) -> list[str]:
    return [found["activity"] for found in await shards.of(key).scan(QUERIES["activities"], key.columns)]


async def test_reading_keeps_the_order_answers_repeats_and_names_what_is_missing(shards: Shards) -> None:
    await insert_rows(shards, KEY, SCORES, [row(f"a{number}", number) for number in range(500)])
    ids = ["a7", "none", "a3", "a7", "gone", "none"] + [f"a{number}" for number in range(499, 100, -1)]
    found = await read_many(shards.of(KEY), QUERIES["find"], ids, KEY.columns)
    assert found.missing == ["none", "gone"]
    assert [each["activity"] if each is not None else None for each in found.rows] == [
        None if name in {"none", "gone"} else name for name in ids
    ]
    assert (await read_many(shards.of(KEY), QUERIES["find"], [], KEY.columns)) == ([], [])


async def test_ten_thousand_ids_are_read_and_one_more_is_refused(shards: Shards) -> None:
    await insert_rows(shards, KEY, SCORES, [row(f"a{number}") for number in range(0, 10_000, 2)])
    ids = [f"a{number}" for number in range(10_000)]
    found = await read_many(shards.of(KEY), QUERIES["find"], ids, KEY.columns)
    assert len(found.missing) == 5000
    assert sum(each is not None for each in found.rows) == 5000
    with pytest.raises(errors.Invalid, match="10,001 ids"):
        await read_many(shards.of(KEY), QUERIES["find"], [*ids, "b"], KEY.columns)


async def test_bad_rows_are_told_and_the_others_are_stored(shards: Shards) -> None:
    given = [row(f"a{number:04}") for number in range(2000)]
    given[5] = ("u", "a0005", "soon", "", 1.0, 10.0)
    given[6] = ("u", "zero\0byte", 5.0, "", 1.0, 10.0)
    given[7] = ("u", "half \ud83d", 5.0, "", 1.0, 10.0)
    given[8] = row("x" * 21)
    given[9] = row("a0009", float("nan"))
    given[10] = ("u", None, 5.0, "", 1.0, 10.0)
    given[11] = ("u", "short")
    given[12] = row("a0012", 2**53 + 1)
    given[1999] = ("u", "a1999", 5.0, "", True, 10.0)
    result = await insert_rows(shards, KEY, SCORES, given)
    assert (result.inserted, result.duplicates) == (2000 - 9, 0)
    assert [each.place for each in result.rejected] == [5, 6, 7, 8, 9, 10, 11, 12, 1999]
    assert [each.reason for each in result.rejected][:6] == [
        "at is str, not float",
        "activity has a character that no database stores",
        "activity has a character that no database stores",
        "activity has 21 characters, more than 20",
        "score is beyond what its column holds",
        "activity is missing",
    ]
    assert len(await stored(shards)) == 2000 - 9


async def test_what_only_the_database_can_refuse_stands_alone(shards: Shards) -> None:
    """The table demands a score, though the declaration here does not."""
    lax = Table("scores", (*SCORES.fields[:4], Field("score", "float", optional=True), SCORES.fields[5]))
    given = [row(f"a{number:04}") for number in range(600)]
    for bad in (0, 300, 599):
        given[bad] = ("u", f"a{bad:04}", 5.0, "", None, 10.0)
    result = await insert_rows(shards, KEY, lax, given)
    assert (result.inserted, result.duplicates) == (597, 0)
    assert [each.place for each in result.rejected] == [0, 300, 599]
    assert all("shard-" in each.reason for each in result.rejected)


async def test_of_a_batch_that_is_bad_throughout_the_rest_is_given_up(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "_MOST_REFUSED", 5)
    lax = Table("scores", (*SCORES.fields[:4], Field("score", "float", optional=True), SCORES.fields[5]))
    given = [("u", f"a{number:04}", 5.0, "", None, 10.0) for number in range(100)]
    result = await insert_rows(shards, KEY, lax, given)
    assert (result.inserted, len(result.rejected)) == (0, 100)
    assert sum("not tried" in each.reason for each in result.rejected) == 95


async def test_a_batch_that_is_sent_again_changes_nothing(shards: Shards) -> None:
    given = [row(f"a{number:04}", number) for number in range(12_000)]
    assert (await insert_rows(shards, KEY, SCORES, given[:7000]))[:2] == (7000, 0)
    again = [row(f"a{number:04}", -1) for number in range(12_000)]
    assert (await insert_rows(shards, KEY, SCORES, again + again[:10]))[:2] == (5000, 7010)
    scores = [found["score"] for found in await shards.of(KEY).scan(QUERIES["activities"], KEY.columns)]
    assert sorted(set(scores))[:2] == [-1, 0]
    assert scores.count(-1) == 5000


async def test_too_many_rows_are_refused_before_any_is_stored(shards: Shards) -> None:
    with pytest.raises(errors.Invalid, match="100,001 rows"):
        await insert_rows(shards, KEY, SCORES, [row("a")] * 100_001)
    assert await stored(shards) == []


async def test_rows_go_to_their_course_alone_while_others_write(shards: Shards) -> None:
    keys = [CourseKey.of("t1", f"course {number}") for number in range(6)]
    given = [row(f"a{number:04}") for number in range(300)]
    results = await asyncio.gather(*(insert_rows(shards, key, SCORES, given) for key in keys))
    assert [result[:2] for result in results] == [(300, 0)] * 6
    assert [len(await stored(shards, key)) for key in keys] == [300] * 6


async def test_rows_of_a_course_that_is_moving_wait_for_it(shards: Shards) -> None:
    async def set_state(state: str) -> None:
        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["set_state"], {"state": state, "bucket": KEY.bucket})

        await shards.place(KEY).shard.write(work)

    await set_state("fenced")
    storing = asyncio.create_task(insert_rows(shards, KEY, SCORES, [row("a"), row("b")]))
    await asyncio.sleep(0.2)
    assert not storing.done()
    assert await stored(shards) == []
    await set_state("owned")
    assert (await storing)[:2] == (2, 0)
    assert await stored(shards) == ["a", "b"]


EXAMPLES = itertools.count()
VALUES = st.one_of(st.text(max_size=25), st.floats(), st.integers(), st.none(), st.booleans())


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text(max_size=22), VALUES), max_size=30))
async def test_every_row_is_stored_or_there_already_or_told(shards: Shards, pairs: list[tuple[str, object]]) -> None:
    key = CourseKey.of("t2", f"example {next(EXAMPLES)}")
    given = [("u", activity, 5.0, "", score, 10.0) for activity, score in pairs]
    result = await insert_rows(shards, key, SCORES, given)
    assert result.inserted + result.duplicates + len(result.rejected) == len(given)
    bad = {each.place for each in result.rejected}
    good = {activity for place, (activity, _) in enumerate(pairs) if place not in bad}
    assert set(await stored(shards, key)) == good
