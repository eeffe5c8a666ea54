"""Accepting WebSockets on the server's own port.

uvicorn hands every upgrade over as `ws_protocol_class(config=, server_state=, app_state=)`, then calls
`connection_made(transport)` and `data_received(head)`. `SocketDoor.protocol` is that factory. The door checks
path, headers, origin and ticket, answers with plain HTTP what it refuses, and otherwise puts a
`rooms.socket.Socket` onto the transport and forgets about it.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, MutableSet
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs, urlsplit

import structlog
from websockets.datastructures import Headers
from websockets.http11 import Request
from websockets.server import ServerProtocol

from atomic_guide import errors, tracing
from atomic_guide.engines.rooms import deflate
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.socket import Socket
from atomic_guide.web.bounds import HANDSHAKES
from atomic_guide.web.crossing import check_socket
from atomic_guide.web.limits import client_address, is_loopback, networks
from atomic_guide.web.problems import problem, raw

if TYPE_CHECKING:
    from atomic_guide.regions.here import Here
    from atomic_guide.web.chat import Chat
    from atomic_guide.web.sessions import Session, Sessions

_log = structlog.get_logger(__name__)

PATH = "/api/chat/ws"
HANDSHAKE_SECONDS = 10.0

_TICKET = re.compile(r"[A-Za-z0-9_-]{20,100}")
_SEQ = re.compile(r"[0-9]{1,16}")


class SocketDoor:
    """What a handshake is checked against.

    `origins` are the pages that may open a socket, such as `https://guide.example.edu`; a client that sends no
    Origin is no browser and needs only its ticket. `trusted_proxies` are addresses or networks.
    """

    def __init__(
        self,
        sessions: Sessions,
        chat: Chat,
        origins: Iterable[str],
        trusted_proxies: Iterable[str] = (),
        most_handshakes: int = 2000,
    ) -> None:
        self.sessions = sessions
        self.chat = chat
        self.origins = frozenset(origin.lower() for origin in origins)
        self.trusted = networks(trusted_proxies)
        self.most_handshakes = most_handshakes
        self.handshakes: set[asyncio.Task[None]] = set()
        self._regions: Here | None = None

    def cross(self, regions: Here) -> None:
        """From now on, send tickets of other regions there, as long as those are there."""
        self._regions = regions

    def protocol(self, *, config: Any, server_state: Any, app_state: Any) -> asyncio.Protocol:
        """A protocol for one upgrade, as uvicorn asks for it."""
        del config, app_state
        return _Handshake(self, server_state.connections)

    async def admit(self, request: Request, address: str) -> Session:
        """The session that a request's ticket stands for.

        Raises `Forbidden` for another site's page, `Unauthenticated` without a valid ticket, `RateLimited` when
        there were too many of those from the address, `WrongRegion` where the ticket came from another region.
        """
        origins = request.headers.get_all("Origin")
        if any(origin.lower() not in self.origins for origin in origins):
            message = "this page may not open a socket here"
            raise errors.Forbidden(message)
        ticket = parse_qs(urlsplit(request.path).query).get("ticket", [""])[0]
        if not _TICKET.fullmatch(ticket):
            self.chat.limits.check_refused(address)
            message = "the socket needs a ticket; get one with POST /api/chat/ticket"
            raise errors.Unauthenticated(message)
        try:
            session = await self.sessions.redeem_ticket(ticket)
        except errors.Unauthenticated:
            self.chat.limits.check_refused(address)
            raise
        if self._regions is not None:
            check_socket(self._regions, address, session.tenant, session.region)
        return session


class _Handshake(asyncio.Protocol):
    """A connection between its upgrade request and the answer."""

    def __init__(self, door: SocketDoor, connections: MutableSet[Any]) -> None:
        self._door = door
        self._connections = connections
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from HTTP."""
        # uvloop's transports have the methods and are no subclasses.
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        """The request's head, complete, as uvicorn has parsed it; a client has nothing more to say before the 101."""
        transport = self._transport
        if transport is None or self._task is not None:
            return
        transport.pause_reading()
        if len(self._door.handshakes) >= self._door.most_handshakes:
            refusal = errors.Unavailable("too many sockets are being opened", retry_after=2)
            self._refuse(transport, HANDSHAKES.over(refusal))
            return
        self._task = asyncio.create_task(self._open(transport, data))
        self._door.handshakes.add(self._task)
        self._task.add_done_callback(self._door.handshakes.discard)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client has gone before it was answered."""
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def shutdown(self) -> None:
        """The server stops: nobody new."""
        if self._transport is not None:
            self._transport.close()

    async def _open(self, transport: asyncio.Transport, head: bytes) -> None:
        try:
            with tracing.span("socket open", "server", tracing.ROOT):
                async with asyncio.timeout(HANDSHAKE_SECONDS):
                    request = _parse(head)
                    compressed = self._compressed(request)
                    answer = _answer(request, compressed=compressed)
                    after, revision = _number(request, "after"), _number(request, "revision")
                    session = await self._door.admit(request, self._address(transport, request))
                    context = await self._door.chat.reading(session.bookmark)
        except errors.GuideError as error:
            self._refuse(transport, error)
            return
        except TimeoutError:
            self._refuse(transport, errors.Unavailable("the ticket could not be checked in time", retry_after=5))
            return
        except Exception:  # noqa: BLE001 - logged; the client must get an answer
            _log.exception("a handshake failed")
            self._refuse(transport, errors.GuideError("something went wrong here"))
            return
        # From here on the connection is the room's; this task must not be cancelled with it.
        self._connections.discard(self)
        self._task = None
        if transport.is_closing():
            return
        rooms = self._door.chat.rooms
        person = Person(session.user, session.name, session.role)
        socket = Socket(rooms, transport, person, session.ends_at, self._connections, context)
        if compressed:
            socket.compress()
        transport.set_protocol(socket)
        transport.write(answer)
        await rooms.join(session.key, socket, after, revision)

    def _compressed(self, request: Request) -> bool:
        """Whether messages may be compressed: where the client offers it as we can do it, and the settings want it."""
        if not self._door.chat.rooms.settings.compress_from:
            return False
        try:
            return deflate.agree(request.headers.get_all("Sec-WebSocket-Extensions"))
        except ValueError as error:
            raise errors.Invalid(f"Sec-WebSocket-Extensions cannot be read: {error}") from error

    def _address(self, transport: asyncio.Transport, request: Request) -> str:
        peer = transport.get_extra_info("peername")
        forwarded = ",".join(request.headers.get_all("X-Forwarded-For"))
        return client_address(str(peer[0]) if isinstance(peer, tuple) else "", forwarded, self._door.trusted)

    def _refuse(self, transport: asyncio.Transport, error: errors.GuideError) -> None:
        if transport.is_closing():
            return
        headers = {"Connection": "close"}
        if isinstance(error, errors.UpgradeRequired):
            headers |= {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        transport.write(raw(problem(error, headers)))
        transport.close()


def own_origins(public_url: str) -> frozenset[str]:
    """The origins of the server's own pages: its public address, and on a loopback address its other names."""
    parts = urlsplit(public_url)
    names = {parts.hostname or ""}
    if is_loopback(parts.hostname or ""):
        names |= {"localhost", "127.0.0.1", "::1"}
    default = {"http": 80, "https": 443}.get(parts.scheme)
    port = "" if parts.port in {None, default} else f":{parts.port}"
    return frozenset(f"{parts.scheme}://{f'[{name}]' if ':' in name else name}{port}".lower() for name in names)


def _parse(head: bytes) -> Request:
    """The head that uvicorn has checked and written anew: a request line and `name: value` lines."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, protocol = first.split(" ", 2)
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name] = value.strip()
    return Request(target, headers, method=method, protocol=protocol)


def _answer(request: Request, *, compressed: bool) -> bytes:
    """The 101 for a proper upgrade of our path. Raises the error for anything else."""
    if urlsplit(request.path).path != PATH:
        raise errors.NotFound(f"there is no socket at {urlsplit(request.path).path}")
    protocol = ServerProtocol()
    response = protocol.accept(request)
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        if compressed:
            response.headers["Sec-WebSocket-Extensions"] = deflate.ANSWER
        return response.serialize()
    if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        raise errors.MethodNotAllowed("a socket is opened with GET")
    if response.status_code == HTTPStatus.UPGRADE_REQUIRED or "Version" in str(protocol.handshake_exc):
        raise errors.UpgradeRequired("this address speaks version 13 of WebSocket")
    raise errors.Invalid("this is no proper WebSocket handshake")


def _number(request: Request, name: str) -> int | None:
    text = parse_qs(urlsplit(request.path).query, keep_blank_values=True).get(name, [None])[0]
    if text is None:
        return None
    if not _SEQ.fullmatch(text):
        raise errors.Invalid(f"{name} must be a whole number", details={"parameter": name})
    return int(text)
