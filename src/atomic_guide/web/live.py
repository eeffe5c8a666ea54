"""The console's live stream: server-sent events of what changed, each within two seconds.

One task of the process looks at the databases once a second while anybody listens, and nobody looks when nobody does.
What changed goes to every stream. A stream begins with the whole `overview` and `depth`, or with what was missed where
it comes back with a `Last-Event-ID` that is still known. It ends with its session, with the server, and where its
reader is slow.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import structlog
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.limit import Used
from atomic_guide.operations.operators.limits import OPERATOR_STREAMS, STREAMS
from atomic_guide.web.access import cookie_of
from atomic_guide.web.changes import Change, Depths, Seen, changes, look, whole
from atomic_guide.web.routing import Call, Calls, Media, Parameter

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from atomic_guide.operations.operators.sessions import OperatorSessions
    from atomic_guide.operations.operators.settings import OperatorSettings
    from atomic_guide.web.tool import Tool

calls = Calls()

_log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks; a change is told within two seconds, as a look takes 3 ms (one shard, SQLite)."""

HEARTBEAT_SECONDS = 10.0
"""How often something is sent in any case: proxies close what is silent for 30 s or more, a page notices after 25."""

SEND_SECONDS = 10.0
"""How long a reader may take to make room for an event."""

REMEMBERED = 200
"""Events that who comes back within a short time is sent again, 300 bytes each."""

_WAITING = 100
"""Events that a stream holds for its reader; then the reader is too slow."""

_AGAIN_SECONDS = 10.0
_BEAT = b"event: beat\ndata: {}\n\n"
_RETRY_MS = 2000


class Told(NamedTuple):
    """An event as it is sent: its number, and its text."""

    number: int
    text: bytes


class Stream:
    """One console. `cookie` is its session's, None for who came with the token."""

    def __init__(self, operator: str, cookie: str | None) -> None:
        self.operator = operator
        self.cookie = cookie
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue(_WAITING)

    def put(self, text: bytes) -> None:
        """Send an event; a reader that has not taken the last hundred is sent no more."""
        try:
            self.events.put_nowait(text)
        except asyncio.QueueFull:
            self.end("slow")

    def end(self, why: str) -> None:
        """End the stream, saying why where there is room to."""
        if self.events.full():
            while not self.events.empty():
                self.events.get_nowait()
        else:
            self.events.put_nowait(_text("bye", {"why": why}))
        if not self.events.full():
            self.events.put_nowait(None)


class Live:
    """The streams of a process."""

    def __init__(self, settings: OperatorSettings, sessions: OperatorSessions) -> None:
        self._settings = settings
        self._sessions = sessions
        self._streams: set[Stream] = set()
        self._looking: asyncio.Task[None] | None = None
        self._seen: Seen | None = None
        self._depths = Depths()
        self._told: deque[Told] = deque(maxlen=REMEMBERED)
        self._number = 0
        self._run = ""
        self._ended = False

    async def begin(self, tool: Tool, stream: Stream, last: str) -> None:
        """Begin a stream after the event `last`; `leave` ends it. Raises `RateLimited`, `Unavailable`."""
        self._check(stream)
        self._streams.add(stream)
        try:
            if self._looking is None:
                seen = await look(tool, self._depths)
                # Somebody else may have begun meanwhile.
                if self._looking is None:
                    self._run, self._seen = secrets.token_hex(4), seen
                    self._told.clear()
                    self._looking = asyncio.create_task(self._look(tool))
        except BaseException:
            self.leave(stream)
            raise
        for text in self._missed(last):
            stream.put(text)

    def leave(self, stream: Stream) -> None:
        """A stream has ended; when it was the last one, nobody looks any more."""
        self._streams.discard(stream)
        if not self._streams and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def end(self) -> None:
        """End every stream, as the server is about to; their pages come back to another process."""
        self._ended = True
        for stream in self._streams:
            stream.end("restart")

    def used(self) -> Iterator[Used]:
        """How many streams there are, and how many of the operator who has most."""
        by_operator = Counter(stream.operator for stream in self._streams)
        yield Used(STREAMS, len(self._streams))
        yield Used(OPERATOR_STREAMS, max(by_operator.values(), default=0))

    def _check(self, stream: Stream) -> None:
        if self._ended:
            raise errors.Unavailable("the server is ending; come back in a moment", retry_after=2)
        if len(self._streams) >= self._settings.streams:
            message = f"{len(self._streams)} consoles are open here already"
            raise STREAMS.over(errors.RateLimited(message, retry_after=_AGAIN_SECONDS))
        mine = sum(one.operator == stream.operator for one in self._streams)
        if mine >= self._settings.operator_streams:
            message = f"you have {mine} consoles open already; close one"
            raise OPERATOR_STREAMS.over(errors.RateLimited(message, retry_after=_AGAIN_SECONDS))

    def _missed(self, last: str) -> list[bytes]:
        """What a stream begins with: what came after an event that is still known, else the whole overview."""
        run, _, number = last.partition("-")
        known = run == self._run and number.isdigit() and int(number) <= self._number
        if known and int(number) >= self._number - len(self._told):
            return [told.text for told in self._told if told.number > int(number)]
        if self._seen is None:
            return []
        return [_text(one.kind, one.data, f"{self._run}-{self._number}") for one in whole(self._seen)]

    async def _look(self, tool: Tool) -> None:
        """Look once a second until cancelled; a database that is away is waited for."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                async with asyncio.timeout(30):
                    await self._end_signed_out()
                    now = await look(tool, self._depths)
            except Exception as error:  # noqa: BLE001 - whatever one look meets, the next one may not
                _log.warning("the console cannot be told of changes", error=repr(error))
                continue
            for change in changes(self._seen, now):
                self._tell(change)
            self._seen = now

    def _tell(self, change: Change) -> None:
        self._number += 1
        text = _text(change.kind, change.data, f"{self._run}-{self._number}")
        self._told.append(Told(self._number, text))
        for stream in self._streams:
            stream.put(text)

    async def _end_signed_out(self) -> None:
        """End the streams whose sessions have ended."""
        cookies = {stream.cookie for stream in self._streams if stream.cookie is not None}
        still = await self._sessions.still(cookies)
        for stream in list(self._streams):
            if stream.cookie is not None and stream.cookie not in still:
                stream.end("session")


class LiveResponse(Response):
    """A stream as an answer; it ends when its reader goes, does not take what is sent, or is ended."""

    media_type = "text/event-stream"

    def __init__(self, live: Live, stream: Stream) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        # It has no end that is known.
        del self.headers["content-length"]
        self._live = live
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the stream ends."""
        del scope
        gone = asyncio.create_task(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            await _send(send, f"retry: {_RETRY_MS}\n\n".encode())
            await _events(self._stream, gone, send)
            if not gone.done():
                await _send(send, b"", more=False)
        except TimeoutError:
            _log.info("a console took nothing and is cut off")
        finally:
            gone.cancel()
            self._live.leave(self._stream)


@calls.add(
    "GET",
    "/api/ops/live",
    access="operator",
    reply=Media("text/event-stream"),
    failures=(401, 429, 503),
    parameters=(
        Parameter("Last-Event-ID", {"type": "string", "maxLength": 40}, "Where a stream goes on.", place="header"),
    ),
)
async def stream_changes(call: Call[None]) -> Response:
    """Stream what changes, as server-sent events: overview, decision, alert, queue, depth, sample."""
    if call.request.method == "HEAD":
        return Response(media_type=LiveResponse.media_type)
    cookie = None if "authorization" in call.request.headers else cookie_of(call.request)
    stream = Stream(call.operator.id, cookie)
    live = call.tool.operators.live
    await live.begin(call.tool, stream, call.request.headers.get("last-event-id", ""))
    return LiveResponse(live, stream)


async def _events(stream: Stream, gone: asyncio.Task[None], send: Send) -> None:
    """Send what a stream is given, and something each ten seconds in any case."""
    while True:
        taking = asyncio.create_task(stream.events.get())
        await asyncio.wait({taking, gone}, timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            taking.cancel()
            if gone.done():
                return
            await _send(send, _BEAT)
            continue
        text = taking.result()
        if text is None or gone.done():
            return
        await _send(send, text)


async def _send(send: Send, text: bytes, *, more: bool = True) -> None:
    """Send a piece. Raises `TimeoutError` for a reader that makes no room for it."""
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": text, "more_body": more})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _text(kind: str, data: Any, name: str = "") -> bytes:
    """An event as the standard writes it."""
    head = f"id: {name}\n" if name else ""
    return f"{head}event: {kind}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()
