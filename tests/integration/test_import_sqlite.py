"""Carrying a laptop's data directory to PostgreSQL: everything, compared, once, and on after a crash."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.app.keeping.carrying import carry_files
from atomic_guide.course.keeping.places import CARRIED, TENANT_TABLES
from atomic_guide.engines.data import carry
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.tables import read_all, shapes
from atomic_guide.errors import Conflict, DataUnavailable
from tests.engines import DIRECTORY, SHARD, declared
from tests.keeping import CONTEXTS, run, seeded, settings_of
from tests.postgres import Cluster, fresh_databases


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return seeded(tmp_path / "data")


@pytest.fixture
async def target(postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD) as databases:
        shards = await open_servers(declared(databases))
        yield shards
        await shards.close()


async def rows_of(shards: Shards) -> dict[str, list[Any]]:
    """Every row that is carried, by table."""
    found: dict[str, list[Any]] = {}
    for table in TENANT_TABLES:
        shape = shapes("shard")[table]
        found[table] = sorted([shape.values(row) for row in await _all(shards, table)], key=repr)
    for table in CARRIED:
        shape = shapes("directory")[table]
        found[table] = sorted([shape.values(row) for row in await shards.directory.scan(read_all(shape))], key=repr)
    return found


async def _all(shards: Shards, table: str) -> list[Any]:
    return [row for shard in shards.all() for row in await shard.scan(read_all(shapes("shard")[table]))]


async def of_files(data: Path) -> dict[str, list[Any]]:
    shards = await open_embedded(data, settings_of(data).databases)
    try:
        return await rows_of(shards)
    finally:
        await shards.close()


async def test_every_row_arrives_in_the_shard_of_its_course(data: Path, target: Shards) -> None:
    carried = await carry_files(settings_of(data), data, target, lambda _: None)
    assert carried.rows["messages"] == 2 * 2 * 2 * len(CONTEXTS)
    assert await rows_of(target) == await of_files(data)
    for shard in target.all():
        for row in await shard.scan(read_all(shapes("shard")["courses"])):
            assert target.of(carry._key(row)).name == shard.name


async def test_a_dry_run_carries_nothing(data: Path, target: Shards) -> None:
    tried = await carry_files(settings_of(data), data, target, lambda _: None, dry_run=True)
    assert tried.rows["members"] == 2 * 2 * len(CONTEXTS)
    assert await _all(target, "members") == []


async def test_a_target_that_holds_something_is_refused(data: Path, target: Shards, tmp_path: Path) -> None:
    await carry_files(settings_of(data), data, target, lambda _: None)
    with pytest.raises(Conflict, match="not empty"):
        await carry_files(settings_of(data), data, target, lambda _: None)
    assert await rows_of(target) == await of_files(data)


@pytest.mark.parametrize("step", [1, 4, 9, 20, 33])
async def test_what_was_interrupted_goes_on(
    data: Path, target: Shards, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    write, left = carry.Carrier._write, iter(range(step))

    async def dies(self: Any, shape: Any, rows: Any) -> None:
        await write(self, shape, rows)
        if next(left, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(carry.Carrier, "_write", dies)
    with pytest.raises(KeyboardInterrupt):
        await carry_files(settings_of(data), data, target, lambda _: None)
    monkeypatch.setattr(carry.Carrier, "_write", write)
    carried = await carry_files(settings_of(data), data, target, lambda _: None)
    assert carried.resumed
    assert await rows_of(target) == await of_files(data)


async def test_another_installation_is_not_mixed_in(
    data: Path, target: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(self: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(carry.Carrier, "_directory", dies)
    with pytest.raises(KeyboardInterrupt):
        await carry_files(settings_of(data), data, target, lambda _: None)
    other = seeded(tmp_path / "other")
    with pytest.raises(Conflict, match="half of another"):
        await carry_files(settings_of(other), other, target, lambda _: None)


async def test_rows_that_do_not_arrive_are_noticed(data: Path, target: Shards, monkeypatch: pytest.MonkeyPatch) -> None:
    write = carry.Carrier._write

    async def loses(self: Any, shape: Any, rows: Any) -> None:
        await write(self, shape, rows[:-1] if shape.name == "scores" else rows)

    monkeypatch.setattr(carry.Carrier, "_write", loses)
    with pytest.raises(DataUnavailable, match=r"scores of bucket .* arrived with"):
        await carry_files(settings_of(data), data, target, lambda _: None)


def test_the_command_needs_servers(data: Path) -> None:
    assert "databases.directory" in run(data, "import-sqlite", fails=True)


async def test_the_command_carries_to_the_servers_of_the_settings(data: Path, postgres_cluster: Cluster) -> None:
    async with fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD) as databases:
        settings = declared(databases)
        file = data.parent / "settings.toml"
        servers = "\n".join(
            f'[[databases.servers]]\nname = "{one.name}"\nurl = "{one.url}"' for one in settings.servers
        )
        file.write_text(f'[databases]\ndirectory = "{settings.directory}"\n{servers}\n', encoding="utf-8")
        arguments = ("--config", str(file))
        tried = await asyncio.to_thread(run, data, "import-sqlite", "--dry-run", *arguments)
        done = await asyncio.to_thread(run, data, "import-sqlite", *arguments)
        assert tried["rows"] == done["rows"]
        found = await asyncio.to_thread(run, data, "platforms", "list", *arguments)
        assert len(found["platforms"][0]["deployments"]) == 2
