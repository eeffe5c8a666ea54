"""Bookmarks on their way: over HTTP between processes, in a socket's ticket, with a job; and what operators see."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from click.testing import CliRunner
from websockets.sync.client import ClientConnection, connect

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.session import current_session
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.web.routing import BOOKMARK
from tests.engines import DIRECTORY, SHARD, variables
from tests.postgres import Cluster, Databases, fresh_cluster, fresh_databases
from tests.replication import KEY, QUERIES, by_target, get, installed, opened, replicas_of
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def late() -> Iterator[Cluster]:
    """One shard whose replicas replay 12 ms after the commit."""
    with fresh_cluster((("eu", "us"),)) as cluster:
        for replica in cluster.shards[0].replicas:
            replica.set(recovery_min_apply_delay="12ms")
        yield cluster


@pytest.fixture
def databases(late: Cluster) -> Iterator[Databases]:
    with asyncio.Runner() as runner:
        made = fresh_databases(late, directory=DIRECTORY, shard=SHARD)
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))


@pytest.fixture
def servers(databases: Databases, tmp_path: Path) -> Iterator[list[RunningServer]]:
    """Two machines that serve the same databases."""
    settings = variables(databases)
    with running_server(tmp_path / "one", settings) as one, running_server(tmp_path / "other", settings) as other:
        yield [one, other]


def counted(server: RunningServer, target: str) -> float:
    """How many reads of sessions a server has sent to replicas, or to primaries."""
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    rows = [line for line in lines if line.startswith("atomic_guide_session_reads_total") and f'"{target}"' in line]
    return sum(float(row.rpartition(" ")[2]) for row in rows)


def test_what_was_posted_is_read_from_a_replica_of_another_process(servers: list[RunningServer]) -> None:
    one, other = servers
    with one.enter("ada") as writer, other.enter("ada") as reader:
        for number in range(1, 11):
            posted = writer.post("/api/chat/message", json={"content": f"m {number}"})
            assert posted.status_code == 201
            page = reader.get("/api/chat/messages", headers={BOOKMARK: posted.headers[BOOKMARK]})
            assert page.json()["last_seq"] == len(page.json()["messages"]) == number
            assert page.headers[BOOKMARK]
        assert counted(other, "replica") >= 15
        # Nothing that is sent as a bookmark is an error, and without one the primary answers.
        before = counted(other, "replica")
        for header in ({}, {BOOKMARK: "forged"}, {BOOKMARK: "first-primary"}, {BOOKMARK: ",".join(["x"] * 40)}):
            assert reader.get("/api/chat/messages", headers=header).json()["last_seq"] == 10
        assert counted(other, "replica") == before
        assert reader.get("/api/chat/messages", headers={BOOKMARK: "first-unconstrained"}).status_code == 200
        assert counted(other, "replica") == before + 2


def test_bookmarks_of_calls_at_the_same_time_are_sent_together(servers: list[RunningServer]) -> None:
    one, other = servers
    with one.enter("ada") as writer, other.enter("ada") as reader:
        marks = [reader.get("/api/chat/messages").headers[BOOKMARK]]
        marks.append(writer.post("/api/chat/message", json={"content": "m"}).headers[BOOKMARK])
        page = reader.get("/api/chat/messages", headers={BOOKMARK: ", ".join(reversed(marks))})
        assert page.json()["last_seq"] == 1


def test_a_socket_goes_on_from_the_bookmark_of_its_ticket(servers: list[RunningServer]) -> None:
    one, other = servers
    with one.enter("ada") as writer, other.enter("ada") as reader:
        mark = writer.post("/api/chat/message", json={"content": "first"}).headers[BOOKMARK]
        ticket = reader.post("/api/chat/ticket", headers={BOOKMARK: mark}).json()["ticket"]
        address = f"{other.url.replace('http', 'ws', 1)}/api/chat/ws?ticket={ticket}"
        with connect(address, open_timeout=20) as socket:
            assert told(socket, "welcome")["last_seq"] == 1
            before = counted(other, "replica")
            assert contents(socket, {"before": 2}) == ["first"]
            assert counted(other, "replica") == before + 2
            socket.send(json.dumps({"type": "message", "id": "mine", "data": {"content": "second"}}))
            assert told(socket, "ack")["seq"] == 2
            assert contents(socket, {"before": 3}) == ["first", "second"]
            # What follows was announced, perhaps before a replica has it.
            before = counted(other, "replica")
            assert contents(socket, {"after": 1}) == ["second"]
            assert counted(other, "replica") == before


def told(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The data of the next frame of a kind."""
    for _ in range(20):
        frame = json.loads(socket.recv(timeout=20))
        if frame["type"] == kind:
            data: dict[str, Any] = frame["data"]
            return data
    raise AssertionError(kind)


def contents(socket: ClientConnection, page: dict[str, int]) -> list[str]:
    socket.send(json.dumps({"type": "history", "id": "page", "data": page}))
    return [message["content"] for message in told(socket, "history")["messages"]]


def test_replicas_are_seen_by_operators(servers: list[RunningServer], databases: Databases, late: Cluster) -> None:
    one, _ = servers
    ready = httpx.get(f"{one.url}/readyz").json()
    assert ready["status"] == "ready"
    assert {name for name in ready["checks"] if "replica" in name} == {"shard-0-replica-1", "shard-0-replica-2"}
    text = httpx.get(f"{one.url}/metrics").text
    for name in ("healthy", "lag_bytes", "lag_seconds", "latency_seconds"):
        assert f'atomic_guide_replica_{name}{{region="eu",replica="shard-0-replica-1",shard="shard-0"}}' in text
    listed = {row["region"]: row for row in listing(one.data, databases)}
    assert set(listed) == {"eu", "us"}
    for row in listed.values():
        assert (row["healthy"], row["fault"], row["breaker"], row["timeline"]) == (True, "", "closed", 1)
        assert row["served"] > 0
        assert 0 < row["latency_seconds"] < 1
    lost = late.shards[0].replicas[1]
    lost.stop()
    try:
        row = next(row for row in listing(one.data, databases) if row["region"] == "us")
        assert (row["healthy"], row["served"]) == (False, None)
        assert "cannot be reached" in row["fault"]
        asked = httpx.get(f"{one.url}/readyz")
        for _ in range(100):
            if (asked := httpx.get(f"{one.url}/readyz")).json()["status"] == "degraded":
                break
        assert asked.status_code == 200
        assert asked.json()["checks"]["shard-0-replica-2"]["status"] == "failed"
    finally:
        lost.start()


def listing(data: Path, databases: Databases) -> list[dict[str, Any]]:
    environment = {f"ATOMIC_GUIDE_{name}": value for name, value in variables(databases).items()}
    answer = CliRunner(env=environment).invoke(program, ["replicas", "--data", str(data), "--json"])
    if answer.exception:
        raise answer.exception
    rows: list[dict[str, Any]] = json.loads(answer.stdout)["replicas"]
    return rows


class Reader:
    """Notes what a job's handler sees, and with which bookmark it came."""

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.seen: list[tuple[int, int]] = []
        self.jobs: list[Job] = []

    async def run(self, lease: Lease) -> None:
        self.jobs.append(lease.job)
        assert current_session() is not None
        self.seen.append((lease.job.payload["number"], await get(self.shards)))

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        raise AssertionError(reason)

    async def buried(self, job: Job, reason: str) -> None:
        raise AssertionError(reason)


async def test_a_job_sees_what_its_publisher_wrote(late: Cluster) -> None:
    async with installed(late) as settings, opened(settings) as web, opened(settings) as worker_side:
        queues = Queues(web, SystemClock(), QueueSettings())
        reader = Reader(worker_side)
        worker = Worker(
            worker_side,
            {"analytics": {"read": reader}},
            clock=SystemClock(),
            settings=QueueSettings(poll_seconds=0.05),
        )
        running = asyncio.create_task(worker.run())
        for number in range(1, 16):

            async def work(tx: Transaction, number: int = number) -> None:
                await tx.execute(QUERIES["put"], {**KEY.columns, "number": number})
                job = NewJob(queue="analytics", kind="read", subject="s", payload={"number": number})
                await queues.publish(tx, KEY, job)

            async with web.session() as session:
                await session.bookmark()
                await web.of(KEY).write(work)
            worker.wake()
            async with asyncio.timeout(20):
                while len(reader.seen) < number:  # noqa: ASYNC110 - a handler has no event
                    await asyncio.sleep(0.005)
        worker.stop()
        await running
        assert all(found >= sent for sent, found in reader.seen)
        assert by_target(worker_side)["replica"] >= 12, replicas_of(worker_side).reads
        assert all(job.bookmark for job in reader.jobs)
        assert msgspec.to_builtins(await worker_side.seal.open(reader.jobs[0].bookmark or ""))
        assert worker_side.seal.refused == 0
