"""The databases that a test of the port runs on: SQLite files, and PostgreSQL servers where it asks for them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import msgspec

from atomic_guide.engines.data import migrations
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.embedded import migrate_embedded, open_embedded
from atomic_guide.engines.data.migrations import Kind
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, PostgresSettings, ReplicaSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.engines.data.sqlite_settings import SqliteSettings
from tests.postgres import Cluster, Databases, Template, fresh_database, fresh_databases

ENGINES = ["sqlite", "postgresql"]


@functools.cache
def _migrated(shards: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="atomic-guide-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    migrate_embedded(folder, DataSettings(shards=shards))
    return folder


def installed(data: Path, shards: int | None = None) -> Path:
    """A data directory with databases of the newest schema, which it keeps where it has some.

    They are migrated once in a process and copied from then on: a tenth of the work.
    """
    if not (data / "databases").exists():
        made = _migrated(shards if shards is not None else DataSettings().shards)
        shutil.copytree(made / "databases", data / "databases")
    return data


async def _migrate(dsn: str, kind: Kind) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(migrations.statements(kind, None, migrations.head(kind)))
    finally:
        await connection.close()


async def _directory(dsn: str) -> None:
    await _migrate(dsn, "directory")


async def _shard(dsn: str) -> None:
    await _migrate(dsn, "shard")


DIRECTORY = Template("directory", _directory)
SHARD = Template("shard", _shard)


@asynccontextmanager
async def opened_database(
    engine: str, folder: Path, cluster: Cluster, kind: Kind = "directory", *, scan_timeout: float = 30.0
) -> AsyncIterator[Engine]:
    """One migrated database of an engine."""
    if engine == "sqlite":
        path = folder / f"{kind}.sqlite"
        name = "directory.sqlite" if kind == "directory" else "shard-0.sqlite"
        shutil.copyfile(_migrated(1) / "databases" / name, path)
        file = SqliteDatabase(path, SqliteSettings(scan_timeout=scan_timeout))
        yield file
        await file.close()
        return
    async with fresh_database(cluster.shards[0], DIRECTORY if kind == "directory" else SHARD) as dsn:
        server = PostgresDatabase(kind, dsn, PostgresSettings(scan_timeout=scan_timeout))
        yield server
        await server.close()


def declared(databases: Databases) -> DataSettings:
    """The settings of an installation on these databases."""
    return DataSettings(
        directory=databases.directory.primary,
        servers=tuple(
            ShardSettings(
                name=f"shard-{number}",
                url=place.primary,
                replicas=tuple(ReplicaSettings(url, region) for region, url in place.replicas.items()),
            )
            for number, place in enumerate(databases.shards)
        ),
    )


def variables(databases: Databases) -> dict[str, str]:
    """The same as environment variables, without their prefix."""
    settings = declared(databases)
    servers = msgspec.json.encode(settings.servers).decode()
    return {"DATABASES_DIRECTORY": databases.directory.primary, "DATABASES_SERVERS": servers}


@asynccontextmanager
async def opened_shards(engine: str, folder: Path, cluster: Cluster) -> AsyncIterator[Shards]:
    """A directory and two shards of an engine."""
    if engine == "sqlite":
        files = await open_embedded(installed(folder, 2), DataSettings(shards=2))
        yield files
        await files.close()
        return
    async with fresh_databases(cluster, directory=DIRECTORY, shard=SHARD) as databases:
        servers = await open_servers(declared(databases))
        yield servers
        await servers.close()
