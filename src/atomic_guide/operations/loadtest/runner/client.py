"""HTTP/1.1 over gevent's sockets, with as little as a load tester needs.

A connection serves one request at a time and is kept for the next one. How many there are is bounded by the arrivals
in flight and by nothing else: a pool that waited for a free connection would make the next arrival depend on the
answers to those before.
"""

from __future__ import annotations

import errno
import socket
import ssl
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import gevent
import httptools

from atomic_guide.operations.loadtest.counts import TIMEOUT

_IDLE_SECONDS = 4.0
"""A connection that was not used for so long is not used again: uvicorn closes it after 5 s, nginx after 75."""

_CHUNK = 65_536
_RESOLVED = 16

REFUSED, CLOSED, UNREACHABLE, TLS, UNEXPECTED = "refused", "closed", "unreachable", "tls", "unexpected"


class Failed(Exception):
    """A request failed; `kind` is its class of error, as reports count it."""

    def __init__(self, kind: str, retry_after: float = 0.0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after = retry_after


class Broken(Exception):
    """The tester itself cannot go on; the message says why."""


class Reply(NamedTuple):
    """An answer that was read to its end; names of headers are in lower case."""

    status: int
    headers: dict[bytes, list[bytes]]
    body: bytes

    def first(self, name: bytes) -> bytes:
        """The first value of a header; empty where there is none."""
        return self.headers.get(name, [b""])[0]

    def check(self, *statuses: int) -> Reply:
        """The same; raises `Failed` with the status as its class where it is none of these."""
        if self.status not in statuses:
            wait = self.first(b"retry-after")
            raise Failed(f"http_{self.status}", float(wait) if wait.isdigit() else 0.0)
        return self


class Target:
    """Where requests go: the addresses of a host, looked up once, taken in turns."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.tls = parts.scheme == "https"
        self.host = parts.hostname or ""
        port = parts.port or (443 if self.tls else 80)
        self.name = parts.netloc.encode()
        try:
            found = socket.getaddrinfo(self.host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise Failed(UNREACHABLE) from error
        self._addresses = found[:_RESOLVED]
        self._turn = 0
        self._context = ssl.create_default_context() if self.tls else None

    def connect(self) -> Any:
        """A new connected socket. Raises `Failed`."""
        family, kind, protocol, _, address = self._addresses[self._turn % len(self._addresses)]
        self._turn += 1
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(address)
            return self._context.wrap_socket(made, server_hostname=self.host) if self._context else made
        except ssl.SSLError as error:
            made.close()
            raise Failed(TLS) from error
        except OSError as error:
            made.close()
            raise Failed(kind_of(error)) from error
        except BaseException:
            made.close()
            raise


def kind_of(error: OSError) -> str:
    """The class of a socket's error."""
    if error.errno == errno.ECONNREFUSED:
        return REFUSED
    if error.errno in {errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN, errno.ESHUTDOWN, errno.EBADF}:
        return CLOSED
    return TIMEOUT if error.errno == errno.ETIMEDOUT else UNREACHABLE


class _Connection:
    """One connection, and the answer that is being read from it."""

    __slots__ = ("_body", "_done", "_headers", "_keeps", "_parser", "_socket", "idle_since", "used")

    def __init__(self, opened: Any) -> None:
        self._socket = opened
        self._parser = httptools.HttpResponseParser(self)
        self.idle_since = 0.0
        self.used = False
        self._keeps = True

    def exchange(self, request: bytes) -> Reply:
        """Send a request and read its answer. Raises `Failed`; the connection is of no use then."""
        self._headers: dict[bytes, list[bytes]] = {}
        self._body: list[bytes] = []
        self._done = False
        try:
            # A request fits into the kernel's buffer nearly always; `sendall` asks for its size each time.
            sent = self._socket.send(request)
            if sent < len(request):
                self._socket.sendall(request[sent:])
            while not self._done:
                data = self._socket.recv(_CHUNK)
                if not data:
                    raise Failed(CLOSED)
                self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise Failed(UNEXPECTED) from error
        except OSError as error:
            raise Failed(kind_of(error)) from error
        self.used = True
        return Reply(self._parser.get_status_code(), self._headers, b"".join(self._body))

    @property
    def begun(self) -> bool:
        """Whether anything of the answer has come."""
        return bool(self._headers)

    @property
    def keeps(self) -> bool:
        """Whether the server keeps it open."""
        return self._keeps

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    # What httptools calls.

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self._headers.setdefault(name.lower(), []).append(value)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The answer's end."""
        self._done = True
        self._keeps = self._parser.should_keep_alive()


class Client:
    """Requests to a target, each given up after `timeout` seconds."""

    def __init__(self, target: Target, timeout: float) -> None:
        self.target = target
        self._timeout = timeout
        self._idle: list[_Connection] = []
        self._tail = b" HTTP/1.1\r\nHost: " + target.name + b"\r\nUser-Agent: atomic-guide-loadtest\r\n"

    def get(self, path: str, headers: bytes = b"") -> Reply:
        """GET; `headers` are whole lines."""
        return self._send(b"GET " + path.encode() + self._tail + headers + b"\r\n")

    def post(self, path: str, kind: bytes, body: bytes, headers: bytes = b"") -> Reply:
        """POST a body of a content type; `headers` are whole lines."""
        length = str(len(body)).encode()
        head = b"Content-Type: " + kind + b"\r\nContent-Length: " + length + b"\r\n" + headers + b"\r\n"
        return self._send(b"POST " + path.encode() + self._tail + head + body)

    def close(self) -> None:
        """Close what is kept."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    def _send(self, request: bytes) -> Reply:
        try:
            with gevent.Timeout(self._timeout):
                return self._tried(request)
        except gevent.Timeout as error:
            raise Failed(TIMEOUT) from error

    def _tried(self, request: bytes) -> Reply:
        connection = self._kept()
        if connection is not None:
            try:
                return self._exchange(connection, request)
            except Failed as error:
                # The server may close a kept connection at the very moment at which it is used; browsers try again.
                if error.kind != CLOSED or connection.begun:
                    raise
        return self._exchange(_Connection(self.target.connect()), request)

    def _exchange(self, connection: _Connection, request: bytes) -> Reply:
        try:
            reply = connection.exchange(request)
        except BaseException:
            connection.close()
            raise
        if connection.keeps:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.close()
        return reply

    def _kept(self) -> _Connection | None:
        oldest = time.monotonic() - _IDLE_SECONDS
        while self._idle:
            # The last one that was put back: those that are left over grow old and are closed.
            connection = self._idle.pop()
            if connection.idle_since >= oldest:
                return connection
            connection.close()
        return None
