"""The PostgreSQL adapter under trouble: servers that die, hang, are full of work, or stop in the middle of a commit."""

import asyncio
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest

from atomic_guide import errors
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.settings import PostgresSettings
from tests.engines import DIRECTORY
from tests.postgres import Cluster, Shard, TlsServer, fresh_cluster, fresh_database

QUERIES = parse_queries(
    """
-- name: add
-- purpose: Store a secret.
INSERT INTO secrets (name, value, created_at) VALUES (:name, 'v', 1)
-- name: change
-- purpose: Change a secret, and hold its row.
UPDATE secrets SET value = value || :mark WHERE name = :name
-- name: all
-- purpose: Read what is stored.
SELECT name, value FROM secrets ORDER BY name
-- name: named
-- purpose: Find a secret.
SELECT name FROM secrets WHERE name = :name
-- name: sleep
-- purpose: Take a while.
SELECT pg_sleep(:seconds)
-- name: pid
-- purpose: Which connection answers.
SELECT pg_backend_pid() AS pid
""",
    "here",
)


@pytest.fixture
async def dsn(postgres_cluster: Cluster) -> AsyncIterator[str]:
    async with fresh_database(postgres_cluster.shards[0], DIRECTORY) as address:
        yield address


@pytest.fixture
def pair() -> Iterator[Shard]:
    """A primary with a synchronous standby, to break."""
    with fresh_cluster((("eu",),)) as cluster:
        cluster.shards[0].make_synchronous()
        yield cluster.shards[0]


async def add(database: PostgresDatabase, name: str) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["add"], {"name": name})

    await database.write(work)


async def names(database: PostgresDatabase) -> list[str]:
    return [row["name"] for row in await database.read(QUERIES["all"])]


async def made(pair: Shard, **settings: float) -> PostgresDatabase:
    """A database of the pair, reached by the addresses of both servers."""
    await DIRECTORY.make(pair.primary.dsn())
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in pair.servers)
    head, _, rest = pair.primary.dsn().partition(f"127.0.0.1:{pair.primary.port}")
    return PostgresDatabase("directory", f"{head}{hosts}{rest}", PostgresSettings(**settings))  # type: ignore[arg-type]


async def test_connections_are_bounded_and_so_is_what_waits(dsn: str) -> None:
    database = PostgresDatabase("d", dsn, PostgresSettings(readers=2, pending_limit=3, connect_timeout=0.3))
    busy = [asyncio.create_task(database.read(QUERIES["sleep"], {"seconds": 1.0})) for _ in range(2)]
    await asyncio.sleep(0.2)
    waiting = [asyncio.create_task(database.read(QUERIES["pid"])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(errors.DataUnavailable, match="too many statements waiting"):
        await database.read(QUERIES["pid"])
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert ["busy" in str(outcome) for outcome in outcomes] == [True] * 3
    await asyncio.gather(*busy)
    assert len(await database.read(QUERIES["pid"])) == 1
    await database.close()


async def test_a_cancelled_caller_leaves_its_connection_in_order(dsn: str) -> None:
    database = PostgresDatabase("d", dsn, PostgresSettings(readers=1))
    (row,) = await database.read(QUERIES["pid"])
    slow = asyncio.create_task(database.read(QUERIES["sleep"], {"seconds": 5.0}))
    waiting = asyncio.create_task(database.read(QUERIES["pid"]))
    await asyncio.sleep(0.1)
    waiting.cancel()
    slow.cancel()
    await asyncio.gather(slow, waiting, return_exceptions=True)
    async with asyncio.timeout(2):
        assert (await database.read(QUERIES["pid"]))[0]["pid"] == row["pid"]
    await database.close()


async def test_a_work_is_finished_though_its_caller_gave_up(dsn: str) -> None:
    database = PostgresDatabase("d", dsn)

    async def work(tx: Transaction) -> None:
        await tx.read(QUERIES["sleep"], {"seconds": 0.2})
        await tx.execute(QUERIES["add"], {"name": "kept"})

    task = asyncio.create_task(database.write(work))
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await database.close()
    again = PostgresDatabase("d", dsn)
    assert await names(again) == ["kept"]
    await again.close()


async def test_of_two_works_in_a_deadlock_both_are_done(dsn: str) -> None:
    database = PostgresDatabase("d", dsn)
    await add(database, "a")
    await add(database, "b")
    ran: list[str] = []

    def crossing(first: str, second: str) -> "asyncio.Task[None]":
        async def work(tx: Transaction) -> None:
            ran.append(first)
            await tx.execute(QUERIES["change"], {"name": first, "mark": first})
            await tx.read(QUERIES["sleep"], {"seconds": 0.3})
            await tx.execute(QUERIES["change"], {"name": second, "mark": first})

        return asyncio.create_task(database.write(work))

    await asyncio.gather(crossing("a", "b"), crossing("b", "a"))
    assert len(ran) == 3, "the server breaks one off, and it is run again"
    values = {row["name"]: sorted(row["value"]) for row in await database.read(QUERIES["all"])}
    assert values == {"a": ["a", "b", "v"], "b": ["a", "b", "v"]}
    await database.close()


async def test_a_slow_statement_is_broken_off_and_told_in_time(dsn: str) -> None:
    database = PostgresDatabase("d", dsn, PostgresSettings(statement_timeout=0.2))
    began = time.monotonic()
    with pytest.raises(errors.DataUnavailable, match="d did not answer in time"):
        await database.read(QUERIES["sleep"], {"seconds": 5.0})
    assert time.monotonic() - began < 2
    assert len(await database.read(QUERIES["pid"])) == 1
    await database.close()


async def test_a_read_from_a_server_that_is_silent_ends_in_time(pair: Shard) -> None:
    database = await made(pair, statement_timeout=0.3)
    assert await names(database) == []
    await asyncio.to_thread(pair.primary.pause)
    began = time.monotonic()
    with pytest.raises(errors.DataUnavailable, match="did not answer in time"):
        await database.read(QUERIES["all"])
    assert time.monotonic() - began < 5
    await asyncio.to_thread(pair.primary.resume)
    assert await names(database) == []
    await database.close()


async def test_closing_waits_for_reads_and_refuses_new_ones(dsn: str) -> None:
    database = PostgresDatabase("d", dsn)
    slow = asyncio.create_task(database.read(QUERIES["sleep"], {"seconds": 0.3}))
    await asyncio.sleep(0.1)
    await database.close()
    assert len(await slow) == 1
    with pytest.raises(errors.DataUnavailable, match="d is closed"):
        await database.read(QUERIES["pid"])


async def test_a_server_that_comes_back_is_used_again(pair: Shard) -> None:
    database = await made(pair, retry_seconds=20)
    await add(database, "before")
    await asyncio.to_thread(pair.primary.kill)
    late = asyncio.create_task(add(database, "meanwhile"))
    with pytest.raises(errors.Disconnected):
        await database.read(QUERIES["all"])
    hasty = PostgresDatabase("d", pair.primary.dsn(), PostgresSettings(retry_burst=3, breaker_failures=1000))
    began = time.monotonic()
    refused = await asyncio.gather(*(add(hasty, f"w{number}") for number in range(40)), return_exceptions=True)
    assert all(isinstance(one, errors.DataUnavailable) and one.retry_after == 1 for one in refused)
    assert time.monotonic() - began < 4, "what is over the share of retries is not tried on"
    # Three at once, and a tenth of the writes.
    assert hasty.counts["retries"] <= 3 + 4
    assert hasty.counts["unretried"] == hasty.counts["writes"] == 40
    await hasty.close()
    await asyncio.to_thread(pair.primary.start)
    await late
    assert await names(database) == ["before", "meanwhile"]
    await database.close()


async def test_after_a_failover_nothing_acknowledged_is_missing(pair: Shard) -> None:
    database = await made(pair, retry_seconds=20)
    acknowledged: list[str] = []

    async def writing(writer: int) -> None:
        for number in range(100_000):
            name = f"{writer}-{number:06}"
            try:
                await add(database, name)
            except errors.DataUnavailable:
                continue
            except errors.Conflict:
                # The commit of an attempt whose outcome was unknown had been kept.
                continue
            acknowledged.append(name)

    writers = [asyncio.create_task(writing(writer)) for writer in range(4)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(pair.primary.kill)
    killed = len(acknowledged)
    await asyncio.to_thread(pair.fail_over, pair.replicas[0])
    deadline = time.monotonic() + 20
    while len(acknowledged) < killed + 20 and time.monotonic() < deadline:  # noqa: ASYNC110 - of writers that know nothing
        await asyncio.sleep(0.05)
    for writer in writers:
        writer.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    assert len(acknowledged) >= killed + 20, "writes go on at the new primary"
    assert set(acknowledged) <= set(await names(database))
    await database.close()


async def test_a_commit_that_its_standby_does_not_confirm_is_not_acknowledged(pair: Shard) -> None:
    database = await made(pair, statement_timeout=0.5, retry_seconds=0.5)
    await add(database, "confirmed")
    await asyncio.to_thread(pair.replicas[0].pause)
    with pytest.raises(errors.DataUnavailable, match="unknown"):
        await add(database, "alone")
    # An administrator who cancels the wait makes it no success either.
    patient = PostgresDatabase("d", pair.primary.dsn())
    hanging = asyncio.create_task(add(patient, "cancelled"))
    await asyncio.sleep(0.5)
    admin = await asyncpg.connect(pair.primary.dsn())
    await admin.execute("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    await admin.close()
    with pytest.raises(errors.DataUnavailable, match="unknown"):
        await hanging
    await asyncio.to_thread(pair.replicas[0].resume)
    await patient.close()
    await database.close()


async def test_tls_is_verified_off_loopback_and_refused_for_a_stranger(postgres_with_tls: TlsServer) -> None:
    server = postgres_with_tls.server
    trusting = PostgresSettings(tls="verify-full", tls_ca=str(postgres_with_tls.authority), connect_timeout=2)
    database = PostgresDatabase("d", server.dsn(), trusting)
    assert len(await database.read(QUERIES["pid"])) == 1
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await database.close()
    wary = PostgresSettings(tls="verify-full", tls_ca=str(postgres_with_tls.stranger), connect_timeout=2)
    for settings in (wary, PostgresSettings(tls="disable", connect_timeout=2)):
        stranger = PostgresDatabase("d", server.dsn(), settings)
        with pytest.raises((errors.DataUnavailable, ssl.SSLError)):
            await stranger.read(QUERIES["pid"])
        await stranger.close()
    missing = PostgresSettings(tls="verify-full", tls_ca="/nowhere/ca.pem")
    with pytest.raises(errors.ConfigurationError, match=r"databases\.postgresql\.tls_ca"):
        PostgresDatabase("d", server.dsn(), missing)


async def test_a_value_that_no_column_can_hold_is_the_askers_fault(dsn: str) -> None:
    database = PostgresDatabase("d", dsn)
    for value in ("zero\x00byte", 7):
        with pytest.raises(errors.Invalid) as caught:
            await database.read(QUERIES["named"], {"name": value})
        assert "zero" not in caught.value.message
    assert await names(database) == []
    await database.close()


NAMED = "geheim"


async def test_an_error_does_not_show_the_row(dsn: str) -> None:
    database = PostgresDatabase("d", dsn)
    await add(database, NAMED)
    with pytest.raises(errors.Conflict) as caught:
        await add(database, NAMED)
    assert "geheim" not in caught.value.message
    assert "geheim" not in "".join(traceback.format_exception(caught.value))
    await database.close()
