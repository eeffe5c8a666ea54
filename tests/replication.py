"""An installation on servers with replicas, and a number to write and read in it: for tests of sessions."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec

from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, PostgresSettings
from atomic_guide.engines.data.shards import Shards
from tests.engines import DIRECTORY, SHARD, declared
from tests.postgres import Cluster, fresh_databases

KEY = CourseKey.of("tenant", "course")

QUERIES = parse_queries(
    """
-- name: put
-- purpose: Set the number of a course.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, 'context', 'Title', :number, 1)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET last_seq = :number
-- name: get
-- purpose: Read it.
SELECT last_seq AS number FROM courses WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: broken
-- purpose: Fail in a way that the servers' logs show, once for each time that it runs.
SELECT 1 / (last_seq - last_seq) AS sought_in_the_log FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
-- name: slow
-- purpose: Read it, and take a while.
SELECT last_seq AS number, pg_sleep(:seconds) FROM courses
WHERE bucket = :bucket AND tenant = :tenant AND course = :course
""",
    "here",
)

QUICK = ReadSettings(probe_seconds=0.2, answer_seconds=0.4, breaker_rest_seconds=0.5)
"""Everything sooner than in production, so that a test need not wait; the wait for a replica is the real one."""


async def put(shards: Shards, number: int, key: CourseKey = KEY) -> None:
    """Write the number."""

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["put"], {**key.columns, "number": number})

    await shards.of(key).write(work)


async def get(shards: Shards, key: CourseKey = KEY) -> int:
    """Read it; -1 where the course is not there."""
    row = await shards.of(key).one(QUERIES["get"], key.columns)
    return int(row["number"]) if row is not None else -1


async def written(shards: Shards, number: int, key: CourseKey = KEY) -> str:
    """Write it in a session of its own; the session's bookmark."""
    async with shards.session("first-unconstrained") as session:
        await put(shards, number, key)
        return await session.bookmark()


async def seen(shards: Shards, start: str, key: CourseKey = KEY) -> tuple[int, str]:
    """Read it in a session that begins somewhere; what it saw, and its bookmark."""
    async with shards.session(start) as session:
        return await get(shards, key), await session.bookmark()


def replicas_of(shards: Shards, key: CourseKey = KEY) -> ReplicaSet:
    """The replicas of the shard that a course is on."""
    found = shards.place(key).shard.replicas
    assert found is not None
    return found


def by_target(shards: Shards) -> Counter[str]:
    """How many reads went to replicas, and how many to the primary."""
    counted: Counter[str] = Counter()
    for (target, _), reads in replicas_of(shards).reads.items():
        counted[target] += reads
    return counted


@asynccontextmanager
async def installed(
    cluster: Cluster, reads: ReadSettings = QUICK, *, region: str = "", failover: bool = False
) -> AsyncIterator[DataSettings]:
    """Databases on a cluster, and their settings. `failover`: a shard's address names every server of it."""
    async with fresh_databases(cluster, directory=DIRECTORY, shard=SHARD) as databases:
        settings = declared(databases)
        servers = settings.servers
        if failover:
            servers = tuple(
                msgspec.structs.replace(server, url=_several(server.url, [place.url for place in server.replicas]))
                for server in servers
            )
        yield msgspec.structs.replace(
            settings,
            servers=servers,
            region=region,
            reads=reads,
            postgresql=PostgresSettings(connect_timeout=1, statement_timeout=3),
        )


@asynccontextmanager
async def opened(settings: DataSettings) -> AsyncIterator[Shards]:
    """One process's view of the databases."""
    shards = await open_servers(settings)
    try:
        yield shards
    finally:
        await shards.close()


def _several(first: str, others: list[str]) -> str:
    """One address with the hosts of all of them."""
    parts = urlsplit(first)
    login, _, host = parts.netloc.rpartition("@")
    hosts = [host, *(urlsplit(other).netloc.rpartition("@")[2] for other in others)]
    return f"{parts.scheme}://{login}@{','.join(hosts)}{parts.path}"
