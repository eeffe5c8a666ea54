"""`atomic-guide shards` as people run it, beside a server that runs."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import BUCKETS, CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.errors import GuideError, Invalid
from atomic_guide.operations.operators.approvals import Voter
from atomic_guide.operations.placement.desk import Desk
from tests.engines import installed
from tests.layouts import Layout
from tests.running import running_server


def run(data: Path, *arguments: str, **variables: str) -> Any:
    environment = {f"ATOMIC_GUIDE_{name}": value for name, value in variables.items()}
    answer = CliRunner(env=environment).invoke(program, ["shards", *arguments, "--data", str(data), "--json"])
    if answer.exception:
        raise answer.exception
    return json.loads(answer.stdout)


def text(data: Path, *arguments: str) -> str:
    answer = CliRunner().invoke(program, ["shards", *arguments, "--data", str(data)])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_a_shard_is_added_and_stays_whatever_the_setting_says(tmp_path: Path) -> None:
    installed(tmp_path)
    assert [one["name"] for one in run(tmp_path, "list")["shards"]] == [f"shard-{number}" for number in range(4)]
    assert run(tmp_path, "add", "--dry-run") == {"shard": "shard-4", "added": False, "dry_run": True}
    assert len(run(tmp_path, "list")["shards"]) == 4
    assert run(tmp_path, "add")["added"]
    assert not run(tmp_path, "add", "shard-4")["added"]
    for count in ("4", "2"):
        found = run(tmp_path, "list", DATABASES_SHARDS=count)["shards"]
        assert [one["buckets"] for one in found] == [1024, 1024, 1024, 1024, 0]
    with pytest.raises(Invalid, match="shard-0, shard-1"):
        run(tmp_path, "add", "../elsewhere")


def test_a_shard_that_the_setting_names_is_the_next_to_be_added(tmp_path: Path) -> None:
    installed(tmp_path)
    run(tmp_path, "list")
    assert len(run(tmp_path, "list", DATABASES_SHARDS="5")["shards"]) == 4
    assert run(tmp_path, "add", DATABASES_SHARDS="5") == {"shard": "shard-4", "added": True, "dry_run": False}


def test_a_plan_is_shown_with_the_shares_before_and_after(tmp_path: Path) -> None:
    installed(tmp_path)
    assert run(tmp_path, "plan")["zones"][0]["moves"] == []
    assert "nothing to move" in text(tmp_path, "plan")
    run(tmp_path, "add")
    (zone,) = run(tmp_path, "plan")["zones"]
    assert len(zone["moves"]) == 819
    assert [share["buckets_after"] for share in zone["shards"]] == [820, 819, 819, 819, 819]
    shown = text(tmp_path, "plan")
    assert f"819 of {BUCKETS} buckets move, 20.0% of the load" in shown
    assert "shard-0 -> shard-4: 204 (820-1023)" in shown
    assert run(tmp_path, "weight", "shard-4", "4") == {"shard": "shard-4", "weight": 4.0, "dry_run": False}
    assert len(run(tmp_path, "plan", "--by", "buckets")["zones"][0]["moves"]) == BUCKETS // 2
    assert run(tmp_path, "plan", "--tolerance", "1")["zones"][0]["moves"] == []


def test_a_running_server_takes_a_new_shard_in_and_lets_a_removed_one_go(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data) as server:
        assert "shard-4" not in httpx.get(f"{server.url}/readyz").json()["checks"]
        run(data, "add")
        deadline = time.monotonic() + 1
        while "shard-4" not in httpx.get(f"{server.url}/readyz").json()["checks"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with pytest.raises(GuideError, match="shards drain shard-4"):
            run(data, "remove", "shard-4")
        run(data, "drain", "shard-4")
        assert run(data, "remove", "shard-4", "--dry-run")["removed"] is False
        assert run(data, "remove", "shard-4")["removed"] is True
        deadline = time.monotonic() + 1
        while "shard-4" in httpx.get(f"{server.url}/readyz").json()["checks"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    installed(tmp_path)
    for arguments, said in [
        (("weight", "shard-9", "1"), "there is no shard shard-9"),
        (("zone", "t1", "mars"), "there is no zone mars"),
        (("plan", "--zone", "mars"), "there is no zone mars"),
        (("list", "--courses", "3", "--shard", "shard-9"), "shard-9"),
    ]:
        with pytest.raises(GuideError, match=said):
            run(tmp_path, *arguments)


FOUR_COURSES = [CourseKey.of("t-test", f"course-{number}") for number in range(4)]


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A data directory with courses, and a fifth shard whose share is 20 buckets."""

    async def fill() -> None:
        shards = await open_embedded(installed(tmp_path))
        site = Layout(shards, tmp_path, DataSettings())
        for key in FOUR_COURSES:
            await site.add_course(key, key.course, 5)
        await shards.close()

    asyncio.run(fill())
    run(tmp_path, "add", "--weight", "0.02")
    return tmp_path


def messages(data: Path) -> list[int]:
    async def count() -> list[int]:
        shards = await open_embedded(data)
        try:
            return [await Layout(shards, data, DataSettings()).messages(key) for key in FOUR_COURSES]
        finally:
            await shards.close()

    return asyncio.run(count())


def test_a_rebalance_that_was_killed_is_continued_by_the_same_command(small: Path) -> None:
    assert len(run(small, "rebalance", "--dry-run", "--by", "buckets")["zones"][0]["moves"]) == 20
    command = [sys.executable, "-m", "atomic_guide.cli", "shards", "rebalance", "--by", "buckets", "--data", str(small)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        assert any("of 20" in line for line in process.stderr)
        process.kill()
    left = run(small, "list")["moves"]
    assert 0 < len(left) <= 20
    assert run(small, "plan", "--by", "buckets")["unfinished"] == left
    done = run(small, "rebalance", "--by", "buckets")
    assert (done["failed"], done["left"]) == ([], 0)
    found = run(small, "list")
    assert found["moves"] == []
    assert [one["buckets"] for one in found["shards"]] == [1019, 1019, 1019, 1019, 20]
    assert run(small, "rebalance", "--by", "buckets")["moved"] == 0
    assert messages(small) == [5, 5, 5, 5]


def test_ctrl_c_ends_a_rebalance_after_the_move_that_has_begun(small: Path) -> None:
    command = [sys.executable, "-m", "atomic_guide.cli", "shards", "rebalance", "--by", "buckets", "--data", str(small)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        assert any("of 20" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert "moved" in process.stdout.read()
        assert process.wait(30) == 1
    assert "the same command goes on" in said
    left = run(small, "list")["moves"]
    assert {move["state"] for move in left} == {"planned"}
    assert run(small, "rebalance", "--abandon")["moved"] == len(left)
    assert run(small, "list")["moves"] == []


def test_a_course_is_moved_pinned_and_unpinned_beside_a_running_server(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data) as server, server.enter() as client:
        client.post("/api/chat/message", json={"content": "before"}).raise_for_status()
        key = CourseKey.of("t-test", "course-1")
        home = run(data, "list", "--courses", "1")["courses"][0]["shard"]
        away = "shard-0" if home != "shard-0" else "shard-1"
        course = ("--course", "t-test", "course-1")
        assert run(data, "move", *course, "--to", away, "--dry-run")["moves"][0]["course"] == key.course
        moved = run(data, "move", *course, "--to", away)
        assert (moved["moved"], moved["pinned"], moved["failed"]) == (1, 1, [])
        client.post("/api/chat/message", json={"content": "after"}).raise_for_status()
        said = [one["content"] for one in client.get("/api/chat/messages").json()["messages"]]
        assert said == ["before", "after"]
        assert [one["pinned"] for one in run(data, "list")["shards"] if one["name"] == away] == [1]
        run(data, "move", str(key.bucket), "--to", "shard-3" if home != "shard-3" else "shard-2")
        assert run(data, "list", "--courses", "1")["courses"][0]["shard"] == away
        run(data, "unpin", "t-test", "course-1")
        assert client.get("/api/chat/messages").json()["last_seq"] == 2
        assert run(data, "verify") == {"ok": True, "findings": []}


def test_what_takes_two_operators_is_noted_until_another_one_agrees_and_is_in_their_log(tmp_path: Path) -> None:
    installed(tmp_path)
    two = {"OPERATORS_TWO_PERSON": "true"}
    target = next(
        name for name in ("shard-3", "shard-2") if run(tmp_path, "move", "7", "--to", name, "--dry-run")["moves"]
    )
    orders = [("move", "7", "--to", target), ("drain", "shard-0"), ("rebalance",), ("unpin", "t-test")]
    noted = [run(tmp_path, *order, **two) for order in (*orders, orders[0])]
    assert {(one["begun"], one["needed"], len(one["approvals"])) for one in noted} == {(False, 2, 1)}
    assert noted[0]["order"] == noted[4]["order"]
    listed = run(tmp_path, "list")["shards"]
    assert [(one["state"], one["buckets"]) for one in listed] == [("active", 1024)] * 4
    # The shell counts as the operators' token; Ben is somebody else, in the console.
    asyncio.run(agree(tmp_path, noted[0]["order"]))
    assert run(tmp_path, *orders[0], **two)["moved"] == 1
    assert not run(tmp_path, *orders[0], **two)["begun"], "it takes two anew"
    answer = CliRunner().invoke(program, ["operators", "audit", "--data", str(tmp_path), "--json"])
    acts = [(one["action"], one["status"], one["objects"].get("moved")) for one in json.loads(answer.stdout)["entries"]]
    assert acts[:2] == [("move_bucket", 202, None), ("move_bucket", 200, "1")]
    assert [action for action, _, _ in acts[3:]] == ["unpin_courses", "rebalance_shards", "drain_shard", "move_bucket"]


async def agree(data: Path, order: str) -> None:
    shards = await open_embedded(installed(data))
    await Desk(shards, SystemClock(), DataSettings()).agree(order, Voter("ben", 2), "Ben")
    await shards.close()


def test_wrong_usage_of_a_move_ends_with_2(tmp_path: Path) -> None:
    for arguments in (["move", "--to", "shard-1"], ["move", "7", "--tenant", "t", "--to", "shard-1"], ["move", "4096"]):
        answer = CliRunner().invoke(program, ["shards", *arguments, "--data", str(tmp_path)])
        assert answer.exit_code == 2, answer.output
