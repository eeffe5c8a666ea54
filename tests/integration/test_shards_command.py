"""`atomic-guide shards` as people run it, beside a server that runs."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.engines.data.placement import BUCKETS
from atomic_guide.errors import GuideError, Invalid
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


def test_a_plan_is_shown_with_the_shares_before_and_after(tmp_path: Path) -> None:
    assert run(tmp_path, "plan")["zones"][0]["moves"] == []
    assert "nothing to move" in text(tmp_path, "plan")
    run(tmp_path, "add")
    (zone,) = run(tmp_path, "plan")["zones"]
    assert len(zone["moves"]) == 819
    assert [share["buckets_after"] for share in zone["shards"]] == [820, 819, 819, 819, 819]
    shown = text(tmp_path, "plan")
    assert f"819 of {BUCKETS} buckets move, 20.0% of the load" in shown
    assert "shard-0 -> shard-4: 204 (820-1023)" in shown
    assert run(tmp_path, "weight", "shard-4", "4") == {"shard": "shard-4", "weight": 4.0}
    assert len(run(tmp_path, "plan", "--by", "buckets")["zones"][0]["moves"]) == BUCKETS // 2
    assert run(tmp_path, "plan", "--tolerance", "1")["zones"][0]["moves"] == []


def test_a_running_server_takes_a_new_shard_in(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running_server(data) as server:
        assert "shard-4" not in httpx.get(f"{server.url}/readyz").json()["checks"]
        run(data, "add")
        deadline = time.monotonic() + 1
        while "shard-4" not in httpx.get(f"{server.url}/readyz").json()["checks"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    for arguments, said in [
        (("weight", "shard-9", "1"), "there is no shard shard-9"),
        (("zone", "t1", "mars"), "there is no zone mars"),
        (("plan", "--zone", "mars"), "there is no zone mars"),
        (("list", "--courses", "3", "--shard", "shard-9"), "shard-9"),
    ]:
        with pytest.raises(GuideError, match=said):
            run(tmp_path, *arguments)
