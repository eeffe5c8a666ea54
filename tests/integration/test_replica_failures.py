"""Servers of a shard that die, freeze, fall behind, come back older, or change their part, under reads and writes."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import pytest

from atomic_guide import errors
from atomic_guide.engines.data.replica import Report
from atomic_guide.engines.data.shards import Shards
from tests.postgres import Cluster, Server, fresh_cluster
from tests.replication import KEY, QUERIES, QUICK, by_target, get, installed, opened, put, replicas_of, seen, written

NOTICED_SECONDS = 10.0


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """One shard with two replicas, to break."""
    with fresh_cluster((("eu", "us"),)) as fresh:
        yield fresh


@asynccontextmanager
async def running(cluster: Cluster, *, region: str = "") -> AsyncIterator[Shards]:
    """A process whose replicas are known and up to date."""
    async with installed(cluster, region=region) as settings, opened(settings) as shards:
        assert (await seen(shards, await written(shards, 0)))[0] == 0
        await until(lambda: all(report.healthy for report in reports(shards)))
        yield shards


def reports(shards: Shards) -> list[Report]:
    return replicas_of(shards).reports()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that a probe notices."""
    async with asyncio.timeout(NOTICED_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)


async def test_a_dead_replica_is_left_alone_and_comes_back(cluster: Cluster) -> None:
    async with running(cluster, region="eu") as shards:
        dead = cluster.shards[0].replicas[0]
        bookmark = await written(shards, 1)
        dead.kill()
        for _ in range(30):
            assert (await seen(shards, bookmark))[0] == 1
        await until(lambda: not reports(shards)[0].healthy)
        before = by_target(shards)
        for _ in range(10):
            assert (await seen(shards, bookmark))[0] == 1
        after = by_target(shards)
        assert after["replica"] - before["replica"] == 10, "the other replica has to answer"
        await asyncio.to_thread(dead.start)
        await until(lambda: reports(shards)[0].healthy)
        served = reports(shards)[0].served
        assert (await seen(shards, await written(shards, 2)))[0] == 2
        assert reports(shards)[0].served > served


async def test_a_frozen_replica_holds_reads_up_for_a_moment_only(cluster: Cluster) -> None:
    async with running(cluster, region="eu") as shards:
        frozen = cluster.shards[0].replicas[0]
        bookmark = await written(shards, 1)
        assert (await seen(shards, bookmark))[0] == 1
        frozen.pause()
        try:
            began = time.monotonic()
            found = await asyncio.gather(*(seen(shards, bookmark) for _ in range(20)))
            first = time.monotonic() - began
            assert {number for number, _ in found} == {1}
            # A probe, its limit, and a second for a busy machine; the limit of a statement would be 3 s.
            assert first < QUICK.probe_seconds * 1.2 + QUICK.answer_seconds * 2 + 1.0
            await until(lambda: not reports(shards)[0].healthy)
            began = time.monotonic()
            for _ in range(20):
                assert (await seen(shards, bookmark))[0] == 1
            assert (time.monotonic() - began) / 20 < 0.1
        finally:
            frozen.resume()
        await until(lambda: reports(shards)[0].healthy)


async def test_without_replicas_the_primary_answers_within_a_bound(cluster: Cluster) -> None:
    narrow = msgspec.structs.replace(QUICK, fallback_reads=2, fallback_wait_seconds=0.2)
    async with installed(cluster, narrow) as settings, opened(settings) as shards:
        bookmark = await written(shards, 1)
        assert (await seen(shards, bookmark))[0] == 1
        for replica in cluster.shards[0].replicas:
            replica.kill()
        await until(lambda: not any(report.healthy for report in reports(shards)))

        async def slow() -> int:
            async with shards.session(bookmark):
                rows = await shards.of(KEY).read(QUERIES["slow"], {**KEY.columns, "seconds": 0.5})
                return int(rows[0]["number"])

        began = time.monotonic()
        outcomes = await asyncio.gather(*(slow() for _ in range(6)), return_exceptions=True)
        assert time.monotonic() - began < 1.5
        refused = [outcome for outcome in outcomes if isinstance(outcome, errors.DataUnavailable)]
        assert [outcome for outcome in outcomes if outcome == 1] == [1, 1]
        assert len(refused) == 4
        assert all(refusal.retry_after for refusal in refused)
        # Reads that the primary answers anyway are not counted among them.
        assert await asyncio.gather(*(seen(shards, "first-primary") for _ in range(6)))
        assert (await seen(shards, bookmark))[0] == 1


async def test_a_replica_that_starts_again_further_back_shows_nothing_old(cluster: Cluster) -> None:
    """A crash loses what a replica had replayed and not yet flushed; what was known of it must not count any more."""
    replica, other = cluster.shards[0].replicas
    unwatched = msgspec.structs.replace(QUICK, probe_seconds=60)
    async with installed(cluster, unwatched, region="eu") as settings, opened(settings) as shards:
        replica.sql("CHECKPOINT")
        for number in range(1, 20):
            bookmark = await written(shards, number)
            assert (await seen(shards, bookmark))[0] == number
        replica.configure({"recovery_min_apply_delay": "30s"})
        other.kill()
        replica.kill()
        # Kept from following: it would replay at once what its own disk holds.
        await asyncio.to_thread(replica.start)
        database = urlsplit(settings.servers[0].url).path.strip("/")
        assert replica.sql("SELECT last_seq FROM courses", database=database) != "19"
        for _ in range(20):
            assert (await seen(shards, bookmark))[0] == 19
        assert by_target(shards)["primary"] == 20


async def test_a_replica_too_far_behind_answers_nobody(cluster: Cluster) -> None:
    strict = msgspec.structs.replace(QUICK, max_lag_seconds=0.3)
    replica = cluster.shards[0].replicas[0]
    async with installed(cluster, strict, region="eu") as settings, opened(settings) as shards:
        assert (await seen(shards, await written(shards, 0)))[0] == 0
        replica.sql("SELECT pg_wal_replay_pause()")
        await put(shards, 1)
        await until(lambda: "behind" in reports(shards)[0].fault)
        assert (reports(shards)[0].lag_bytes or 0) > 0
        assert (reports(shards)[0].lag_seconds or 0.0) > 0.3
        served = reports(shards)[0].served
        for _ in range(10):
            await seen(shards, "first-unconstrained")
        assert reports(shards)[0].served == served
        replica.sql("SELECT pg_wal_replay_resume()")
        await until(lambda: reports(shards)[0].healthy)
        assert reports(shards)[0].lag_bytes == 0


async def test_a_promoted_replica_is_noticed(cluster: Cluster) -> None:
    """Somebody promotes a replica while the primary lives: neither it nor those that stay behind are trusted."""
    shard = cluster.shards[0]
    async with running(cluster) as shards:
        bookmark = await written(shards, 1)
        await asyncio.to_thread(shard.replicas[1].promote)
        await until(lambda: reports(shards)[1].fault == "is a primary")
        await until(lambda: "timeline 1" in reports(shards)[0].fault)
        before = by_target(shards)["replica"]
        for _ in range(5):
            await seen(shards, "first-unconstrained")
            assert (await seen(shards, bookmark))[0] == 1
        assert by_target(shards)["replica"] == before


async def test_a_failed_over_primary_loses_no_acknowledged_write_and_reads_go_on(cluster: Cluster) -> None:
    shard = cluster.shards[0]
    shard.make_synchronous()
    async with installed(cluster, failover=True) as settings, opened(settings) as shards:
        early = await written(shards, 0)
        acknowledged, bookmark = 0, early
        stop = asyncio.Event()
        failed_writes = 0

        async def write() -> None:
            nonlocal acknowledged, bookmark, failed_writes
            number = 0
            while not stop.is_set():
                number += 1
                try:
                    mark = await written(shards, number)
                except errors.DataUnavailable:
                    failed_writes += 1
                    await asyncio.sleep(0.05)
                else:
                    acknowledged, bookmark = number, mark

        async def read() -> int:
            """How often a read was answered."""
            answered = 0
            while not stop.is_set():
                least = acknowledged
                try:
                    found, _ = await seen(shards, bookmark)
                    assert found >= least
                    answered += 1
                except errors.DataUnavailable:
                    await asyncio.sleep(0.05)
                await asyncio.sleep(0.01)
            return answered

        tasks: tuple[Awaitable[None], Awaitable[int]] = (
            asyncio.ensure_future(write()),
            asyncio.ensure_future(read()),
        )
        await asyncio.sleep(0.5)
        written_before = acknowledged
        shard.primary.kill()
        # A bookmark whose place is known is served by the replicas alone; one whose primary died before it could say
        # where it was is refused until there is a primary again.
        for _ in range(10):
            await seen(shards, early)
            await asyncio.sleep(0.05)
        await asyncio.to_thread(shard.fail_over, _furthest(shard.replicas))
        async with asyncio.timeout(20):
            while acknowledged < written_before + 10:  # noqa: ASYNC110 - the writer has no event for that
                await asyncio.sleep(0.05)
        stop.set()
        _, answered = await asyncio.gather(*tasks)
        assert answered > 20
        assert await get(shards) >= acknowledged
        # Bookmarks of the former timeline still hold, and those of the new one bring readers to the replica again.
        await until(lambda: any(report.healthy for report in reports(shards)))
        await _replicas_answer(shards)


async def _replicas_answer(shards: Shards) -> None:
    """Of 20 reads some come from a replica, each with what was written; one over 50 ms behind leaves it alone."""
    before = by_target(shards)["replica"]
    for number in range(10**6, 10**6 + 20):
        assert (await seen(shards, await written(shards, number)))[0] == number
    assert by_target(shards)["replica"] > before


def _furthest(replicas: list[Server]) -> Server:
    return max(replicas, key=lambda replica: replica.position())
