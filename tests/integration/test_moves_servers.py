"""Moves between PostgreSQL servers that die, lag, refuse rows, or are of different versions."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.moves import Limits, Mover, Progress, Scope, verify
from atomic_guide.engines.data.moves.servers import name_of, peer_address
from atomic_guide.engines.data.ownership import Fence, fenced, over_all
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DEFAULT_ZONE, DataSettings, PostgresSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from tests.engines import DIRECTORY, SHARD, opened_shards
from tests.moving import ADD, FOLLOWING, fill, message, other, query, rows_on, seqs, where
from tests.postgres import Cluster, Server, debian_programs, fresh_cluster, fresh_database
from tests.postgres import Shard as Servers

KEY = CourseKey.of("t1", "algebra")
BUCKET = Scope(DEFAULT_ZONE, KEY.bucket)
EVERYTHING = (
    "SELECT (SELECT count(*) FROM pg_subscription WHERE subname LIKE 'guide%')"
    " + (SELECT count(*) FROM pg_publication WHERE pubname LIKE 'guide%')"
    " + (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'logical') AS things"
)
QUICK = PostgresSettings(retry_seconds=0.5, connect_timeout=2)


class Places(NamedTuple):
    """The servers of an installation, each to be broken by itself."""

    directory: Server
    shards: tuple[Server, Server]
    opened: Shards

    def named(self, name: str) -> Server:
        return self.shards[int(name.removeprefix("shard-"))]


@contextlib.asynccontextmanager
async def installation(directory: Servers, *shards: Servers) -> AsyncIterator[Shards]:
    """Databases on these servers."""
    async with contextlib.AsyncExitStack() as stack:
        main = await stack.enter_async_context(fresh_database(directory, DIRECTORY))
        urls = [await stack.enter_async_context(fresh_database(each, SHARD)) for each in shards]
        servers = tuple(ShardSettings(f"shard-{number}", url) for number, url in enumerate(urls))
        opened = await open_servers(DataSettings(directory=main, servers=servers, postgresql=QUICK))
        stack.push_async_callback(opened.close)
        yield opened


@pytest.fixture
async def places() -> AsyncIterator[Places]:
    with fresh_cluster(((), (), ())) as cluster:
        directory, *shards = cluster.shards
        async with installation(directory, *shards) as opened:
            yield Places(directory.primary, (shards[0].primary, shards[1].primary), opened)


@pytest.fixture
async def shards(postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards("postgresql", None, postgres_cluster) as opened:  # type: ignore[arg-type]
        yield opened


async def ask(shards: Shards, name: str, text: str) -> Any:
    """The first value of a query's answer."""
    row = await shards.named(name).primary.one(query(text))
    return None if row is None else row[0]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("victim", "steps"),
    [
        ("source", ["copy", "fence", "leave", "purge"]),
        ("target", ["copy", "catch_up", "flip", "own"]),
        ("directory", ["copy", "flip", "own", "forget"]),
    ],
)
async def test_a_server_that_dies_costs_no_row(places: Places, victim: str, steps: list[str]) -> None:
    shards = places.opened
    await fill(shards, KEY, 20)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    expected = 20
    for step in steps:
        source, target = where(shards, KEY), other(shards, KEY)
        dies = places.directory if victim == "directory" else places.named({"source": source, "target": target}[victim])
        killed: list[str] = []

        def told(progress: Progress, step: str = step, dies: Server = dies, killed: list[str] = killed) -> None:
            if progress.step == step and not killed:
                killed.append(step)
                dies.kill()

        move = await mover.start(BUCKET, target)
        with contextlib.suppress(errors.DataUnavailable):
            await mover.carry_out(move.id, told)
        assert killed == [step]
        await asyncio.to_thread(dies.start)
        ended = await carried_out(mover, move.id)
        assert (step, ended) in {(step, "done"), (step, "aborted")}
        assert where(shards, KEY) == (target if ended == "done" else source)
        expected += 1
        await shards.of(KEY).write(lambda tx, seq=expected: tx.execute(ADD, message(KEY, seq)))  # type: ignore[misc]
        assert await seqs(shards, KEY) == list(range(1, expected + 1))
        assert await rows_on(shards.named(other(shards, KEY)).primary, KEY.bucket) == 0
        assert await verify(shards) == []
        assert [await ask(shards, name, EVERYTHING) for name in (source, target)] == [0, 0]


async def carried_out(mover: Mover, move_id: str) -> str:
    """The state in which a move ends, once the servers answer again."""
    for _ in range(50):
        try:
            return (await mover.carry_out(move_id)).state
        except errors.DataUnavailable:
            await asyncio.sleep(0.1)
    return (await mover.find(move_id)).state


async def test_nothing_follows_the_source_when_its_rows_are_removed(shards: Shards) -> None:
    await fill(shards, KEY, 20)
    target = other(shards, KEY)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    move = await mover.start(BUCKET, target)
    seen = {}

    async def look() -> None:
        for name in ("shard-0", "shard-1"):
            seen[name] = await ask(shards, name, EVERYTHING)

    # The steps are told of between two awaits, so that the look itself comes at the next one.
    looks: list[asyncio.Task[None]] = []

    def told(progress: Progress) -> None:
        if progress.step == "purge":
            looks.append(asyncio.create_task(look()))

    await mover.carry_out(move.id, told)
    await looks[0]
    assert seen == {"shard-0": 0, "shard-1": 0}
    assert await rows_on(shards.named(target).primary, KEY.bucket) == 41


async def test_a_few_rows_are_copied_under_the_fence(shards: Shards) -> None:
    await fill(shards, KEY, 300)
    source, target = where(shards, KEY), other(shards, KEY)
    steps: list[str] = []
    mover = Mover(shards, "mover", limits=Limits(direct=601))
    ended = await mover.carry_out((await mover.start(BUCKET, target)).id, lambda progress: steps.append(progress.step))
    assert (ended.state, ended.rows, "catch_up" in steps) == ("done", 601, False)
    assert await seqs(shards, KEY) == list(range(1, 301))
    back = await mover.carry_out((await mover.start(BUCKET, source)).id)
    assert (back.state, back.rows) == ("done", 601)
    assert await verify(shards) == []


async def test_a_subscription_is_never_a_synchronous_standby() -> None:
    with fresh_cluster((("eu",), ())) as cluster:
        async with installation(cluster.shards[1], *cluster.shards) as shards:
            await fill(shards, KEY, 20)
            assert where(shards, KEY) == "shard-0"
            await asyncio.to_thread(cluster.shards[0].make_synchronous)
            mover = Mover(shards, "mover", limits=FOLLOWING)
            move = await mover.start(BUCKET, other(shards, KEY))
            states: list[Any] = []

            def told(progress: Progress) -> None:
                if progress.step == "catch_up":
                    said = "SELECT application_name, sync_state FROM pg_stat_replication ORDER BY 1"
                    states.append(cluster.shards[0].primary.sql(said))

            assert (await mover.carry_out(move.id, told)).state == "done"
            assert states == [f"{name_of(move.id)}|async\nshard-0-eu|quorum"]


def test_the_address_for_another_server_names_no_application_and_finds_the_primary() -> None:
    assert peer_address("postgresql://u:p@one/db?application_name=shard-0-eu&sslmode=require") == (
        "postgresql://u:p@one/db?sslmode=require&connect_timeout=5"
    )
    assert peer_address("postgresql://u:p@one:5432,two:5433/db") == (
        "postgresql://u:p@one:5432,two:5433/db?connect_timeout=5&target_session_attrs=primary"
    )
    assert peer_address("postgresql://u@one,two/db?target_session_attrs=read-write") == (
        "postgresql://u@one,two/db?target_session_attrs=read-write&connect_timeout=5"
    )


@pytest.mark.parametrize("kind", ["course", "shard"])
async def test_a_long_write_is_waited_for_and_holds_up_no_other_writer(shards: Shards, kind: str) -> None:
    await fill(shards, KEY, 20)
    source, epoch = shards.place(KEY)
    mover = Mover(shards, "mover", limits=FOLLOWING)
    move = await mover.start(BUCKET, other(shards, KEY))
    slow = query("SELECT pg_sleep(1)")
    writing: list[asyncio.Task[Any]] = []

    async def work(tx: Transaction) -> None:
        # That it may write is decided before, and must hold for what it writes afterwards.
        await tx.read(slow)
        await tx.execute(ADD, message(KEY, 99))

    def told(progress: Progress) -> None:
        if progress.step == "catch_up":
            held = over_all(work) if kind == "shard" else fenced(work, [Fence(KEY, epoch)])
            writing.append(asyncio.create_task(source.write(held)))

    moving = asyncio.create_task(mover.carry_out(move.id, told))
    waits, seq = [], 100
    while not moving.done():
        began = time.monotonic()
        seq += 1
        await shards.of(KEY).write(lambda tx, seq=seq: tx.execute(ADD, message(KEY, seq)))  # type: ignore[misc]
        waits.append(time.monotonic() - began)
    ended = await moving
    assert (ended.state, ended.error) == ("done", None)
    await writing[0]
    assert max(waits) < 0.9
    assert await seqs(shards, KEY) == [*range(1, 21), 99, *range(101, seq + 1)]


async def test_a_copy_that_the_target_refuses_is_given_up(shards: Shards) -> None:
    await fill(shards, KEY, 20)
    source, target = where(shards, KEY), other(shards, KEY)
    await shards.named(target).primary.write(
        lambda tx: tx.execute(query("ALTER TABLE messages ADD CONSTRAINT few CHECK (seq < 10)"))
    )
    mover = Mover(shards, "mover", limits=FOLLOWING._replace(stall=1.5))
    ended = await mover.carry_out((await mover.start(BUCKET, target)).id)
    assert ended.state == "aborted"
    assert "stands still" in str(ended.error)
    assert where(shards, KEY) == source
    assert await seqs(shards, KEY) == list(range(1, 21))
    assert await verify(shards) == []


async def test_what_a_dead_move_left_on_servers_is_found_and_removed(shards: Shards) -> None:
    name = name_of("feedbeef")
    source = shards.named("shard-0")
    assert isinstance(source.primary, PostgresDatabase)
    make_slot = query("SELECT slot_name::text FROM pg_create_logical_replication_slot(:name, 'pgoutput')")
    await source.primary.write(lambda tx: tx.execute(query(f"CREATE PUBLICATION {name} FOR TABLE courses")))
    for each in (name, "reports_x"):
        await source.primary.write(lambda tx, each=each: tx.read(make_slot, {"name": each}))  # type: ignore[misc]
    literal = peer_address(source.primary.address).replace(":", "\\x3a")
    options = f"create_slot = false, slot_name = '{name}'"
    subscribe = f"CREATE SUBSCRIPTION {name} CONNECTION E'{literal}' PUBLICATION {name} WITH ({options})"
    await shards.named("shard-1").primary.write(lambda tx: tx.execute(query(subscribe)))
    found = await verify(shards)
    assert [(each.kind, each.shard, name in each.text, each.repaired) for each in found] == [
        ("leftover", "shard-1", True, False),
        ("leftover", "shard-0", True, False),
        ("leftover", "shard-0", True, False),
    ]
    for _ in range(50):
        if all(each.repaired for each in await verify(shards, repair=True)):
            break
        await asyncio.sleep(0.1)
    assert await verify(shards) == []
    assert await ask(
        shards, "shard-0", "SELECT slot_name::text FROM pg_replication_slots WHERE slot_name = 'reports_x'"
    )
    await source.primary.write(lambda tx: tx.read(query("SELECT pg_drop_replication_slot('reports_x')")))


@pytest.fixture(scope="module")
def older() -> Iterator[Cluster]:
    """A server of Debian's PostgreSQL 15. Absent: its test is skipped, and says so."""
    programs = debian_programs()
    if programs is None:
        pytest.skip("no older PostgreSQL: Debian's package postgresql is not installed")
    with fresh_cluster(((),), programs=programs) as cluster:
        yield cluster


async def test_a_bucket_goes_from_one_version_to_another_and_back(older: Cluster, postgres_cluster: Cluster) -> None:
    newer = postgres_cluster.shards[0]
    async with installation(newer, newer, older.shards[0]) as shards:
        await fill(shards, KEY, 50)
        await shards.of(KEY).write(
            lambda tx: tx.execute(ADD, {**message(KEY, 51), "at": 1e300, "content": "\U0001f30a"})
        )
        versions = {name: await ask(shards, name, "SHOW server_version") for name in ("shard-0", "shard-1")}
        assert {version.split(".")[0] for version in versions.values()} == {"18", "15"}
        for _ in range(2):
            mover = Mover(shards, "mover", limits=FOLLOWING)
            ended = await mover.carry_out((await mover.start(BUCKET, other(shards, KEY))).id)
            assert (ended.state, ended.error, ended.rows) == ("done", None, 102)
        assert await seqs(shards, KEY) == list(range(1, 52))
