"""Replicas that the server starts itself beside a primary of its own computer: real servers, copied and started."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from atomic_guide.app.targets.standbys import Recipe, Standbys
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.servers import migrate_servers, open_servers
from atomic_guide.engines.data.settings import (
    DataSettings,
    PostgresSettings,
    ShardSettings,
    StandbySettings,
    is_beside,
)
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.standby import Installation, installation
from atomic_guide.errors import ConfigurationError, Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from tests.postgres import Cluster, fresh_cluster
from tests.postgres.home import home
from tests.postgres.programs import account

pytestmark = [pytest.mark.timeout(180), pytest.mark.xdist_group("standbys")]

KEY = CourseKey.of("t-test", "course-1")
COURSES = Query("standby_test", "Courses.", {None: "SELECT count(*) AS n FROM courses WHERE bucket = :bucket"})


class Place(NamedTuple):
    """A primary without replicas, and how replicas of it are started."""

    cluster: Cluster
    settings: DataSettings
    installed: Installation


def installed_below(folder: Path) -> Installation:
    dropped = account()
    return Installation(
        home().programs().root / "bin", folder, (dropped["user"], dropped["group"]) if dropped else None
    )


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    with fresh_cluster(((),)) as cluster:
        primary = cluster.shards[0].primary
        primary.sql("CREATE DATABASE guide_directory", "CREATE DATABASE guide_shard")
        settings = DataSettings(
            directory=primary.dsn("guide_directory"),
            servers=(ShardSettings("shard-1", primary.dsn("guide_shard")),),
        )
        await migrate_servers(settings)
        yield Place(cluster, settings, installed_below(home().folder("standbys")))


@contextlib.asynccontextmanager
async def opened(place: Place) -> AsyncIterator[tuple[Shards, Standbys]]:
    shards = await open_servers(place.settings)
    running = asyncio.create_task(shards.run())
    replicas = shards.named("shard-1").replicas
    assert replicas is not None
    server = place.settings.servers[0]
    recipe = Recipe(server.url, place.installed, PostgresSettings())
    standbys = Standbys(shards.directory, replicas, recipe, SystemClock())
    await standbys.open()
    try:
        yield shards, standbys
    finally:
        await standbys.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await shards.close()


async def until(standbys: Standbys, holds: Callable[[Fleet], bool]) -> Fleet:
    for _ in range(600):
        if holds(fleet := await standbys.look()):
            return fleet
        await asyncio.sleep(0.1)
    raise AssertionError(fleet)


async def states(shards: Shards) -> dict[str, str]:
    return {row["name"]: row["state"] for row in await shards.directory.read(QUERIES["read_standbys"])}


def postmasters(place: Place) -> list[int]:
    found = []
    for file in place.installed.folder.glob("*/data/postmaster.pid"):
        pid = int(file.read_text().split()[0])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            found.append(pid)
    return found


async def test_one_is_copied_answers_reads_and_is_taken_away_again(place: Place) -> None:
    async with opened(place) as (shards, standbys):
        assert await standbys.look() == Fleet(0, 0, 0, 2, 1.0)
        await standbys.scale(1, "first")
        assert (await standbys.look()).coming == 1, "the wish counts at once"
        await standbys.scale(1, "first")
        await until(standbys, lambda fleet: fleet.ready == 1)
        assert await states(shards) == {"shard-1-standby-1": "serving"}
        replicas = shards.named("shard-1").replicas
        assert replicas is not None
        async with shards.session("", read_only=True):
            for _ in range(100):
                assert (await shards.of(KEY).read(COURSES, KEY.columns))[0]["n"] == 0
                if any(target == "replica" for target, _ in replicas.reads):
                    break
                await asyncio.sleep(0.05)
        assert any(target == "replica" for target, _ in replicas.reads), replicas.reads
        assert len(postmasters(place)) == 1
        await standbys.scale(0, "second")
        # An act that comes again after a newer one is over.
        await standbys.scale(1, "first")
        await until(standbys, lambda fleet: fleet.coming == 0)
        for _ in range(100):
            if not await states(shards):
                break
            await asyncio.sleep(0.1)
        assert await states(shards) == {}
        assert postmasters(place) == []
        assert list(place.installed.folder.iterdir()) == []
        async with shards.session("", read_only=True):
            assert (await shards.of(KEY).read(COURSES, KEY.columns))[0]["n"] == 0, "the primary answers again"


async def test_one_that_dies_or_whose_server_restarts_is_started_again_without_a_copy(place: Place) -> None:
    async with opened(place) as (shards, standbys):
        await standbys.scale(1, "first")
        await until(standbys, lambda fleet: fleet.ready == 1)
        (pid,) = postmasters(place)
        os.kill(pid, signal.SIGKILL)
        # Not for none to be ready: that may pass between two looks.
        await until(standbys, lambda fleet: fleet.ready == 1 and postmasters(place) not in ([], [pid]))
        assert await states(shards) == {"shard-1-standby-1": "serving"}
    assert postmasters(place) == [], "they end with the server"
    (copy,) = place.installed.folder.glob("*/copied")
    made = copy.stat().st_mtime_ns
    async with opened(place) as (shards, standbys):
        await until(standbys, lambda fleet: fleet.ready == 1)
        assert await states(shards) == {"shard-1-standby-1": "serving"}
        assert copy.stat().st_mtime_ns == made


async def test_a_copy_that_was_broken_off_is_removed_at_the_next_start(place: Place) -> None:
    async with opened(place) as (shards, standbys):
        await standbys.scale(1, "first")
        assert await states(shards) == {"shard-1-standby-1": "copying"}
    async with opened(place) as (shards, standbys):
        await until(standbys, lambda fleet: fleet.coming == 0)
        for _ in range(100):
            if not await states(shards):
                break
            await asyncio.sleep(0.1)
        assert await states(shards) == {}
        assert list(place.installed.folder.iterdir()) == []


@pytest.mark.parametrize("pause", [0.0, 0.7, 1.5, 2.5, 4.0])
async def test_one_that_is_wanted_no_more_while_it_is_made_goes_at_once(place: Place, pause: float) -> None:
    async with opened(place) as (shards, standbys):
        for _ in range(2):
            await standbys.scale(1, "up")
            await asyncio.sleep(pause)
            await standbys.scale(0, "down")
            assert (await standbys.look()).starting == 0
        async with asyncio.timeout(30):
            while await states(shards):  # noqa: ASYNC110 - the database tells
                await asyncio.sleep(0.05)
        assert postmasters(place) == []
        assert list(place.installed.folder.iterdir()) == []
        await standbys.scale(1, "again")
        await until(standbys, lambda fleet: fleet.ready == 1)
        assert (await standbys.look()).starting == 0, "none is counted twice"
        assert list((await states(shards)).values()) == ["serving"]


async def test_what_cannot_be_copied_leaves_nothing_and_counts_no_more(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    primary = place.cluster.shards[0].primary
    hba = primary.data / "pg_hba.conf"
    kept = "\n".join(line for line in hba.read_text().splitlines() if "replication" not in line)
    hba.write_text(kept + "\n")
    primary.sql("SELECT pg_reload_conf()")
    async with opened(place) as (shards, standbys):
        await standbys.scale(1, "first")
        await until(standbys, lambda fleet: fleet.coming == 0)
        for _ in range(100):
            if not await states(shards):
                break
            await asyncio.sleep(0.1)
        assert await states(shards) == {}
        assert list(place.installed.folder.iterdir()) == []
        told = capsys.readouterr()
        assert "cannot be copied from its primary" in told.out + told.err
        assert home().password not in told.out + told.err
        with pytest.raises(Invalid, match="3 replicas are out of the bounds of replicas/shard-1: 0 to 2"):
            await standbys.scale(3, "x")


@pytest.mark.parametrize(
    ("address", "beside"),
    [
        ("postgresql://u:p@127.0.0.1:5432/a", True),
        ("postgresql://localhost/a", True),
        ("postgresql://db.example.edu/a", False),
        ("postgresql://127.0.0.1:1,127.0.0.1:2/a", False),
    ],
)
def test_only_a_single_server_of_this_computer_is_ours_to_copy(address: str, beside: bool) -> None:  # noqa: FBT001
    assert is_beside(address) is beside


def test_programs_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"databases\.standbys\.programs"):
        installation(StandbySettings(), tmp_path)
    with pytest.raises(ConfigurationError, match=r"there is no postgres in"):
        installation(StandbySettings(programs=str(tmp_path)), tmp_path)
