"""Demo data beside a running server: what operators see of it, that it moves nothing, and that none of it is left."""

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.app.alerting import Within
from atomic_guide.clock import from_iso
from atomic_guide.engines.data.embedded import database_files, open_embedded
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import Permanent
from atomic_guide.operations.alerts.notice import Notice
from atomic_guide.operations.scaling.marked import Mark, drop_mark, put_mark
from tests.alert_notices import notice
from tests.engines import installed
from tests.running import RunningServer, running_server

TOKEN = "a-token-of-the-operators"
SETTINGS = {"OPERATOR_TOKEN": TOKEN, "QUEUES_VIDEO_HOLD_WHEN_BUSY": "false"}
LMS = (
    "--issuer", "https://lms.example.edu", "--client-id", "abc", "--deployment-id", "1", "--name", "Our LMS",
    "--auth-url", "https://lms.example.edu/auth", "--token-url", "https://lms.example.edu/token",
    "--keyset-url", "https://lms.example.edu/jwks",
)  # fmt: skip


def command(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in SETTINGS.items()}
    whole = [sys.executable, "-m", "atomic_guide.cli", *words, "--data", str(data)]
    return subprocess.run(whole, capture_output=True, text=True, timeout=400, check=False, env=environment)


def answer(data: Path, *words: str) -> Any:
    done = command(data, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def eventually(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 200
    while not look():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("demo") / "data", SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def ops(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def demo(server: RunningServer, ops: httpx.Client) -> Any:
    """Added while the server measures, after its first tick."""
    eventually(lambda: ops.get("/api/ops/scaling").json()["at"] is not None, "the server has measured nothing")
    return answer(server.data, "demo")


def held(data: Path, table: str, where: str = "1", *values: Any) -> int:
    """How many rows of a table there are, in the directory and all shards."""
    count = 0
    directory, shards = database_files(data, DataSettings())
    for path in (directory, *shards):
        with contextlib.closing(sqlite3.connect(path)) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone():
                sql = f"SELECT count(*) FROM {table} WHERE {where}"  # noqa: S608 - names of the schema
                count += int(database.execute(sql, values).fetchone()[0])
    return count


def test_it_is_refused_beside_an_lms_unless_told_otherwise(tmp_path: Path) -> None:
    installed(tmp_path)
    assert command(tmp_path, "platforms", "add", *LMS).returncode == 0
    refused = command(tmp_path, "demo")
    assert refused.returncode == 1
    assert "the platform Our LMS is registered here" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert str(tmp_path) not in refused.stderr, "nothing is filled"
    planned = answer(tmp_path, "demo", "--anyway", "--dry-run")
    assert planned["dry_run"]
    assert planned["courses"] is None
    assert not held(tmp_path, "scaling_memory", "name = 'demo'"), "nothing was done"
    assert answer(tmp_path, "demo", "remove") == {"removed": None}


def test_options_before_a_subcommand_are_not_passed_over(tmp_path: Path) -> None:
    done = command(tmp_path, "demo", "--dry-run", "remove")
    assert done.returncode == 2
    assert "after `remove`" in done.stderr


@pytest.mark.timeout(420)
def test_every_part_has_something_to_show(demo: Any, ops: httpx.Client) -> None:
    assert demo["courses"]["courses"] == 3
    assert demo["courses"]["members"] == 93
    assert demo["courses"]["watched"] > 0
    assert demo["history"]["series"] > 50

    fleets = {one["fleet"]: one for one in ops.get("/api/ops/scaling").json()["fleets"]}
    assert all(fleets[name]["forecast"]["made_at"] for name in ("web", "workers"))
    today = ops.get("/api/ops/overview").json()
    shown = {one["name"]: one["figures"][0]["expected"] for one in today["components"]}
    assert from_iso(today["until"]) == from_iso(today["at"]) + 6 * 3600
    assert all(any(value is not None for value in shown[name]["p95"][-60:]) for name in ("web", "workers"))
    assert shown["database"] is None
    events = ops.get("/api/ops/scaling/events", params={"limit": 200}).json()["events"]
    done = [event for event in events if event["state"] == "done"]
    assert {event["fleet"] for event in done} == {"web", "workers"}
    assert all(event["reason"] for event in done)
    judged = [event for event in done if event["outcome"]]
    assert len(judged) > 10, "only the last ones are too early"
    assert {event["rule"] for event in events} >= {"target-tracking"}
    explained = ops.get(f"/api/ops/scaling/events/{judged[0]['id']}").json()
    assert explained["inputs"]
    assert explained["verdict"]["why"]

    report = ops.get("/api/ops/costs").json()
    assert float(report["total"]) > 0
    assert (report["prices"]["provider"], report["prices"]["version"]) == ("demo data", "made up")
    assert float(report["now"]["day"]) > 0, "what the server measures itself has the same prices"
    plan = ops.get("/api/ops/capacity/plan", params={"growth": "2x/year"}).json()
    components = {one["name"]: one for one in plan["components"]}
    assert components["web"]["ceiling"] == 4, "a server in shadow has the room of its bounds all the same"
    assert plan["cost"] is not None
    assert not [act for act in plan["actions"] if act["component"] in {"web", "workers"} and act["overdue"]]
    log = ops.get("/api/ops/alerts/history", params={"limit": 200}).json()["entries"]
    assert any(entry["what"] == "fired" and from_iso(entry["at"]) < from_iso(demo["until"]) for entry in log)


@pytest.mark.timeout(420)
def test_lectures_are_made_and_damaged_ones_are_dead_letters(demo: Any, server: RunningServer) -> None:
    def letters() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = answer(server.data, "dead-letters", "list")["dead_letters"]
        return [one for one in found if one["tenant"] == demo["tenant"]]

    eventually(lambda: len(letters()) == 2, "two recordings are damaged")
    assert all(one["queue"] == "video" and one["reason"] for one in letters())


@pytest.mark.timeout(420)
def test_nothing_is_done_to_fleets_while_it_is_there(demo: Any, ops: httpx.Client) -> None:
    assert "workers" in demo["shadowed"]
    body = {"fleet": "workers", "mode": "auto"}
    refused = ops.post("/api/ops/scaling/mode", json=body, headers={"Idempotency-Key": "to-auto"})
    assert refused.status_code == 409
    assert "demo data" in refused.json()["error"]["message"]
    fleets = {one["fleet"]: one for one in ops.get("/api/ops/scaling").json()["fleets"]}
    assert fleets["workers"]["mode"] == "shadow"
    assert set(fleets) == {"web", "workers", "shards"}, "no replicas are made here"


@pytest.mark.timeout(420)
def test_a_second_one_is_refused(demo: Any, server: RunningServer) -> None:
    del demo
    done = command(server.data, "demo")
    assert done.returncode == 1
    assert "demo remove" in done.stderr


@pytest.mark.timeout(420)
def test_it_goes_without_a_trace_and_what_was_measured_stays(
    demo: Any, server: RunningServer, ops: httpx.Client
) -> None:
    removed = answer(server.data, "demo", "remove")["removed"]
    assert removed["measurements"] > 100_000
    until = from_iso(demo["until"])
    for table in ("scaling_samples", "scaling_events", "alerts_log"):
        assert not held(server.data, table, "at < ?", until), table
    assert held(server.data, "scaling_samples", "at >= ?", until), "the server's own"
    for table in ("scaling_nights", "costs_days"):
        assert not held(server.data, table), table
    assert not held(server.data, "scaling_memory", "name = 'demo'")
    for table in ("courses", "members", "messages", "videos", "scores", "jobs", "ended_jobs", "lti_deployments"):
        assert not held(server.data, table, "tenant = ?", demo["tenant"]), table
    assert not list((server.data / "objects").glob(f"{demo['tenant']}/**/*.*"))

    assert "nothing has a price" in ops.get("/api/ops/costs").json()["why"], "the prices were made up, too"
    eventually(lambda: ops.get("/api/ops/scaling").json()["leader"] is not None, "nobody leads any more")
    fleets = {one["fleet"]: one for one in ops.get("/api/ops/scaling").json()["fleets"]}
    assert fleets["workers"]["mode"] == "auto"
    assert set(fleets) <= {"web", "workers", "shards"}
    assert all(one["mode"] and one["mode_from"] == "settings" for one in fleets.values())
    assert answer(server.data, "demo", "remove") == {"removed": None}, "again is harmless"


class Heard:
    """A channel that keeps what it is given."""

    name = "pager"
    tells_ends = True

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    async def send(self, notice: Notice) -> None:
        self.notices.append(notice)


async def test_channels_to_the_outside_tell_nothing_of_it(tmp_path: Path) -> None:
    shards = await open_embedded(installed(tmp_path))
    told, heard = notice(), Heard()
    channel = Within(shards.directory, heard)
    try:
        await shards.directory.write(lambda tx: put_mark(tx, Mark(1.0, 0.0, 1.0, "t-demo")))
        with pytest.raises(Permanent, match="demo data"):
            await channel.send(told)
        assert not heard.notices
        await shards.directory.write(drop_mark)
        await channel.send(told)
        assert heard.notices == [told]
    finally:
        await shards.close()
