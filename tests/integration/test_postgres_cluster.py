"""The PostgreSQL that tests and benchmarks run on is what they take it for."""

import asyncio
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.postgres import (
    Cluster,
    Databases,
    PostgresError,
    Programs,
    Server,
    Shard,
    Template,
    TlsServer,
    find_programs,
    fresh_cluster,
    fresh_database,
    fresh_databases,
)
from tests.postgres.keeper import children, command, postmaster
from tests.postgres.programs import account, give

SECONDS = 15


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    connection = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        yield connection
    finally:
        with suppress(TimeoutError, OSError):
            await connection.close(timeout=SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - a process has no event for it
            await asyncio.sleep(0.01)


@pytest.fixture
def shard() -> Iterator[Shard]:
    """A shard to break."""
    with fresh_cluster() as cluster:
        yield cluster.shards[0]


async def test_every_server_is_durable_and_answers_on_loopback_with_a_password_only(postgres_cluster: Cluster) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "wal_level": "logical",
        "hot_standby": "on",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
    }
    assert [len(shard.replicas) for shard in postgres_cluster.shards] == [2, 1]
    for server in postgres_cluster.servers:
        async with connected(server.dsn()) as connection:
            found = {name: await connection.fetchval("SELECT current_setting($1)", name) for name in wanted}
        assert found == wanted, server.name
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(server.dsn(), password="wrong", timeout=SECONDS)


async def test_shards_are_different_systems_and_replicas_belong_to_theirs(postgres_cluster: Cluster) -> None:
    question = "SELECT system_identifier FROM pg_control_system()"
    systems = [{server.sql(question) for server in shard.servers} for shard in postgres_cluster.shards]
    assert [len(system) for system in systems] == [1, 1]
    assert systems[0] != systems[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to drop")
def test_a_server_of_root_runs_without_roots_rights(postgres_cluster: Cluster) -> None:
    process = postmaster(postgres_cluster.shards[0].primary.data)
    assert process is not None
    for pid in (process, *children(process)):
        assert Path(f"/proc/{pid}").stat().st_uid == account()["user"]


async def test_a_row_reaches_every_replica_and_no_replica_takes_one(postgres_databases: Databases) -> None:
    for place in (postgres_databases.directory, *postgres_databases.shards):
        async with connected(place.primary) as connection:
            await connection.execute("CREATE TABLE notes (text text)")
            await connection.execute("INSERT INTO notes VALUES ('written once')")
            position = await connection.fetchval("SELECT pg_current_wal_lsn()")
        for dsn in place.replicas.values():
            async with connected(dsn) as replica, asyncio.timeout(SECONDS):
                while not await replica.fetchval("SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn", position):  # noqa: ASYNC110
                    await asyncio.sleep(0.002)
                assert await replica.fetchval("SELECT text FROM notes") == "written once"
                with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                    await replica.execute("INSERT INTO notes VALUES ('astray')")
    assert list(postgres_databases.shards[0].replicas) == ["eu", "us"]
    assert list(postgres_databases.shards[1].replicas) == ["eu"]


async def test_a_template_is_made_once_and_each_test_changes_its_own_clone(postgres_cluster: Cluster) -> None:
    made: list[str] = []

    async def make(dsn: str) -> None:
        made.append(dsn)
        async with connected(dsn) as connection:
            await connection.execute("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('of the template')")

    template = Template("notes", make)
    for text in ("first", "second"):
        async with fresh_databases(postgres_cluster, shard=template) as databases:
            async with connected(databases.shards[1].primary) as connection:
                await connection.execute("INSERT INTO notes VALUES ($1)", text)
                found = [row["text"] for row in await connection.fetch("SELECT text FROM notes")]
            assert found == ["of the template", text]
            async with connected(databases.shards[1].replicas["eu"]) as replica:
                assert await replica.fetchval("SELECT text FROM notes LIMIT 1") == "of the template"
    assert len(made) == 2  # once for each shard's server


async def test_a_clone_is_dropped_with_what_a_failed_test_left_in_it(postgres_cluster: Cluster) -> None:
    publisher, subscriber = postgres_cluster.shards
    leftover: asyncpg.Connection[Any]
    async with fresh_database(publisher) as source, fresh_database(subscriber) as target:
        async with connected(source) as connection:
            await connection.execute("CREATE TABLE notes (text text); CREATE PUBLICATION notes FOR TABLE notes")
        leftover = await asyncpg.connect(target, timeout=SECONDS)
        await leftover.execute("CREATE TABLE notes (text text)")
        await leftover.execute(f"CREATE SUBSCRIPTION notes_{target[-8:]} CONNECTION '{source}' PUBLICATION notes")
    names = {target.rpartition("/")[2], source.rpartition("/")[2]}
    for shard in postgres_cluster.shards:
        assert not names & set(shard.primary.sql("SELECT datname FROM pg_database").splitlines())
        slots = "SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'logical' AND database = ANY ('{%s}')"
        assert shard.primary.sql(slots % ",".join(names)) == "0"
    leftover.terminate()


async def test_a_paused_server_answers_nothing_until_it_goes_on(shard: Shard) -> None:
    async with connected(shard.primary.dsn()) as connection:
        shard.primary.pause()
        waiting = asyncio.create_task(connection.fetchval("SELECT 1"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        with pytest.raises(TimeoutError):
            await asyncpg.connect(shard.primary.dsn(), timeout=0.3)
        assert shard.primary.running
        shard.primary.resume()
        assert await asyncio.wait_for(waiting, SECONDS) == 1


async def test_a_killed_server_loses_its_connections_and_comes_back_with_its_data(shard: Shard) -> None:
    shard.primary.sql("CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('kept')")
    family = children(postmaster(shard.primary.data) or 0)
    assert family
    async with connected(shard.primary.dsn()) as connection:
        shard.primary.kill()
        assert not shard.primary.running
        assert not [pid for pid in family if command(pid)]
        with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError, OSError)):
            await connection.fetchval("SELECT 1")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncpg.connect(shard.primary.dsn(), timeout=SECONDS)
    shard.primary.start()
    assert shard.primary.sql("SELECT text FROM notes") == "kept"
    shard.primary.sql("INSERT INTO notes VALUES ('after')")
    shard.catch_up()
    assert shard.replicas[1].sql("SELECT text FROM notes") == "kept\nafter"


def test_after_a_failover_the_others_follow_and_the_old_primary_can_rejoin(shard: Shard) -> None:
    shard.make_synchronous()
    shard.primary.sql("CREATE TABLE notes (text text)", "INSERT INTO notes VALUES ('acknowledged')")
    old = shard.primary
    old.kill()
    ahead = max(shard.replicas, key=Server.position)
    shard.fail_over(ahead)
    assert ahead.is_primary()
    assert [server.is_primary() for server in shard.replicas] == [False]
    ahead.sql("INSERT INTO notes VALUES ('on the new timeline')")
    shard.catch_up()
    old.rejoin(ahead)
    old.start()
    shard.replicas.append(old)
    shard.catch_up()
    for server in shard.servers:
        assert server.sql("SELECT text FROM notes") == "acknowledged\non the new timeline"
    assert not old.is_primary()


async def test_a_synchronous_shard_acknowledges_nothing_that_is_on_one_disk_only(shard: Shard) -> None:
    shard.make_synchronous()
    shard.primary.sql("CREATE TABLE notes (text text)")
    for replica in shard.replicas:
        replica.pause()
    async with connected(shard.primary.dsn()) as connection:
        writing = asyncio.create_task(connection.execute("INSERT INTO notes VALUES ('waits')"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(writing), 0.3)
        shard.replicas[0].resume()
        await asyncio.wait_for(writing, SECONDS)
    shard.replicas[1].resume()


def test_a_delayed_replica_shows_the_past_until_the_delay_is_taken_away(shard: Shard) -> None:
    delayed, current = shard.replicas
    shard.primary.sql("CREATE TABLE notes (text text)")
    shard.catch_up()
    delayed.set(recovery_min_apply_delay="1h")
    shard.primary.sql("INSERT INTO notes VALUES ('news')")
    current.wait_for(shard.primary.position())
    assert current.sql("SELECT text FROM notes") == "news"
    assert delayed.sql("SELECT text FROM notes") == ""
    delayed.set(recovery_min_apply_delay="0")
    shard.catch_up()
    assert delayed.sql("SELECT text FROM notes") == "news"


async def test_a_server_with_tls_proves_itself_and_talks_in_no_other_way(postgres_with_tls: TlsServer) -> None:
    dsn = postgres_with_tls.server.dsn()
    trusting = ssl.create_default_context(cafile=str(postgres_with_tls.authority))
    connection = await asyncpg.connect(dsn, ssl=trusting, timeout=SECONDS)
    assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    await connection.close(timeout=SECONDS)
    stranger = ssl.create_default_context(cafile=str(postgres_with_tls.stranger))
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncpg.connect(dsn, ssl=stranger, timeout=SECONDS)
    with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError, match="no encryption"):
        await asyncpg.connect(dsn, ssl=False, timeout=SECONDS)


def test_a_server_that_cannot_start_says_why(shard: Shard) -> None:
    shard.primary.stop()
    shard.primary.configure({"shared_buffers": "none of it"})
    with pytest.raises(PostgresError, match=r"shard-0-primary does not start: .*shared_buffers"):
        shard.primary.start()
    assert not shard.primary.running


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can keep others out of what it can enter")
def test_programs_in_a_folder_that_the_account_cannot_enter_are_copied(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    found = find_programs()
    (closed / "packages").symlink_to(found.root.parent.parent)
    with tempfile.TemporaryDirectory() as folder:
        place = give(Path(folder))
        copy = Programs(closed / "packages" / found.root.relative_to(found.root.parent.parent)).reachable(place)
        assert copy.root.is_relative_to(place)
        assert copy.reachable(place) == copy
        assert copy.run("initdb", "--version", cwd=place) == found.run("initdb", "--version", cwd=place)


HOLDER = """
import sys
from tests.postgres import shared_cluster
print(shared_cluster().shards[0].primary.data, flush=True)
sys.stdin.read()
"""


def test_servers_live_as_long_as_one_process_of_the_run_and_no_longer() -> None:
    run = f"test{os.getpid()}{time.time_ns()}"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", HOLDER],
            env={**os.environ, "PYTEST_XDIST_TESTRUNUID": run[-16:]},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    first, second = started
    assert first.stdout is not None
    assert second.stdout is not None
    folders = [Path(process.stdout.readline().strip()) for process in started if process.stdout]
    assert folders[0] == folders[1]
    server = postmaster(folders[0])
    assert server is not None
    family = [server, *children(server)]
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=SECONDS)
    time.sleep(0.3)
    assert postmaster(folders[0]) == server
    second.send_signal(signal.SIGKILL)
    second.communicate(timeout=SECONDS)
    deadline = time.monotonic() + SECONDS
    while any(command(pid) for pid in family) or folders[0].parent.parent.exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
