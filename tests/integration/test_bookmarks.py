"""What a session may rely on, on replicas that are behind; and bookmarks as texts."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.batch import GroupCommit
from atomic_guide.engines.data.bookmark import EVERYWHERE, PRIMARY, SHARDS, Bookmark, Position, Seal
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.ownership import QUERIES as OWNERSHIP
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.replicas import Reads
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_database, opened_shards
from tests.postgres import Cluster, fresh_cluster
from tests.replication import KEY, QUERIES, by_target, get, installed, opened, put, replicas_of, seen, written

READS = 100


@pytest.fixture(scope="module")
def late() -> Iterator[Cluster]:
    """One shard whose replicas replay 12 ms after the commit: behind nearly every read that follows a write."""
    with fresh_cluster((("eu", "us"),)) as cluster:
        for replica in cluster.shards[0].replicas:
            replica.set(recovery_min_apply_delay="12ms")
        yield cluster


async def test_bookmarked_reads_are_never_stale_and_come_from_replicas(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as shards:
        stale = 0
        for number in range(READS):
            found, _ = await seen(shards, await written(shards, number))
            stale += found != number
        assert stale == 0
        assert by_target(shards)["replica"] >= 0.95 * READS, replicas_of(shards).reads


async def test_unconstrained_reads_may_be_stale(late: Cluster) -> None:
    """The replicas of these tests really are behind."""
    async with installed(late) as settings, opened(settings) as shards:
        stale = 0
        for number in range(30):
            await written(shards, number)
            found, _ = await seen(shards, "first-unconstrained")
            stale += found != number
        assert stale > 15


async def test_the_bookmark_holds_in_another_process(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as one, opened(settings) as other:
        for number in range(20):
            found, _ = await seen(other, await written(one, number))
            assert found == number
        assert by_target(other)["replica"] > 0


async def test_a_session_reads_its_own_writes_at_once(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as shards:
        for number in range(20):
            async with shards.session("first-unconstrained"):
                await put(shards, number)
                assert await get(shards) == number


async def test_a_group_commit_counts_for_the_session_of_each_item(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as shards:

        async def write(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
            for item in items:
                await tx.execute(QUERIES["put"], {**KEY.columns, "number": item})
            return items

        commits: GroupCommit[int, int] = GroupCommit(write)

        async def add(item: int) -> str:
            async with shards.session("first-unconstrained") as session:
                await commits.add(shards.of(KEY), item)
                return await session.bookmark()

        bookmarks = await asyncio.gather(*(add(item) for item in range(5)))
        for bookmark in bookmarks:
            assert (await seen(shards, bookmark))[0] == 4
        await commits.close()


async def test_reads_never_go_back(late: Cluster) -> None:
    """One replica far behind the other: a chain of sessions that meets both sees what one of them showed before."""
    ahead, behind = late.shards[0].replicas
    behind.set(recovery_min_apply_delay="400ms")
    try:
        async with installed(late) as settings, opened(settings) as shards:
            await put(shards, 0)
            await asyncio.sleep(0.5)
            await _chain(shards, carried=True)
            backwards = await _chain(shards, carried=False)
            assert backwards > 0, "the two replicas never differed"
    finally:
        behind.set(recovery_min_apply_delay="12ms")
    assert ahead.running


async def _chain(shards: Shards, *, carried: bool) -> int:
    """How often a reader went back while somebody else was writing."""
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await put(shards, time.monotonic_ns() // 1_000_000)
            await asyncio.sleep(0.005)

    writer = asyncio.create_task(write())
    newest, backwards, bookmark = -1, 0, "first-unconstrained"
    for _ in range(120):
        found, bookmark = await seen(shards, bookmark if carried else "first-unconstrained")
        backwards += found < newest
        newest = max(newest, found)
        await asyncio.sleep(0.002)
    stop.set()
    await writer
    if carried:
        assert backwards == 0
    return backwards


async def test_a_session_that_lasts_reads_from_replicas_again(late: Cluster) -> None:
    patient = ReadSettings(wait_ms=1000)
    async with installed(late, patient) as settings, opened(settings) as shards, shards.session() as session:
        await put(shards, 1)
        assert await get(shards) == 1
        assert by_target(shards)["replica"] == 0
        await asyncio.sleep(1.1)
        assert await get(shards) == 1
        assert by_target(shards)["replica"] == 1
        await put(shards, 2)
        await session.bookmark()
        assert await get(shards) == 2
        assert by_target(shards)["replica"] == 2


async def test_the_nearest_replicas_answer(late: Cluster) -> None:
    for region in ("eu", "us"):
        async with installed(late, region=region) as settings, opened(settings) as shards:
            bookmark = await written(shards, 1)
            for _ in range(10):
                assert (await seen(shards, bookmark))[0] == 1
            served = {report.region: report.served for report in replicas_of(shards).reports()}
            assert served.pop(region) == 10
            assert set(served.values()) == {0}


async def test_a_replica_that_stays_behind_is_left_for_the_primary_in_time(late: Cluster) -> None:
    shard = late.shards[0]
    async with installed(late) as settings, opened(settings) as shards:
        await seen(shards, await written(shards, 0))
        for replica in shard.replicas:
            replica.sql("SELECT pg_wal_replay_pause()")
        try:
            for number in range(1, 6):
                bookmark = await written(shards, number)
                began = time.monotonic()
                found, _ = await seen(shards, bookmark)
                assert found == number
                assert time.monotonic() - began < 0.5
        finally:
            for replica in shard.replicas:
                replica.sql("SELECT pg_wal_replay_resume()")
        assert replicas_of(shards).reads[Reads("primary", "behind")] == 5


async def test_an_error_in_sql_runs_once(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as shards:
        bookmark = await written(shards, 1)
        async with shards.session(bookmark):
            with pytest.raises(errors.Invalid, match="DivisionByZero"):
                await shards.of(KEY).read(QUERIES["broken"], KEY.columns)
            assert await get(shards) == 1
        assert all(report.breaker == "closed" and report.healthy for report in replicas_of(shards).reports())
    logs = [server.log.read_text(encoding="utf-8").count("sought_in_the_log") for server in late.servers]
    assert sum(logs) == 1
    assert logs[0] == 0, "the primary ran what a replica had refused"


async def test_what_changes_data_is_refused_by_a_replica(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as shards:
        bookmark = await written(shards, 1)
        async with shards.session(bookmark):
            with pytest.raises(errors.GuideError):
                await shards.of(KEY).read(QUERIES["put"], {**KEY.columns, "number": 2})
        assert await get(shards) == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_session_that_only_reads_cannot_write(engine: str, tmp_path: Path, postgres_cluster: Cluster) -> None:
    async def write(tx: Transaction, items: Sequence[int]) -> Sequence[int]:
        await tx.execute(QUERIES["put"], {**KEY.columns, "number": items[-1]})
        return items

    async def work(tx: Transaction) -> None:
        await write(tx, [2])

    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        commits: GroupCommit[int, int] = GroupCommit(write)
        await put(shards, 1)
        async with shards.session(read_only=True):
            with pytest.raises(errors.Forbidden):
                await put(shards, 2)
            with pytest.raises(errors.Forbidden):
                await shards.all()[0].write(work)
            with pytest.raises(errors.Forbidden):
                await shards.grouped([KEY])[0].write(work)
            with pytest.raises(errors.Forbidden):
                await commits.add(shards.of(KEY), 2)
            assert await get(shards) == 1
        await put(shards, 3)
        assert await get(shards) == 3


@pytest.mark.parametrize("engine", ENGINES)
async def test_sessions_are_the_same_on_both_engines(engine: str, tmp_path: Path, postgres_cluster: Cluster) -> None:
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        for number in range(10):
            bookmark = await written(shards, number)
            found, onward = await seen(shards, bookmark)
            assert (found, (await seen(shards, onward))[0]) == (number, number)


async def test_files_need_no_positions(tmp_path: Path, postgres_cluster: Cluster) -> None:
    async with opened_shards("sqlite", tmp_path, postgres_cluster) as shards:
        bookmark = await shards.seal.open(await written(shards, 1))
        assert bookmark == Bookmark(shards.map.number, {}, everywhere=False)


async def test_a_bookmark_from_after_a_move_makes_an_old_router_look_again() -> None:
    with fresh_cluster((("eu",), ("eu",))) as cluster:
        async with installed(cluster) as settings, opened(settings) as mover, opened(settings) as old:
            key = CourseKey("tenant", "course", 0)
            old_place = old.place(key)
            assert (await seen(old, await written(old, 1, key), key))[0] == 1
            cluster.shards[0].replicas[0].sql("SELECT pg_wal_replay_pause()")
            await _moved(mover, key)
            assert mover.place(key).shard.name != old_place.shard.name
            bookmark = await written(mover, 2, key)
            # The former shard's replica has not heard of the move, and would go on answering.
            assert (await seen(old, "first-unconstrained", key))[0] == 1
            assert old.place(key) == old_place, "the stale read must not have made it look"
            assert (await seen(old, bookmark, key))[0] == 2
            assert old.place(key).shard.name == mover.place(key).shard.name


_FLIP = parse_queries(
    """
-- name: own
-- purpose: Change who owns a bucket.
INSERT INTO bucket_owner (bucket, tenant, course, epoch, state, token, changed_at)
VALUES (:bucket, '', '', 2, :state, 0, 0)
ON CONFLICT (bucket, tenant, course) DO UPDATE SET epoch = 2, state = :state
-- name: map
-- purpose: Show the way to the new owner.
UPDATE bucket_map SET shard = :shard, epoch = 2 WHERE bucket = :bucket
""",
    "here",
)


async def _moved(shards: Shards, key: CourseKey) -> None:
    """Move an almost empty bucket to the other shard, in the steps of a move."""
    former = shards.place(key).shard
    new = next(whole.shard for whole in shards.all() if whole.shard is not former)

    async def own(tx: Transaction, state: str) -> None:
        await tx.execute(_FLIP["own"], {"bucket": key.bucket, "state": state})

    async def flip(tx: Transaction) -> None:
        await tx.execute(_FLIP["map"], {"bucket": key.bucket, "shard": new.name})
        await tx.read(OWNERSHIP["count_map_change"])

    await former.primary.write(lambda tx: own(tx, "gone"))
    await new.primary.write(lambda tx: own(tx, "owned"))
    await shards.directory.write(flip)
    await shards.refresh()


# --- texts


@pytest.fixture(params=ENGINES)
async def seal(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Seal]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as directory:
        yield Seal(directory)


MARK = Bookmark(7, {"shard-0": Position(2, 2**40), "shard-1": PRIMARY})


async def test_a_bookmark_is_opened_as_it_was_closed(seal: Seal) -> None:
    text = await seal.close(MARK)
    assert await seal.open(text) == MARK
    assert len(text) < 100
    assert text.isascii()
    assert seal.refused == 0


async def test_a_forged_bookmark_asks_the_primaries_and_is_counted(seal: Seal) -> None:
    text = await seal.close(MARK)
    forged = [text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :] for at in range(len(text) - 1)]
    forged += ["", "x", text[:-4], text + "AAAA", "é" * 40, "A" * 100_000, text + "\n"]
    for one in forged:
        assert await seal.open(one) == EVERYWHERE, one
    assert seal.refused == len(forged)


async def test_keys_are_renewed_and_the_old_ones_accepted(seal: Seal) -> None:
    text = await seal.close(MARK)
    older = parse_queries("-- name: age\n-- purpose: A day passes.\nUPDATE secrets SET created_at = :then", "here")

    async def age(tx: Transaction) -> None:
        await tx.execute(older["age"], {"then": time.time() - 90_000})

    directory = seal._directory
    await directory.write(age)
    renewed = Seal(directory)
    following = await renewed.close(MARK)
    assert following != text
    assert await renewed.open(text) == await renewed.open(following) == MARK
    # The process that has not heard of the new key yet looks for it.
    assert await seal.open(following) == MARK


async def test_a_bookmark_names_so_many_shards_and_no_more(seal: Seal) -> None:
    places = {f"{'shard' * 7}-{number:04}": Position(2**31, 2**63 - 1) for number in range(SHARDS)}
    text = await seal.close(Bookmark(1, places))
    assert len(text) < 4096
    assert (await seal.open(text)).positions == places
    more = Bookmark(1, {**places, "one-more": Position(1, 1)}).bounded()
    assert more == Bookmark(1, {}, everywhere=True)


def test_joined_bookmarks_keep_the_promises_of_both() -> None:
    one = Bookmark(3, {"a": Position(1, 50), "b": Position(2, 1), "c": PRIMARY})
    other = Bookmark(4, {"a": Position(1, 70), "b": Position(1, 99), "c": Position(9, 9), "d": Position(1, 1)})
    both = Bookmark(4, {"a": Position(1, 70), "b": Position(2, 1), "c": PRIMARY, "d": Position(1, 1)})
    assert one.merged(other) == other.merged(one) == both
    assert both.merged(EVERYWHERE).everywhere
