"""Shards, moves, replicas and open breakers of running servers as operators see them over HTTP, and the commands."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.app.doctor_resilience import look_at_breakers
from atomic_guide.app.sources.database import database_telling
from atomic_guide.clock import from_iso
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.operations.placement.replicas import told_replicas
from atomic_guide.operations.scaling.model import DATABASE, Key, Sample
from atomic_guide.operations.scaling.reports import Report, Reports
from atomic_guide.operations.scaling.series import Series
from tests.engines import DIRECTORY, SHARD, variables
from tests.postgres import Cluster, fresh_databases
from tests.replication import installed as on_servers
from tests.replication import opened
from tests.running import RunningServer, running_server

TOKEN = "operator-token-of-the-test"
SECONDS = 30


def ask(server: RunningServer, path: str, body: Any = None) -> Any:
    answer = httpx.request(
        "GET" if body is None else "POST",
        f"{server.url}/api/ops/{path}",
        json=body,
        headers={"Authorization": f"Bearer {TOKEN}"},
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def run(data: Path, *arguments: str, **settings: str) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "atomic_guide.cli", *arguments, "--data", str(data), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("placement") / "data", OPERATOR_TOKEN=TOKEN) as found:
        yield found


def test_a_rebalance_over_http_moves_what_the_command_plans(server: RunningServer) -> None:
    run(server.data, "shards", "add", "shard-4", "--weight", "0.01")
    by_command = run(server.data, "shards", "rebalance", "--by", "buckets", "--dry-run")["zones"]
    shown = ask(server, "shards?by=buckets&courses=5")
    assert shown["zones"] == by_command
    listed = run(server.data, "shards", "list", "--courses", "5")
    assert (shown["shards"], shown["courses"]) == (listed["shards"], listed["courses"])
    order = {"by": "buckets", "pause_seconds": 2}
    planned = ask(server, "shards/rebalance", {**order, "dry_run": True})
    assert planned["zones"] == by_command
    assert (planned["begun"], planned["planned"]) == (False, 10)
    assert ask(server, "shards/rebalance", order)["begun"]
    deadline = time.monotonic() + SECONDS
    while len((moves := ask(server, "shards/moves"))["ended"]) < 10 or moves["under_way"]:
        assert time.monotonic() < deadline, moves
        time.sleep(0.05)
    assert {(one["state"], one["target"]) for one in moves["ended"]} == {("done", "shard-4")}
    assert from_iso(moves["ended"][0]["updated_at"]) >= from_iso(moves["ended"][-1]["updated_at"])
    assert run(server.data, "shards", "verify") == {"ok": True, "findings": []}


def test_wrong_orders_are_refused_by_name(server: RunningServer) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    for method, path, body, status, said in (
        ("POST", "shards/rebalance", {"by": "luck"}, 400, "by"),
        ("POST", "shards/rebalance", {"pause_seconds": 0}, 400, "pause_seconds"),
        ("POST", "shards/rebalance", {"abandon": True, "dry_run": True}, 400, "abandon"),
        ("POST", "shards/rebalance", {"zone": "mars"}, 404, "no zone mars"),
        ("GET", "shards?by=luck", None, 400, "by"),
        ("GET", "shards/moves?after=now", None, 400, "after"),
        ("GET", "shards/moves?limit=0", None, 400, "limit"),
    ):
        answer = httpx.request(method, f"{server.url}/api/ops/{path}", json=body, headers=headers, timeout=20)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text
    assert httpx.get(f"{server.url}/api/ops/shards", timeout=20).status_code == 401


def test_an_installation_without_replicas_says_how_many_it_has(server: RunningServer) -> None:
    assert ask(server, "replicas") == {
        "engine": "sqlite",
        "most_lag_seconds": 10,
        "replicas": [],
        "history": [],
    }
    assert run(server.data, "replicas") == {"replicas": []}


def test_a_breaker_that_a_process_reports_as_open_is_named(server: RunningServer) -> None:
    now = time.time()
    told = Report("elsewhere:1/web-1", "web", "a", now, 60.0, gauges={"dependency.open/LMS token": 2.0})

    async def write() -> None:
        shards = await open_embedded(server.data)
        await Reports(shards.directory).write(told)
        await shards.close()

    asyncio.run(write())
    found = ask(server, "dependencies")
    assert found["open"] == [{"process": "elsewhere:1/web-1", "name": "LMS token", "breakers": 2}]
    assert found["processes"] >= 1
    text, remedy = look_at_breakers([told])
    assert text == "LMS token is left alone by elsewhere:1/web-1"
    assert "/api/ops/dependencies" in remedy
    assert look_at_breakers([Report("p", "web", "a", now, 1.0)]) == ("no breaker is open", "")


async def test_a_replica_tells_of_itself_and_since_when(postgres_cluster: Cluster) -> None:
    async with on_servers(postgres_cluster) as settings, opened(settings) as shards:
        await asyncio.gather(*(replicas.looked() for replicas in shards.replica_sets))
        found = await told_replicas(shards)
        assert [one.replica for one in found] == [
            replica.name for replicas in shards.replica_sets for replica in replicas.replicas
        ]
        assert all(one.healthy and one.since is None and one.served is not None for one in found)
        gauges = database_telling(shards)().gauges
        assert {f"database.replica_lag/{one.replica}" for one in found} <= set(gauges)
        replica = shards.replica_sets[0].replicas[0]
        assert replica.known is not None
        replica.judge(replica.known, None, replica.known.position.timeline, -1.0)
        assert replica.report("shard-0").since == pytest.approx(time.time(), abs=5)


@pytest.mark.timeout(180)
def test_replicas_are_served_with_the_lag_of_an_hour(postgres_cluster: Cluster, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        made = fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD)
        databases = runner.run(made.__aenter__())
        settings = {**variables(databases), "OPERATOR_TOKEN": TOKEN}
        name = "shard-0-replica-1"

        async def record() -> None:
            directory = PostgresDatabase("directory", databases.directory.primary)
            await Series(directory).store(time.time() - 60, [Sample(Key(DATABASE, "replica_lag", name), 0.25)])
            await directory.close()

        with running_server(tmp_path / "data", settings) as server:
            runner.run(record())
            found = ask(server, "replicas")
            by_command = run(tmp_path / "data", "replicas", **settings)["replicas"]
        runner.run(made.__aexit__(None, None, None))
    assert [one["replica"] for one in found["replicas"]] == [one["replica"] for one in by_command]
    assert all(one["healthy"] for one in found["replicas"]), found
    (series,) = [one for one in found["history"] if one["part"] == name]
    assert next(point["value"] for point in series["points"] if point["value"] is not None) == 0.25
    assert DataSettings().reads.max_lag_seconds == found["most_lag_seconds"]
