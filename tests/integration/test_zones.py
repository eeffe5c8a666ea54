"""Residency zones, and the commands, on PostgreSQL: two shards in the default zone, one in another."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.course.video.space.account import Counted
from atomic_guide.engines.assets.settings import StoreSettings
from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.layout.measure import measure_shards
from atomic_guide.engines.data.layout.view import zone_now
from atomic_guide.engines.data.layout.waves import Wanted, Waves
from atomic_guide.engines.data.moves import Mover, Scope
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.plan import plan_zone
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Conflict
from tests.copying import assets, spread_of
from tests.engines import DIRECTORY, SHARD, declared
from tests.layouts import NOW, Layout
from tests.media import opened
from tests.postgres import Cluster, fresh_database, fresh_databases


@pytest.fixture
def settings(postgres_cluster: Cluster) -> Iterator[DataSettings]:
    """Settings of `shard-0` and `shard-1`, `shard-eu` in zone eu, and `shard-2`, which is not added yet."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def made() -> DataSettings:
            databases = await stack.enter_async_context(
                fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD)
            )
            european = await stack.enter_async_context(fresh_database(postgres_cluster.shards[0], SHARD))
            later = await stack.enter_async_context(fresh_database(postgres_cluster.shards[1], SHARD))
            two = declared(databases)
            three = msgspec.structs.replace(two, servers=(*two.servers, ShardSettings("shard-eu", european, "eu")))
            await (await open_servers(three)).close()
            return msgspec.structs.replace(three, servers=(*three.servers, ShardSettings("shard-2", later)))

        yield runner.run(made())
        runner.run(stack.aclose())


async def _with(settings: DataSettings, work: Any) -> None:
    shards = await open_servers(settings)
    try:
        await work(shards)
    finally:
        await shards.close()


def test_a_tenant_is_kept_in_its_zone(settings: DataSettings) -> None:
    async def work(shards: Shards) -> None:
        site = Layout(shards, Path(), settings)
        await change.assign_zone(shards, "t-eu", "eu")
        keys = await site.fill(3, tenant="t-eu") + await site.fill(3, tenant="t-us")
        places = [shards.place(key).shard.name for key in keys]
        assert places[:3] == ["shard-eu"] * 3
        assert set(places[3:]) <= {"shard-0", "shard-1"}
        for tenant, zone in (("t-eu", "default"), ("t-us", "eu")):
            with pytest.raises(Conflict, match="may not leave it"):
                await change.assign_zone(shards, tenant, zone)
        assert [await site.messages(key) for key in keys] == [3] * 6

    asyncio.run(_with(settings, work))


def test_nothing_moves_out_of_its_zone(settings: DataSettings) -> None:
    async def work(shards: Shards) -> None:
        site = Layout(shards, Path(), settings)
        (key,) = await site.fill(1, tenant="t-us")
        waves = Waves(Mover(shards, "test"), 1, lambda _report: None)
        outcome = await waves.carry_out(
            [
                Wanted(Scope("default", key.bucket), "shard-eu"),
                Wanted(Scope("eu", 7), "shard-0"),
                Wanted(Scope.of_course("default", CourseKey("t-us", key.course, 8)), "shard-eu"),
            ]
        )
        assert len(outcome.failed) == 3
        assert all("may not leave its zone" in text for text in outcome.failed)
        measured = await measure_shards(shards, NOW)
        await change.weigh(shards, "shard-1", 3.0)
        for zone, own in (("default", {"shard-0", "shard-1"}), ("eu", {"shard-eu"})):
            plan = plan_zone(await zone_now(shards, zone, [], measured, "bytes"))
            assert {share.name for share in plan.shares} == own
            assert {move.target for move in plan.moves} <= own

    asyncio.run(_with(settings, work))


def test_the_commands_work_on_servers(settings: DataSettings, tmp_path: Path) -> None:
    environment = {
        "ATOMIC_GUIDE_DATABASES_DIRECTORY": settings.directory,
        "ATOMIC_GUIDE_DATABASES_SERVERS": msgspec.json.encode(settings.servers).decode(),
    }

    def run(*arguments: str) -> Any:
        answer = CliRunner(env=environment).invoke(program, ["shards", *arguments, "--data", str(tmp_path), "--json"])
        if answer.exception:
            raise answer.exception
        return json.loads(answer.stdout)

    def owned() -> dict[str, int]:
        return {one["name"]: one["buckets"] for one in run("list")["shards"]}

    assert owned() == {"shard-0": 2048, "shard-1": 2048, "shard-eu": 4096}
    assert run("add", "shard-2", "--weight", "0.003")["added"]
    assert len(run("rebalance", "--dry-run", "--zone", "default")["zones"][0]["moves"]) == 6
    assert run("rebalance", "--at-once", "3", "--limit", "4")["moved"] == 4
    assert run("rebalance")["moved"] == 2
    assert run("move", "7", "--to", "shard-1")["moved"] == 1
    assert owned() == {"shard-0": 2044, "shard-1": 2046, "shard-2": 6, "shard-eu": 4096}
    assert run("drain", "shard-2")["moved"] == 6
    assert [one["state"] for one in run("list")["shards"] if one["name"] == "shard-2"] == ["drained"]
    assert run("verify") == {"ok": True, "findings": []}


def test_a_process_of_one_zone_looks_after_its_own_lectures_only(settings: DataSettings, tmp_path: Path) -> None:
    own = msgspec.structs.replace(settings, servers=tuple(one for one in settings.servers if one.zone == "eu"))
    ours, others = CourseKey.of("t-eu", "waves"), CourseKey.of("a-us", "waves")
    disk = StoreSettings("disk", "eu", "eu", directory=str(tmp_path / "disk"))

    async def work(shards: Shards) -> None:
        async with opened(tmp_path / "data", over=shards, assets=assets(disk), copies=True) as studio:
            account, uploads = studio.media.parts.account, studio.media.uploads
            assert (shards.keeps(ours.tenant), shards.keeps(others.tenant)) == (True, False)
            for number, key in enumerate((others, ours)):
                await account.add(key.tenant, [Counted(key, f"v{number:016x}", "", 7)])
            await uploads.sweep.count(ours.tenant)
            await uploads.sweep.turn()
            # The lecture of another zone comes first, and keeps nobody from the next.
            await spread_of(studio).tend()
            await spread_of(studio).scrub(60)
            assert await account.standing(others.tenant) is not None

    async def assigned(shards: Shards) -> None:
        await change.assign_zone(shards, ours.tenant, "eu")

    asyncio.run(_with(settings, assigned))
    asyncio.run(_with(own, work))
