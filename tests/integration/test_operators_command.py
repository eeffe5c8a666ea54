"""`atomic-guide operators` beside a running server, which sees each change within a second; and the settings."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.config import load_settings
from atomic_guide.errors import ConfigurationError
from tests.running import RunningServer, running_server

TOKEN = "operator-token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
VARIABLES = {
    "OPERATOR_TOKEN": TOKEN,
    "OPERATORS_ISSUER": "https://id.example.edu",
    "OPERATORS_CLIENT_ID": "console",
    "OPERATORS_CLIENT_SECRET": "a-secret-that-nobody-sees",
    "OPERATORS_TWO_PERSON": "true",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("operators") / "data", VARIABLES) as found:
        yield found


def environment(**more: str) -> dict[str, str]:
    return {f"ATOMIC_GUIDE_{name}": value for name, value in {**VARIABLES, **more}.items()}


def command(server: RunningServer, *words: str) -> subprocess.CompletedProcess[str]:
    """A command as a process of its own, for what it says where something is wrong."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    asked = [sys.executable, "-m", "atomic_guide.cli", *words, "--data", str(server.data)]
    variables |= environment()
    return subprocess.run(asked, capture_output=True, text=True, env=variables, timeout=60, check=False)


def told(server: RunningServer, *words: str) -> Any:
    done = CliRunner(env=environment()).invoke(program, [*words, "--data", str(server.data), "--json"])
    if done.exception:
        raise done.exception
    return json.loads(done.stdout)


def within_a_second(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 1
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_people_are_listed_given_roles_and_removed(server: RunningServer) -> None:
    added = told(server, "operators", "add", "Ada@Example.edu", "--role", "read-only", "--name", "Ada  Lovelace")
    assert (added["email"], added["name"], added["role"], added["source"]) == (
        "ada@example.edu", "Ada Lovelace", "read-only", "listed"
    )  # fmt: skip
    told(server, "operators", "add", "sub-7", "--subject")
    assert told(server, "operators", "role", "ada@example.edu", "operator")["role"] == "operator"
    assert {one["role"] for one in told(server, "operators", "list")["operators"]} == {"operator"}
    assert told(server, "operators", "remove", added["id"])["sessions_ended"] == 0
    assert [one["subject"] for one in told(server, "operators", "list")["operators"]] == ["sub-7"]
    assert len(told(server, "operators", "list", "--removed")["operators"]) == 2
    entries = told(server, "operators", "audit", "--what", "operator")["entries"]
    assert [entry["action"] for entry in entries] == [
        "remove_operator", "set_operator_role", "add_operator", "add_operator"
    ]  # fmt: skip
    assert {entry["source"] for entry in entries} == {"command"}
    shown = httpx.get(f"{server.url}/api/ops/audit", params={"what": "operator"}, headers=BEARER).json()
    assert shown["entries"] == entries


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["remove", "nobody@example.edu"], 1, "nobody called nobody@example.edu is known"),
        (["add", "ada"], 2, "'ada' is no e-mail address"),
        (["add", "ada@example.edu", "--role", "root"], 2, "'root' is not one of 'operator', 'read-only'"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(server: RunningServer, words: list[str], code: int, said: str) -> None:
    done = command(server, "operators", *words)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stdout == ""


def test_sessions_are_listed_and_ended(server: RunningServer) -> None:
    with httpx.Client(base_url=server.url) as browser:
        browser.post("/api/ops/session", json={"token": TOKEN}).raise_for_status()
        [session] = told(server, "operators", "sessions")["sessions"]
        assert session["operator"]["id"] == "token"
        assert browser.cookies["atomic_guide_operator"] not in str(session)
        assert told(server, "operators", "end", "token")["sessions_ended"] == 1
        within_a_second(lambda: browser.get("/api/ops/session").status_code == 401)
    assert told(server, "operators", "sessions") == {"sessions": []}


def test_acts_over_http_are_audited_with_their_answers(server: RunningServer) -> None:
    def act(path: str, body: Any) -> int:
        return httpx.post(f"{server.url}/api/ops/{path}", json=body, headers=BEARER, timeout=20).status_code

    assert act("scaling/pause", {"fleet": "workers", "seconds": 60, "why": "the exam"}) == 200
    assert act("scaling/pause", {"fleet": "nothing", "seconds": 60, "why": "the exam"}) == 404
    assert act("scaling/pause", {"fleet": "workers"}) == 400
    assert act("scaling/events/none/approve", None) == 404
    page = httpx.get(f"{server.url}/api/ops/audit", params={"limit": 4}, headers=BEARER).json()
    found = [(entry["action"], entry["status"], entry["objects"], entry["why"]) for entry in page["entries"]]
    assert found == [
        ("approve_event", 404, {"id": "none"}, ""),
        ("pause_fleet", 400, {}, ""),
        ("pause_fleet", 404, {"fleet": "nothing", "seconds": "60.0"}, "the exam"),
        ("pause_fleet", 200, {"fleet": "workers", "seconds": "60.0"}, "the exam"),
    ]
    assert page["before"] is not None
    for wrong in ({"limit": "0"}, {"limit": "501"}, {"before": "x"}):
        assert httpx.get(f"{server.url}/api/ops/audit", params=wrong, headers=BEARER).status_code == 400


def test_settings_are_shown_as_the_command_shows_them_and_no_secret_is(server: RunningServer) -> None:
    answer = httpx.get(f"{server.url}/api/ops/settings", headers=BEARER)
    shown = {row["key"]: row for row in answer.json()["settings"]}
    said = {row["key"]: row for row in told(server, "settings")["settings"]}
    # The server of a test listens on a port of its own, by an option.
    for key in ("server.port", "data"):
        shown.pop(key)
        said.pop(key)
    assert shown == said
    assert shown["operators.client_secret"]["value"] == "(set)"
    assert shown["operators.two_person"] | {"reason": ""} == {
        "key": "operators.two_person", "variable": "ATOMIC_GUIDE_OPERATORS_TWO_PERSON", "value": True, "default": False,
        "unit": "switch", "from": "environment ATOMIC_GUIDE_OPERATORS_TWO_PERSON", "reason": "",
    }  # fmt: skip
    for secret in (TOKEN, VARIABLES["OPERATORS_CLIENT_SECRET"]):
        assert secret not in answer.text
    assert httpx.get(f"{server.url}/api/ops/settings").status_code == 401


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"OPERATORS_ISSUER": "ftp://id.example.edu"}, "operators.issuer"),
        ({"OPERATORS_CLIENT_ID": ""}, "operators.client_id"),
        ({"OPERATORS_CLIENT_SECRET_FILE": "/nowhere"}, "operators.client_secret_file"),
        ({"OPERATORS_SCOPES": "email"}, "operators.scopes"),
        ({"OPERATORS_IDLE_SECONDS": "1"}, "operators.idle_seconds"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(changes: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigurationError, match=key):
        load_settings(environment(**changes))
