"""What every `Database` adapter promises, run against each of them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Database, Engine, Transaction
from atomic_guide.engines.data.queries import parse_queries
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Store a secret.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, 1)
-- name: add_many
-- purpose: Store secrets.
-- dialect: sqlite
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, 1)
-- name: add_many
-- dialect: postgresql
INSERT INTO secrets (name, value, created_at) SELECT name, :value::text, 1 FROM unnest(:name::text[]) AS given(name)
-- name: lay
-- purpose: Store secrets, or change those that are there.
-- dialect: sqlite
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, :created_at)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE secrets.value <> excluded.value
-- name: lay
-- dialect: postgresql
INSERT INTO secrets (name, value, created_at)
SELECT name, value, :created_at::float8 FROM unnest(:name::text[], :value::text[]) AS given(name, value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE secrets.value <> excluded.value
-- name: offer
-- purpose: Store the secrets that are not there, and name them.
-- dialect: sqlite
INSERT INTO secrets (name, value, created_at) VALUES (:name, coalesce(:value, '-'), :created_at)
ON CONFLICT (name) DO NOTHING RETURNING name, value, created_at
-- name: offer
-- dialect: postgresql
INSERT INTO secrets (name, value, created_at)
SELECT name, coalesce(value, '-'), :created_at::float8 FROM unnest(:name::text[], :value::text[]) AS given(name, value)
ON CONFLICT (name) DO NOTHING RETURNING name, value, created_at
-- name: all
-- purpose: Read what is stored.
SELECT name, value FROM secrets ORDER BY name
-- name: change
-- purpose: Change and return.
UPDATE secrets SET value = :value WHERE name = :name RETURNING name, value
-- name: broken
-- purpose: Ask for a table that does not exist.
SELECT 1 FROM nowhere
-- name: endless
-- purpose: Count for longer than any time limit.
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS m FROM n
""",
    "here",
)


@pytest.fixture(params=ENGINES)
async def database(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster, scan_timeout=0.2) as opened:
        yield opened


def adding(name: str, value: str = "v") -> "Adding":
    return Adding(name, value)


class Adding:
    """A work that stores one row and answers its name."""

    def __init__(self, name: str, value: str) -> None:
        self.row = {"name": name, "value": value}

    async def __call__(self, tx: Transaction) -> str:
        await tx.execute(QUERIES["add"], self.row)
        return self.row["name"]


async def names(database: Database) -> list[str]:
    return [row["name"] for row in await database.read(QUERIES["all"])]


async def test_what_was_written_is_read(database: Database) -> None:
    assert await database.write(adding("a", "1")) == "a"
    row = await database.one(QUERIES["all"])
    assert row is not None
    assert (row["name"], row["value"]) == ("a", "1")


async def test_works_that_arrive_together_all_get_their_own_answer(database: Database) -> None:
    answers = await asyncio.gather(*(database.write(adding(f"n{i:03}")) for i in range(300)))
    assert answers == [f"n{i:03}" for i in range(300)]
    assert await names(database) == answers


async def test_a_work_that_fails_leaves_its_neighbours(database: Database) -> None:
    async def half(tx: Transaction) -> None:
        await tx.execute(QUERIES["add"], {"name": "half", "value": "v"})
        raise errors.Forbidden("no")

    outcomes = await asyncio.gather(
        database.write(adding("a")), database.write(half), database.write(adding("b")), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [str, errors.Forbidden, str]
    assert await names(database) == ["a", "b"]


async def test_a_taken_key_is_a_conflict(database: Database) -> None:
    await database.write(adding("a"))
    with pytest.raises(errors.Conflict):
        await database.write(adding("a"))


async def test_returning_gives_the_changed_row(database: Database) -> None:
    await database.write(adding("a", "old"))

    async def change(tx: Transaction) -> tuple[str, int]:
        row = await tx.one(QUERIES["change"], {"name": "a", "value": "new"})
        missing = await tx.read(QUERIES["change"], {"name": "b", "value": "new"})
        assert row is not None
        return row["value"], len(missing)

    assert await database.write(change) == ("new", 0)


async def test_a_statement_for_many_rows(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute_many(QUERIES["add"], [{"name": f"n{i}", "value": "v"} for i in range(5)])

    await database.write(work)
    assert await database.scan(QUERIES["all"]) != []
    assert await names(database) == ["n0", "n1", "n2", "n3", "n4"]


async def test_columns_of_different_lengths_are_refused(database: Database) -> None:
    async def work(tx: Transaction) -> int:
        return await tx.execute_columns(QUERIES["lay"], {"name": ["a", "b"], "value": ["a"]}, {"created_at": 1.0})

    with pytest.raises(ValueError, match="different lengths"):
        await database.write(work)
    assert await names(database) == []


async def test_a_work_sees_its_own_changes(database: Database) -> None:
    async def work(tx: Transaction) -> int:
        await tx.execute(QUERIES["add"], {"name": "a", "value": "v"})
        return len(await tx.read(QUERIES["all"]))

    assert await database.write(work) == 1


async def test_a_work_may_await_nothing_but_its_transaction(database: Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["add"], {"name": "a", "value": "v"})
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="nothing but its transaction"):
        await database.write(work)
    assert await names(database) == []


async def test_an_error_in_sql_is_told_once_and_names_the_database(database: Database) -> None:
    with pytest.raises(errors.DataUnavailable, match="directory"):
        await database.read(QUERIES["broken"])


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(errors.GuideError):
        await database.read(QUERIES["add"], {"name": "a", "value": "v"})
    assert await names(database) == []


async def test_a_long_read_ends_at_its_limit(database: Database) -> None:
    with pytest.raises(errors.DataUnavailable):
        await database.scan(QUERIES["endless"])


async def test_what_was_accepted_before_closing_is_stored(database: Engine) -> None:
    writes = [asyncio.ensure_future(database.write(adding(f"n{i}"))) for i in range(50)]
    await asyncio.sleep(0)
    await database.close()
    assert sorted(await asyncio.gather(*writes)) == sorted(f"n{i}" for i in range(50))
    with pytest.raises(errors.DataUnavailable, match="closed"):
        await database.write(adding("late"))


async def test_rows_by_column_are_stored_and_counted(database: Database) -> None:
    names_of, values = [f"n{i}" for i in range(50)], [str(i) for i in range(50)]

    async def work(tx: Transaction) -> int:
        return await tx.execute_columns(QUERIES["lay"], {"name": names_of, "value": values}, {"created_at": 2.0})

    assert await database.write(work) == 50
    assert await database.write(work) == 0
    values[7] = "other"
    assert await database.write(work) == 1
    assert len(await names(database)) == 50


@pytest.mark.parametrize("count", [1, 49, 50, 51, 120])
async def test_rows_by_column_are_stored_once_and_returned(database: Database, count: int) -> None:
    await database.write(adding("n0", "old"))
    given: dict[str, list[str | None]] = {
        "name": [f"n{i}" for i in range(count)],
        "value": [None if i % 2 else str(i) for i in range(count)],
    }

    async def work(tx: Transaction) -> set[tuple[str, str, float]]:
        rows = await tx.read_columns(QUERIES["offer"], given, {"created_at": 3.0})
        return {(row["name"], row["value"], row["created_at"]) for row in rows}

    assert await database.write(work) == {(f"n{i}", "-" if i % 2 else str(i), 3.0) for i in range(1, count)}
    stored = {row["name"]: row["value"] for row in await database.read(QUERIES["all"])}
    assert stored == {f"n{i}": "-" if i % 2 else str(i) for i in range(1, count)} | {"n0": "old"}


async def test_rows_whose_keys_are_taken_are_refused_together(database: Database) -> None:
    await database.write(adding("n60", "old"))

    async def work(tx: Transaction) -> int:
        columns = {"name": [f"n{i}" for i in range(100)]}
        return await tx.execute_columns(QUERIES["add_many"], columns, {"value": "new"})

    with pytest.raises(errors.Conflict):
        await database.write(work)
    assert await names(database) == ["n60"]


async def test_no_rows_by_column_change_nothing(database: Database) -> None:
    async def work(tx: Transaction) -> int:
        return await tx.execute_columns(QUERIES["lay"], {"name": [], "value": []}, {"created_at": 2.0})

    assert await database.write(work) == 0
