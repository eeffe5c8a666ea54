"""`atomic-guide residency report` finds what is not in its zone: a row, an object, a message, a line of a log."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from atomic_guide.app.residency import LogFile, Residency, look
from atomic_guide.cli import program
from atomic_guide.config import Settings
from atomic_guide.engines.assets.settings import AssetSettings, StoreSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.address import read_address
from atomic_guide.engines.nats.bucket import Bounds, Bucket
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.regions.settings import RegionSettings, RegionsSettings
from tests.engines import DIRECTORY, SHARD, declared
from tests.postgres import Cluster, fresh_database, fresh_databases

KEY = CourseKey.of("t-european", "algebra")
PERSON = "Ada of Europe"
QUERIES = parse_queries(
    """
-- name: member
-- purpose: A member of a course.
INSERT INTO members (bucket, tenant, course, "user", name, role, created_at, seen_at)
VALUES (:bucket, :tenant, :course, 'user-4711', :name, 'learner', 1, 1)
""",
    "here",
)


@pytest.fixture
def settings(postgres_cluster: Cluster, tmp_path: Path) -> Iterator[Settings]:
    """Shards of zones default and eu, a store of each, and a region america that may keep default only."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def made() -> Settings:
            databases = await stack.enter_async_context(
                fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD)
            )
            european = await stack.enter_async_context(fresh_database(postgres_cluster.shards[0], SHARD))
            two = declared(databases)
            data: DataSettings = msgspec.structs.replace(
                two, servers=(*two.servers, ShardSettings("shard-eu", european, "eu")), region="america"
            )
            server = NatsServer(tmp_path / "america", NatsSettings())
            stack.push_async_callback(server.stop)
            await server.start()
            address = read_address(tmp_path / "america", NatsSettings())
            assert address is not None
            stores = tuple(
                StoreSettings(name, name, zone, directory=str(tmp_path / name))
                for name, zone in (("america", "default"), ("europe", "eu"))
            )
            regions = RegionsSettings(
                (
                    RegionSettings("america", (39.0, -77.5), cache_nodes=(address.url,)),
                    RegionSettings("europe", (50.1, 8.7), zones=("eu",)),
                )
            )
            return Settings(
                data=str(tmp_path),
                databases=data,
                assets=AssetSettings(stores=stores),
                nats=NatsSettings(token=address.token),
                regions=regions,
            )

        yield runner.run(made())
        runner.run(stack.aclose())


async def _member(shards: Shards, name: str) -> None:
    """A member of the course, written to a shard whoever owns the course."""

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["member"], {**KEY.columns, "name": PERSON})

    await shards.named(name).primary.write(work)


async def _message(settings: Settings, *, said: bool) -> None:
    """A bucket of the region america, with an entry that names the person or without any."""
    near = msgspec.structs.replace(settings.nats, url=settings.regions.declared[0].cache_nodes[0])
    connection = Connection(Path(settings.data), near)
    await connection.open()
    try:
        bucket = Bucket(connection, "cache", Bounds(60.0, 100, 1 << 20))
        await bucket.open()
        if not said:
            return
        await bucket.put("course.1", f'["{PERSON}"]'.encode(), 2.0)
    finally:
        await connection.close()


def test_what_is_outside_of_its_zone_is_found(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "america.log"
    log.write_text('{"event": "request", "route": "/api/course"}\n', encoding="utf-8")
    logs = [LogFile("america", log), LogFile("europe", log)]

    async def run() -> tuple[Residency, Residency]:
        shards = await open_servers(settings.databases)
        try:
            await change.assign_zone(shards, KEY.tenant, "eu")
            await _member(shards, "shard-eu")
            await _message(settings, said=False)
            before = await look(settings, shards, (), logs)
            await _member(shards, "shard-0")
            await _message(settings, said=True)
            for store in ("america", "europe", "objects"):
                (tmp_path / store / KEY.tenant).mkdir(parents=True)
                (tmp_path / store / KEY.tenant / "object").write_bytes(b"lecture")
            with log.open("a", encoding="utf-8") as file:
                file.write(f'{{"event": "said", "who": "{PERSON}"}}\n')
            return before, await look(settings, shards, [KEY.tenant], logs)
        finally:
            await shards.close()

    before, after = asyncio.run(run())
    assert (before.ok, before.astray, before.unseen) == (True, [], {})
    assert [(one.tenant, one.zone, one.rows) for one in before.tenants] == [(KEY.tenant, "eu", {"shard-eu": 1})]
    assert not after.ok
    assert {(one.where, one.what) for one in after.astray} == {
        ("shard shard-0", "1 rows of members"),
        ("store america", "1 objects"),
        ("the data directory", "1 objects"),
        ("NATS of america", "KV_cache: $KV.cache.course.1"),
        ("log america.log of america", "line 2"),
    }
    assert after.tenants[0].objects == {"america": 1, "europe": 1}
    assert after.tenants[0].files == 1
    assert (after.directory.region, after.directory.zones) == ("america", ("default",))
    assert after.looked["log lines"] == 4


def test_what_cannot_be_looked_through_is_said(settings: Settings, tmp_path: Path) -> None:
    gone = msgspec.structs.replace(settings.regions.declared[0], cache_nodes=("nats://127.0.0.1:9",))
    regions = msgspec.structs.replace(settings.regions, declared=(gone, settings.regions.declared[1]))
    away = msgspec.structs.replace(settings, regions=regions)

    async def run() -> Residency:
        shards = await open_servers(settings.databases)
        try:
            with pytest.raises(NotFound, match="no region is called asia; there are america, europe"):
                await look(away, shards, (), [LogFile("asia", tmp_path)])
            with pytest.raises(Invalid, match="there is no log"):
                await look(away, shards, (), [LogFile("europe", tmp_path / "none")])
            return await look(away, shards, (), ())
        finally:
            await shards.close()

    found = asyncio.run(run())
    assert (found.ok, found.unseen) == (False, {"NATS of america": "NATS is away"})


def test_the_command_tells_it(settings: Settings, tmp_path: Path) -> None:
    environment = {
        "ATOMIC_GUIDE_DATABASES_DIRECTORY": settings.databases.directory,
        "ATOMIC_GUIDE_DATABASES_SERVERS": msgspec.json.encode(settings.databases.servers).decode(),
    }

    def run(*arguments: str) -> Any:
        command = ["residency", "report", "--data", str(tmp_path), *arguments]
        return CliRunner(env=environment).invoke(program, command)

    told = run("--json")
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["ok"]
    assert "everything is in its zone" in run().stdout
    assert run("--log", "nonsense").exit_code == 2
