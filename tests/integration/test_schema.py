"""SQL and schema fit: every named statement of the product can be prepared on a migrated database."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import asyncpg
import pytest
from _pytest.mark.structures import ParameterSet

import atomic_guide
from atomic_guide.engines.data import migrations
from atomic_guide.engines.data.migrations import head, upgrade_file
from atomic_guide.engines.data.queries import Query, parse_queries
from atomic_guide.engines.data.schema import directory_metadata, shard_metadata
from tests.engines import DIRECTORY, SHARD
from tests.postgres import Cluster, fresh_database

ROOT = Path(atomic_guide.__file__).parent


def queries(dialect: str) -> list[ParameterSet]:
    return [
        pytest.param(query, id=f"{path.relative_to(ROOT)}:{query.name}")
        for path in sorted(ROOT.rglob("*.sql"))
        for query in parse_queries(path.read_text(encoding="utf-8"), path.name).values()
        if query.speaks(dialect)
    ]


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("schema")
    upgrade_file(folder / "directory.sqlite", "directory")
    upgrade_file(folder / "shard.sqlite", "shard")
    return [folder / "directory.sqlite", folder / "shard.sqlite"]


def prepares(path: Path, query: Query) -> bool:
    connection = sqlite3.connect(path)
    try:
        connection.execute(f"EXPLAIN {query.sqlite}", dict.fromkeys(query.parameters))
    except sqlite3.Error:
        return False
    finally:
        connection.close()
    return True


@pytest.mark.parametrize("query", queries("sqlite"))
def test_a_statement_fits_the_schema(databases: list[Path], query: Query) -> None:
    assert any(prepares(path, query) for path in databases)


@pytest.fixture(scope="module")
def servers(postgres_cluster: Cluster) -> Iterator[list[str]]:
    """Addresses of a directory and a shard on PostgreSQL."""

    async def made() -> AsyncGenerator[list[str]]:
        server = postgres_cluster.shards[0]
        async with fresh_database(server, DIRECTORY) as directory, fresh_database(server, SHARD) as shard:
            yield [directory, shard]

    with asyncio.Runner() as runner:
        databases = made()
        yield runner.run(anext(databases))
        runner.run(databases.aclose())


async def fails_on_a_server(dsn: str, query: Query, *, fenced: bool) -> str:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.prepare(query.postgresql.sql)
        if fenced and ":bucket" in query.text("postgresql") and query.postgresql.sql.startswith("SELECT"):
            await connection.prepare(query.fenced.sql)
    except asyncpg.PostgresError as error:
        return str(error)
    finally:
        await connection.close()
    return ""


@pytest.mark.parametrize("query", queries("postgresql"))
async def test_a_statement_fits_the_schema_on_servers(servers: list[str], query: Query) -> None:
    directory, shard = servers
    reasons = [
        await fails_on_a_server(directory, query, fenced=False),
        await fails_on_a_server(shard, query, fenced=True),
    ]
    assert "" in reasons, reasons


async def test_both_engines_have_the_same_tables_and_columns(servers: list[str]) -> None:
    for dsn, metadata in zip(servers, (directory_metadata, shard_metadata), strict=True):
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(
            "SELECT table_name, column_name, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public' AND table_name <> 'alembic_version'"
        )
        await connection.close()
        stands = {(row["table_name"], row["column_name"], row["is_nullable"] == "YES") for row in rows}
        wanted = {
            (table.name, column.name, bool(column.nullable))
            for table in metadata.tables.values()
            for column in table.columns
        }
        assert stands == wanted


def test_a_migrated_file_is_left_alone(databases: list[Path]) -> None:
    assert [upgrade_file(databases[0], "directory"), upgrade_file(databases[1], "shard")] == [False, False]
    versions = Path(migrations.__file__).parent / "shard" / "versions"
    assert head("shard") == max(path.name[:4] for path in versions.glob("*.py"))


def test_every_row_of_a_shard_says_whose_it_is() -> None:
    for table in shard_metadata.tables.values():
        assert [column.name for column in table.primary_key][:3] == ["bucket", "tenant", "course"]
    assert "bucket_map" in directory_metadata.tables
