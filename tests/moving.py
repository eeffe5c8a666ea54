"""A course with rows in many tables, for tests that move it."""

from __future__ import annotations

from typing import Any

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.moves.rows import tables
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards


def query(text: str) -> Query:
    return Query("test", "A test's own statement.", {None: text})


ADD = query(
    "INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)"
    " VALUES (:bucket, :tenant, :course, :seq, :author, :id, :content, :at)"
)
REMOVE = query("DELETE FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq")
SEQS = query("SELECT seq FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY seq")
COUNT = query("SELECT count(*) AS rows FROM messages WHERE bucket = :bucket")
ADD_SCORE = query(
    'INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)'
    " VALUES (:bucket, :tenant, :course, :user, 'quiz', :at, '', :score, 10)"
)
OWNER = query(
    "SELECT state, epoch, token FROM bucket_owner WHERE bucket = :bucket AND tenant = :tenant AND course = :course"
)


def message(key: CourseKey, seq: int) -> dict[str, Any]:
    """One message as parameters of `ADD`."""
    own = {"seq": seq, "author": "ada", "id": f"m{seq}", "content": f"Wörter: 'it''s' {seq}\\", "at": seq + 0.1}
    return {**key.columns, **own}


async def fill(shards: Shards, key: CourseKey, count: int) -> None:
    """A course of `count` messages (seq from 1) and as many scores."""

    async def work(tx: Transaction) -> None:
        await tx.execute_many(ADD, [message(key, seq) for seq in range(1, count + 1)])
        scores = [{**key.columns, "user": f"u{n}", "at": n / 7, "score": n / 3} for n in range(count)]
        await tx.execute_many(ADD_SCORE, scores)

    await shards.of(key).write(work)


async def seqs(shards: Shards, key: CourseKey) -> list[int]:
    """The messages of a course, where it is."""
    return [row["seq"] for row in await shards.of(key).read(SEQS, key.columns)]


async def rows_on(database: Database, key: CourseKey) -> int:
    """How many rows of its bucket a shard has, whoever owns it."""
    total = 0
    for table in tables():
        text = query(f"SELECT count(*) AS rows FROM {table.name} WHERE bucket = :bucket")  # noqa: S608 - from the schema
        total += (await database.read(text, key.columns))[0]["rows"]
    return total


def other(shards: Shards, key: CourseKey) -> str:
    """The name of a shard that a course is not on."""
    here = shards.place(key).shard.name
    return next(each.name for each in shards.all() if each.name != here)
