"""The simulator over HTTP: the same figures as the command, bounded, refused clearly, known to every process."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.recorded import record_into
from tests.running import running_server

SIMULATIONS = "/api/ops/scaling/simulations"
SETTINGS = {"SCALING_SIMULATOR_MOST_TICKS": "200000"}
CSV = "timestamp,value\n" + "".join(f"{60 * minute},{500 if minute < 60 else 1500}\n" for minute in range(120))


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """An operator of a server with three recorded weeks."""
    data = tmp_path_factory.mktemp("simulations") / "data"
    data.mkdir(mode=0o700)
    asyncio.run(record_into(data, time.time(), 21))
    with running_server(data, SETTINGS) as server:
        token = (data / "operator-token").read_text(encoding="utf-8").strip()
        with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
            yield client


def simulated(operator: httpx.Client, trace: dict[str, Any], **more: Any) -> Any:
    """A simulation that has ended."""
    answer = operator.post(SIMULATIONS, json={"trace": trace, **more})
    assert answer.status_code == 202, answer.text
    found = answer.json()
    ends = time.monotonic() + 50
    while found["state"] == "running":
        assert time.monotonic() < ends
        found = operator.get(f"{SIMULATIONS}/{found['id']}", params={"wait": 10}).json()
    return found


def test_a_csv_is_replayed_as_the_command_does(operator: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(CSV)
    chosen = ("--policy", "hpa-60", "--policy", "default", "--timeline", "--min", "3", "--unit-capacity", "90")
    done = subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "scale", "simulate", "--trace", "t.csv", *chosen, "--json"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    told = json.loads(done.stdout)["policies"]
    found = simulated(
        operator, {"csv": CSV}, policies=["hpa-60", "default"], min=3, unit_capacity=90.0, points=2000
    )["policies"]  # fmt: skip
    assert [{name: row[name] for name in told[0]} for row in found] == told
    assert all(sum(span[1] for span in row["over"]) == 60 * row["violation_minutes"] for row in found)


def test_a_demonstration_has_as_many_points_as_asked_for(operator: httpx.Client) -> None:
    found = simulated(operator, {"name": "lecture-day"}, policies=["hpa-50"], points=300)
    assert (found["state"], found["progress"], found["error"]) == ("done", 1.0, "")
    assert len(found["policies"][0]["timeline"]) == 300
    assert found["trace"]["ticks"] == 5760
    assert found["trace"]["missing"] == [[62_400.0, 720.0]]
    assert found["seconds"] > 0
    again = operator.get(f"{SIMULATIONS}/{found['id']}").json()
    assert again == found


def test_the_record_of_a_fleet_is_replayed_in_its_own_units(operator: httpx.Client) -> None:
    found = simulated(operator, {"history": "web", "days": 3}, policies=["hpa-60"], tick=60)
    assert found["state"] == "done"
    known = next(one for one in operator.get(SIMULATIONS).json()["fleets"] if one["fleet"] == "web")
    usual = {"unit_capacity": 0.8, "start_delay": 90.0, "min": 1, "max": 4}
    assert {name: known[name] for name in usual} == usual
    assert {name: found["trace"][name] for name in usual} == usual, "as the decider has them"
    assert 4000 < found["trace"]["ticks"] <= 4320


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"trace": {}}, "exactly one of"),
        ({"trace": {"name": "july"}}, "there is no trace july; there are lecture-day"),
        ({"trace": {"history": "shards"}}, "there are web, workers"),
        ({"trace": {"history": "workers"}}, "measurements of the demand of workers are recorded"),
        ({"trace": {"csv": "a,b\n1,2\n"}}, "the first line must be timestamp,value"),
        ({"trace": {"csv": "timestamp,value\n1,2\nsoon,3\n"}}, "line 3"),
        ({"trace": {"csv": "  "}}, "empty"),
        ({"trace": {"name": "lecture-day"}, "policies": ["best"]}, "no policy best"),
        ({"trace": {"name": "lecture-day"}, "tick": 0.5}, ">= 1"),
        ({"trace": {"name": "lecture-day"}, "min": 9, "max": 3}, "over max"),
        ({"trace": {"name": "lecture-day"}, "tick": 1}, "over scaling.simulator.most_ticks"),
    ],
)
def test_what_cannot_be_replayed_is_refused_with_the_reason(operator: httpx.Client, asked: Any, says: str) -> None:
    answer = operator.post(SIMULATIONS, json=asked)
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_one_runs_at_a_time_and_the_server_goes_on_answering(operator: httpx.Client) -> None:
    # A day by 15 s under the default is studied once at its end, by 1,601 candidates: a second at least.
    begun = operator.post(SIMULATIONS, json={"trace": {"name": "flash-crowd"}, "tick": 4, "wait": 0}).json()
    assert begun["state"] == "running"
    assert begun["progress"] > 0
    refused = operator.post(SIMULATIONS, json={"trace": {"name": "lecture-day"}})
    assert refused.status_code == 429
    assert "scaling.simulator.running" in refused.json()["error"]["message"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert operator.get("/healthz").status_code == 200
    assert operator.get(SIMULATIONS).json()["running"] == 1
    found = begun
    shares = [begun["progress"]]
    while found["state"] == "running":
        found = operator.get(f"{SIMULATIONS}/{begun['id']}", params={"wait": 1}).json()
        shares.append(found["progress"])
    assert found["state"] == "done"
    assert shares == sorted(shares)
    assert len(found["policies"]) == 8
    again = operator.post(SIMULATIONS, json={"trace": {"name": "flash-crowd"}, "tick": 4, "wait": 0}).json()
    ended = operator.post(f"{SIMULATIONS}/{again['id']}/cancel").json()
    assert (ended["state"], ended["error"], ended["policies"]) == ("cancelled", "it was called off by operator", [])
    listed = operator.get(SIMULATIONS).json()
    assert listed["running"] == 0
    assert [(one["id"], one["state"]) for one in listed["runs"][:2]] == [
        (again["id"], "cancelled"),
        (begun["id"], "done"),
    ]
    assert listed["runs"][1]["demand"] == {"kind": "demonstration", "name": "flash-crowd", "days": None}
    late = operator.post(f"{SIMULATIONS}/{begun['id']}/cancel")
    assert (late.status_code, late.json()["error"]["code"]) == (409, "CONFLICT")


def test_what_can_be_chosen_is_listed(operator: httpx.Client) -> None:
    found = operator.get(SIMULATIONS).json()
    assert [one["name"] for one in found["traces"]] == ["lecture-day", "flash-crowd"]
    fleets = {one["fleet"]: one for one in found["fleets"]}
    assert fleets["web"]["hours"] > 480
    assert len(found["policies"]) == 8
    assert found["most_ticks"] == 200_000


def test_an_unknown_one_is_not_found_and_nobody_else_may_look(operator: httpx.Client) -> None:
    assert operator.get(f"{SIMULATIONS}/0123456789abcdef").status_code == 404
    for path in (SIMULATIONS, "/api/ops/scaling/forecast", "/api/ops/scaling/schedule"):
        assert httpx.get(f"{operator.base_url}{path}", timeout=10).status_code == 401


def test_the_forecast_and_the_schedule_are_told(operator: httpx.Client) -> None:
    ends = time.monotonic() + 50
    while not (found := operator.get("/api/ops/scaling/forecast", params={"component": "web"}).json())["ahead"]:
        assert time.monotonic() < ends, found["why"]
        time.sleep(0.5)
    assert found["unit"] == "cores"
    assert 160 < len(found["past"]) <= 169
    assert found["trust"]["coverage_95"] is None or 0 <= found["trust"]["coverage_95"] <= 1
    assert operator.get("/api/ops/scaling/forecast?component=rooms").status_code == 404
    assert operator.get("/api/ops/scaling/forecast?days=90").status_code == 400
    schedule = operator.get("/api/ops/scaling/schedule").json()
    assert schedule["quiet_hours"] == "23:00-06:00"
    assert len(schedule["quiet"]) >= 7
    assert schedule["entries"] == []
