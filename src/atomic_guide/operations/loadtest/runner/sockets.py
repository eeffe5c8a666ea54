"""Sockets that are held open, and how long messages take to reach them.

A socket is a greenlet that waits in `recv` and looks through what has come: frames are found by their heads, and of a
message only the mark that the sender put into it is read, which takes 2 us in place of 20 for decoding its JSON. Since
many frames come with one read, 10,000 deliveries a second are a tenth of a core.
"""

from __future__ import annotations

import base64
import os
import random
import time
from typing import TYPE_CHECKING, Any

import gevent
import msgspec
from gevent.event import AsyncResult

from atomic_guide.operations.loadtest.counts import TIMEOUT
from atomic_guide.operations.loadtest.runner.client import CLOSED, UNEXPECTED, Failed, kind_of
from atomic_guide.operations.loadtest.runner.people import JSON

if TYPE_CHECKING:
    from collections.abc import Callable

    from atomic_guide.operations.loadtest.runner.client import Client
    from atomic_guide.operations.loadtest.runner.people import Person
    from atomic_guide.operations.loadtest.runner.recording import Recorder

_BUFFER = memoryview(bytearray(262_144))
"""What a read fills. Of all sockets: nobody else runs between a read and the end of looking through it."""

_MARK = b'"content":"lt '
_SEQ = b'"seq":'
_TEXT, _CLOSE, _PING = 0x1, 0x8, 0x9
_MEDIUM, _LONG = 126, 127
_AGAIN_SECONDS = 2.0
"""Mean time until a lost socket comes back, spread so that not all come at once."""


class _Socket:
    """One socket that is open."""

    __slots__ = ("connection", "person", "rest", "seq")

    def __init__(self, person: Person) -> None:
        self.person = person
        self.connection: Any = None
        self.rest = b""
        self.seq = 0


class Sockets:
    """All sockets of a tester."""

    def __init__(self, client: Client, recorder: Recorder, part: int, timeout: float) -> None:
        self._client = client
        self._recorder = recorder
        self._mark = f"{part}.".encode()
        self._timeout = timeout
        self._open: list[_Socket] = []
        self._waiting: dict[str, AsyncResult] = {}
        self._greenlets: list[Any] = []
        self._delivered = recorder.adder("delivery")
        self._chance = random.Random(part)
        self._closing = False
        self.began = 0.0
        self.stage: Callable[[float], int] = lambda _at: 0

    def hold(self, person: Person) -> None:
        """Open a socket for somebody and keep it; a lost one comes back. Raises `Failed` where it does not open."""
        socket = _Socket(person)
        self._connect(socket)
        self._greenlets.append(gevent.spawn(self._kept, socket))

    def say(self, identifier: str, content: str, timeout: float) -> None:
        """Send a message by one of the sockets, and wait until it is acknowledged. Raises `Failed`."""
        if not self._open:
            raise Failed(CLOSED)
        socket = self._chance.choice(self._open)
        answer = self._waiting[identifier] = AsyncResult()
        try:
            frame = msgspec.json.encode({"type": "message", "id": identifier, "data": {"content": content}})
            socket.connection.sendall(_masked(_TEXT, frame))
            code = answer.get(timeout=timeout)
        except gevent.Timeout as error:
            raise Failed(TIMEOUT) from error
        except OSError as error:
            raise Failed(kind_of(error)) from error
        finally:
            del self._waiting[identifier]
        if code:
            raise Failed(code)

    def close(self) -> None:
        """End them all."""
        self._closing = True
        for socket in self._open:
            socket.connection.close()
        gevent.killall(self._greenlets, timeout=2)

    def _connect(self, socket: _Socket) -> None:
        began = time.monotonic()
        name = "socket"
        try:
            with gevent.Timeout(self._timeout):
                ticket = self._client.post("/api/chat/ticket", JSON, b"", socket.person.authorization).check(200, 201)
                self._upgrade(socket, msgspec.json.decode(ticket.body)["ticket"])
        except (gevent.Timeout, Failed, OSError, msgspec.DecodeError, KeyError, TypeError) as error:
            kind = error.kind if isinstance(error, Failed) else TIMEOUT
            if isinstance(error, OSError):
                kind = kind_of(error)
            self._recorder.failed(self._stage_now(), name, kind, time.monotonic() - began)
            raise error if isinstance(error, Failed) else Failed(kind) from error
        self._recorder.done(self._stage_now(), name, time.monotonic() - began)
        self._open.append(socket)
        self._recorder.sockets += 1

    def _upgrade(self, socket: _Socket, ticket: str) -> None:
        connection = self._client.target.connect()
        try:
            after = f"&after={socket.seq}" if socket.seq else ""
            connection.sendall(
                f"GET /api/chat/ws?ticket={ticket}{after} HTTP/1.1\r\n".encode()
                + b"Host: " + self._client.target.name + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(os.urandom(16)) + b"\r\n\r\n"
            )  # fmt: skip
            socket.rest = _upgraded(connection)
        except BaseException:
            connection.close()
            raise
        socket.connection = connection

    def _kept(self, socket: _Socket) -> None:
        while not self._closing:
            kind = self._listen(socket)
            self._open.remove(socket)
            self._recorder.sockets -= 1
            socket.connection.close()
            while not self._closing:
                if kind:
                    self._recorder.failed(self._stage_now(), "socket", kind, 0.0)
                gevent.sleep(self._chance.uniform(0.5, 1.5) * _AGAIN_SECONDS)
                try:
                    self._connect(socket)
                except Failed:
                    kind = ""
                    continue
                break

    def _listen(self, socket: _Socket) -> str:
        """Look through what comes until the socket ends; how it ended."""
        receive = socket.connection.recv_into
        if socket.rest:
            socket.rest = self._looked(socket, socket.rest)
        while True:
            try:
                size = receive(_BUFFER)
            except OSError as error:
                return "" if self._closing else kind_of(error)
            if not size:
                return CLOSED
            data = bytes(_BUFFER[:size])
            try:
                socket.rest = self._looked(socket, socket.rest + data if socket.rest else data)
            except Failed as error:
                return error.kind

    def _looked(self, socket: _Socket, data: bytes) -> bytes:
        """Count the messages in what has come; returns the frame that is not whole yet. Raises `Failed` at its end."""
        now = time.monotonic() - self.began
        at, size = 0, len(data)
        while size - at >= 2:  # noqa: PLR2004 - the least head of a frame
            length, begin = data[at + 1], at + 2
            if length == _MEDIUM:
                length, begin = int.from_bytes(data[begin : begin + 2], "big"), begin + 2
            elif length == _LONG:
                length, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
            end = begin + length
            if end > size:
                break
            opcode = data[at] & 0x0F
            if opcode == _TEXT:
                self._text(socket, data, begin, end, now)
            elif opcode == _PING:
                socket.connection.sendall(_masked(0xA, data[begin:end]))
            elif opcode == _CLOSE:
                raise Failed(f"close_{int.from_bytes(data[begin : begin + 2], 'big')}")
            at = end
        return data[at:] if at < size else b""

    def _stage_now(self) -> int:
        return self.stage(time.monotonic() - self.began)

    def _text(self, socket: _Socket, data: bytes, begin: int, end: int, now: float) -> None:
        mark = data.find(_MARK, begin, end)
        if mark >= 0 and data.startswith(b'{"type":"message"', begin):
            at = data.find(_SEQ, begin, mark) + len(_SEQ)
            seq = int(data[at : data.find(b",", at, end)])
            if socket.seq and seq != socket.seq + 1:
                self._recorder.failed(self.stage(now), "delivery", "gap" if seq > socket.seq else "again", 0.0)
            socket.seq = max(seq, socket.seq)
            mark += len(_MARK)
            # Another tester's clock says nothing here.
            if data.startswith(self._mark, mark):
                due = int(data[mark + len(self._mark) : data.find(b" ", mark, end)]) * 1e-6
                self._delivered(self.stage(due), now - due)
        elif self._waiting and data.startswith((b'{"type":"ack"', b'{"type":"error"'), begin):
            self._answered(data[begin:end])

    def _answered(self, frame: bytes) -> None:
        try:
            told = msgspec.json.decode(frame)
            waiting = self._waiting.get(told.get("id") or told["data"].get("id"))
            if waiting is not None:
                waiting.set("" if told["type"] == "ack" else str(told["data"]["code"]).lower())
        except (msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            raise Failed(UNEXPECTED) from error


def _upgraded(connection: Any) -> bytes:
    """Read the answer to a handshake; returns what has come behind it. Raises `Failed` where it is refused."""
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(4096)
        if not data:
            raise Failed(CLOSED)
        head += data
    answer, _, rest = head.partition(b"\r\n\r\n")
    status = answer.split(b" ", 2)[1].decode("latin-1")
    if status != "101":
        raise Failed(f"http_{status}")
    return rest


def _masked(opcode: int, payload: bytes) -> bytes:
    """A client's frame (RFC 6455, 5.3)."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < _MEDIUM else bytes([0x80 | _MEDIUM]) + size.to_bytes(2, "big")
    key = os.urandom(4)
    stream = (key * (size // 4 + 1))[:size]
    hidden = int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")
    return bytes([0x80 | opcode]) + length + key + hidden.to_bytes(size, "big")
