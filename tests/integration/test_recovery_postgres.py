"""PostgreSQL back to a moment, as docs/keeping.md says: archived WAL, base backups, `erase again`, `shards verify`."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import iso
from atomic_guide.course.keeping import erase
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings, ReplicaSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from tests.keeping import FELLOW, PERSON, TENANT, put, run, seeded
from tests.postgres import Cluster, PostgresError, Server, fresh_cluster
from tests.postgres.home import USER, home
from tests.postgres.programs import give
from tests.replication import opened, replicas_of, seen, written

pytestmark = pytest.mark.timeout(180)

DIRECTORY, SHARDS = "directory", ("shard_0", "shard_1")
SECONDS = 20


class Archived(msgspec.Struct):
    """A server with its archive and a base backup."""

    server: Server
    folder: Path

    @property
    def base(self) -> Path:
        """The base backup."""
        return self.folder / "base"

    def begin(self) -> None:
        """Archive from now on."""
        archive = self.folder / "archive"
        archive.mkdir()
        give(archive)
        self.server.stop()
        command = f"test ! -f {archive}/%f && cp %p {archive}/%f"
        self.server.configure({"archive_mode": "on", "archive_command": command, "archive_timeout": "60"})
        self.server.start()

    def back_up(self) -> None:
        """The nightly base backup."""
        address = f"host=127.0.0.1 port={self.server.port} user={USER}"
        home().programs().run(
            *("pg_basebackup", "-D", str(self.base), "-X", "stream", "-c", "fast", "-d", address),
            cwd=home().data,
            password=home().password,
        )

    def lose(self) -> None:
        """Everything that it has written is in the archive; then its disk is gone."""
        last = self.server.sql("SELECT pg_walfile_name(pg_switch_wal())")
        deadline = time.monotonic() + SECONDS
        while not (self.folder / "archive" / last).exists():
            assert time.monotonic() < deadline, f"{last} was not archived"
            time.sleep(0.02)
        self.server.kill()

    def recover(self, moment: float | None) -> None:
        """Put the base backup back, replay the archive to the moment or to its end, and promote."""
        shutil.rmtree(self.server.data, ignore_errors=True)
        home().copy(self.base, self.server.data)
        wanted = {"restore_command": f"cp {self.folder}/archive/%f %p"}
        if moment is not None:
            # With an offset in digits: PostgreSQL knows no Z yet when it reads this.
            wanted["recovery_target_time"] = iso(moment).replace("Z", "+00")
        self.server.configure(wanted)
        signal = self.server.data / "recovery.signal"
        signal.touch()
        give(signal)
        self.server.start()
        deadline = time.monotonic() + SECONDS
        asked = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN 'ended' ELSE pg_get_wal_replay_pause_state() END"
        while (state := self.server.sql(asked)) not in {"ended", "paused"}:
            assert time.monotonic() < deadline, f"{self.server.name} replays for ever"
            time.sleep(0.02)
        if state == "paused":
            self.server.promote()
        # A replica that is made anew has the primary's settings, and would stop at the moment too.
        self.server.configure({"recovery_target_time": "", "restore_command": ""})


class Site(msgspec.Struct):
    """An installation on two archived servers, the first of which has a replica."""

    data: Path
    config: tuple[str, str]
    settings: DataSettings
    cluster: Cluster
    archived: list[Archived]

    async def call(self, *arguments: str, **more: Any) -> Any:
        """A command of this installation."""
        return await asyncio.to_thread(run, self.data, *arguments, *self.config, **more)

    @asynccontextmanager
    async def shards(self) -> AsyncIterator[Shards]:
        """Its databases."""
        async with opened(self.settings) as shards:
            yield shards

    async def everywhere(self, action: str, *arguments: Any) -> None:
        """The same on both servers at once."""
        await asyncio.gather(*(asyncio.to_thread(getattr(one, action), *arguments) for one in self.archived))


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with fresh_cluster((("eu",), ())) as found:
        yield found


@pytest.fixture
async def site(tmp_path: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(erase, "NOTICE_SECONDS", 0.0)
    primaries = [shard.primary for shard in cluster.shards]
    archived = [Archived(server, home().folder("archived")) for server in primaries]
    await asyncio.gather(*(asyncio.to_thread(one.begin) for one in archived))
    primaries[0].sql(f"CREATE DATABASE {DIRECTORY}", f"CREATE DATABASE {SHARDS[0]}")
    primaries[1].sql(f"CREATE DATABASE {SHARDS[1]}")
    (replica,) = cluster.shards[0].replicas
    settings = DataSettings(
        directory=primaries[0].dsn(DIRECTORY),
        servers=(
            ShardSettings(
                "shard-0", primaries[0].dsn(SHARDS[0]), replicas=(ReplicaSettings(replica.dsn(SHARDS[0]), "eu"),)
            ),
            ShardSettings("shard-1", primaries[1].dsn(SHARDS[1])),
        ),
    )
    named = "\n".join(f'[[databases.servers]]\nname = "{one.name}"\nurl = "{one.url}"' for one in settings.servers)
    config = tmp_path / "servers.toml"
    config.write_text(f'[databases]\ndirectory = "{settings.directory}"\n{named}\n', encoding="utf-8")
    site = Site(seeded(tmp_path / "data"), ("--config", str(config)), settings, cluster, archived)
    await site.call("migrate")
    await site.call("import-sqlite")
    return site


def course_on(shards: Shards, name: str) -> CourseKey:
    """A course of a shard."""
    keys = (CourseKey.of(TENANT, f"course-{number}") for number in range(1000))
    return next(key for key in keys if shards.place(key).shard.name == name)


async def say(shards: Shards, text: str) -> None:
    """A message in a course of each shard."""
    for key in (course_on(shards, "shard-0"), course_on(shards, "shard-1")):
        said = {"author": "teacher", "id": text, "content": text, "created_at": time.time()}
        await put(shards, key, "messages", seq=time.time_ns() // 1000, **said)


def said(site: Site) -> set[tuple[str, str]]:
    """What the teacher said, by shard."""
    found = set()
    for name, server, database in zip(
        ("shard-0", "shard-1"), [one.server for one in site.archived], SHARDS, strict=True
    ):
        rows = server.sql("SELECT content FROM messages WHERE author = 'teacher'", database=database).split()
        found |= {(name, text) for text in rows}
    return found


async def erase_person(site: Site, user: str) -> None:
    await site.call("erase", "person", "--tenant", TENANT, "--user", user, "--yes")


async def found_of(site: Site, user: str) -> dict[str, int]:
    asked = ("erase", "person", "--tenant", TENANT, "--user", user, "--dry-run")
    found: dict[str, int] = (await site.call(*asked))["receipt"]["found"]
    return found


async def test_servers_go_back_to_a_moment_and_the_erased_stay_erased(site: Site) -> None:
    await site.everywhere("back_up")
    async with site.shards() as shards:
        await say(shards, "before")
        bookmark = await written(shards, 1, course_on(shards, "shard-0"))
    await erase_person(site, PERSON)
    await asyncio.sleep(0.05)
    moment = time.time()
    await asyncio.sleep(0.05)
    await erase_person(site, FELLOW)
    async with site.shards() as shards:
        await say(shards, "after")
        later = await written(shards, 2, course_on(shards, "shard-0"))
    await site.everywhere("lose")
    await site.everywhere("recover", moment)
    assert said(site) == {("shard-0", "before"), ("shard-1", "before")}
    assert await found_of(site, PERSON) == {}
    # The fellow, who was erased after the moment, is back until that is made again.
    assert (await found_of(site, FELLOW))["messages"] > 0
    done = await site.call("erase", "again", "--since", iso(moment - 3600))
    assert done["repeated"] == 2
    assert (await found_of(site, PERSON), await found_of(site, FELLOW)) == ({}, {})
    assert (await site.call("shards", "verify"))["ok"]
    await check_bookmarks(site, bookmark, later)


async def check_bookmarks(site: Site, bookmark: str, later: str) -> None:
    """What sessions have seen before is on another timeline: they read from the primary, and nothing old is shown."""
    shard = site.cluster.shards[0]
    (replica,) = shard.replicas
    await asyncio.to_thread(replica.stop)
    await asyncio.to_thread(replica.rejoin, shard.primary)
    await asyncio.to_thread(replica.start)
    async with site.shards() as shards:
        on_first = course_on(shards, "shard-0")
        for text in (bookmark, later):
            before = read_from(shards, on_first, "primary")
            await seen(shards, text, on_first)
            assert read_from(shards, on_first, "primary") > before
        new = await written(shards, 3, on_first)
        await asyncio.to_thread(shard.catch_up)
        before = read_from(shards, on_first, "replica")
        assert (await seen(shards, new, on_first))[0] == 3
        assert read_from(shards, on_first, "replica") > before


def read_from(shards: Shards, key: CourseKey, target: str) -> float:
    """How many reads of a shard went to its primary, or to its replicas."""
    return sum(reads for (kind, _), reads in replicas_of(shards, key).reads.items() if kind == target)


async def test_a_server_that_wrote_nothing_after_the_moment_says_so_and_is_recovered_to_its_end(site: Site) -> None:
    await site.everywhere("back_up")
    async with site.shards() as shards:
        await say(shards, "before")
        await asyncio.sleep(0.05)
        moment = time.time()
        await asyncio.sleep(0.05)
        on_first = course_on(shards, "shard-0")
        await put(shards, on_first, "messages", seq=9, author="teacher", id="after", content="after", created_at=1.0)
    await site.everywhere("lose")
    first, quiet = site.archived
    await asyncio.to_thread(first.recover, moment)
    with pytest.raises(PostgresError):
        await asyncio.to_thread(quiet.recover, moment)
    said_by_server = await asyncio.to_thread(quiet.server.log.read_text)
    assert "FATAL:  recovery ended before configured recovery target was reached" in said_by_server
    await asyncio.to_thread(quiet.recover, None)
    assert said(site) == {("shard-0", "before"), ("shard-1", "before")}
    assert (await site.call("shards", "verify"))["ok"]
