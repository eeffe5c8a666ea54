"""Every POST of the product, sent again under its Idempotency-Key: at once, later, with another body, after a kill.

Each POST of the route table has a case below or a declared reason why it takes no key; a new one without fails here.
"""

import asyncio
import base64
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, cast

import httpx
import msgspec
import pytest
from joserfc.jwk import RSAKey
from starlette.routing import Route

from atomic_guide.clock import SystemClock
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.notifications.contacts import Contacts, mail_key
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.web import practice
from atomic_guide.web.table import DECLARED
from tests.engines import DIRECTORY, ENGINES, SHARD, declared, variables
from tests.media import clip
from tests.postgres import Cluster, Databases, fresh_databases
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)

TOKEN = "operator-token-of-the-test"
AT_ONCE = 4
KEY = CourseKey.of("t-test", "course-1")


class Case(msgspec.Struct, frozen=True):
    """A POST: by whom, with what, how it is answered; `other` is another request under the same key, if there is one.

    `same` names what is the same in every answer; the whole body unless it says so. `again` is the status of repeats.
    """

    path: str
    body: Any = None
    other: Any = None
    who: Literal["teacher", "operator", "nobody"] = "teacher"
    status: int = 200
    again: int | None = None
    refused: int = 422
    same: tuple[str, ...] = ()
    filled: str = ""
    sent: str = "json"
    at_once: int = AT_ONCE

    @property
    def name(self) -> str:
        """Its own among the cases."""
        return f"{self.path} {self.sent}"


SCORE = {"user": "ada", "activity": "E1", "score": 7, "max": 10, "at": "2024-11-01"}
EVENT = {"id": "e1", "type": "lecture.opened", "at": "2025-11-20T10:00:00Z", "data": {"video": "v1"}}
SILENCE = {"matchers": ["severity=info"], "seconds": 60, "comment": "quiet"}
REPLAY = {"trace": {"name": "lecture-day"}, "policies": ["hpa-60"], "wait": 0}
ROW = "user,activity,score,max,at\nada,{},7,10,2024-11-01\n"
OPS, SCALING = "/api/ops", "/api/ops/scaling"
CASES = [
    Case("/api/chat/message", {"content": "a"}, {"content": "b"}, status=201, again=200, refused=200),
    Case("/api/chat/ticket"),
    Case("/api/chat/room", {"open": False}, {"open": True}),
    Case("/api/chat/live", {"live": True}, {"live": False}),
    Case("/api/chat/mutes", {"user": "ada"}, {"user": "bob"}),
    Case("/api/chat/mutes/lift", {"user": "ada"}, {"user": "bob"}),
    Case("/api/session", {"code": "{code}"}, {"code": "{code2}"}, who="nobody", refused=200, same=("resume", "user")),
    Case("/api/session/refresh", same=("resume", "user", "course")),
    Case("/api/notifications/read", {"until": "x"}, {"ids": ["x"]}),
    Case("/api/notifications/mail", {"on": True}, {"on": False}),
    Case("/mail/stop/{token}", who="nobody", filled="{stop}", sent="page"),
    Case("/api/video/upload", "clip", "other clip", status=202, sent="form"),
    Case("/api/video/upload", b"tus one", b"tus other", status=201, sent="tus"),
    Case("/api/video/{id}/retry", filled="{video}", status=409),
    Case("/api/video/{id}/reprocess", filled="{video}", status=409),
    Case("/api/analytics/performance", {"scores": [SCORE]}, {"scores": []}),
    Case("/api/analytics/performance", ROW.format("E2"), ROW.format("E3"), sent="text/csv"),
    Case("/api/analytics/events", {"events": [EVENT]}, {"events": []}, status=202),
    *(
        Case(f"{SCALING}/{what}", {"fleet": "web", **body}, {"fleet": "workers", **body}, who="operator")
        for what, body in (
            ("pause", {"seconds": 5, "why": "look"}),
            ("resume", {}),
            ("mode", {"mode": "shadow"}),
            ("bounds", {"min": 1, "max": 2}),
            ("pin", {"candidate": None}),
        )
    ),
    # One runs at a time: others under the key come when its answer is kept.
    Case(f"{SCALING}/simulations", REPLAY, {**REPLAY, "tick": 30}, who="operator", status=202),
    Case(f"{SCALING}/simulations/{{id}}/cancel", who="operator", status=404, filled="s1"),
    Case(f"{SCALING}/events/{{id}}/approve", who="operator", status=404, filled="e1"),
    Case(f"{SCALING}/events/{{id}}/refuse", {"why": ""}, who="operator", status=404, filled="e1"),
    Case(f"{OPS}/alerts/silences", SILENCE, {**SILENCE, "seconds": 61}, who="operator", status=201),
    Case(f"{OPS}/alerts/silences/{{id}}/end", who="operator", status=404, filled="s1"),
    Case(f"{OPS}/alerts/test", {"name": "Cost Spike Detected"}, {"name": "another"}, who="operator"),
    Case(f"{OPS}/costs/recommendations/{{id}}/apply", {"approved": False}, who="operator", status=404, filled="r1"),
    Case(f"{OPS}/costs/changes/{{id}}/rollback", who="operator", status=404, filled="c1"),
    Case(f"{OPS}/cache/drop", {"everything": True}, {"space": "performance"}, who="operator"),
    Case(f"{OPS}/cache/warm", {"space": "none", "tenant": "t", "course": "c"}, who="operator", status=404),
    Case(f"{OPS}/shards/rebalance", {"dry_run": True}, {"abandon": True}, who="operator"),
    Case(f"{OPS}/shards/agree", {"order": "none"}, who="operator", status=404),
    *(
        Case(f"{OPS}/shards/moves/{{id}}/{what}", who="operator", status=404, filled="m1")
        for what in ("cancel", "pause", "resume")
    ),
    Case(f"{OPS}/regions/drain", {"region": "eu", "why": "look"}, who="operator", status=404),
    Case(f"{OPS}/regions/undrain", {"region": "eu"}, who="operator", status=404),
    Case(f"{OPS}/queues/{{queue}}/pause", {"why": "look"}, {"why": "other"}, who="operator", filled="rosters"),
    Case(f"{OPS}/queues/{{queue}}/resume", who="operator", filled="rosters"),
    Case(f"{OPS}/jobs/{{id}}/cancel", who="operator", status=404, filled="j1"),
    Case(f"{OPS}/dead-letters/replay", {"ids": ["j1"], "dry_run": True}, {"ids": ["j1"]}, who="operator"),
    Case(f"{OPS}/dead-letters/drop", {"ids": ["j1"], "dry_run": True}, {"ids": ["j1"]}, who="operator"),
    Case(f"{OPS}/session", {"token": TOKEN}, who="operator", same=("operator",)),
    Case(f"{OPS}/session/end", who="nobody"),
    Case(f"{OPS}/assets/repair", {}, who="operator", status=202, at_once=1),
    Case(f"{OPS}/loadtest/runs", {"keys": ["one"]}, {"keys": ["two"]}, who="operator", status=201),
    Case(f"{OPS}/loadtests/{{id}}/stop", who="operator", status=404, filled="l1"),
    # An erasure compacts the databases; whoever asks meanwhile may be told to come again.
    Case(f"{OPS}/loadtest/runs/{{run}}/clean", who="operator", filled="0123456789ab", at_once=1),
]


def test_every_post_has_a_case_or_a_reason() -> None:
    posts = {row.path: row.repeats for row in DECLARED if row.method == "POST"}
    assert all(row.repeats is None for row in DECLARED if row.method != "POST")
    without = {path for path, repeats in posts.items() if repeats is None or repeats.how == "none"}
    assert without == {"/lti/init", "/lti/launch", "/lti/launch/continue"}
    assert all(repeats.why for repeats in posts.values() if repeats is not None and repeats.how != "kept")
    assert {case.path for case in CASES} == set(posts) - without


def test_only_the_practice_lms_has_posts_beside_the_table() -> None:
    there: Any = None
    routes = [route for route in practice.practice_routes(there) if isinstance(route, Route)]
    posts = {route.path for route in routes if "POST" in (route.methods or ())}
    assert all(path.startswith("/practice/") for path in posts)
    assert practice.REPEATS.how == "none"
    assert practice.REPEATS.why


class Place:
    """A server on an engine, and what cases are filled with."""

    def __init__(self, folder: Path, settings: dict[str, str], databases: Databases | None) -> None:
        self.folder = folder
        self.settings = settings
        self.databases = databases
        self.server: RunningServer
        self.words: dict[str, str] = {}
        self.clips = {
            name: clip(folder / f"{name}.mp4", seconds=seconds).read_bytes()
            for name, seconds in (("clip", 1), ("other clip", 2))
        }
        self.keys: dict[str, Any] = {}

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        # Without a worker: the lecture stays where it is while it is asked about.
        with running_server(self.folder / "data", self.settings, role="web") as self.server:
            yield

    def fill(self) -> None:
        """Codes, an address that ends e-mail, a lecture."""
        codes = [self.server.code(self.server.session("ada")) for _ in range(2)]
        self.words = {"code": codes[0], "code2": codes[1], "stop": asyncio.run(self._enrol())}
        with self.server.enter("other", "instructor") as teacher:
            sent = teacher.post("/api/video/upload", files={"file": ("f.mp4", self.clips["clip"])})
            self.words["video"] = sent.json()["id"]
        for name in ("one", "two"):
            self.keys[name] = RSAKey.generate_key(2048, {"kid": name, "use": "sig", "alg": "RS256"}).as_dict(
                private=False
            )

    async def _enrol(self) -> str:
        """Launch three people in; the token that ends e-mail to one of them."""
        databases = self.databases
        opened = open_servers(declared(databases)) if databases else open_embedded(self.folder / "data")
        shards, clock = await opened, SystemClock()
        for user, role in (("teacher", "instructor"), ("ada", "learner"), ("bob", "learner")):
            arrival = Arrival(
                key=KEY,
                platform="p",
                context="course-1",
                title="Waves",
                return_url=None,
                user=user,
                name=user,
                role=cast("Any", role),
                services=Services(),
            )
            await enrol(shards, clock, Queues(shards, clock, QueueSettings()), arrival)
        key = await mail_key(shards, clock)
        await shards.close()
        return Contacts(shards, clock, key, "http://tool", on=True).stop_url(KEY, "ada").rpartition("/")[2]

    @contextlib.contextmanager
    def clients(self) -> Iterator[dict[str, httpx.Client]]:
        """One for each who."""
        url, headers = self.server.url, {"Authorization": f"Bearer {TOKEN}"}
        with (
            self.server.enter("teacher", "instructor") as teacher,
            httpx.Client(base_url=url, headers=headers, timeout=30) as operator,
            httpx.Client(base_url=url, timeout=30) as nobody,
        ):
            yield {"teacher": teacher, "operator": operator, "nobody": nobody}

    def send(self, client: httpx.Client, case: Case, body: Any) -> httpx.Response:
        path = case.path.partition("{")[0] + case.filled.format(**self.words) + case.path.partition("}")[2]
        headers = {"Idempotency-Key": f"key-{CASES.index(case)}"}
        if case.sent == "form":
            files = {"file": ("a.mp4", self.clips[body])}
            return client.post(path, files=files, data={"title": "L"}, headers=headers)
        if case.sent == "tus":
            named = f"title {base64.b64encode(body).decode()}"
            headers |= {"Tus-Resumable": "1.0.0", "Upload-Length": "9000", "Upload-Metadata": named}
            return client.post(path, headers=headers)
        if case.sent == "text/csv":
            return client.post(path, content=body, headers={**headers, "Content-Type": case.sent})
        if body is None:
            return client.post(path, headers=headers)
        return client.post(path, json=self._filled(body), headers=headers)

    def _filled(self, body: dict[str, Any]) -> dict[str, Any]:
        if "keys" in body:
            return {"keys": [self.keys[name] for name in body["keys"]]}
        if "code" in body:
            return {"code": body["code"].format(**self.words)}
        return body


def told(case: Case, answer: httpx.Response) -> Any:
    """What must be the same in every answer."""
    if case.sent == "page" or answer.is_error:
        return answer.status_code
    body = answer.json()
    return {name: body[name] for name in case.same} if case.same else body


@pytest.fixture(scope="module", params=ENGINES)
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_cluster: Cluster
) -> Iterator[Place]:
    settings = {
        "OPERATOR_TOKEN": TOKEN,
        "LOADTEST_TARGET": "true",
    }
    folder = tmp_path_factory.mktemp(request.param)
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        databases = None
        if request.param == "postgresql":
            made = fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD)
            databases = runner.run(made.__aenter__())
            stack.callback(lambda: runner.run(made.__aexit__(None, None, None)))
            settings |= variables(databases)
        yield Place(folder, settings, databases)


def test_a_repeated_post_is_one_and_another_under_its_key_is_refused(place: Place) -> None:
    first: dict[str, Any] = {}
    with place.running():
        place.fill()
        with ThreadPoolExecutor(AT_ONCE) as threads, place.clients() as clients:
            for case in CASES:
                first[case.name] = at_once(place, clients[case.who], case, threads)
            counted = effects(clients)
        place.server.kill()
    with place.running(), place.clients() as clients:
        for case in CASES:
            answer = place.send(clients[case.who], case, case.body)
            assert answer.status_code == (case.again or case.status), (case.name, answer.text)
            assert told(case, answer) == first[case.name], case.name
        assert effects(clients) == counted
    assert counted == {"messages": 1, "videos": 2, "moderation": 4, "silences": 1, "tested": 1}


def at_once(place: Place, client: httpx.Client, case: Case, threads: ThreadPoolExecutor) -> Any:
    """Send a case several times at one moment, then again, then with another body; what it is answered."""
    sent = [threads.submit(place.send, client, case, case.body) for _ in range(case.at_once)]
    answers = [one.result() for one in sent]
    assert {answer.status_code for answer in answers} <= {case.status, case.again or case.status, 409}, (
        case.name,
        [answer.text for answer in answers],
    )
    done = [told(case, answer) for answer in answers if answer.status_code in {case.status, case.again}]
    assert done, case.name
    answer = place.send(client, case, case.body)
    assert answer.status_code == (case.again or case.status), (case.name, answer.text)
    assert all(one == told(case, answer) for one in done), case.name
    if case.other is not None:
        refused = place.send(client, case, case.other)
        assert refused.status_code == case.refused, (case.name, refused.text)
        if case.refused == 422:
            assert refused.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    return done[0]


def effects(clients: dict[str, httpx.Client]) -> dict[str, int]:
    """How often what leaves something behind was done."""
    teacher, operator = clients["teacher"], clients["operator"]
    tested = operator.get("/api/ops/alerts/history", params={"what": "tested"}).json()["entries"]
    return {
        "messages": len(teacher.get("/api/chat/messages").json()["messages"]),
        "videos": len(teacher.get("/api/video").json()["videos"]),
        "moderation": len(teacher.get("/api/chat/moderation").json()["actions"]),
        "silences": len(operator.get("/api/ops/alerts/silences").json()["silences"]),
        "tested": len(tested),
    }
