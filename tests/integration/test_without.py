"""What still works while a dependency is away, stopped (SIGSTOP) or killed; docs/resilience.md has the same table."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from atomic_guide.engines.data.placement import CourseKey
from tests.media import TUS, metadata
from tests.postgres import Cluster, fresh_cluster
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(300)

OPERATOR = {"Authorization": "Bearer operator-token-of-the-test"}
ROOT = Path(__file__).parents[2]
CONDITIONS = ("NATS", "the course's shard", "another shard", "the directory")
W, R = "works", "503"
TABLE: dict[str, tuple[str, str, str, str]] = {
    "launch (known platform)": (W, R, W, R),
    "enter with the code of a launch": (W, W, W, R),
    "open the course page": (W, W, W, R),
    "post a message": (W, R, W, W),
    "hear it on an open socket": (W, R, W, W),
    "read messages": (W, R, W, W),
    "get a ticket for a socket": (W, W, W, R),
    "begin an upload": (W, R, W, R),
    "list lectures": (W, R, W, R),
    "take scores": (W, R, W, W),
    "show the report": (W, R, W, W),
    "see dependencies (operators)": (W, W, W, W),
    "see scaling (operators)": (W, W, W, R),
}
"""By function, without each of `CONDITIONS`; 503 carries `Retry-After`."""


class Place:
    """A server on three servers of PostgreSQL, with a course in each shard."""

    def __init__(self, server: RunningServer, cluster: Cluster) -> None:
        self.server = server
        self.directory, *shards = [shard.primary for shard in cluster.shards]
        assert launched(server.url) == W
        # Where the practice LMS's course is, which its address decides: there the test's own course is taken, too.
        holder = next(number for number, one in enumerate(shards) if int(one.sql("SELECT count(*) FROM courses")))
        self.shards = [shards[holder], shards[1 - holder]]
        names = {context: self._shard_of(context) for context in (f"course-{number}" for number in range(40))}
        self.context = next(context for context, name in names.items() if name == f"shard-{holder}")

    def _shard_of(self, context: str) -> str:
        bucket = CourseKey.of("t-test", context).bucket
        return self.directory.sql(f"SELECT shard FROM bucket_map WHERE bucket = {bucket}").strip()  # noqa: S608 - a number

    @contextlib.contextmanager
    def without(self, what: str, how: str) -> Iterator[None]:
        """Stop or kill a dependency until the block ends, and wait until the server is ready again."""
        if what == "NATS":
            pid = nats_of(self.server.process.pid)
            os.kill(pid, signal.SIGSTOP if how == "stopped" else signal.SIGKILL)
            yield
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        else:
            one = {CONDITIONS[1]: self.shards[0], CONDITIONS[2]: self.shards[1], CONDITIONS[3]: self.directory}[what]
            one.pause() if how == "stopped" else one.kill()
            yield
            one.resume() if how == "stopped" else one.start()
        deadline = time.monotonic() + 60
        while httpx.get(f"{self.server.url}/readyz", timeout=30).json()["status"] != "ready":
            assert time.monotonic() < deadline, f"{what} is back, and the server does not see it"
            time.sleep(0.2)


def nats_of(parent: int) -> int:
    """The process of nats-server below a server."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = path.read_text().partition("(")[2].rpartition(")")
            if name == "nats-server" and int(rest.split()[1]) == parent:
                return int(path.parent.name)
    pytest.fail("no nats-server runs below the server")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with fresh_cluster(((), (), ())) as cluster:
        directory, *shards = [shard.primary.dsn() for shard in cluster.shards]
        servers = [{"name": f"shard-{number}", "url": url} for number, url in enumerate(shards)]
        settings = {
            "OPERATOR_TOKEN": "operator-token-of-the-test",
            "DATABASES_DIRECTORY": directory,
            "DATABASES_SERVERS": json.dumps(servers),
            "DATABASES_POSTGRESQL_STATEMENT_TIMEOUT": "1",
            "DATABASES_POSTGRESQL_CONNECT_TIMEOUT": "1",
            "DATABASES_POSTGRESQL_RETRY_SECONDS": "1",
            "DATABASES_POSTGRESQL_BREAKER_FAILURES": "2",
        }
        data = tmp_path_factory.mktemp("without") / "data"
        environment = {**os.environ, **{f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}}
        command = [sys.executable, "-m", "atomic_guide.cli", "migrate", "--data", str(data)]
        subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
        with running_server(data, settings, patience=60) as server:
            yield Place(server, cluster)


def tried(place: Place, member: httpx.Client, code: str, socket: ClientConnection) -> dict[str, str]:
    """Each function once: `works`, or the status with which it is refused."""
    url = place.server.url
    headers = {**TUS, "Upload-Length": "9000", "Upload-Metadata": metadata(title="L", filename="a.mp4")}
    rows = {"scores": [{"user": "ada", "activity": "E1", "score": 7, "max": 10, "at": "2024-11-01"}]}
    launch = launched(url)
    posted = member.post("/api/chat/message", json={"content": "hello"})
    heard = hears(socket, posted.json()["id"]) if posted.is_success else R
    calls: dict[str, Callable[[], httpx.Response]] = {
        "enter with the code of a launch": lambda: httpx.post(f"{url}/api/session", json={"code": code}, timeout=30),
        "open the course page": lambda: httpx.get(f"{url}/course", timeout=30),
        "read messages": lambda: member.get("/api/chat/messages"),
        "get a ticket for a socket": lambda: member.post("/api/chat/ticket"),
        "begin an upload": lambda: member.post("/api/video/upload", headers=headers),
        "list lectures": lambda: member.get("/api/video"),
        "take scores": lambda: member.post("/api/analytics/performance", json=rows),
        "show the report": lambda: member.get("/api/analytics/performance"),
        "see dependencies (operators)": lambda: httpx.get(f"{url}/api/ops/dependencies", headers=OPERATOR, timeout=30),
        "see scaling (operators)": lambda: httpx.get(f"{url}/api/ops/scaling", headers=OPERATOR, timeout=30),
    }
    found = {"launch (known platform)": launch, "post a message": outcome(posted), "hear it on an open socket": heard}
    return {**found, **{name: outcome(call()) for name, call in calls.items()}}


def hears(socket: ClientConnection, identifier: str) -> str:
    """Whether a socket that was open before is sent a message."""
    while True:
        frame = json.loads(socket.recv(timeout=20))
        if frame["type"] == "message" and frame["data"]["id"] == identifier:
            return W


def launched(url: str) -> str:
    """A launch of the practice LMS, whose course is in the shard of the others; the first refusal, if there is one."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as browser:
        opened = browser.get("/practice/open", params={"course": "waves", "person": "student-4", "fault": ""})
        if opened.status_code >= 400:
            return outcome(opened)
        begun = browser.get(opened.headers["location"])
        if begun.status_code >= 400:
            return outcome(begun)
        page = browser.get(begun.headers["location"])
        if page.status_code >= 400:
            return outcome(page)
        fields = dict(re.findall(r'name="(state|id_token)" value="([^"]+)"', page.text))
        cookie = begun.headers["set-cookie"].partition(";")[0]
        answer = browser.post("/lti/launch", data=fields, headers={"Cookie": cookie})
        return W if 'name="atomic-guide-code"' in answer.text else outcome(answer)


def outcome(answer: httpx.Response) -> str:
    if answer.is_success:
        return W
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return R


@pytest.mark.parametrize("how", ["stopped", "killed"])
@pytest.mark.parametrize("what", CONDITIONS)
def test_what_works_without(place: Place, what: str, how: str) -> None:
    code = place.server.code(place.server.session("late", "learner", place.context))
    with place.server.enter("fern", "instructor", place.context) as member:
        ticket = member.post("/api/chat/ticket").json()["ticket"]
        url = f"{place.server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
        with connect(url, compression=None) as socket, place.without(what, how):
            found = tried(place, member, code, socket)
    column = CONDITIONS.index(what)
    expected = {name: row[column] for name, row in TABLE.items()}
    assert found == expected


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs" / "resilience.md").read_text("utf-8")
    for name, row in TABLE.items():
        assert f"| {name} | {' | '.join(row)} |" in page
