"""The console's live stream over real HTTP: what changes in the databases is told, to who may know it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from prometheus_client import CollectorRegistry

from atomic_guide.clock import SystemClock, iso
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.calling_off import call_off
from atomic_guide.engines.queues.controls import Controls as Queues
from atomic_guide.operations.alerts.desk import Desk
from atomic_guide.operations.alerts.settings import AlertSettings
from atomic_guide.operations.operators.people import Arrival, Whom
from atomic_guide.operations.scaling.controls import Controls
from atomic_guide.operations.scaling.loop import STANDING, Standing
from atomic_guide.operations.scaling.model import Decision
from atomic_guide.web import changes, live
from atomic_guide.web import operators as console
from atomic_guide.web.health import Health
from atomic_guide.web.server import create_app
from tests.contract.test_dead_letters import Office
from tests.engines import installed
from tests.fakes.platform import serving
from tests.operating import TOKEN, acting, operators

BEARER = {"Authorization": f"Bearer {TOKEN}"}
QUERIES = parse_queries(
    """
-- name: decide
-- purpose: A decision that waits for an operator.
INSERT INTO scaling_events (id, fleet, rule, at, state, step, mode, token, before, after, decision, error)
VALUES (:id, 'web', 'demand', :at, 'awaiting', '', 'approve', 1, 1, 2, :decision, '')

-- name: fire
-- purpose: An alert that fires.
INSERT INTO alerts_active (rule, labels, state, active_at, fired_at, value)
VALUES ('web_p95', '{}', 'firing', :at, :at, 1.5)

-- name: resolve
-- purpose: It is over.
DELETE FROM alerts_active

-- name: sample
-- purpose: What the leader says of its last tick.
INSERT INTO scaling_memory (name, at, value) VALUES (:name, :at, :value)
""",
    "test_console_live.py",
)


class Console:
    def __init__(self, url: str, tool: Any) -> None:
        self.url = url
        self.tool = tool
        self.shards: Shards = tool.shards
        self.operators = tool.operators

    async def write(self, query: str, **params: Any) -> None:
        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES[query], params)

        await self.shards.directory.write(work)

    async def decide(self, name: str = "ev-1") -> None:
        now = time.time()
        decision = Decision(name, now, "web", "add_process", 1, 2, "demand", "high", "more people come")
        await self.write("decide", id=name, at=now, decision=msgspec.json.encode(decision).decode())

    @contextlib.asynccontextmanager
    async def stream(self, headers: dict[str, str] | None = None, client: Any = None) -> AsyncIterator["Events"]:
        async with contextlib.AsyncExitStack() as stack:
            if client is None:
                client = await stack.enter_async_context(httpx.AsyncClient(base_url=self.url, headers=BEARER))
            request = client.build_request("GET", "/api/ops/live", headers=headers)
            answer = await client.send(request, stream=True)
            stack.push_async_callback(answer.aclose)
            yield Events(answer)


class Events:
    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last = ""
        self._lines = answer.aiter_lines()

    async def next(self) -> tuple[str, Any]:
        """The next event but for beats; `end` where the stream ends."""
        kind = ""
        async with asyncio.timeout(20):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "id":
                    self.last = value
                elif name == "event":
                    kind = value
                elif name == "data" and kind != "beat":
                    return kind, msgspec.json.decode(value)
        return "end", None

    async def until(self, kind: str) -> Any:
        """The next event of a kind."""
        while True:
            found, data = await self.next()
            assert found != "end", f"the stream ended before any {kind}"
            if found == kind:
                return data


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.05)


@contextlib.asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[Console]:
    shards = await open_embedded(installed(folder))
    clock = SystemClock()
    tool: Any = SimpleNamespace(
        clock=clock,
        shards=shards,
        settings=[],
        alerts=Desk(AlertSettings(), UTC, shards.directory, clock, list),
        health=Health(shards, CollectorRegistry(), clock, metrics_public=False),
        operators=operators(shards.directory, clock, **settings),
    )
    try:
        async with serving(create_app(tool, [*live.calls.declared, *console.calls.declared])) as url:
            yield Console(url, tool)
            tool.operators.live.end()
    finally:
        await shards.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Console]:
    async with opened(tmp_path) as made:
        yield made


async def test_a_stream_begins_with_how_things_are(site: Console) -> None:
    await site.decide()
    async with site.stream() as events:
        assert events.answer.headers["content-type"].startswith("text/event-stream")
        assert events.answer.headers["cache-control"] == "no-store"
        kind, data = await events.next()
        assert kind == "overview"
        assert data == {
            "alerts": 0, "decisions": 1, "dead_letters": 0, "components": 0, "away": [], "sample": None,
        }  # fmt: skip


async def test_who_asks_for_the_head_only_opens_no_stream(site: Console) -> None:
    async with httpx.AsyncClient(base_url=site.url, headers=BEARER) as client:
        answer = await client.head("/api/ops/live")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert [used.value for used in site.operators.live.used()] == [0, 0]


async def test_every_change_is_told_to_every_stream(site: Console) -> None:
    async with site.stream() as one, site.stream() as two:
        for events in (one, two):
            await events.until("overview")
        await site.decide()
        for events in (one, two):
            told = await events.until("decision")
            assert (told["id"], told["state"], told["approved"]) == ("ev-1", "awaiting", False)
            assert (await events.until("overview"))["decisions"] == 1
        await Controls(site.shards.directory, "ada").approve("ev-1")
        for events in (one, two):
            assert (await events.until("decision"))["approved"] is True
        await site.write("fire", at=time.time())
        told = await one.until("alert")
        assert (told["rule"], told["state"]) == ("web_p95", "firing")
        assert (await one.until("overview"))["alerts"] == 1
        await site.write("resolve")
        assert (await one.until("alert"))["state"] == "resolved"
        await Queues(site.shards.directory).pause("video", time.time())
        assert await one.until("queue") == {"queue": "video", "dead": 0, "paused": True}
        await Queues(site.shards.directory).resume("video", time.time())
        assert await one.until("queue") == {"queue": "video", "dead": 0, "paused": False}
        await Queues(site.shards.directory).pause("video", time.time(), time.time() + 0.2)
        assert (await one.until("queue"))["paused"] is True
        assert (await one.until("queue"))["paused"] is False
        at = time.time()
        await site.write("sample", name=STANDING, at=at, value=msgspec.json.encode(Standing(at)).decode())
        assert await one.until("sample") == {"at": iso(at)}


async def test_the_depth_of_queues_is_told_as_it_changes_and_to_who_comes_later(site: Console) -> None:
    key = CourseKey.of("t1", "c1")
    office = Office(site.shards, SystemClock())  # type: ignore[arg-type]
    async with site.stream() as events:
        assert await events.until("depth") == {"queues": []}
        job = await office.publish(key)
        assert job is not None
        video = {"queue": "video", "states": {"queued": 1}}
        assert await events.until("depth") == {"queues": [video]}
        async with site.stream() as later:
            assert await later.until("depth") == {"queues": [video]}
        await call_off(site.shards, job, time.time(), {})
        assert await events.until("depth") == {"queues": [{"queue": "video", "states": {}}]}


async def test_a_dead_letter_is_told_of(site: Console) -> None:
    async with site.stream() as events:
        await events.until("overview")
        key = CourseKey.of("t1", "c1")
        query = parse_queries(
            """
-- name: die
-- purpose: A job that failed for good.
INSERT INTO jobs (bucket, tenant, course, id, queue, kind, subject, payload, state, priority, attempts, max_attempts,
                  run_after, lease_until, lease_owner, token, progress, created_at, finished_at, error)
VALUES (:bucket, :tenant, :course, 'j1', 'video', 'transcode', 'v1', '{}', 'dead', 0, 1, 1,
        :at, 0, '', 1, 0, :at, :at, 'broken')
""",
            "test_console_live.py",
        )["die"]

        async def work(tx: Transaction) -> None:
            await tx.execute(query, {**key.columns, "at": time.time()})

        await site.shards.of(key).write(work)
        assert (await events.until("queue"))["dead"] == 1
        assert (await events.until("overview"))["dead_letters"] == 1


async def test_who_comes_back_gets_what_was_missed(site: Console) -> None:
    async with site.stream() as staying:
        await staying.until("overview")
        async with site.stream() as first:
            await first.until("overview")
            await site.decide("ev-1")
            await first.until("overview")
            last = first.last
        await site.decide("ev-2")
        await staying.until("overview")
        await staying.until("overview")
        async with site.stream({"Last-Event-ID": last}) as again:
            kind, data = await again.next()
            assert (kind, data["id"]) == ("decision", "ev-2")
        for unknown in ("nonsense", "x-1", f"{last.partition('-')[0]}-999999", ""):
            async with site.stream({"Last-Event-ID": unknown}) as lost:
                assert (await lost.next())[0] == "overview"


async def test_nobody_looks_when_nobody_listens(site: Console) -> None:
    held = site.operators.live
    async with site.stream() as events:
        await events.until("overview")
        assert held._looking is not None
    async with asyncio.timeout(10):
        while held._looking is not None:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)
    assert [used.value for used in held.used()] == [0, 0]


async def test_a_stream_ends_with_its_session(site: Console) -> None:
    async with httpx.AsyncClient(base_url=site.url) as client:
        assert (await client.get("/api/ops/live")).status_code == 401
        await client.post("/api/ops/session", json={"token": TOKEN})
        async with site.stream(client=client) as events:
            await events.until("overview")
            await client.post("/api/ops/session/end", headers=acting(client))
            assert await events.until("bye") == {"why": "session"}
            assert (await events.next())[0] == "end"


async def test_who_is_removed_sees_no_more(site: Console) -> None:
    person = await site.operators.people.arrived(Arrival("https://id.test", "s", "ada@example.edu", "Ada", "read-only"))
    cookie, _ = await site.operators.sessions.begin(person)
    client = httpx.AsyncClient(base_url=site.url, cookies={"atomic_guide_operator": cookie})
    async with client, site.stream(client=client) as events:
        await events.until("overview")
        await site.operators.people.remove(Whom(email="ada@example.edu"))
        assert await events.until("bye") == {"why": "session"}


async def test_streams_end_with_the_server(site: Console) -> None:
    async with site.stream() as events:
        await events.until("overview")
        site.operators.live.end()
        assert await events.until("bye") == {"why": "restart"}
        assert (await events.next())[0] == "end"
        async with httpx.AsyncClient(base_url=site.url, headers=BEARER) as client:
            late = await client.get("/api/ops/live")
            assert (late.status_code, late.headers["retry-after"]) == (503, "2")


async def test_there_is_room_for_so_many(tmp_path: Path) -> None:
    async with opened(tmp_path, streams=2) as site, site.stream() as one, site.stream() as two:
        for events in (one, two):
            await events.until("overview")
        async with httpx.AsyncClient(base_url=site.url, headers=BEARER) as client:
            third = await client.get("/api/ops/live")
        assert third.status_code == 429
        assert third.json()["error"]["details"]["limit"] == "console_streams"


async def test_a_reader_that_takes_nothing_is_cut_off(site: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SEND_SECONDS", 0.05)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) > 2:
            await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    stream = live.Stream("token", None)
    await site.operators.live.begin(site.tool, stream, "")
    answer = live.LiveResponse(site.operators.live, stream)
    async with asyncio.timeout(10):
        await answer({}, receive, send)
    assert sent[-1].get("more_body")
    assert [used.value for used in site.operators.live.used()] == [0, 0]


def test_a_stream_that_is_full_is_sent_no_more() -> None:
    stream = live.Stream("token", None)
    for number in range(101):
        stream.put(str(number).encode())
    assert stream.events.get_nowait() is None


async def test_a_database_that_is_away_ends_no_stream(site: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    from atomic_guide.errors import DataUnavailable  # noqa: PLC0415 - only here

    async with site.stream() as events:
        await events.until("overview")
        real, failed = changes.look, asyncio.Event()

        async def away(tool: Any, depths: Any) -> Any:
            failed.set()
            raise DataUnavailable("the directory is away")

        monkeypatch.setattr(live, "look", away)
        await asyncio.wait_for(failed.wait(), 10)
        monkeypatch.setattr(live, "look", real)
        await site.decide()
        assert (await events.until("decision"))["id"] == "ev-1"
