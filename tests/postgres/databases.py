"""Databases of a test's own, cloned from a template that is made once."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg

from tests.postgres.cluster import Cluster, Shard
from tests.postgres.server import Server

_LIMIT_SECONDS = 20


@dataclass(frozen=True)
class Template:
    """A database to clone: `make` fills an empty one, given its address, the first time that `name` is asked for.

    `name`, of at most 40 lower-case letters, digits and underscores, stands for what `make` does. `make` leaves no
    connection open.
    """

    name: str
    make: Callable[[str], Awaitable[None]]


async def _leave_empty(dsn: str) -> None:
    pass


EMPTY = Template("empty", _leave_empty)


@dataclass(frozen=True)
class Place:
    """One database: the address on the primary, and on each replica by its region."""

    primary: str
    replicas: dict[str, str]


@dataclass(frozen=True)
class Databases:
    """A test's databases: the directory's (on the first shard's servers) and one for each shard, in order."""

    directory: Place
    shards: tuple[Place, ...]


@contextlib.asynccontextmanager
async def fresh_databases(
    cluster: Cluster, *, directory: Template = EMPTY, shard: Template = EMPTY
) -> AsyncIterator[Databases]:
    """Clones of the templates that nobody else uses, there on the replicas too; dropped at the end."""
    key = f"t_{secrets.token_hex(6)}"
    wanted = [(cluster.shards[0], f"{key}_directory", directory)]
    wanted += [(one, f"{key}_{one.name.replace('-', '_')}", shard) for one in cluster.shards]
    try:
        async with asyncio.timeout(_LIMIT_SECONDS), asyncio.TaskGroup() as group:
            places = [group.create_task(_replicated_clone(*each)) for each in wanted]
        directory_place, *shard_places = (place.result() for place in places)
        yield Databases(directory_place, tuple(shard_places))
    finally:
        async with asyncio.timeout(_LIMIT_SECONDS), asyncio.TaskGroup() as group:
            for one, name, _ in wanted:
                group.create_task(_drop(one.primary, name))


@contextlib.asynccontextmanager
async def fresh_database(shard: Shard, template: Template = EMPTY) -> AsyncIterator[str]:
    """The address of one clone, on a shard's primary; the replicas may not have it yet. Dropped at the end."""
    name = f"t_{secrets.token_hex(6)}"
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            await _clone(shard, name, template)
        yield shard.primary.dsn(name)
    finally:
        async with asyncio.timeout(_LIMIT_SECONDS):
            await _drop(shard.primary, name)


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(dsn, timeout=10, command_timeout=_LIMIT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=10)


async def _replicated_clone(shard: Shard, name: str, template: Template) -> Place:
    position = await _clone(shard, name, template)
    async with asyncio.TaskGroup() as group:
        for replica in shard.replicas:
            group.create_task(_replayed(replica, position))
    return Place(shard.primary.dsn(name), {replica.region: replica.dsn(name) for replica in shard.replicas})


async def _clone(shard: Shard, name: str, template: Template) -> object:
    """Make a clone; answers the position in the WAL after it."""
    async with _connected(shard.primary.dsn()) as connection:
        source = f"template_{template.name}"
        if not await _exists(connection, source):
            await _make(connection, shard.primary, source, template)
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
        return await connection.fetchval("SELECT pg_current_wal_lsn()")


async def _exists(connection: "asyncpg.Connection[Any]", name: str) -> bool:
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name))


async def _make(connection: "asyncpg.Connection[Any]", server: Server, name: str, template: Template) -> None:
    """Make a template, once: another process that wants it too waits at the lock."""
    await connection.execute("SELECT pg_advisory_lock(hashtext($1))", name)
    try:
        if await _exists(connection, name):
            return
        unfinished = f"unfinished_{name}"
        await connection.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{unfinished}" TEMPLATE template0')
        await template.make(server.dsn(unfinished))
        # Whoever connected to it would make every clone wait.
        await connection.execute(f'ALTER DATABASE "{unfinished}" ALLOW_CONNECTIONS false')
        await connection.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    finally:
        await connection.execute("SELECT pg_advisory_unlock(hashtext($1))", name)


async def _replayed(replica: Server, position: object) -> None:
    async with _connected(replica.dsn()) as connection, asyncio.timeout(_LIMIT_SECONDS):
        # No event tells of it.
        while not await connection.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", position):  # noqa: ASYNC110
            await asyncio.sleep(0.002)


async def _drop(server: Server, name: str) -> None:
    """Drop a database with whatever a test that failed may have left: connections, subscriptions, slots."""
    async with _connected(server.dsn()) as connection:
        subscriptions = await connection.fetch(
            "SELECT subname FROM pg_subscription JOIN pg_database ON subdbid = pg_database.oid WHERE datname = $1", name
        )
        if subscriptions:
            await _unsubscribe(server.dsn(name), [row["subname"] for row in subscriptions])
        await connection.execute(
            "SELECT pg_terminate_backend(active_pid, 5000) FROM pg_replication_slots"
            " WHERE database = $1 AND active_pid IS NOT NULL",
            name,
        )
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


async def _unsubscribe(dsn: str, names: list[str]) -> None:
    async with _connected(dsn) as connection:
        for name in names:
            await connection.execute(f'ALTER SUBSCRIPTION "{name}" DISABLE')
            # Without its slot, which belongs to a publisher that may be gone.
            await connection.execute(f'ALTER SUBSCRIPTION "{name}" SET (slot_name = NONE)')
            await connection.execute(f'DROP SUBSCRIPTION "{name}"')
