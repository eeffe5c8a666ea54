"""What still works while a dependency is away, stopped (SIGSTOP) or killed; docs/resilience.md has the same table."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from websockets.sync.client import ClientConnection, connect

from atomic_guide.clock import SystemClock, iso
from atomic_guide.course.lti.assembly import build_lti
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.web.routing import BOOKMARK
from tests.media import TUS, clip, metadata
from tests.outages import Bucket, Folder, Lms, Nats, Program, R, Several, Switch, W, outcome
from tests.postgres import Cluster, fresh_cluster
from tests.running import RunningServer, running_server
from tests.s3 import S3, s3_service

pytestmark = pytest.mark.timeout(300)

OPERATOR = {"Authorization": "Bearer operator-token-of-the-test"}
ROOT = Path(__file__).parents[2]
CONDITIONS = (
    "NATS",
    "the course's shard",
    "its primary's region",
    "another shard",
    "the directory",
    "this store",
    "a declared store",
    "the mail server",
    "the LMS",
)
K = "kept"
TABLE: dict[str, tuple[str, ...]] = {
    "launch (known platform)": (W, R, R, W, R, W, W, W, W),
    "launch (its keys not asked for yet)": (W, R, R, W, R, W, W, W, R),
    "enter with the code of a launch": (W, W, W, W, R, W, W, W, W),
    "open the course page": (W, W, W, W, R, W, W, W, W),
    "post a message": (W, R, R, W, W, W, W, W, W),
    "hear it on an open socket": (W, R, R, W, W, W, W, W, W),
    "see who types": (W, W, W, W, W, W, W, W, W),
    "see who leaves": (W, W, W, W, W, W, W, W, W),
    "read messages": (W, R, W, W, W, W, W, W, W),
    "get a ticket for a socket": (W, W, W, W, R, W, W, W, W),
    "begin an upload": (W, R, R, W, R, R, W, W, W),
    "list lectures": (W, R, W, W, R, W, W, W, W),
    "play a lecture that is ready": (W, R, W, W, W, W, W, W, W),
    "take scores": (W, R, R, W, W, W, W, W, W),
    "show the report": (W, R, W, W, W, W, W, W, W),
    "see notifications": (W, R, W, W, W, W, W, W, W),
    "see dependencies (operators)": (W, W, W, W, W, W, W, W, W),
    "see scaling (operators)": (W, W, W, W, R, W, W, W, W),
    "fleets, while scaling does not know": (K, K, K, K, K, K, K, K, K),
}
"""By function, without each of `CONDITIONS`; 503 carries `Retry-After`."""
CASES = 2 * len(CONDITIONS)


class Lecture(NamedTuple):
    """A lecture that is ready and copied: the address of its master playlist, and of a segment."""

    playlist: str
    segment: str


class Around(NamedTuple):
    """What a server stands among beside its databases."""

    service: S3
    mail: Program
    lms: Lms


class Place:
    """A server on three servers of PostgreSQL, two of them with a replica in its region; a course in each shard."""

    def __init__(self, server: RunningServer, cluster: Cluster, around: Around) -> None:
        self.server = server
        self.around = around
        self.directory, *shards = [shard.primary for shard in cluster.shards]
        replicas = [shard.replicas[0] for shard in cluster.shards[1:]]
        assert launched(server.url) == W
        # Where the practice LMS's course is, which its address decides: there the test's own course is taken, too.
        holder = next(number for number, one in enumerate(shards) if int(one.sql("SELECT count(*) FROM courses")))
        self.primary, self.replica = shards[holder], replicas[holder]
        self.switches: dict[str, Switch] = {
            "NATS": Nats(server.process.pid),
            "the course's shard": Several(self.primary, self.replica),
            "its primary's region": Several(self.primary, Bucket(around.service)),
            "another shard": Several(shards[1 - holder], replicas[1 - holder]),
            "the directory": self.directory,
            "this store": Folder(server.data / "objects"),
            "a declared store": Bucket(around.service),
            "the mail server": around.mail,
            "the LMS": around.lms.program,
        }
        self._shard = f"shard-{holder}"
        self.context = self._context("t-test")
        asyncio.run(self._register())
        self.lecture = self._made()

    def _context(self, tenant: str) -> str:
        """A context whose course is in the same shard as the practice LMS's."""
        return next(
            context
            for context in (f"course-{number}" for number in range(200))
            if self._shard_of(tenant, context) == self._shard
        )

    async def _register(self) -> None:
        """A platform for each case."""
        lms = self.around.lms
        directory = PostgresDatabase("directory", self.directory.dsn())
        lti = build_lti(self.server.url, directory, SystemClock(), LtiSettings(allow_loopback=True))
        try:
            for number in range(CASES):
                platform = (await lti.platforms.add(lms.draft(number))).platform
                lms.courses[number] = self._context(platform.deployments["deployment"])
        finally:
            await lti.close()
            await directory.close()

    def _made(self) -> Lecture:
        """A lecture that is ready, with a verified copy in the bucket."""
        clip(self.server.data.parent / "a.mp4", size="320x180", seconds=1)
        with self.server.enter("fern", "instructor", self.context) as member:
            content = (self.server.data.parent / "a.mp4").read_bytes()
            sent = member.post("/api/video/upload", files={"file": ("a.mp4", content)}, data={"title": "L"})
            video = sent.json()["id"]
            deadline = time.monotonic() + 60
            while (shown := member.get(f"/api/video/{video}").json())["status"] != "ready":
                assert time.monotonic() < deadline, shown
                time.sleep(0.1)
            playlist = shown["playback"]
            rendition = member.get(playlist).text.splitlines()[-1].partition("/")[0]
            segment = f"{playlist.rpartition('/')[0]}/{rendition}/init.mp4"
            while True:
                found = member.get("/api/ops/assets/replicas", headers=OPERATOR).json()["replicas"]
                if found and {one["state"] for one in found} == {"verified"}:
                    return Lecture(playlist, segment)
                assert time.monotonic() < deadline, found
                time.sleep(0.1)

    def _shard_of(self, tenant: str, context: str) -> str:
        bucket = CourseKey.of(tenant, context).bucket
        return self.directory.sql(f"SELECT shard FROM bucket_map WHERE bucket = {bucket}").strip()  # noqa: S608 - a number

    @contextlib.contextmanager
    def without(self, what: str, how: str) -> Iterator[None]:
        """Stop or kill a dependency until the block ends, and wait until the server is ready again."""
        one = self.switches[what]
        self.replica.wait_for(self.primary.position())
        one.pause() if how == "stopped" else one.kill()
        try:
            yield
        finally:
            one.resume() if how == "stopped" else one.start()
        deadline = time.monotonic() + 60
        while httpx.get(f"{self.server.url}/readyz", timeout=30).json()["status"] != "ready":
            assert time.monotonic() < deadline, f"{what} is back, and the server does not see it"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Around]:
    folder = tmp_path_factory.mktemp("around")
    mail = Program(folder, "-m", "aiosmtpd", "-n", "-c", "aiosmtpd.handlers.Sink", "-l", "127.0.0.1:PORT")
    keys = Program(folder, "-m", "http.server", "--bind", "127.0.0.1", "PORT")
    try:
        with s3_service(folder / "s3") as service:
            yield Around(service, mail, Lms(keys, folder))
    finally:
        mail.kill()
        keys.kill()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, around: Around) -> Iterator[Place]:
    with fresh_cluster(((), ("us",), ("us",))) as cluster:
        directory = cluster.shards[0].primary.dsn()
        servers = [
            {
                "name": f"shard-{number}",
                "url": shard.primary.dsn(),
                "region": "eu",
                "replicas": [{"url": shard.replicas[0].dsn(), "region": "us"}],
            }
            for number, shard in enumerate(cluster.shards[1:])
        ]
        settings = {
            "ASSETS_STORES": msgspec.json.encode([around.service.store("spare", "eu")]).decode(),
            "ASSETS_LEAST_FREE_BYTES": "0",
            "ASSETS_COPIES_CALL_SECONDS": "2",
            "DATABASES_REGION": "us",
            "DATABASES_READS_PROBE_SECONDS": "0.3",
            "DATABASES_READS_ANSWER_SECONDS": "0.5",
            "LTI_ALLOW_LOOPBACK": "true",
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(around.mail.port),
            "MAIL_SECURITY": "none",
            "MAIL_SENDER": "guide@tool.example",
            "RESILIENCE_LMS_KEYS_SECONDS": "2",
            "SCALING_TICK_SECONDS": "1",
            "VIDEO_UNFINISHED_UPLOADS": "100",
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
            yield Place(server, cluster, around)


def tried(place: Place, member: httpx.Client, code: str, sockets: tuple[ClientConnection, ...]) -> dict[str, str]:
    """Each function once: `works`, or the status with which it is refused."""
    socket, other = sockets
    url = place.server.url
    headers = {**TUS, "Upload-Length": "9000", "Upload-Metadata": metadata(title="L", filename="a.mp4")}
    rows = {"scores": [{"user": "ada", "activity": "E1", "score": 7, "max": 10, "at": "2024-11-01"}]}
    launch = launched(url)
    posted = member.post("/api/chat/message", json={"content": "hello"})
    heard = hears(socket, "message", posted.json()["id"]) if posted.is_success else R
    other.send(json.dumps({"type": "typing", "data": {}}))
    typed = hears(socket, "typing", "brook")
    other.close()
    left = hears(socket, "left", "brook")
    calls: dict[str, Callable[[], httpx.Response]] = {
        "enter with the code of a launch": lambda: httpx.post(f"{url}/api/session", json={"code": code}, timeout=30),
        "open the course page": lambda: httpx.get(f"{url}/course", timeout=30),
        "read messages": lambda: member.get("/api/chat/messages"),
        "get a ticket for a socket": lambda: member.post("/api/chat/ticket"),
        "begin an upload": lambda: member.post("/api/video/upload", headers=headers),
        "list lectures": lambda: member.get("/api/video"),
        "take scores": lambda: member.post("/api/analytics/performance", json=rows),
        "show the report": lambda: member.get("/api/analytics/performance"),
        "see notifications": lambda: member.get("/api/notifications"),
        "see dependencies (operators)": lambda: httpx.get(f"{url}/api/ops/dependencies", headers=OPERATOR, timeout=30),
        "see scaling (operators)": lambda: httpx.get(f"{url}/api/ops/scaling", headers=OPERATOR, timeout=30),
    }
    found = {
        "launch (known platform)": launch,
        "post a message": outcome(posted),
        "hear it on an open socket": heard,
        "see who types": typed,
        "see who leaves": left,
        "play a lecture that is ready": played(member, place.lecture),
    }
    return {**found, **{name: outcome(call()) for name, call in calls.items()}}


def hears(socket: ClientConnection, kind: str, identifier: str) -> str:
    """Whether a socket that was open before is sent a frame about something."""
    while True:
        frame = json.loads(socket.recv(timeout=20))
        if frame["type"] == kind and frame["data"]["id"] == identifier:
            return W


def played(member: httpx.Client, lecture: Lecture) -> str:
    """The playlist and a segment, from wherever a browser is sent for it."""
    answers = [member.get(address, follow_redirects=True) for address in lecture]
    return next((found for answer in answers if (found := outcome(answer)) != W), W)


def acts(url: str, since: str) -> list[dict[str, Any]]:
    """What scaling has begun to do."""
    answer = httpx.get(f"{url}/api/ops/scaling/events", params={"since": since}, headers=OPERATOR, timeout=30)
    return [one for one in answer.json()["events"] if one["started_at"] is not None]


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


def entered(place: Place, user: str) -> httpx.Client:
    """Somebody whose requests carry the bookmark of the answers before, as a page's do."""
    client, seen = place.server.enter(user, "instructor", place.context), dict[str, str]()
    client.event_hooks = {
        "request": [lambda request: request.headers.update(seen)],
        "response": [lambda answer: seen.update({k: v for k, v in answer.headers.items() if k == BOOKMARK.lower()})],
    }
    return client


def joined(place: Place, member: httpx.Client) -> ClientConnection:
    """A socket in the room."""
    ticket = member.post("/api/chat/ticket").json()["ticket"]
    url = f"{place.server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
    # As a page does that shows the room.
    member.get("/api/chat/messages").raise_for_status()
    return connect(url, compression=None)


KILLS_THE_SERVICE = {("a declared store", "killed"), ("its primary's region", "killed")}
"""These come last: see `Bucket`."""


@pytest.mark.parametrize(
    ("what", "how"),
    sorted(((what, how) for what in CONDITIONS for how in ("stopped", "killed")), key=KILLS_THE_SERVICE.__contains__),
)
def test_what_works_without(place: Place, what: str, how: str) -> None:
    column, began = CONDITIONS.index(what), iso(time.time())
    code = place.server.code(place.server.session("late", "learner", place.context))
    member, other = (entered(place, user) for user in ("fern", "brook"))
    with member, other, joined(place, member) as socket, joined(place, other) as leaving, place.without(what, how):
        found = tried(place, member, code, (socket, leaving))
        new = "launch (its keys not asked for yet)"
        found[new] = place.around.lms.launch(place.server.url, 2 * column + (how == "killed"))
    found["fleets, while scaling does not know"] = K if not acts(place.server.url, began) else "changed"
    expected = {name: row[column] for name, row in TABLE.items()}
    assert found == expected


def test_the_page_has_the_table() -> None:
    page = (ROOT / "docs" / "resilience.md").read_text("utf-8")
    assert f"| without | {' | '.join(CONDITIONS)} |" in page
    for name, row in TABLE.items():
        assert f"| {name} | {' | '.join(row)} |" in page
