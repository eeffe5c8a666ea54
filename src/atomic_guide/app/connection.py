"""One HTTP connection: uvicorn's, with bounds that it does not set.

uvicorn's parser collects a request's line and header lines for as long as they come, without a limit of size or time:
one client that sends header lines and no end fills the memory, and thousands that send nothing use up the descriptors.
What it cannot parse it answers in plain text; here that has the shape of every other error.

An answer's head goes out with the first piece of its body, where uvicorn makes two writes and so two packets of it.

Guaranteed: a head is at most `head_bytes` and complete within `HEAD_SECONDS`, trailers included in the size. A reader
that does not take what waits for it within `TAKEN_SECONDS` loses its connection, and what was held for it is let go.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from atomic_guide import errors
from atomic_guide.web.bounds import HEAD_BYTES
from atomic_guide.web.problems import problem, raw

HEAD_SECONDS = 20.0
"""From the connection, or the first byte of a next request, to the end of its head; nginx waits 60."""


_JOINED = 64 * 1024
"""Bytes of a piece that are copied behind a head; a larger one makes many packets anyway."""
_STATUS, _CONTINUE = b"HTTP/1.1 ", b"HTTP/1.1 100 "


class _Joining:
    """What an answer is written to: its transport, with the head held until the body's first piece.

    A head that no piece follows in the same turn of the loop goes out at its end.
    """

    __slots__ = ("_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """Write, or hold."""
        if self._head is not None and len(data) <= _JOINED:
            data = self._head + data
            self._head = None
            self._transport.write(data)
        elif self._head is not None:
            self._flush()
            self._transport.write(data)
        elif data.startswith(_STATUS) and not data.startswith(_CONTINUE):
            self._head = data
            self._loop.call_soon(self._flush)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Close once everything is written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether nothing more is taken."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        if self._head is not None:
            head, self._head = self._head, None
            self._transport.write(head)


_LINE_BYTES = 4
"""Of a header line beside its name and value: without them, 65,000 lines of a letter each would be a small head."""

TAKEN_SECONDS = 60.0
"""How long a full buffer, 64 KiB, may stay full: 1 kB/s, where the sound of a lecture alone is eight times that."""


class BoundedConnection(HttpToolsProtocol):
    """uvicorn's protocol with bounded heads."""

    head_seconds: ClassVar[float] = HEAD_SECONDS
    taken_seconds: ClassVar[float] = TAKEN_SECONDS
    head_bytes: ClassVar[int] = 64 * 1024
    """Of an address and its header lines; the setting `server.head_bytes`."""

    _head = 0
    _silent = 0
    _too_large = False
    _timer: asyncio.TimerHandle | None = None
    _taking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._head_ended()
        self._taken()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The buffer is full; wait for so long that it is taken."""
        super().pause_writing()
        if self._taking is None:
            self._taking = self.loop.call_later(self.taken_seconds, self._reset)

    def resume_writing(self) -> None:
        """The reader has taken most of it."""
        self._taken()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse; bytes of which the parser says nothing are those that it holds."""
        self._silent += len(data)
        super().data_received(data)
        if self._silent > self.head_bytes and not self.transport.is_closing():
            self._too_large = True
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """A request begins."""
        self._head = 0
        self._await_head()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line, or a trailer after the body."""
        self._count(len(name) + len(value) + _LINE_BYTES)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        HEAD_BYTES.note(self._head)
        self._silent = 0
        self._head_ended()
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:
            self.cycle.transport = _Joining(self.transport, self.loop)  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._silent = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is there."""
        self._silent = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request of ours, and close. `msg` is uvicorn's, and says nothing."""
        del msg
        # In the middle of an answer, a second one would be taken for a part of it.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # None before the first
            error = (
                HEAD_BYTES.over(
                    errors.TooLarge(f"the address and header lines of a request are over {self.head_bytes} bytes")
                )
                if self._too_large
                else errors.Invalid("this is no proper HTTP request")
            )
            self.transport.write(raw(problem(error, {"Connection": "close"})))
        self.transport.close()

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the socket's protocol."""
        self._head_ended()
        super().handle_websocket_upgrade()

    def _count(self, size: int) -> None:
        self._silent = 0
        self._head += size
        if self._head > self.head_bytes:
            self._too_large = True
            HEAD_BYTES.note(self._head)
            # The parser ends with this, and uvicorn then calls `send_400_response`.
            message = "head too large"
            raise ValueError(message)

    def _await_head(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _reset(self) -> None:
        """End at once: closing would wait for the reader, and the kernel would go on holding what it was sent."""
        with contextlib.suppress(OSError):
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()

    def _taken(self) -> None:
        if self._taking is not None:
            self._taking.cancel()
            self._taking = None

    def _head_ended(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def bounded(head_bytes: int) -> type[BoundedConnection]:
    """The protocol with heads of at most so many bytes; uvicorn takes a class."""
    return type("BoundedConnection", (BoundedConnection,), {"head_bytes": head_bytes})
