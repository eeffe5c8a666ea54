"""Limits of a running server as operators see them: over HTTP, in commands, in metrics, in the log."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_doctor import doctor, run
from tests.running import RunningServer, running_server

SECONDS = 40
"""Two reports of a process."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server in which one person has said more than they may, and somebody has sent too much at once."""
    folder = tmp_path_factory.mktemp("limits")
    with running_server(folder / "data", LIMITS_PERSON_MESSAGES="5", SERVER_BODY_BYTES="32768") as found:
        with found.enter() as client:
            answers = [client.post("/api/chat/message", json={"content": f"message {n}"}) for n in range(7)]
            assert [answer.status_code for answer in answers] == [201] * 5 + [429] * 2
            assert answers[-1].json()["error"]["code"] == "RATE_LIMITED"
            large = client.post("/api/chat/message", json={"content": "x" * 40_000})
            assert large.status_code == 413
            assert large.json()["error"]["details"] == {"limit": "body_bytes"}
        yield found


def shown(server: RunningServer) -> dict[str, dict[str, Any]]:
    token = (server.data / "operator-token").read_text(encoding="utf-8").strip()
    answer = httpx.get(f"{server.url}/api/ops/limits", headers={"Authorization": f"Bearer {token}"}, timeout=10)
    answer.raise_for_status()
    return {limit["name"]: limit for limit in answer.json()["limits"]}


@pytest.fixture(scope="module")
def reported(server: RunningServer) -> dict[str, dict[str, Any]]:
    """What operators see once the process has reported."""
    ends = time.monotonic() + SECONDS
    while not (found := shown(server))["person_messages"]["refused"]:
        assert time.monotonic() < ends, found["person_messages"]
        time.sleep(0.5)
    return found


def test_the_server_is_asked_by_operators_only(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/api/ops/limits", timeout=10).status_code == 401


def test_every_limit_is_listed_with_its_setting_and_value(reported: dict[str, dict[str, Any]]) -> None:
    person = reported["person_messages"]
    assert (person["setting"], person["most"], person["unit"]) == ("limits.person_messages", 5, "messages/min")
    assert (person["refused"], person["high"]) == (2, pytest.approx(1, abs=0.05))
    body = reported["body_bytes"]
    assert (body["refused"], body["most"], body["part"]) == (1, 32768, "")
    assert body["value"] == pytest.approx(40_000, abs=100)
    assert body["near"]
    assert reported["file_writes"]["part"]
    assert reported["server_readers"]["value"] is None


def test_the_command_lists_what_matters(server: RunningServer, reported: dict[str, dict[str, Any]]) -> None:
    del reported
    done = run("limits", "--data", str(server.data), "--near", "--json", LIMITS_PERSON_MESSAGES="5")
    assert done.returncode == 0, done.stderr
    names = {limit["name"] for limit in json.loads(done.stdout)["limits"]}
    assert {"person_messages", "body_bytes"} <= names
    assert "room_sockets" not in names
    text = run("limits", "--data", str(server.data)).stdout
    assert "[rooms.room_sockets]" in text
    assert "use not known" in text


def test_the_doctor_lists_every_limit_and_what_to_do(
    server: RunningServer, reported: dict[str, dict[str, Any]]
) -> None:
    _, found = doctor(server.data, SERVER_BODY_BYTES="32768")
    assert {f"limit {name}" for name in reported} <= set(found)
    assert found["limits"]["text"].startswith(f"{len(reported)} in all, ")
    body = found["limit body_bytes"]
    assert (body["status"], body.get("detail")) == ("warning", None)
    assert "1 refused; server.body_bytes" in body["text"]
    assert "raise server.body_bytes" in body["remedy"]
    assert found["limit room_sockets"]["detail"]
    assert found["limit room_sockets"]["text"] == "0%: 0 of 1,000 sockets, 0 refused; rooms.room_sockets"


def test_prometheus_gets_use_and_refusals(server: RunningServer) -> None:
    lines = httpx.get(f"{server.url}/metrics", timeout=10).text.splitlines()
    assert 'atomic_guide_limit_refused_total{limit="person_messages"} 2.0' in lines
    (usage,) = [line for line in lines if line.startswith('atomic_guide_limit_usage{limit="body_bytes"}')]
    assert float(usage.split()[1]) == pytest.approx(40_000 / 32_768, abs=0.01)


def test_the_log_warns_once(server: RunningServer, reported: dict[str, dict[str, Any]]) -> None:
    del reported
    log = Path(f"{server.data}.log").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in log.splitlines() if "limit nearly reached" in line]
    (warning,) = [line for line in lines if line["limit"] == "body_bytes"]
    assert (warning["level"], warning["setting"]) == ("warning", "server.body_bytes")
    assert warning["use"] > 1
