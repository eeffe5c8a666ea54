"""A course with rows in many tables, for tests that move it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.moves import Limits
from atomic_guide.engines.data.moves.rows import tables
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards

FOLLOWING = Limits(direct=0, directory=0.5)
"""Servers follow even a few rows, as they do many."""


def query(text: str) -> Query:
    return Query("test", "A test's own statement.", {None: text})


ADD = query(
    "INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)"
    " VALUES (:bucket, :tenant, :course, :seq, :author, :id, :content, :at)"
)
REMOVE = query("DELETE FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq = :seq")
SEQS = query("SELECT seq FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course ORDER BY seq")
WRITTEN = query(
    "SELECT seq FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND seq >= :first"
)
ADD_COURSE = query(
    "INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)"
    " VALUES (:bucket, :tenant, :course, 'context', 'Title', :count, 1.5)"
)
ADD_SCORE = query(
    'INSERT INTO scores (bucket, tenant, course, "user", activity, at, id, score, maximum)'
    " VALUES (:bucket, :tenant, :course, :user, 'quiz', :at, '', :score, 10)"
)
OWNER = query(
    "SELECT state, epoch, token FROM bucket_owner WHERE bucket = :bucket AND tenant = :tenant AND course = :course"
)


_FIRST = 1_000_000
"""Where the numbers of the first writer begin, far above those of the rows that a course is filled with."""


def message(key: CourseKey, seq: int) -> dict[str, Any]:
    """One message as parameters of `ADD`."""
    own = {"seq": seq, "author": "ada", "id": f"m{seq}", "content": f"Wörter: 'it''s' {seq}\\", "at": seq + 0.1}
    return {**key.columns, **own}


async def fill(shards: Shards, key: CourseKey, count: int) -> None:
    """A course of `count` messages (seq from 1), as many scores, and one row about itself."""

    async def work(tx: Transaction) -> None:
        await tx.execute(ADD_COURSE, {**key.columns, "count": count})
        await tx.execute_many(ADD, [message(key, seq) for seq in range(1, count + 1)])
        scores = [{**key.columns, "user": f"u{n}", "at": n / 7, "score": n / 3} for n in range(count)]
        await tx.execute_many(ADD_SCORE, scores)

    await shards.of(key).write(work)


async def seqs(shards: Shards, key: CourseKey) -> list[int]:
    """The messages of a course, where it is."""
    return [row["seq"] for row in await shards.of(key).read(SEQS, key.columns)]


async def rows_on(database: Database, bucket: int) -> int:
    """How many rows of a bucket a shard has, whoever owns it."""
    total = 0
    for table in tables():
        text = query(f"SELECT count(*) AS rows FROM {table.name} WHERE bucket = :bucket")  # noqa: S608 - from the schema
        total += (await database.read(text, {"bucket": bucket}))[0]["rows"]
    return total


def other(shards: Shards, key: CourseKey) -> str:
    """The name of a shard that a course is not on."""
    here = shards.place(key).shard.name
    return next(each.name for each in shards.all() if each.name != here)


def where(shards: Shards, key: CourseKey) -> str:
    """The name of the shard that a course is on, as this process knows."""
    return shards.place(key).shard.name


def addresses(shards: Shards) -> list[str]:
    """The addresses of directory and shards; none for files."""
    databases = [shards.directory, *(each.shard.primary for each in shards.all())]
    return [database.address for database in databases if isinstance(database, PostgresDatabase)]


async def open_again(folder: Path, found: Sequence[str]) -> Shards:
    """The same databases as another process opens them."""
    if not found:
        return await open_embedded(folder, DataSettings(shards=2))
    servers = tuple(ShardSettings(f"shard-{number}", url) for number, url in enumerate(found[1:]))
    return await open_servers(DataSettings(directory=found[0], servers=servers))


@asynccontextmanager
async def beside(shards: Shards, folder: Path) -> AsyncIterator[Shards]:
    """The same databases with a map of their own, which is read again only where it is refused."""
    opened = await open_again(folder, addresses(shards))
    yield opened
    await opened.close()


class Use:
    """Writers that add and remove messages of a course, and readers that must see all that was acknowledged before."""

    def __init__(self, key: CourseKey) -> None:
        self._key = key
        self.kept: set[int] = set()
        self.removed: set[int] = set()
        self.written = 0
        self.acknowledged_at: list[float] = []
        self._stopping = False
        self._more = asyncio.Event()

    @asynccontextmanager
    async def going_on(self, routers: Sequence[Shards], *, writers: int, readers: int) -> AsyncIterator[None]:
        """Use the course by turns through each router, for the length of a block. Any error of a call is raised."""
        async with asyncio.TaskGroup() as group:
            for number in range(writers):
                group.create_task(self._write(routers[number % len(routers)], (number + 1) * _FIRST))
            for number in range(readers):
                group.create_task(self._read(routers[number % len(routers)]))
            await self.more_than(0)
            try:
                yield
            finally:
                self._stopping = True

    async def more_than(self, written: int) -> None:
        """Wait until more has been written."""
        async with asyncio.timeout(10):
            while self.written <= written:
                self._more.clear()
                await self._more.wait()

    async def _write(self, shards: Shards, first: int) -> None:
        course = shards.of(self._key)
        mine: list[int] = []
        for seq in itertools.count(first):
            if self._stopping:
                return
            await course.write(lambda tx, seq=seq: tx.execute(ADD, message(self._key, seq)))  # type: ignore[misc]
            self._acknowledged()
            mine.append(seq)
            self.kept.add(seq)
            if len(mine) % 3 == 0:
                await self._remove(course, mine.pop(0))

    async def _remove(self, course: Database, seq: int) -> None:
        # Readers may see it until it is removed, and must not once that is acknowledged.
        self.kept.discard(seq)
        await course.write(lambda tx: tx.execute(REMOVE, {**self._key.columns, "seq": seq}))
        self._acknowledged()
        self.removed.add(seq)

    async def _read(self, shards: Shards) -> None:
        course = shards.of(self._key)
        while not self._stopping:
            kept, removed = set(self.kept), set(self.removed)
            rows = await course.read(WRITTEN, {**self._key.columns, "first": _FIRST})
            seen = {row["seq"] for row in rows}
            assert len(seen) == len(rows)
            # What was removed while the read went on may be missing.
            assert kept - seen <= self.removed | (kept - self.kept)
            assert not removed & seen
            await asyncio.sleep(0.001)

    def _acknowledged(self) -> None:
        self.written += 1
        self.acknowledged_at.append(time.monotonic())
        self._more.set()
