"""Queues, jobs, dead letters and rooms over HTTP, as operators call them, on every database."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.opening import open_databases
from atomic_guide.engines.data.settings import DataSettings
from tests.contract.test_dead_letters import KEYS, Office
from tests.engines import DIRECTORY, ENGINES, SHARD, declared, installed, variables
from tests.integration.test_dead_letters_many import Steady
from tests.postgres import Cluster, fresh_databases
from tests.running import RunningServer, running_server

TOKEN = "a-token-of-the-operators"
QUEUE = "video"

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module", params=ENGINES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_cluster: Cluster
) -> Iterator[RunningServer]:
    """A web process without a worker: what waits goes on waiting. It has ten dead letters `busy` and one other."""
    folder = tmp_path_factory.mktemp(request.param)
    with asyncio.Runner() as runner:
        if request.param == "sqlite":
            runner.run(fill(installed(folder / "data", 2), DataSettings(shards=2)))
            with running_server(folder / "data", role="web", OPERATOR_TOKEN=TOKEN, DATABASES_SHARDS="2") as found:
                yield found
            return
        made = fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD)
        databases = runner.run(made.__aenter__())
        try:
            runner.run(fill(folder, declared(databases)))
            with running_server(folder / "data", variables(databases), role="web", OPERATOR_TOKEN=TOKEN) as found:
                yield found
        finally:
            runner.run(made.__aexit__(None, None, None))


async def fill(folder: Path, settings: DataSettings) -> None:
    shards = await open_databases(folder, settings)
    office = Office(shards, Steady(SystemClock()))  # type: ignore[arg-type]
    for number in range(10):
        await office.letter(KEYS[number % 6], "The disk is BUSY", payload={"n": number}, subject=f"s{number}")
    await office.letter(KEYS[0], "broken", kind="other")
    for number in range(4):
        await office.publish(KEYS[number], subject=f"w{number}", queue="assets")
    await shards.close()


@pytest.fixture
def operator(server: RunningServer) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx.Client(base_url=f"{server.url}/api/ops", headers=headers, timeout=30) as client:
        yield client


def got(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json()


def lane(operator: httpx.Client, queue: str) -> Any:
    return next(one for one in got(operator.get("/queues"))["queues"] if one["queue"] == queue)


def test_queues_are_shown_paused_and_resumed(operator: httpx.Client) -> None:
    found = lane(operator, "assets")
    assert (found["depth"], found["states"]["queued"], found["goal_seconds"]) == (4, 4, 900.0)
    assert got(operator.post("/queues/assets/pause", json={"why": "moving"}, headers={"Idempotency-Key": "p1"})) == {
        "paused": "assets",
        "paused_until": None,
    }
    assert (lane(operator, "assets")["paused_by"], lane(operator, "assets")["paused_why"]) == ("operator", "moving")
    assert got(operator.post("/queues/assets/resume")) == {"resumed": "assets", "was_paused": True}
    assert lane(operator, "assets")["paused_since"] is None
    assert got(operator.post("/queues/none/pause", json={}), 404)["error"]["code"] == "NOT_FOUND"


def test_jobs_are_listed_in_pages_shown_and_called_off(operator: httpx.Client) -> None:
    seen: list[str] = []
    after = ""
    while after is not None:
        page = got(operator.get("/queues/assets/jobs", params={"limit": 3, "after": after}))
        seen += [job["subject"] for job in page["jobs"]]
        after = page["next"]
    assert sorted(seen) == ["w0", "w1", "w2", "w3"]
    (last,) = [job for job in got(operator.get("/queues/assets/jobs"))["jobs"] if job["subject"] == "w3"]
    assert got(operator.get(f"/jobs/{last['id']}"))["state"] == "queued"
    assert got(operator.post(f"/jobs/{last['id']}/cancel")) == {"cancelled": last["id"]}
    assert got(operator.get(f"/jobs/{last['id']}"))["state"] == "cancelled"
    ended = got(operator.get("/queues/assets/jobs", params={"state": "cancelled"}))["jobs"]
    assert [job["id"] for job in ended] == [last["id"]]
    assert got(operator.post(f"/jobs/{last['id']}/cancel"), 409)
    assert got(operator.get("/queues/assets/jobs", params={"state": "lost"}), 400)
    assert got(operator.get("/queues/assets/jobs", params={"after": "x"}), 400)


def test_letters_are_found_tried_replayed_and_dropped(operator: httpx.Client) -> None:
    page = got(operator.get("/dead-letters", params={"q": "disk is busy", "limit": 4}))
    assert len(page["letters"]) == 4
    assert sum(one["letters"] for one in page["counts"]) == 11
    rest = got(operator.get("/dead-letters", params={"q": "disk is busy", "after": page["next"]}))
    assert (len(rest["letters"]), rest["next"]) == (6, None)
    ids = [one["id"] for one in page["letters"]]
    tried = got(operator.post("/dead-letters/replay", json={"ids": ids, "dry_run": True}))
    assert (tried["done"], {one["outcome"] for one in tried["plan"]["letters"]}) == (None, {"dies"})
    key = {"Idempotency-Key": "replay-1"}
    asked = {"ids": ids[:2], "edits": [{"field": "n", "value": 77}]}
    done = got(operator.post("/dead-letters/replay", json=asked, headers=key))["done"]
    assert (done["counts"], done["complete"]) == ({"replayed": 2}, True)
    # The same call again is the same replay.
    assert got(operator.post("/dead-letters/replay", json=asked, headers=key))["done"] == done
    assert got(operator.get(f"/jobs/{ids[0]}"))["state"] == "queued"
    assert got(operator.get(f"/dead-letters/{ids[0]}"), 404)
    logged = got(operator.get("/dead-letters/audit", params={"job": ids[0]}))["actions"]
    assert [(one["action"], one["after"]) for one in logged] == [("dead-letter.replayed", {"n": 77})]
    (other,) = got(operator.get("/dead-letters", params={"kind": "other"}))["letters"]
    assert got(operator.get(f"/dead-letters/{other['id']}"))["letter"]["reason"] == "broken"
    dropped = got(operator.post("/dead-letters/drop", json={"filter": {"kind": "other"}}))["done"]
    assert dropped["counts"] == {"dropped": 1}
    assert len(got(operator.get("/dead-letters"))["letters"]) == 8


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": {}},
        {"ids": ["j1"], "filter": {"kind": "k"}},
        {"filter": {"since": "yesterday"}},
        {"filter": {"kinds": "k"}},
        {"ids": ["j1"], "run": "r1"},
        {"ids": ["j"] * 501},
    ],
)
def test_a_choice_that_is_none_is_refused(operator: httpx.Client, body: dict[str, Any]) -> None:
    assert got(operator.post("/dead-letters/drop", json=body), 400)


def test_only_operators_may(server: RunningServer) -> None:
    for path in ("queues", "jobs/j1", "dead-letters", "dead-letters/audit", "rooms"):
        assert httpx.get(f"{server.url}/api/ops/{path}").status_code == 401


def test_rooms_are_told_with_the_process_that_has_them(server: RunningServer, operator: httpx.Client) -> None:
    with server.enter("ada", "instructor") as ada:
        ticket = ada.post("/api/chat/ticket").json()["ticket"]
        asyncio.run(sit(server, operator, ticket))


async def sit(server: RunningServer, operator: httpx.Client, ticket: str) -> None:
    """Be in a room until a report has told of it."""
    url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
    async with connect(url) as socket:
        assert json.loads(await socket.recv())["type"] == "welcome"
        until = time.monotonic() + 60
        while not (found := got(await asyncio.to_thread(operator.get, "/rooms")))["rooms"]:
            assert time.monotonic() < until
            await asyncio.sleep(0.5)
    (room,) = found["rooms"]
    assert (room["people"], room["sockets"], room["slow"], len(room["processes"])) == (1, 1, 0, 1)
    (process,) = [one for one in found["processes"] if one["rooms"]]
    assert (process["process"], process["listed"]) == (room["processes"][0]["process"], 1)
    assert (found["open"], found["complete"], found["room_sockets"]) == (1, True, 1000)
