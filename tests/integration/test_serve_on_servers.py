"""`atomic-guide` on PostgreSQL as an operator runs it: migrated, served, killed, served again."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from tests.engines import variables
from tests.media import clip
from tests.postgres import Cluster, Databases, fresh_cluster, fresh_databases
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def databases(postgres_cluster: Cluster) -> Iterator[Databases]:
    """Empty databases, as an administrator makes them."""
    with asyncio.Runner() as runner:
        made = fresh_databases(postgres_cluster)
        yield runner.run(made.__aenter__())
        runner.run(made.__aexit__(None, None, None))


class Installation:
    """The commands of an installation on servers."""

    def __init__(self, data: Path, databases: Databases) -> None:
        self.data = data
        # The lease of a worker that is killed ends by its time, as others may work on the same databases.
        self.settings = {**variables(databases), "QUEUES_LEASE_SECONDS": "6", "QUEUES_HEARTBEAT_SECONDS": "1"}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
        environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in self.settings.items()}
        command = [sys.executable, "-m", "atomic_guide.cli", *arguments, "--data", str(self.data)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def installation(tmp_path: Path, databases: Databases) -> Installation:
    return Installation(tmp_path / "data", databases)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sql(dsn: str, *statements: str) -> None:
    async def send() -> None:
        connection = await asyncpg.connect(dsn)
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(send())


def test_what_is_not_migrated_is_not_served(installation: Installation, databases: Databases) -> None:
    refused = installation.run("queues")
    assert refused.returncode == 1
    assert "directory" in refused.stderr
    assert "atomic-guide migrate" in refused.stderr
    assert told(installation.run("migrate", "--json")) == {"changed": ["directory", "shard-0", "shard-1"]}
    assert told(installation.run("migrate", "--json")) == {"changed": []}
    assert told(installation.run("queues", "--json"))["complete"]
    # One shard of a newer release: refused by name, unless that release says that this one may use it.
    shard = databases.shards[1].primary
    sql(shard, "UPDATE alembic_version SET version_num = '9999'")
    assert told(installation.run("queues", "--json"))["complete"]
    sql(shard, "UPDATE schema_floor SET revision = '9999'")
    refused = installation.run("queues")
    assert refused.returncode == 1
    assert "shard-1 was written by a newer version" in refused.stderr


def test_a_server_that_is_away_is_named(installation: Installation) -> None:
    told(installation.run("migrate", "--json"))
    installation.settings["DATABASES_DIRECTORY"] = "postgresql://guide@127.0.0.1:1/none"
    refused = installation.run("queues")
    assert refused.returncode == 1
    assert "database directory cannot be reached" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_a_course_lives_on_servers_and_survives_a_kill(installation: Installation, tmp_path: Path) -> None:
    told(installation.run("migrate", "--json"))
    film = clip(tmp_path / "film.mp4", size="320x240", seconds=2).read_bytes()
    with running_server(installation.data, installation.settings) as server:
        with server.enter("teacher", role="instructor") as teacher:
            posted = [teacher.post("/api/chat/message", json={"id": f"m{n}", "content": f"m {n}"}) for n in range(5)]
            assert [answer.json()["seq"] for answer in posted] == [1, 2, 3, 4, 5]
            again = teacher.post("/api/chat/message", json={"id": "m0", "content": "another text"})
            assert (again.status_code, again.json()["seq"]) == (200, 1)
            scores = [{"user": f"s{n}", "activity": "Quiz", "score": n, "max": 10, "at": AT} for n in range(8)]
            taken = teacher.post("/api/analytics/performance", json={"scores": scores}).json()
            assert (taken["accepted"], taken["duplicates"]) == (8, 0)
            files = {"file": ("film.mp4", film)}
            video = teacher.post("/api/video/upload", data={"title": "Waves"}, files=files).json()["id"]
            assert teacher.get("/api/video/zero%00byte").status_code in {400, 404}
        assert httpx.get(f"{server.url}/readyz").json()["status"] == "ready"
        server.kill()
    with running_server(installation.data, installation.settings) as server, server.enter("s3") as student:
        messages = student.get("/api/chat/messages").json()
        assert [message["content"] for message in messages["messages"]] == [f"m {n}" for n in range(5)]
        own = student.get("/api/analytics/performance").json()
        assert (own["students"][0]["user"], own["course"]["count"]) == ("s3", 8)
        with server.enter("teacher", role="instructor") as teacher:
            deadline = time.monotonic() + 120
            while (shown := teacher.get(f"/api/video/{video}").json()).get("status") != "ready":
                assert shown.get("status") in {"queued", "processing", "playable"}, shown
                assert time.monotonic() < deadline
                time.sleep(0.2)
        assert server.stop() == 0


AT = "2025-03-01T10:00:00Z"


def test_open_courses_go_on_while_the_directory_is_away(tmp_path: Path, databases: Databases) -> None:
    with fresh_cluster(((),)) as elsewhere:
        primary = elsewhere.shards[0].primary
        installation = Installation(tmp_path / "data", databases)
        installation.settings["DATABASES_DIRECTORY"] = primary.dsn()
        told(installation.run("migrate", "--json"))
        with running_server(installation.data, installation.settings) as server, server.enter("u1") as member:
            assert member.post("/api/chat/message", json={"content": "before"}).status_code == 201
            primary.kill()
            time.sleep(1)
            answer = member.post("/api/chat/message", json={"content": "meanwhile"})
            assert (answer.status_code, answer.json()["seq"]) == (201, 2)
            assert len(member.get("/api/chat/messages").json()["messages"]) == 2
            refused = httpx.post(f"{server.url}/api/session", json={"code": "a" * 43}, timeout=30)
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            # Still ready: a balancer that took the process away would end the courses that go on.
            assert ready(server) == (200, "degraded")
            primary.start()
            deadline = time.monotonic() + 20
            while ready(server) != (200, "ready"):
                assert time.monotonic() < deadline
                time.sleep(0.2)
            with server.enter("u2") as other:
                assert len(other.get("/api/chat/messages").json()["messages"]) == 2


def ready(server: RunningServer) -> tuple[int, str]:
    answer = httpx.get(f"{server.url}/readyz", timeout=30)
    return answer.status_code, answer.json()["status"]
