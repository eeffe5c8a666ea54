"""Backups of PostgreSQL: the same form, restored into new databases or into files; and erasing there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from atomic_guide.app.keeping.carrying import carry_files
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings
from tests.engines import DIRECTORY, SHARD, declared
from tests.keeping import CONTEXTS, MARK, OTHER, PERSON, TENANT, run, seeded, settings_of
from tests.postgres import Cluster, fresh_databases

pytestmark = pytest.mark.timeout(120)


def file_of(settings: DataSettings, path: Path) -> tuple[str, str]:
    """The option that names a settings file for these databases."""
    servers = "\n".join(f'[[databases.servers]]\nname = "{one.name}"\nurl = "{one.url}"' for one in settings.servers)
    path.write_text(f'[databases]\ndirectory = "{settings.directory}"\n{servers}\n', encoding="utf-8")
    return ("--config", str(path))


async def call(*arguments: Any, **more: Any) -> Any:
    return await asyncio.to_thread(run, *arguments, **more)


class Site:
    """An installation on PostgreSQL and one with empty databases."""

    def __init__(self, data: Path, shard: str, old: tuple[str, str], new: tuple[str, str]) -> None:
        self.data = data
        self.shard = shard
        self.old = old
        self.new = new


@pytest.fixture
async def site(tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Site]:
    data = seeded(tmp_path / "data")
    async with (
        fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD) as first,
        fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD) as second,
    ):
        shards = await open_servers(declared(first))
        await carry_files(settings_of(data), data, shards, lambda _: None)
        await shards.close()
        old, new = file_of(declared(first), tmp_path / "old.toml"), file_of(declared(second), tmp_path / "new.toml")
        yield Site(data, declared(first).servers[0].url, old, new)


def find(*more: str) -> tuple[str, ...]:
    return ("erase", "person", "--tenant", TENANT, "--user", PERSON, "--dry-run", *more)


async def test_it_is_restored_into_empty_databases(site: Site) -> None:
    before = (await call(site.data, *find(*site.old)))["receipt"]["found"]
    made = await call(site.data, "backup", *site.old)
    assert (await call(site.data, "backup", "verify", made["id"], *site.old))["verified"]
    assert "not empty" in await call(site.data, "restore", made["id"], "--yes", *site.old, fails=True)
    done = await call(site.data, "restore", made["id"], "--yes", *site.new)
    assert done["databases"] == 3
    after = (await call(site.data, *find(*site.new)))["receipt"]["found"]
    gone = {"uploads", "one_time_codes", "lti_logins"}
    assert after == {name: count for name, count in before.items() if name not in gone}


async def test_who_was_erased_since_stays_erased(site: Site) -> None:
    made = await call(site.data, "backup", *site.old)
    await call(site.data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes", *site.old)
    done = await call(site.data, "restore", made["id"], "--yes", *site.new)
    assert done["erased"] == 1
    assert (await call(site.data, *find(*site.new)))["receipt"]["found"] == {}


async def test_it_can_be_restored_as_files(site: Site, tmp_path: Path) -> None:
    made = await call(site.data, "backup", *site.old)
    elsewhere = tmp_path / "elsewhere"
    await call(elsewhere, "restore", made["path"])
    found = (await call(elsewhere, *find()))["receipt"]["found"]
    assert found["messages"] == 2 * len(CONTEXTS)


async def tuples_on_pages(address: str, table: str) -> list[bytes]:
    """What a table's pages hold in tuples, dead ones too."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
        pages = await connection.fetchval(f"SELECT pg_relation_size('{table}') / current_setting('block_size')::int")
        found = []
        for page in range(pages):
            rows = await connection.fetch("SELECT t_data FROM heap_page_items(get_raw_page($1, $2))", table, page)
            found += [row["t_data"] for row in rows if row["t_data"] is not None]
        return found
    finally:
        await connection.close()


async def test_an_erasure_leaves_no_dead_rows_on_the_servers(site: Site) -> None:
    assert any(MARK.encode() in data for data in await tuples_on_pages(site.shard, "messages"))
    await call(site.data, "erase", "person", "--tenant", OTHER, "--user", PERSON, "--yes", *site.old)
    done = await call(site.data, "erase", "person", "--tenant", TENANT, "--user", PERSON, "--yes", *site.old)
    assert {outcome for name, outcome in done["receipt"]["copies"].items() if "dead rows" in name} == {"erased"}
    for table in ("messages", "members", "scores"):
        assert not any(
            MARK.encode() in data or PERSON.encode() in data for data in await tuples_on_pages(site.shard, table)
        )
