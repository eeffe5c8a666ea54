"""The form on PostgreSQL servers: migrated by a command, checked at every start, opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
from asyncpg.connect_utils import SessionAttribute

from atomic_guide.engines.data import migrations
from atomic_guide.engines.data.failures import wrap
from atomic_guide.engines.data.migrations import Kind, Stand
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.replica import Replica
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.settings import DataSettings, PostgresSettings, ShardSettings, check_servers
from atomic_guide.engines.data.shard import Shard
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.standing import Connect, Connections, Server
from atomic_guide.engines.data.tables import shapes
from atomic_guide.engines.data.tls import tls_of
from atomic_guide.errors import DataUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_MIGRATION_SECONDS = 3600.0
"""How long one database's migration may take; an index over a large table takes minutes."""

_VACUUM_SECONDS = 600.0
"""How long one database's vacuum may take; a shard of ten million rows takes a minute or two."""

_LOCK = 1096040771
"""The advisory lock under which one migrator at a time works in a database ("ATAC" as a number)."""


def databases_of(settings: DataSettings) -> list[tuple[str, Kind, str]]:
    """Name, chain and address of every database that is declared, the directory first."""
    check_servers(settings)
    shards: list[tuple[str, Kind, str]] = [(server.name, "shard", server.url) for server in settings.servers]
    return [("directory", "directory", settings.directory or ""), *shards]


async def migrate_servers(
    settings: DataSettings, *, contract: bool = False, told: Callable[[str], None] | None = None
) -> list[str]:
    """Bring directory and shards to this program's schema, each in one transaction; the names of those that changed.

    Contracting revisions, which programs of earlier releases cannot bear, wait for `contract`. `told(name)` is called
    before each database. Raises `DataUnavailable` naming the database.
    """
    changed = []
    for name, kind, address in databases_of(settings):
        if told is not None:
            told(name)
        async with connected(name, address, settings.postgresql) as connection:
            if await _migrated(connection, name, kind, contract=contract):
                changed.append(name)
    return changed


async def stands(settings: DataSettings) -> dict[str, tuple[Kind, Stand]]:
    """Chain and revision of every database by name. Raises `DataUnavailable` naming one that does not answer."""
    found: dict[str, tuple[Kind, Stand]] = {}
    for name, kind, address in databases_of(settings):
        async with connected(name, address, settings.postgresql) as connection:
            found[name] = kind, await stand_on(connection)
    return found


async def open_servers(settings: DataSettings) -> Shards:
    """Open directory and shards. Raises `DataUnavailable` where a schema is not the one that this program serves."""
    for name, (kind, stand) in (await stands(settings)).items():
        if not migrations.is_current(kind, stand, name):
            raise DataUnavailable(
                f"database {name} has schema {stand.revision or 'none'}, this program needs"
                f" {migrations.needed(kind)}; run `atomic-guide migrate`"
            )
    directory = PostgresDatabase("directory", settings.directory or "", settings.postgresql)
    shards = Shards(directory, [open_shard(server, settings) for server in settings.servers])
    try:
        await shards.join()
    except BaseException:
        await shards.close()
        raise
    return shards


def open_shard(shard: ShardSettings, settings: DataSettings) -> Shard:
    """A shard with its replicas; connections are made when they are needed."""
    reads = settings.reads
    primary = Server(
        shard.name, shard.region, _connecting(shard.name, shard.url, settings, read_only=False), reads.answer_seconds
    )
    replicas = [
        Replica(name, place.region, _connecting(name, place.url, settings, read_only=True), reads)
        for name, place in ((f"{shard.name}-replica-{number}", place) for number, place in enumerate(shard.replicas, 1))
    ]

    def beside(name: str, port: int) -> Replica:
        url = at_port(shard.url, port)
        return Replica(name, shard.region, _connecting(name, url, settings, read_only=True), reads)

    known = ReplicaSet(shard.name, primary, replicas, reads, settings.region, beside)
    return Shard(shard.name, primary.engine, shard.zone, shard.weight, known, shard.region)


def at_port(address: str, port: int) -> str:
    """The address of a server on this computer that holds a copy of the database at `address`."""
    parts = urlsplit(address)
    login = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{port}" if login else f"127.0.0.1:{port}"))


def _connecting(name: str, address: str, settings: DataSettings, *, read_only: bool) -> Connect:
    """How to reach a server: as the settings say for its reads and writes, and by one connection for questions."""
    limit = settings.reads.answer_seconds
    asking = msgspec.structs.replace(
        settings.postgresql, readers=1, writers=1, statement_timeout=limit, connect_timeout=limit
    )

    def connect(told: Callable[[str], None]) -> Connections:
        engine = PostgresDatabase(name, address, settings.postgresql, read_only=read_only, told=told)
        asked = PostgresDatabase(name, address, asking, read_only=read_only, told=told)

        def forget() -> None:
            engine.forget()
            asked.forget()

        return Connections(engine, asked, forget)

    return connect


@asynccontextmanager
async def connected(
    name: str, address: str, settings: PostgresSettings, wanted: SessionAttribute = SessionAttribute.primary
) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """One connection without the time limits of serving; the product's errors for the driver's."""
    try:
        connection = await asyncpg.connect(
            address,
            timeout=settings.connect_timeout,
            command_timeout=_MIGRATION_SECONDS,
            ssl=tls_of(address, settings),
            target_session_attrs=wanted,
        )
        try:
            yield connection
        finally:
            await connection.close(timeout=settings.connect_timeout)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise wrap(error, name) from error


async def vacuum_servers(settings: DataSettings) -> dict[str, str]:
    """Let every server take its dead rows away now, and not when enough of them have come together; what came of it.

    Rows that a transaction which began before may still see stay until the server's next vacuum.
    """
    found = {}
    for name, kind, address in databases_of(settings):
        tables = ", ".join(f'"{table}"' for table in shapes(kind))
        try:
            async with connected(name, address, settings.postgresql) as connection:
                await connection.execute(f"VACUUM (INDEX_CLEANUP ON) {tables}", timeout=_VACUUM_SECONDS)
        except DataUnavailable as error:
            found[name] = f"could not be vacuumed ({error.message}); the server's next vacuum does it"
        else:
            found[name] = "erased"
    return found


async def stand_on(connection: asyncpg.Connection[asyncpg.Record]) -> Stand:
    """Where the database of a connection stands."""
    known = {
        row["name"]
        for row in await connection.fetch(
            "SELECT c.relname AS name FROM pg_class AS c WHERE c.oid IN"
            " (to_regclass('alembic_version'), to_regclass('schema_floor'))"
        )
    }
    revision = floor = None
    if "alembic_version" in known:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    if "schema_floor" in known:
        floor = await connection.fetchval("SELECT revision FROM schema_floor")
    return Stand(revision, floor)


async def _migrated(connection: asyncpg.Connection[asyncpg.Record], name: str, kind: Kind, *, contract: bool) -> bool:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        stand = await stand_on(connection)
        # Refuses what a newer program has written.
        migrations.is_current(kind, stand, name)
        target = migrations.goal(kind, stand.revision, contract=contract)
        if stand.revision is not None and stand.revision >= target:
            return False
        await connection.execute(migrations.statements(kind, stand.revision, target))
        return True
