"""SQL and schema fit: every named statement of the product can be prepared on a migrated database."""

import sqlite3
from pathlib import Path

import pytest

import atomic_guide
from atomic_guide.engines.data.migrations import head, upgrade_file
from atomic_guide.engines.data.queries import Query, parse_queries
from atomic_guide.engines.data.schema import directory_metadata, shard_metadata

ROOT = Path(atomic_guide.__file__).parent
QUERIES = [
    pytest.param(query, id=f"{path.relative_to(ROOT)}:{query.name}")
    for path in sorted(ROOT.rglob("*.sql"))
    for query in parse_queries(path.read_text(encoding="utf-8"), path.name).values()
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


@pytest.mark.parametrize("query", QUERIES)
def test_a_statement_fits_the_schema(databases: list[Path], query: Query) -> None:
    assert any(prepares(path, query) for path in databases)


def test_a_migrated_file_is_left_alone(databases: list[Path]) -> None:
    assert [upgrade_file(databases[0], "directory"), upgrade_file(databases[1], "shard")] == [False, False]
    assert head("shard") == "0002"


def test_every_row_of_a_shard_says_whose_it_is() -> None:
    for table in shard_metadata.tables.values():
        assert [column.name for column in table.primary_key][:3] == ["bucket", "tenant", "course"]
    assert "bucket_map" in directory_metadata.tables
