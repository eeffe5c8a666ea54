"""Databases, NATS, the disk, what is recorded."""

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from atomic_guide import errors
from atomic_guide.config import Settings
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.rows import Field, Table, insert_rows, read_many
from atomic_guide.engines.data.settings import PostgresSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.engines.data.sqlite_settings import SqliteSettings
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.operations.scaling.decide.bounds import within
from atomic_guide.operations.scaling.limits import note_cuts
from atomic_guide.operations.scaling.model import Decision, Key, Sample
from atomic_guide.operations.scaling.reports import Report, Reports
from atomic_guide.operations.scaling.series import Series
from tests.engines import DIRECTORY
from tests.integration.chat_server import nats_beside
from tests.limit_cases import Ground, Reached, answered, fullest, reaches, until
from tests.limit_cases.web import counted, databases
from tests.postgres import fresh_database

QUERIES = parse_queries(
    """
-- name: sleep
-- purpose: A read that takes its time.
SELECT pg_sleep(:seconds)

-- name: one
-- purpose: A row.
SELECT 1 AS number

-- name: make
-- purpose: A table to fill.
CREATE TABLE filler (text TEXT)

-- name: fill
-- purpose: Fill it.
INSERT INTO filler (text) VALUES (:text)
""",
    "here",
)


@reaches("file_writes")
async def _(ground: Ground) -> Reached:
    database = SqliteDatabase(ground.folder / "shard-0.sqlite", SqliteSettings(pending_limit=2))
    begun, go = threading.Event(), threading.Event()

    async def slow(_tx: Transaction) -> None:
        begun.set()
        go.wait(10)

    async def quick(_tx: Transaction) -> None:
        pass

    try:
        writes = [asyncio.create_task(database.write(slow))]
        await until(begun.is_set)
        writes += [asyncio.create_task(database.write(quick)) for _ in range(2)]
        await until(lambda: database.backlog == 2)
        seen = fullest(database.used(), "file_writes")
        try:
            await database.write(quick)
        except errors.GuideError as error:
            return Reached(answered(error), 2, seen)
        finally:
            go.set()
            await asyncio.gather(*writes)
    finally:
        await database.close()
    raise AssertionError("not refused")


@reaches("file_bytes")
async def _(ground: Ground) -> Reached:
    most = 200_000
    database = SqliteDatabase(ground.folder / "shard-0.sqlite", SqliteSettings(size_limit=most))

    async def make(tx: Transaction) -> None:
        await tx.execute(QUERIES["make"])

    async def fill(tx: Transaction) -> None:
        await tx.execute(QUERIES["fill"], {"text": "x" * 3000})

    try:
        await database.write(make)
        for _ in range(100):
            try:
                await database.write(fill)
            except errors.OutOfSpace as error:
                assert await database.one(QUERIES["one"])
                await asyncio.to_thread(database._bring_back)
                return Reached(answered(error), most, fullest(database.used(), "file_bytes"))
    finally:
        await database.close()
    raise AssertionError("not refused")


@asynccontextmanager
async def server(ground: Ground, **settings: Any) -> AsyncIterator[PostgresDatabase]:
    """A database of a server, with a second's patience for a connection."""
    async with fresh_database(ground.cluster().shards[0], DIRECTORY) as address:
        database = PostgresDatabase("directory", address, PostgresSettings(connect_timeout=1.0, **settings))
        try:
            yield database
        finally:
            await database.close()


async def _refused(database: PostgresDatabase) -> str:
    with pytest.raises(errors.GuideError) as refused:
        await database.read(QUERIES["one"])
    return answered(refused.value)


@reaches("server_readers")
async def _(ground: Ground) -> Reached:
    async with server(ground, readers=1) as database:
        busy = asyncio.create_task(database.read(QUERIES["sleep"], {"seconds": 2.5}))
        await until(lambda: database._readers.in_use)
        seen = fullest(database.used(), "server_readers")
        answer = await _refused(database)
        await busy
        return Reached(f"waits, then {answer}", 1, seen)


@reaches("server_writers")
async def _(ground: Ground) -> Reached:
    async with server(ground, writers=1) as database:

        async def slow(tx: Transaction) -> None:
            await tx.read(QUERIES["sleep"], {"seconds": 2.5})

        async def quick(tx: Transaction) -> None:
            await tx.read(QUERIES["one"])

        busy = asyncio.create_task(database.write(slow))
        await until(lambda: database._writers.in_use)
        seen = fullest(database.used(), "server_writers")
        with pytest.raises(errors.GuideError) as refused:
            await database.write(quick)
        await busy
        return Reached(f"waits, then {answered(refused.value)}", 1, seen)


@reaches("server_calls")
async def _(ground: Ground) -> Reached:
    async with server(ground, readers=1, pending_limit=1) as database:
        busy = asyncio.create_task(database.read(QUERIES["sleep"], {"seconds": 0.5}))
        await until(lambda: database._readers.in_use)
        waiting = asyncio.create_task(database.read(QUERIES["one"]))
        await until(lambda: database._readers.waiting)
        seen = fullest(database.used(), "server_calls")
        answer = await _refused(database)
        await asyncio.gather(busy, waiting)
        return Reached(answer, 1, seen)


@reaches("fallback_reads")
async def _(_ground: Ground) -> Reached:
    settings = ReadSettings(fallback_reads=1, fallback_wait_seconds=0.05)
    replicas = ReplicaSet("shard-0", cast("Any", None), [], settings, "")
    async with replicas._bounded():
        seen = fullest(replicas.used(), "fallback_reads")
        with pytest.raises(errors.GuideError) as refused:
            async with replicas._bounded():
                pass
        return Reached(f"waits, then {answered(refused.value)}", 1, seen)


@reaches("batch_ids")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        with pytest.raises(errors.Invalid) as refused:
            await read_many(shards.directory, QUERIES["one"], list(range(10_001)))
    return Reached(answered(refused.value), 10_000)


@reaches("batch_rows")
async def _(ground: Ground) -> Reached:
    table = Table("scores", (Field("user", "text"),))
    async with databases(ground.folder) as shards:
        with pytest.raises(errors.Invalid) as refused:
            await insert_rows(shards, CourseKey.of("t", "c"), table, [("u",)] * 100_001)
    return Reached(answered(refused.value), 100_000)


@reaches("nats_outbox")
async def _(ground: Ground) -> Reached:
    async with nats_beside(ground.folder):
        connection = Connection(ground.folder, NatsSettings(outbox_limit=100))
        await connection.open()
        try:
            assert [connection.publish("here", b"x") for _ in range(100)] == [True] * 100
            seen = fullest(connection.used(), "nats_outbox")
            assert not connection.publish("here", b"x")
            return Reached("drops", 100, seen)
        finally:
            await connection.close()


@reaches("nats_inbox")
async def _(ground: Ground) -> Reached:
    got: list[bytes] = []
    async with nats_beside(ground.folder):
        connection = Connection(ground.folder, NatsSettings(inbox_bytes=1000))
        await connection.open()
        try:
            subscription = await connection.subscribe("here", got.append)
            assert subscription.live is not None
            subscription.live._pending_size = 900
            seen = fullest(connection.used(), "nats_inbox")
            connection.publish("here", b"x" * 500)
            connection.publish("there", b"x")
            await asyncio.sleep(0.3)
            subscription.live._pending_size = 0
            connection.publish("here", b"later")
            await until(lambda: got)
            assert got == [b"later"]
            return Reached("drops", 1000, seen)
        finally:
            await connection.close()


@reaches("disk_bytes")
async def _(ground: Ground) -> Reached:
    usage = shutil.disk_usage(ground.folder)
    store = DirectoryStore(ground.folder, AssetSettings(least_free_bytes=usage.free + 10_000_000))
    with pytest.raises(errors.OutOfSpace) as refused:
        store.check_space()
    return Reached(answered(refused.value), usage.total, fullest(store.used(), "disk_bytes"))


@reaches("series")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        series = Series(shards.directory, 1)
        await series.store(0.0, [Sample(Key("web", "demand"), 1.0)])
        seen = await counted(shards, "series")
        with pytest.raises(errors.Unavailable):
            await series.store(0.0, [Sample(Key("web", "demand", "more"), 1.0)])
        assert await series.keys() == [Key("web", "demand")]
        return Reached("not recorded", 1, seen)


@reaches("processes")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        reports = Reports(shards.directory, most=2)
        at = time.time()
        for name in ("a", "b", "c"):
            await reports.write(Report(name, "web", "life", at, 100.0))
        assert len((await reports.look(at)).reports) == 2
        return Reached("not read", 2, await counted(shards, "processes"))


@reaches("fleet_units")
async def _(ground: Ground) -> Reached:
    settings = Settings()
    async with databases(ground.folder) as shards:
        at = time.time()
        for number in range(settings.scaling.web.max):
            await Reports(shards.directory).write(Report(f"p{number}", "web", "life", at, 100.0))
        seen = await counted(shards, "fleet_units", settings)
    cut = within(5, 1, 4, None)
    note_cuts([Decision("d", at, "web", "hold", cut.units, 4, "load", "low", "; ".join(cut.why), capped=cut.capped)])
    return Reached("decision is cut", 4, seen)
