"""`atomic-guide scale status|explain|history|approve|refuse|pause|resume|mode|pin`, and the same over HTTP."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.errors import Conflict, Invalid, NotFound
from atomic_guide.operations.scaling.controls import Controls
from atomic_guide.operations.scaling.decide.memory import Memory, Pace, State
from atomic_guide.operations.scaling.events import Record
from atomic_guide.operations.scaling.model import Seen
from tests.engines import installed
from tests.running import running_server
from tests.scaling_acts import Controller, RecordingTarget, decision, refusal

TOKEN = "a-token-of-the-operators"
FLEET = "replicas/shard-9"
T = TypeVar("T")


def ask(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(program, ["scale", *arguments, "--data", str(data)])


def told(data: Path, *arguments: str) -> Any:
    answer = ask(data, *arguments, "--json")
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def opened(data: Path, work: Callable[[Database], Awaitable[T]]) -> T:
    async def run() -> T:
        shards = await open_embedded(data)
        try:
            return await work(shards.directory)
        finally:
            await shards.close()

    return asyncio.run(run())


async def scaled(directory: Database) -> None:
    """A day: one act that is done, one that was refused by its target, one that waits, one that is held back."""
    now = time.time()
    workers, web, replicas = RecordingTarget("workers"), RecordingTarget("web"), RecordingTarget(FLEET, ready=0)
    web.refuses = refusal()
    one = Controller(directory, SystemClock(), workers, web, replicas)
    await one.leader.campaign()
    await one.controls.set_mode(FLEET, "approve")
    one.sampler.make = lambda at: Seen(at, {}, {"database": "no answer within 5 s"})
    await one.decide(decision(1, at=now), decision(2, fleet="web", at=now), decision(3, 0, 1, fleet=FLEET, at=now))
    await one.loop.beat()
    await one.controls.pause("workers", 3600, "a film is made")
    await one.decide(decision(4, 3, 5, at=now + 1))
    await one.leader.step_down()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    opened(folder, scaled)
    return folder


def test_nothing_has_been_scaled_yet(tmp_path: Path) -> None:
    found = told(installed(tmp_path / "new"), "status")
    assert (found["at"], found["leader"], found["fleets"]) == (None, None, [])
    assert found["success"]["rate"] is None
    assert "no server has scaled anything here yet" in ask(tmp_path / "new", "status").stdout
    assert "no act has been judged" in ask(tmp_path / "new", "history").stdout


def test_status_tells_how_things_stand(data: Path) -> None:
    found = told(data, "status")
    fleets = {one["fleet"]: one for one in found["fleets"]}
    assert list(fleets) == [FLEET, "web", "workers"]
    workers = fleets["workers"]
    assert (workers["ready"], workers["starting"], workers["wanted"]) == (3, 0, 3)
    assert (workers["mode"], workers["mode_from"], workers["paused_why"]) == ("auto", "settings", "a film is made")
    assert workers["last"]["id"] == "d4"
    assert fleets["web"]["last"]["state"] == "failed"
    assert (fleets[FLEET]["mode_from"], fleets[FLEET]["waiting"]) == ("operator", "d3")
    assert found["missing"] == {"database": "no answer within 5 s"}
    assert found["success"] == {"judged": 1, "succeeded": 0, "rate": 0.0, "undecided": 1}
    assert found["events_per_hour"] == 2
    text = ask(data, "status").stdout
    assert "nobody leads" in text
    assert "not known: database: no answer within 5 s" in text
    assert "waits for `atomic-guide scale approve d3`" in text
    assert "paused until" in text


@pytest.mark.parametrize(
    ("level", "text"),
    [
        (
            6.2,
            "budget of 2026-11: 812.40 of 1,000.00 spent, 1,240.10 forecast for the 212 h left: at most 6.20 an hour",
        ),
        (None, "forecast for the 212 h left: it lasts"),
    ],
)
def test_status_tells_how_the_budget_of_the_month_stands(tmp_path: Path, level: float | None, text: str) -> None:
    async def spent(directory: Database) -> None:
        one = Controller(directory, SystemClock(), RecordingTarget("workers"))
        pace = Pace(time.time(), "2026-11", 1000.0, 812.4, 1240.1, 212.0, 2.0, level)
        one.mind.memory = Memory(State(pace=pace)).saved()
        await one.leader.campaign()
        await one.decide(decision(1, at=time.time()))
        await one.leader.step_down()

    opened(tmp_path, spent)
    found = told(tmp_path, "status")["budget"]
    assert (found["spent"], found["hours_left"], found["per_hour"]) == (812.4, 212.0, level)
    assert text in ask(tmp_path, "status").stdout


def test_bounds_are_told_as_they_hold_from_the_moment_they_are_set(data: Path) -> None:
    def bounds() -> tuple[int, int]:
        workers = next(one for one in told(data, "status")["fleets"] if one["fleet"] == "workers")
        return workers["least"], workers["most"]

    least, most = bounds()
    opened(data, lambda directory: Controls(directory).set_bounds("workers", least + 1, most - 1))
    assert bounds() == (least + 1, most - 1)
    opened(data, lambda directory: Controls(directory).set_bounds("workers", most + 1, most + 2))
    assert bounds() == (most, most), "the most of the settings is never passed"
    opened(data, lambda directory: Controls(directory).set_bounds("workers", None, None))
    assert bounds() == (least, most)


def test_a_decision_is_explained(data: Path) -> None:
    found = told(data, "explain", "d1")
    assert found["inputs"] == {"backlog": 12_000.0}
    assert found["expected"]["limit"] == 1000.0
    assert found["verdict"]["outcome"] == "too early"
    assert [one["what"] for one in found["audit"]] == ["acting", "done"]
    text = ask(data, "explain", "d1").stdout
    assert "add_consumer on workers, from 1 to 3 units." in text
    assert "Why: 12,000 jobs wait (rule backlog, urgency medium, mode auto)." in text
    assert "Expected: queues backlog at most 1000 within 600 s." in text
    assert "Verdict: too early" in text
    text = ask(data, "explain", "d4").stdout
    assert "Nothing was done to workers." in text
    assert "add_consumer: 3 to 5 units, because the fleet is paused: a film is made" in text
    assert "State: refused." in text, "the reason has been told as why"
    with pytest.raises(NotFound):
        told(data, "explain", "nothing")


def test_history_is_chosen_and_rated(data: Path) -> None:
    found = told(data, "history")
    assert [one["id"] for one in found["events"]] == ["d4", "d3", "d2", "d1"]
    assert found["success"]["rate"] == 0.0
    assert found["shadow"]["rate"] is None
    assert found["rules"][0]["outcomes"] == {"failed": 1, "too early": 1}
    assert [one["id"] for one in told(data, "history", "--fleet", "web")["events"]] == ["d2"]
    assert [one["id"] for one in told(data, "history", "--state", "done", "--since", "2h")["events"]] == ["d1"]
    assert told(data, "history", "--rule", "rooms")["events"] == []
    assert told(data, "history", "--since", "2100-01-01")["success"]["rate"] is None
    assert [one["id"] for one in told(data, "history", "--limit", "1")["events"]] == ["d4"]
    assert ask(data, "history", "--state", "perhaps").exit_code == 2
    assert ask(data, "history", "--since", "yesterday").exit_code == 2


def test_operators_answer_and_the_next_leader_does_it(data: Path) -> None:
    assert told(data, "approve", "d3")["approved"]

    async def lead(directory: Database) -> Record:
        replicas = RecordingTarget(FLEET, ready=0)
        one = Controller(directory, SystemClock(), replicas, name="two")
        await one.leader.campaign()
        await one.loop.beat()
        await one.loop.beat()
        assert replicas.done == [(1, "d3")]
        return await one.events.find("d3")

    assert opened(data, lead).event.state == "done"
    with pytest.raises(Conflict):
        told(data, "refuse", "d3")
    with pytest.raises(NotFound):
        told(data, "approve", "nothing")


def test_a_refusal_says_by_whom(data: Path) -> None:
    found = told(data, "refuse", "d3", "--why", "no room on the disk")
    assert found["state"] == "refused"
    assert found["error"].endswith(": no room on the disk")
    assert told(data, "refuse", "d3")["error"] == found["error"], "again is harmless"


def test_fleets_are_paused_pinned_and_given_modes(data: Path) -> None:
    assert told(data, "resume", "workers")["was_paused"]
    assert not told(data, "resume", "workers")["was_paused"]
    assert told(data, "pause", "workers", "--for", "2h", "--why", "exams")["why"] == "exams"
    assert told(data, "mode", "workers", "shadow") == {"fleet": "workers", "mode": "shadow"}
    assert told(data, "pin", "workers", "17") == {"fleet": "workers", "candidate": 17}
    workers = next(one for one in told(data, "status")["fleets"] if one["fleet"] == "workers")
    assert (workers["mode"], workers["mode_from"], workers["pinned"]) == ("shadow", "operator", {"candidate": 17})
    assert "pinned to candidate 17" in ask(data, "status").stdout
    assert told(data, "mode", "workers", "settings") == {"fleet": "workers", "mode": None}
    told(data, "pin", "workers", "--free")
    workers = next(one for one in told(data, "status")["fleets"] if one["fleet"] == "workers")
    assert (workers["mode"], workers["pinned"]) == ("auto", None)
    with pytest.raises(NotFound):
        told(data, "pause", "horses", "--for", "2h", "--why", "exams")
    with pytest.raises(Invalid):
        told(data, "pause", "workers", "--for", "200d", "--why", "exams")
    assert ask(data, "pin", "workers").exit_code == 2
    assert ask(data, "pause", "workers", "--for", "soon", "--why", "exams").exit_code == 2


def test_the_same_over_http(data: Path) -> None:
    with (
        running_server(data, OPERATOR_TOKEN=TOKEN) as server,
        httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=20) as operator,
    ):
        assert httpx.get(f"{server.url}/api/ops/scaling").status_code == 401
        names = {one["fleet"] for one in operator.get("/api/ops/scaling").json()["fleets"]}
        assert {"workers", FLEET} <= names
        asked = {"fleet": "web", "state": "failed"}
        listed = operator.get("/api/ops/scaling/events", params=asked).json()["events"]
        assert [one["id"] for one in listed] == ["d2"]
        assert operator.get("/api/ops/scaling/events", params={"state": "perhaps"}).status_code == 400
        assert operator.get("/api/ops/scaling/events", params={"since": "then"}).status_code == 400
        shown = operator.get("/api/ops/scaling/events/d1").json()
        assert shown["event"]["reason"] == "12,000 jobs wait"
        assert operator.get("/api/ops/scaling/events/nothing").status_code == 404
        assert operator.post("/api/ops/scaling/events/d3/refuse", json={"why": "no room"}).json()["event"]["error"] == (
            "refused by operator: no room"
        )
        assert operator.post("/api/ops/scaling/events/d3/approve").status_code == 409
        body = {"fleet": "workers", "seconds": 60, "why": "a test"}
        assert "T" in operator.post("/api/ops/scaling/pause", json=body).json()["paused_until"]
        assert operator.post("/api/ops/scaling/pause", json={**body, "seconds": 1e9}).status_code == 400
        assert operator.post("/api/ops/scaling/resume", json={"fleet": "workers"}).json()["was_paused"]
        assert operator.post("/api/ops/scaling/mode", json={"fleet": "web", "mode": "off"}).json()["mode"] == "off"
        assert operator.post("/api/ops/scaling/mode", json={"fleet": "cats", "mode": "off"}).status_code == 404
        assert operator.post("/api/ops/scaling/mode", json={"fleet": "web", "mode": "on"}).status_code == 400
        assert operator.post("/api/ops/scaling/pin", json={"fleet": "web", "candidate": 3}).json()["candidate"] == 3
        headers = {"Idempotency-Key": "not visible\x7f"}
        assert operator.post("/api/ops/scaling/resume", json={"fleet": "web"}, headers=headers).status_code == 400
    found = opened(data, lambda directory: Controls(directory).look())
    assert found["web"].pinned == {"candidate": 3}
