"""An installation of two shards that can take a third, with courses that weigh something."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import make_shard, open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from tests.engines import DIRECTORY, SHARD, declared, installed
from tests.postgres import Cluster, fresh_database, fresh_databases

NOW = 1_800_000_000.0

QUERIES = parse_queries(
    """
-- name: add_course
-- purpose: A course with messages.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, :context, 'A course', :last_seq, 1)
-- name: add_message
-- purpose: A message.
INSERT INTO messages (bucket, tenant, course, seq, author, id, content, created_at)
VALUES (:bucket, :tenant, :course, :seq, 'somebody', :id, 'hello', :at)
-- name: count_messages
-- purpose: What a course has.
SELECT count(*) AS messages FROM messages WHERE bucket = :bucket AND tenant = :tenant AND course = :course
""",
    "tests/layouts",
)


class Layout:
    """Open shards, the settings that they were opened with, and where."""

    def __init__(self, shards: Shards, folder: Path, settings: DataSettings) -> None:
        self.shards = shards
        self.folder = folder
        self.settings = settings

    async def fill(self, courses: int, messages: int = 3, tenant: str = "t1", at: float = NOW - 60) -> list[CourseKey]:
        """Courses of a tenant, each with messages of a minute ago."""
        keys = [CourseKey.of(tenant, f"context-{number}") for number in range(courses)]
        for number, key in enumerate(keys):
            await self.add_course(key, f"context-{number}", messages, at)
        return keys

    async def add_course(self, key: CourseKey, context: str, messages: int, at: float = NOW - 60) -> None:
        """One course."""

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_course"], {**key.columns, "context": context, "last_seq": messages})
            rows = [{**key.columns, "seq": seq, "id": f"m{seq}", "at": at} for seq in range(1, messages + 1)]
            await tx.execute_many(QUERIES["add_message"], rows)

        await self.shards.of(key).write(work)

    async def messages(self, key: CourseKey) -> int:
        """How many messages a course has, wherever it is."""
        row = await self.shards.of(key).one(QUERIES["count_messages"], key.columns)
        assert row is not None
        return int(row["messages"])


@asynccontextmanager
async def layout(engine: str, folder: Path, cluster: Cluster) -> AsyncIterator[Layout]:
    """Two shards in use, and a third, `shard-2`, that is there and not added."""
    if engine == "sqlite":
        settings = DataSettings(shards=2)
        files = await open_embedded(installed(folder, 2), settings)
        make_shard(folder, settings, "shard-2")
        yield Layout(files, folder, settings)
        await files.close()
        return
    async with (
        fresh_databases(cluster, directory=DIRECTORY, shard=SHARD) as databases,
        fresh_database(cluster.shards[0], SHARD) as third,
    ):
        two = declared(databases)
        await (await open_servers(two)).close()
        three = msgspec.structs.replace(two, servers=(*two.servers, ShardSettings("shard-2", third)))
        servers = await open_servers(three)
        yield Layout(servers, folder, three)
        await servers.close()
