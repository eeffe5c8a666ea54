"""Requests, launches, scores and events."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import msgspec
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from atomic_guide import errors
from atomic_guide.app.connection import bounded
from atomic_guide.app.counted_limits import CountedLimits
from atomic_guide.app.limits import measure_web
from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.analytics.books import Book, Books
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.limits import JSON_BYTES, MEMORY_BYTES
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.lti.addresses import Reach
from atomic_guide.course.lti.assembly import build_lti
from atomic_guide.course.lti.logins import LoginRequest, Logins
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed
from atomic_guide.course.lti.refusals import Refused
from atomic_guide.course.lti.settings import LtiSettings
from atomic_guide.course.lti.signed import verified
from atomic_guide.course.watching.limits import EVENT_BYTES
from atomic_guide.course.watching.settings import EventSettings
from atomic_guide.course.watching.taking import Events, Sender
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.limit import Limit, Used
from atomic_guide.operations.limits.register import Register
from atomic_guide.web.bodies import read_body
from atomic_guide.web.bounds import HANDSHAKES, REQUESTS
from atomic_guide.web.fields import read_form
from atomic_guide.web.observe import Observe, WebMetrics
from atomic_guide.web.routing import Call, Calls, Repeats
from atomic_guide.web.server import create_app
from atomic_guide.web.settings import ServerSettings
from tests.engines import installed
from tests.fakes.platform import serving
from tests.integration.chat_server import running
from tests.limit_cases import Ground, Reached, answered, fullest, reaches, until

KEY = CourseKey.of("tenant", "algebra")


@asynccontextmanager
async def databases(folder: Path) -> AsyncIterator[Shards]:
    """Files of the newest schema."""
    shards = await open_embedded(installed(folder))
    try:
        yield shards
    finally:
        await shards.close()


def measured(limit: Limit, metrics: Any, door: Any) -> list[Used]:
    """What a process that answers requests says of a limit."""
    register, nothing = Register([limit], {}, lambda: 0.0), SimpleNamespace(used=list)
    chat = SimpleNamespace(messages=SimpleNamespace(waiting=0), limits=nothing)
    tool: Any = SimpleNamespace(
        bounds=register, chat=chat, lti=SimpleNamespace(logins=nothing), simulator=nothing, operators=nothing
    )
    measure_web(tool, metrics, door)
    return fullest(register._gauges[-1](), limit.name)


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://tool.test")


def code(answer: httpx.Response) -> str:
    return f"{answer.status_code} {answer.json()['error']['code']}"


@reaches("requests")
async def _(_ground: Ground) -> Reached:
    go = asyncio.Event()

    async def wait(_request: Request) -> Response:
        await go.wait()
        return PlainTextResponse("done")

    app = Starlette(routes=[Route("/", wait), Route("/healthz", lambda _: PlainTextResponse("alive"))])
    metrics = WebMetrics(CollectorRegistry())
    observed = Observe(app, app.routes, metrics, access_log=False, most=2)
    async with client(observed) as calls:
        under_way = [asyncio.create_task(calls.get("/")) for _ in range(2)]
        await until(lambda: metrics.answering == 2)
        seen = measured(REQUESTS, metrics, SimpleNamespace(handshakes=()))
        refused = await calls.get("/")
        assert refused.headers["retry-after"] == "1"
        assert (await calls.get("/healthz")).status_code == 200
        go.set()
        assert [answer.status_code for answer in await asyncio.gather(*under_way)] == [200, 200]
        return Reached(code(refused), 2, seen)


@reaches("handshakes")
async def _(ground: Ground) -> Reached:
    async with running(ground.folder) as course:
        door = course.door
        door.most_handshakes, go = 1, asyncio.Event()
        redeem = door.sessions.redeem_ticket

        async def later(ticket: str) -> Any:
            await go.wait()
            return await redeem(ticket)

        door.sessions.redeem_ticket = later  # type: ignore[method-assign]
        head = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers = {**head, "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
        address = f"{course.url}/api/chat/ws?ticket={await course.ticket('ada')}"
        async with httpx.AsyncClient() as calls:
            first = asyncio.create_task(calls.get(address, headers=headers))
            await until(lambda: door.handshakes)
            seen = measured(HANDSHAKES, SimpleNamespace(answering=0), door)
            refused = await calls.get(address, headers=headers)
            go.set()
            assert (await first).status_code == 101
        return Reached(code(refused), 1, seen)


@reaches("head_bytes")
async def _(_ground: Ground) -> Reached:
    app = Starlette(routes=[Route("/", lambda _: PlainTextResponse("here"))])
    async with serving(app, http=bounded(8192)) as address, httpx.AsyncClient(base_url=address) as calls:
        assert (await calls.get("/", headers={"X-Some": "y" * 7000})).status_code == 200
        refused = await calls.get("/", headers={"X-Much": "y" * 9000})
    return Reached(code(refused), 8192)


class _Body(msgspec.Struct):
    text: str


@reaches("body_bytes")
async def _(_ground: Ground) -> Reached:
    calls = Calls()

    @calls.add("POST", "/said", access="none", body=_Body, repeats=Repeats("none", "a test"))
    async def said(_call: Call[_Body]) -> dict[str, str]:
        return {}

    async with client(create_app(cast("Any", None), calls.declared, None, ServerSettings(body_bytes=100))) as sender:
        assert (await sender.post("/said", json={"text": "x" * 80})).status_code == 200
        return Reached(code(await sender.post("/said", json={"text": "x" * 100})), 100)


def posted(body: bytes, kind: str) -> Request:
    """A request with a body."""

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}, receive)


async def _too_large(limit: Limit) -> Reached:
    try:
        await read_body(posted(b"x" * 101, "application/json"), 100, ("application/json",), limit)
    except errors.TooLarge as error:
        return Reached(answered(error), 100)
    raise AssertionError("not refused")


@reaches("scores_json")
async def _(_ground: Ground) -> Reached:
    return await _too_large(JSON_BYTES)


@reaches("events_body")
async def _(_ground: Ground) -> Reached:
    return await _too_large(EVENT_BYTES)


@reaches("form_bytes")
async def _(_ground: Ground) -> Reached:
    try:
        await read_form(posted(b"a=" + b"x" * 100, "application/x-www-form-urlencoded"), 100)
    except Refused as error:
        return Reached(f"{error.refusal.status} {error.refusal.code}", 100)
    raise AssertionError("not refused")


@reaches("token_bytes")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        lti = build_lti("http://tool.test", shards.directory, SystemClock(), LtiSettings(token_bytes=100))
        try:
            await verified("x" * 101, lti.keysets, "", 100)
        except Refused as error:
            return Reached(f"{error.refusal.status} {error.refusal.code}", 100)
        finally:
            await lti.close()
    raise AssertionError("not refused")


@reaches("logins")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        logins = Logins(shards.directory, ManualClock(), LtiSettings(logins_per_minute=10))
        for _ in range(10):
            logins.check_rate("10.0.0.1")
        try:
            logins.check_rate("10.0.0.1")
        except Refused as error:
            return Reached(f"{error.refusal.status} {error.refusal.code}", 10, fullest(logins.used(), "logins"))
    raise AssertionError("not refused")


async def counted(shards: Shards, name: str, settings: Settings | None = None) -> list[Used]:
    """What is counted in the databases of a limit."""
    limits = CountedLimits(settings or Settings())
    await limits.look(shards, SystemClock())
    return fullest(limits.used(), name)


@reaches("pending_logins")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        logins = Logins(shards.directory, SystemClock(), LtiSettings(pending_logins=10))
        for _ in range(12):
            await logins.begin(cast("Any", SimpleNamespace(id="p")), LoginRequest(
                iss="https://lms.test", login_hint="hint", target_link_uri="https://tool.test/"))  # fmt: skip
        seen = await counted(shards, "pending_logins")
        assert seen[0].value == 10
        return Reached("forgets", 10, seen)


@reaches("answer_bytes")
async def _(_ground: Ground) -> Reached:
    app = Starlette(routes=[Route("/keys", lambda _: PlainTextResponse("x" * 5000))])
    async with serving(app) as address:
        outbound = Outbound(Reach(loopback=True), 5.0, 4096)
        try:
            await outbound.get(f"{address}/keys")
        except OutboundFailed as error:
            return Reached(answered(error), 4096)
        finally:
            await outbound.close()
    raise AssertionError("not refused")


@reaches("scores_stream")
async def _(ground: Ground) -> Reached:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"user,activity,score,max,at\n"
        yield b"u1,quiz,1,1,2026-11-20T10:00:00Z\n" * 10

    async with databases(ground.folder) as shards:
        scores = Scores(shards, SystemClock(), AnalyticsSettings(stream_bytes=100))
        try:
            await scores.take_csv(KEY, pieces())
        except errors.TooLarge as error:
            return Reached(answered(error), 100)
    raise AssertionError("not refused")


@reaches("scores_memory")
async def _(_ground: Ground) -> Reached:
    books: Books[Any] = Books(100)
    for number in range(3):
        key = CourseKey.of("tenant", f"course {number}")
        book: Book[Any] = Book(frozenset())
        book.advance(1, SimpleNamespace(size=45), 0.0)
        books.begin(key, book)
        books.trim()
    assert books.size == 90
    return Reached("forgets", 100, [Used(MEMORY_BYTES, books.size)])


@reaches("events_backlog")
async def _(ground: Ground) -> Reached:
    async with databases(ground.folder) as shards:
        clock = SystemClock()
        events = Events(shards, clock, Queues(shards, clock, QueueSettings()), EventSettings(backlog=10))
        sender = Sender(KEY, "ada", learner=True)

        def sent(first: int, count: int) -> bytes:
            at = "2026-11-27T10:00:00Z"
            return msgspec.json.encode(
                {"events": [{"id": f"e{n}", "type": "opened", "at": at} for n in range(first, first + count)]}
            )

        await events.take(sender, sent(0, 9))
        seen = await counted(shards, "events_backlog")
        try:
            await events.take(sender, sent(20, 2))
        except errors.RateLimited as error:
            return Reached(answered(error), 10, seen)
    raise AssertionError("not refused")
