"""`dead-letters` with filters, edits, many at once, and the log of all that."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import GuideError
from tests.contract.test_dead_letters import KEYS, Office
from tests.engines import installed

ENVIRONMENT = {"ATOMIC_GUIDE_DATABASES_SHARDS": "2"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten letters `busy` and two others, over two shards."""
    fill(tmp_path, 10)
    return tmp_path


def fill(folder: Path, count: int) -> None:
    async def seed() -> None:
        shards = await open_embedded(installed(folder, 2), DataSettings(shards=2))
        clock = SystemClock()
        office = Office(shards, Steady(clock))  # type: ignore[arg-type]
        for number in range(count):
            await office.letter(KEYS[number % 6], "The disk is BUSY", payload={"n": 1, "to": "x"}, subject=f"s{number}")
        await office.letter(KEYS[0], "broken", kind="other", payload={"to": "x"})
        await office.letter(KEYS[1], "broken", kind="other", payload={"n": 2})
        await shards.close()

    asyncio.run(seed())


class Steady:
    """The system's clock, where a test's is moved."""

    def __init__(self, clock: SystemClock) -> None:
        self.now, self.monotonic = clock.now, clock.monotonic

    def advance(self, seconds: float) -> None:
        """Time passes by itself."""


def call(data: Path, *arguments: str, text: str | None = None) -> Result:
    return CliRunner(env=ENVIRONMENT).invoke(program, ["dead-letters", *arguments, "--data", str(data)], input=text)


def run(data: Path, *arguments: str) -> Any:
    answer = call(data, *arguments, "--json")
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def listed(data: Path, *options: str) -> list[str]:
    return [one["id"] for one in run(data, "list", *options)["dead_letters"]]


def test_filters_choose_what_is_listed(data: Path) -> None:
    assert len(listed(data)) == 12
    assert len(listed(data, "--reason", "disk is busy")) == 10
    assert len(listed(data, "--kind", "other")) == 2
    assert len(listed(data, "--tenant", KEYS[0].tenant, "--course", "course-0", "--reason", "busy")) == 2
    assert listed(data, "--course", KEYS[0].course) == listed(data, "--tenant", "t-0", "--course", "course-0")
    assert len(listed(data, "--since", "1h")) == 12
    assert listed(data, "--until", "1h") == []
    assert listed(data, "--since", "2099-01-01T00:00:00Z") == []
    assert call(data, "list", "--since", "yesterday").exit_code == 2
    assert "no dead letters of these" in call(data, "list", "--kind", "none").stdout


def test_a_dry_run_says_what_would_be_done_and_does_nothing(data: Path) -> None:
    plan = run(data, "replay", "--all", "--kind", "other", "--set", "n=5", "--dry-run")
    assert (plan["would_be_done"], plan["held"], len(plan["refused"])) == (1, 0, 1)
    assert plan["letters"][0]["changes"] == [{"field": "n", "before": 2, "after": 5}]
    shown = call(data, "replay", "--all", "--kind", "other", "--set", "n=5", "--dry-run").stdout
    assert "  - n: 2\n  + n: 5\n" in shown
    assert "1 would be done, 0 are held by live jobs, 1 cannot" in shown
    assert run(data, "drop", "--all", "--kind", "other", "--dry-run")["would_be_done"] == 2
    assert len(listed(data)) == 12
    assert run(data, "audit")["actions"] == []


def test_one_is_replayed_with_an_edit_which_is_shown_and_logged(data: Path) -> None:
    job = listed(data, "--reason", "busy")[0]
    shown = call(data, "replay", job, "--set", "n=2", "--set", 'to="y"').stdout
    assert f"queued {job} again\n  - n: 1\n  + n: 2\n" in shown
    (entry,) = run(data, "audit", "--job", job)["actions"]
    assert entry["after"] == {"n": 2, "to": "y"}
    assert entry["actor"]
    assert "n: 1 -> 2" in call(data, "audit").stdout
    again = call(data, "replay", job)
    assert isinstance(again.exception, GuideError)
    assert "there is no dead letter" in again.exception.message
    wrong = call(data, "replay", listed(data)[0], "--set", "n")
    assert isinstance(wrong.exception, GuideError)


def test_many_are_replayed_and_what_was_left_is_named(data: Path) -> None:
    answer = call(data, "replay", "--all", "--reason", "busy", "--set", "n=9", "--json")
    assert answer.exception is None
    assert json.loads(answer.stdout)["replayed"] == 10
    assert "if it is interrupted, go on with --run r" in answer.stderr
    partly = call(data, "replay", "--all", "--kind", "other", "--set", "n=9")
    assert isinstance(partly.exception, GuideError)
    assert "carries no field n" in partly.exception.message
    assert "replayed 1, refused 1" in partly.stdout
    assert len(listed(data)) == 1
    assert len(run(data, "audit")["actions"]) == 11


def test_many_are_dropped_only_after_a_question(data: Path) -> None:
    refused = call(data, "drop", "--all", "--reason", "busy", text="n\n")
    assert refused.exit_code == 1
    assert "Drop 10 dead letters?" in refused.stderr
    assert len(listed(data)) == 12
    assert run(data, "drop", "--all", "--reason", "busy", "--yes")["dropped"] == 10
    assert len(listed(data)) == 2
    entries = run(data, "audit")["actions"]
    assert len({entry["kept"]["subject"] for entry in entries}) == 10


@pytest.mark.parametrize(
    "arguments",
    [
        ("replay",),
        ("replay", "--all"),
        ("replay", "j1", "--all", "--kind", "k"),
        ("replay", "j1", "--kind", "k"),
        ("replay", "j1", "--run", "r1"),
        ("drop", "--all"),
        ("drop",),
        ("replay", "--all", "--kind", "k", "--rate", "-1"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_done(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    answer = call(tmp_path, *arguments)
    assert answer.exit_code == 2
    assert not (tmp_path / "databases").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_replay_that_is_ended_in_the_middle_goes_on_and_does_none_twice(tmp_path: Path, number: int) -> None:
    fill(tmp_path, 120)
    command = [sys.executable, "-m", "atomic_guide.cli", "dead-letters", "replay", "--all", "--reason", "busy"]
    command += ["--rate", "15", "--data", str(tmp_path)]
    # Where the suite runs in the background, SIGINT is ignored, and children would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    environment = {**os.environ, **ENVIRONMENT}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as ended:
        assert ended.stderr is not None
        name = ended.stderr.readline().split()[1].rstrip(";")
        time.sleep(1.5)
        ended.send_signal(number)
        ended.communicate(timeout=10)
        assert ended.returncode != 0
    left = len(listed(tmp_path, "--reason", "busy", "--limit", "1000"))
    assert 0 < left < 120
    assert run(tmp_path, "replay", "--all", "--reason", "busy", "--run", name)["replayed"] == left
    entries = run(tmp_path, "audit", "--limit", "1000")["actions"]
    assert len(entries) == len({entry["subject"] for entry in entries}) == 120
    assert {entry["run"] for entry in entries} == {name}
