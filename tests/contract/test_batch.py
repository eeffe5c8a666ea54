"""Group commit over every `Database` adapter."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import parse_queries
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Store a secret.
INSERT INTO secrets (name, value, created_at) VALUES (:name, 'x', 1)
-- name: all
-- purpose: Read what is stored.
SELECT name FROM secrets ORDER BY name
""",
    "here",
)


@pytest.fixture(params=ENGINES)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Log:
    """Writes names, and remembers in which groups and what was announced."""

    def __init__(self, **limits: Any) -> None:
        self.groups: list[list[str]] = []
        self.announced: list[str] = []
        self.commits: GroupCommit[str, str] = GroupCommit(self._write, self._done, **limits)

    async def _write(self, tx: Transaction, items: Sequence[str]) -> list[str]:
        self.groups.append(list(items))
        for item in items:
            await tx.execute(QUERIES["add"], {"name": item})
        return [item.upper() for item in items]

    def _done(self, items: Sequence[str], results: Sequence[str]) -> None:
        self.announced += results


async def stored(database: Database) -> list[str]:
    return [row["name"] for row in await database.read(QUERIES["all"])]


async def test_what_arrives_in_one_tick_is_one_commit_and_what_follows_the_next(database: Database) -> None:
    log = Log()
    first = [asyncio.create_task(log.commits.add(database, name)) for name in "abc"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second = [asyncio.create_task(log.commits.add(database, name)) for name in "de"]
    assert await asyncio.gather(*first, *second) == list("ABCDE")
    assert log.groups == [list("abc"), list("de")]
    assert log.announced == list("ABCDE")


async def test_groups_are_bounded_and_so_is_what_waits(database: Database) -> None:
    log = Log(limit=2, pending=4)
    tasks = [asyncio.create_task(log.commits.add(database, name)) for name in "abcdef"]
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[:4] == list("ABCD")
    assert all(isinstance(error, errors.Unavailable) for error in results[4:])
    assert log.groups == [["a", "b"], ["c", "d"]]


async def test_one_that_cannot_be_stored_fails_alone(database: Database) -> None:
    log = Log()
    await log.commits.add(database, "taken")
    results = await asyncio.gather(
        *(log.commits.add(database, name) for name in ("a", "taken", "b")), return_exceptions=True
    )
    assert results[::2] == ["A", "B"]
    assert isinstance(results[1], errors.Conflict)
    assert await stored(database) == ["a", "b", "taken"]
    assert log.announced == ["TAKEN", "A", "B"]


async def test_a_caller_that_gives_up_does_not_keep_the_others_from_hearing(database: Database) -> None:
    log = Log()
    gone, stays = (asyncio.create_task(log.commits.add(database, name)) for name in "ab")
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == "B"
    assert log.announced == ["A", "B"]
    assert await stored(database) == ["a", "b"]


async def test_closing_waits_for_what_was_accepted(database: Database) -> None:
    log = Log()
    task = asyncio.create_task(log.commits.add(database, "a"))
    await asyncio.sleep(0)
    await log.commits.close()
    assert await stored(database) == ["a"]
    assert await task == "A"


async def test_a_failure_behind_the_commit_is_nobodys_refusal(database: Database) -> None:
    log = Log(limit=1)
    log.announced = None  # type: ignore[assignment]
    assert await asyncio.gather(*(log.commits.add(database, name) for name in "abc")) == ["A", "B", "C"]
    assert await stored(database) == ["a", "b", "c"]
    await log.commits.close()
