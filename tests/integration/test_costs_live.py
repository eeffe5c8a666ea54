"""Costs of a real server: a report after traffic, and a change that its fleet follows, there and back."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.operations.scaling.model import Key
from tests.costs_recorded import DAY, record
from tests.engines import installed
from tests.running import RunningServer, running_server
from tests.scaling_live import workers

TOKEN = "a-token-of-the-operators"
SETTINGS = {
    "COSTS_PRICES": "own-hardware",
    "COSTS_LOOK_BACK_DAYS": "8",
    "SCALING_WORKERS_MIN": "2",
    # It begins with both, so that no step up must be waited for before one down.
    "PROCESSES_WORKER": "1",
    "SCALING_WORKERS_MAX": "3",
    "SCALING_WORKERS_DOWN_WINDOW_SECONDS": "0",
    "SCALING_WORKERS_DOWN_COOL_DOWN_SECONDS": "0",
    # Else half of the fewest would do at night.
    "SCALING_QUIET_HOURS": "",
    "OPERATOR_TOKEN": TOKEN,
}


def idle(_: float) -> dict[Key, float]:
    """Eight days of a server whose second worker had nothing to do."""
    return {
        Key("costs", "units", "web"): 1.0,
        Key("costs", "units", "workers"): 1.0,
        Key("workers", "demand"): 0.1,
        Key("workers", "work", "mail"): 0.01,
    }


async def with_a_record(data: Path) -> None:
    shards = await open_embedded(data)
    now = time.time()
    try:
        await record(shards.directory, now - 8 * DAY, now - 3600, idle)
    finally:
        await shards.close()


def ask(monkeypatch: pytest.MonkeyPatch, data: Path, *arguments: str) -> Any:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(f"ATOMIC_GUIDE_{name}", value)
    answer = CliRunner().invoke(program, ["costs", *arguments, "--data", str(data), "--json"])
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def until(what: Callable[[], Any], seconds: float) -> Any:
    """Wait for something to be true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s")


def reported(monkeypatch: pytest.MonkeyPatch, server: RunningServer) -> Any:
    """The report with what was said; what is said before a server has measured once is in no figure."""
    talk(server)
    found = ask(monkeypatch, server.data, "report", "--days", "9")
    return found if found["unit_costs"]["messages"] >= 5 else None


def talk(server: RunningServer) -> None:
    with server.enter("teacher", "instructor") as entered:
        for number in range(5):
            entered.post("/api/chat/message", json={"content": f"message {number}"}).raise_for_status()
        entered.get("/api/chat/messages").raise_for_status()


@pytest.mark.timeout(300)
def test_a_report_has_figures_after_traffic_and_a_fleet_follows_a_change_there_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = installed(tmp_path / "data")
    asyncio.run(with_a_record(data))
    with running_server(data, SETTINGS) as server, httpx.Client(
        base_url=server.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
    ) as operator:  # fmt: skip
        until(lambda: workers(server.data) == 1, 90)
        advice = until(lambda: ask(monkeypatch, data, "recommendations")["recommendations"], 60)[0]
        assert advice["id"] == "workers-fewest-1"
        assert set(advice["triggers"]) == {"right-size", "idle-queues"}
        saving = float(advice["before"]) - float(advice["after"])
        assert float(advice["saving"]) == pytest.approx(saving, abs=0.001)
        assert saving > 0

        # Looking at it does nothing; approving it over HTTP does.
        assert not ask(monkeypatch, data, "apply", advice["id"])["applied"]
        answer = operator.post(f"/api/ops/costs/recommendations/{advice['id']}/apply", json={"approved": True})
        assert answer.json()["applied"], answer.text
        until(lambda: workers(server.data) == 0, 90)

        # A minute is in the report when it has passed; what follows takes some of it.
        talk(server)
        explained = operator.get(f"/api/ops/costs/recommendations/{advice['id']}").json()
        assert (explained["who"], explained["verdict"]["outcome"]) == ("operator", "too early")

        assert ask(monkeypatch, data, "rollback", advice["id"])["rolled_back"]
        until(lambda: workers(server.data) == 1, 90)
        assert not operator.post(f"/api/ops/costs/changes/{advice['id']}/rollback").json()["rolled_back"]
        assert [one["what"] for one in ask(monkeypatch, data, "changes", "--audit")["audit"]] == [
            "rolled back",
            "applied",
        ]

        report = until(lambda: reported(monkeypatch, server), 120)
        assert float(report["now"]["hour"]) > 0
        assert report["features"]["chat"] != "0.000000"
        assert report["tenants"]["t-test"] != "0.000000"
        assert sum(map(float, report["features"].values())) == pytest.approx(float(report["total"]), abs=0.02)
        assert operator.get("/api/ops/costs?days=9").json()["prices"] == report["prices"]
        metrics = operator.get("/metrics").text
    assert 'atomic_guide_hourly_cost{cost_currency="EUR",part="web"}' in metrics
