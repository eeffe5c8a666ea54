"""SQLite files under trouble: several processes, a full disk, damage, a newer schema."""

import asyncio
import resource
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from atomic_guide import errors
from atomic_guide.engines.data import migrations
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.migrations import upgrade_file
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query, parse_queries
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.engines.data.sqlite_settings import SqliteSettings

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Store a secret.
INSERT INTO secrets (name, value, created_at) VALUES (:name, :value, 1)
-- name: count
-- purpose: Count what is stored.
SELECT count(*) AS n FROM secrets
""",
    "here",
)

WRITER = """
import asyncio, sys
from pathlib import Path
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.sqlite import SqliteDatabase
sql = "-- name: add\\n-- purpose: p\\nINSERT INTO secrets (name, value, created_at) VALUES (:name, 'v', 1)"
add = parse_queries(sql, "here")["add"]
async def main():
    database = SqliteDatabase(Path(sys.argv[1]))
    async def one(i):
        async def work(tx):
            await tx.execute(add, {"name": f"{sys.argv[2]}-{i}"})
        await database.write(work)
    for start in range(0, 400, 20):
        await asyncio.gather(*(one(i) for i in range(start, start + 20)))
    await database.close()
asyncio.run(main())
"""


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """A disk that takes no file over `limit` bytes, enforced by the kernel."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_several_processes_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite"
    upgrade_file(path, "directory")
    commands = [[sys.executable, "-c", WRITER, str(path), f"p{i}"] for i in range(3)]
    processes = [await asyncio.create_subprocess_exec(*command) for command in commands]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM secrets").fetchone() == (1200,)


DYING = """
import os, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from atomic_guide.engines.data.migrations import upgrade_file
made = 0
@event.listens_for(Engine, "after_cursor_execute")
def die(connection, cursor, statement, *_):
    global made
    made += "CREATE TABLE" in statement
    if made == 5:
        os._exit(9)
upgrade_file(Path(sys.argv[1]), "shard")
"""


async def test_a_process_that_dies_half_way_through_a_migration_leaves_nothing_half(tmp_path: Path) -> None:
    path = tmp_path / "shard-0.sqlite"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, str(path))
    assert await asyncio.wait_for(process.wait(), 60) == 9
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == []
    connection.close()
    assert upgrade_file(path, "shard")
    assert not upgrade_file(path, "shard")


async def test_writes_that_wait_for_another_process_are_refused_together(tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite"
    upgrade_file(path, "directory")
    database = SqliteDatabase(path, SqliteSettings(busy_timeout=0.2))

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["add"], {"name": "never", "value": "x"})

    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    # One after the other, they would wait for 100 s.
    async with asyncio.timeout(30):
        outcomes = await asyncio.gather(*(database.write(work) for _ in range(500)), return_exceptions=True)
    assert all(isinstance(outcome, errors.DataUnavailable) and outcome.retry_after for outcome in outcomes)
    holder.close()
    await database.close()


async def test_a_write_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    path = tmp_path / "directory.sqlite"
    upgrade_file(path, "directory")
    database = SqliteDatabase(path)

    async def add(name: str, size: int) -> None:
        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add"], {"name": name, "value": "x" * size})

        await database.write(work)

    with file_size_limit(4 * 1024 * 1024):
        outcomes = await asyncio.gather(
            add("small-1", 10), add("huge", 64 * 1024 * 1024), add("small-2", 10), return_exceptions=True
        )
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert isinstance(outcomes[1], errors.GuideError)
    await add("afterwards", 10)
    row = await database.one(QUERIES["count"])
    assert row is not None
    assert row["n"] == 3
    await database.close()


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 4096])
async def test_a_damaged_file_is_named_with_its_remedy(tmp_path: Path, damage: bytes) -> None:
    shards = await open_embedded(tmp_path, DataSettings(shards=2))
    await shards.close()
    victim = tmp_path / "databases" / "shard-1.sqlite"
    victim.write_bytes(damage)
    with pytest.raises(errors.DataUnavailable, match=r"shard-1\.sqlite.*damaged.*backup"):
        await open_embedded(tmp_path, DataSettings(shards=2))
    assert victim.read_bytes() == damage


async def test_a_file_of_a_newer_program_is_refused_unless_its_floor_allows_this_one(tmp_path: Path) -> None:
    shards = await open_embedded(tmp_path)
    await shards.close()
    with sqlite3.connect(tmp_path / "databases" / "directory.sqlite") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    # A release that only expanded was rolled back: its schema is served as it is.
    await (await open_embedded(tmp_path)).close()
    with sqlite3.connect(tmp_path / "databases" / "directory.sqlite") as connection:
        connection.execute("UPDATE schema_floor SET revision = '9999'")
    with pytest.raises(errors.DataUnavailable, match=r"directory\.sqlite was written by a newer version"):
        await open_embedded(tmp_path)


async def test_a_data_directory_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "databases"
    folder.mkdir()
    for name, kind in (("directory", "directory"), ("shard-0", "shard"), ("shard-1", "shard")):
        migrate_to(folder / f"{name}.sqlite", kind, "0001")
    key = CourseKey.of("t", "c")
    with sqlite3.connect(folder / "directory.sqlite") as connection:
        rows = [("default", bucket, f"shard-{bucket % 2}", 1) for bucket in range(4096)]
        connection.executemany("INSERT INTO bucket_map VALUES (?, ?, ?, ?)", rows)
    with sqlite3.connect(folder / f"shard-{key.bucket % 2}.sqlite") as connection:
        member = (key.bucket, key.tenant, key.course, "u", "Name", "learner", 1.0, 1.0)
        connection.execute("INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?)", member)
    for _ in range(2):
        shards = await open_embedded(tmp_path, DataSettings(shards=2))
        assert shards.of(key).name == f"shard-{key.bucket % 2}"
        (row,) = await shards.of(key).read(MEMBERS, key.columns)
        assert row["name"] == "Name"
        states = {row["name"]: row["state"] for row in await shards.directory.read(SHARDS)}
        assert states == {"shard-0": "active", "shard-1": "active"}
        await shards.close()


async def test_a_shard_that_lost_its_file_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    shards = await open_embedded(tmp_path, DataSettings(shards=1))
    await shards.close()
    for path in (tmp_path / "databases").glob("shard-0.sqlite*"):
        path.unlink()
    shards = await open_embedded(tmp_path, DataSettings(shards=1))
    key = CourseKey.of("t", "c")
    with pytest.raises(errors.Fenced):
        await shards.place(key).shard.read(MEMBERS, key.columns, epoch=shards.place(key).epoch)
    await shards.close()


MEMBERS = Query(
    "members",
    "A course's members.",
    {None: "SELECT name FROM members WHERE bucket = :bucket AND tenant = :tenant AND course = :course"},
)
SHARDS = Query("shards", "The shards.", {None: "SELECT name, state FROM shards"})


def migrate_to(path: Path, kind: str, revision: str) -> None:
    """A file as an earlier release left it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent / kind))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    command.upgrade(config, revision)


async def test_the_log_is_brought_back_beside_the_writer_and_does_not_grow(tmp_path: Path) -> None:
    path = tmp_path / "own.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    add = parse_queries("-- name: add\n-- purpose: Add a note.\nINSERT INTO notes VALUES (:text)", "test")["add"]
    database = SqliteDatabase(path)
    wal = path.with_name("own.sqlite-wal")
    sizes = []
    for _ in range(4):
        for _ in range(700):
            await database.write(lambda tx: tx.execute(add, {"text": "x" * 3000}))
        await asyncio.sleep(1.2)
        sizes.append(wal.stat().st_size)
    await database.close()
    # Where it only grew it would be 35 MB by now, three pages a commit.
    assert sizes[-1] < 25_000_000, sizes
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM notes").fetchone() == (2800,)
