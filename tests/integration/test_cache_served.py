"""The cache of a running server: what its callers see, and what operators see of it and do to it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.engines import DIRECTORY, ENGINES, SHARD, variables
from tests.postgres import Cluster, fresh_databases
from tests.reporting import URL, rows
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)
TOKEN = "operator-token-for-tests"
OPERATOR = {"Authorization": f"Bearer {TOKEN}"}
CALLS = "/api/ops/cache"
TENANT = "t-test"
SETTINGS = {"OPERATOR_TOKEN": TOKEN, "PROCESSES_WEB": "2"}


class Site:
    """A server with two processes that answer, and the commands beside it."""

    def __init__(self, server: RunningServer, settings: dict[str, str], stack: ExitStack) -> None:
        self.server = server
        self.stack = stack
        self.settings = settings

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
        environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in self.settings.items()}
        command = [sys.executable, "-m", "atomic_guide.cli", *arguments, "--data", str(self.server.data)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    def cache(self, *arguments: str) -> Any:
        done = self.run("cache", *arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def post(self, path: str, body: dict[str, Any], **headers: str) -> httpx.Response:
        return httpx.post(f"{self.server.url}{path}", json=body, headers={**OPERATOR, **headers}, timeout=20)

    def look(self, path: str = "", **asked: str) -> httpx.Response:
        return httpx.get(f"{self.server.url}{CALLS}{path}", params=asked, headers=OPERATOR, timeout=20)

    def taught(self, context: str) -> httpx.Client:
        """A teacher of a course that has the scores of two students."""
        teacher = self.stack.enter_context(self.server.enter("prof", "instructor", context))
        give(teacher, {"ada": [20], "ben": [10]})
        return teacher


@pytest.fixture(scope="module", params=ENGINES)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("cache") / "data"
    settings = dict(SETTINGS)
    with ExitStack() as stack:
        if request.param == "postgresql":
            cluster: Cluster = request.getfixturevalue("postgres_cluster")
            runner = stack.enter_context(asyncio.Runner())
            made = fresh_databases(cluster, directory=DIRECTORY, shard=SHARD)
            settings |= variables(runner.run(made.__aenter__()))
            stack.callback(lambda: runner.run(made.__aexit__(None, None, None)))
        server = stack.enter_context(running_server(data, settings))
        yield Site(server, settings, stack)
        assert server.stop() == 0, "it drains with a cache that listens"


def give(teacher: httpx.Client, scores: dict[str, list[float | None]]) -> None:
    teacher.post(URL, json={"scores": rows(scores)}).raise_for_status()


def means(server: RunningServer, teacher: httpx.Client, bookmark: str | None = None) -> dict[str, float]:
    """What a teacher sees over a connection of its own, which any of the processes takes."""
    headers = {"Authorization": teacher.headers["Authorization"]}
    if bookmark:
        headers["Atomic-Guide-Bookmark"] = bookmark
    found = httpx.get(f"{server.url}{URL}", headers=headers, timeout=20).raise_for_status().json()
    return {row["user"]: row["mean"] for row in found["students"]}


def until(condition: Callable[[], Any], seconds: float = 40.0) -> Any:
    """What comes to hold within a time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_score_shows_at_once_on_every_process(site: Site) -> None:
    teacher = site.taught("at-once")
    for score in range(1, 16):
        answer = teacher.post(URL, json={"scores": rows({"ada": [float(score)]})}).raise_for_status()
        for bookmark in (None, answer.headers["Atomic-Guide-Bookmark"], None, None):
            assert means(site.server, teacher, bookmark)["ada"] == score / 20


def test_a_setting_shows_at_once_on_every_process(site: Site) -> None:
    teacher = site.taught("rules")
    for required in (True, False, True):
        answer = teacher.put("/api/video/rules", json={"captions_required": required}).raise_for_status()
        for bookmark in (None, answer.headers["Atomic-Guide-Bookmark"], None):
            headers = {"Authorization": teacher.headers["Authorization"]}
            headers |= {"Atomic-Guide-Bookmark": bookmark} if bookmark else {}
            found = httpx.get(f"{site.server.url}/api/video", headers=headers, timeout=20).raise_for_status().json()
            assert found["rules"]["captions_required"] is required


def test_a_report_is_found_on_nats_dropped_and_warmed(site: Site) -> None:
    teacher = site.taught("algebra")
    named = ("--tenant", TENANT, "--course", "algebra")
    assert means(site.server, teacher) == {"ada": 1.0, "ben": 0.5}
    (place,) = until(lambda: site.run("cache", "get", *named).returncode == 0 and site.cache("get", *named)["places"])
    assert (place["layer"], place["holds"], place["value"]) == ("nats", True, None)
    (read,) = site.cache("get", *named, "--content")["places"]
    assert read["value"]["report"]["students"][0]["user"] == "ada"
    tried = site.cache("drop", *named, "--dry-run")
    assert (tried["on_nats"], tried["told"], tried["dry_run"]) == (1, False, True)
    assert site.cache("get", *named)["places"], "a dry run drops nothing"
    assert site.cache("drop", *named)["told"]
    gone = site.run("cache", "get", *named)
    assert gone.returncode == 1
    assert gone.stderr == f"no layer has reports of the course algebra of {TENANT}\n"
    assert site.cache("warm", *named, "--dry-run")["seconds"] is None
    assert site.run("cache", "get", *named).returncode == 1
    assert site.cache("warm", *named)["seconds"] > 0
    assert site.cache("get", *named)["places"][0]["holds"]
    did = [entry["what"] for entry in site.cache("log")["log"][:3]]
    assert did == ["cache warmed", "cache dropped", "cached value read"], "dry runs are none"


def test_the_same_over_http(site: Site) -> None:
    teacher = site.taught("optics")
    asked = {"space": "reports", "tenant": TENANT, "course": "optics"}
    assert means(site.server, teacher)["ada"] == 1.0
    layers = until(lambda: site.look("/value", **asked).status_code == 200 and site.look("/value", **asked).json())
    assert {place["layer"] for place in layers["places"]} <= {"memory", "nats"}
    body = {"tenant": TENANT, "course": "optics"}
    assert site.post(f"{CALLS}/drop", {**body, "dry_run": True}).json()["dry_run"]
    for _ in range(2):
        dropped = site.post(f"{CALLS}/drop", body, **{"Idempotency-Key": "k1"})
        assert dropped.status_code == 200, dropped.text
        assert dropped.json()["told"]
    assert site.look("/value", **asked).status_code == 404
    warmed = site.post(f"{CALLS}/warm", asked, **{"Idempotency-Key": "k2"})
    assert warmed.json()["seconds"] > 0
    seen = site.look("/value", **asked, content="true").json()["places"]
    assert all(place["value"]["report"]["course"]["count"] == 2 for place in seen)
    assert site.look("/log").json()["log"][0]["who"] == "operator"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"everything": True, "tenant": TENANT}, 400),
        ({"course": "algebra"}, 400),
        ({"space": "reports", "tenant": TENANT}, 400),
        ({"space": "unknown"}, 404),
        ({"tenant": 7}, 400),
        ({"tenant": TENANT, "anything": True}, 400),
    ],
)
def test_what_cannot_be_meant_is_refused(site: Site, body: dict[str, Any], status: int) -> None:
    assert site.post(f"{CALLS}/drop", body).status_code == status


def test_only_operators_may(site: Site) -> None:
    teacher = site.taught("operators")
    for path in ("", "/value", "/log"):
        assert teacher.get(f"{CALLS}{path}").status_code == 401
    assert teacher.post(f"{CALLS}/drop", json={"everything": True}).status_code == 401
    assert teacher.post(f"{CALLS}/warm", json={"space": "reports", "tenant": "t", "course": "c"}).status_code == 401


def test_commands_say_what_is_wrong_in_one_line(site: Site) -> None:
    for arguments, code, text in (
        (("drop",), 2, "--everything"),
        (("drop", "--everything", "--tenant", "t"), 2, "--everything"),
        (("drop", "--space", "unknown"), 1, "there is no space unknown; there are: "),
        (("warm", "--tenant", TENANT, "--course", "nobody's"), 1, f"nothing is known of this course of {TENANT}"),
        (("get", "--tenant", TENANT), 2, "--course"),
    ):
        done = site.run("cache", *arguments)
        assert (done.returncode, text in done.stderr) == (code, True), done.stderr
        assert code == 2 or done.stderr.count("\n") == 1


def test_each_process_tells_how_it_does(site: Site) -> None:
    teacher = site.taught("statistics")
    for _ in range(40):
        means(site.server, teacher)

    def found() -> Any:
        stats = site.look().json()
        told = stats["processes"]
        hits = sum(one["memory_hits"] for one in told)
        return stats if len(told) == 2 and hits >= 30 and all(one["hears"] for one in told) else None

    stats = until(found)
    assert stats["on_nats"]["keys"] >= 1
    assert {"name": "reports", "shared": True, "by_course": True}.items() <= {**stats["spaces"][0]}.items()
    page = httpx.get(f"{site.server.url}/metrics", headers=OPERATOR, timeout=20).text
    assert 'atomic_guide_cache_hits_total{layer="memory"}' in page
    assert "atomic_guide_cache_hears 1.0" in page
    assert "from memory" in site.run("cache", "stats").stdout

    def measured() -> Any:
        # Fails, and says so, as long as nothing of it was measured: rates come with a sampler's second look.
        done = site.run("scale", "metrics", "--component", "cache", "--json")
        found = json.loads(done.stdout)["series"] if done.returncode == 0 else []
        return {one["metric"] for one in found} >= {"loads", "memory", "unheard"}

    until(measured)


def test_an_erasure_leaves_nothing_of_the_tenant_behind(site: Site) -> None:
    teacher = site.taught("erased")
    named = ("--tenant", TENANT, "--course", "erased")
    assert means(site.server, teacher)["ben"] == 0.5
    until(lambda: site.run("cache", "get", *named).returncode == 0)
    done = site.run("erase", "person", "--tenant", TENANT, "--user", "ben", "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["receipt"]["copies"]["remembered values"] == "erased"
    assert site.run("cache", "get", *named).returncode == 1
    for _ in range(6):
        assert means(site.server, teacher) == {"ada": 1.0}


def test_without_nats_everything_is_answered_and_it_is_heard_of_again(site: Site) -> None:
    teacher = site.taught("cut")
    assert means(site.server, teacher)["ada"] == 1.0
    (ports,) = (site.server.data / "nats").glob("*.ports")
    os.kill(int(ports.stem.rpartition("_")[2]), signal.SIGKILL)
    for score in range(1, 11):
        give(teacher, {"ada": [float(score)]})
        assert means(site.server, teacher)["ada"] == score / 20
    until(lambda: all(one["hears"] for one in site.look().json()["processes"]))
    assert site.cache("drop", "--tenant", TENANT)["told"]
    assert means(site.server, teacher)["ada"] == 0.5
