"""One WebSocket after its handshake: an asyncio protocol without task, queue or timer of its own.

Reading is parsed in place and handed to the room. Writing goes straight to the kernel; a peer that does not take it
at once has a `Backlog`, whose size decides what it still gets. Time is kept by `Rooms.sweep`, once for all sockets.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import socket as sockets
from collections.abc import MutableSet
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide import errors
from atomic_guide.engines.rooms import limits, wire
from atomic_guide.engines.rooms.budget import Rate
from atomic_guide.engines.rooms.lag import Backlog, Lag
from atomic_guide.engines.rooms.line import Line
from atomic_guide.engines.rooms.wire import CloseCode

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.presence import Person
    from atomic_guide.engines.rooms.registry import Rooms
    from atomic_guide.engines.rooms.room import Room

OPEN, CLOSING, LOST = "open", "closing", "lost"

_DISCARD_SECONDS = 1.0
"""How long what follows a broken frame is thrown away; enough for a closing frame to cross the world twice."""

_UNSENT_IN_KERNEL = 128 * 1024
"""Bytes beyond the peer's window that the kernel may hold for a socket; it would take 4 MB, which nobody would see."""

_PING = wire.frame(wire.PING, b"")


class Socket(asyncio.Protocol):
    """A person's connection to a room.

    `ends_at` is when the session behind it ends (seconds since the epoch). `connections` is a web server's set
    of what it has to end when it stops, with `shutdown()`; the socket is in it while it is connected. What its frames
    ask of the conversation runs in `context`, if there is one.
    """

    __slots__ = (
        "backlog",
        "compresses",
        "connections",
        "context",
        "deadline",
        "ends_at",
        "faults",
        "frames",
        "heard_at",
        "line",
        "pages",
        "person",
        "pinged",
        "reader",
        "room",
        "rooms",
        "since",
        "slow",
        "state",
        "transport",
        "waiting",
        "writable",
    )

    def __init__(
        self,
        rooms: Rooms,
        transport: asyncio.Transport,
        person: Person,
        ends_at: float,
        connections: MutableSet[Any],
        context: contextvars.Context | None = None,
    ) -> None:
        self.rooms = rooms
        self.transport = transport
        self.person = person
        self.ends_at = ends_at
        self.connections = connections
        self.context = context
        self.reader: wire.FrameReader | None = wire.FrameReader(rooms.settings.frame_limit)
        self.compresses = False
        """Whether large frames for the room are compressed for this peer."""
        self.room: Room | None = None
        self.since = 0
        """The moment at which it entered the room, in microseconds since the epoch."""
        self.state = OPEN
        self.heard_at = rooms.clock.monotonic()
        self.pinged = False
        self.deadline = 0.0
        self.backlog: Backlog | None = None
        """What the peer has left unsent; None while it keeps up."""
        self.slow = False
        """Whether that is more than `soft_buffer`."""
        self.writable: asyncio.Event | None = None
        self.waiting = 0
        self.pages = 0
        self.frames = 0.0
        self.faults = 0.0
        self.line = _line(transport)
        """Where it may be written to while there is no backlog; None where only the transport may."""
        # At 0 the transport says at once when the first byte is left to it, and when the last one has gone.
        transport.set_write_buffer_limits(high=0 if self.line is not None else rooms.settings.soft_buffer)
        connections.add(self)
        rooms.sockets.add(self)

    def compress(self) -> None:
        """Compression was agreed on in the handshake."""
        self.compresses = True
        self.reader = wire.FrameReader(self.rooms.settings.frame_limit, deflate=True)

    # --- what the transport calls

    def data_received(self, data: bytes) -> None:
        """Parse what has come and act on each frame."""
        self.heard_at = self.rooms.clock.monotonic()
        self.pinged = False
        if self.reader is None:
            return
        try:
            for opcode, payload in self.reader.feed(data):
                if opcode == wire.CLOSE:
                    self._answer_close(wire.read_close(payload))
                    return
                if self.state == OPEN:
                    self._on_frame(opcode, payload)
        except wire.WireError as error:
            self._give_up(error)

    def pause_writing(self) -> None:
        """The peer does not take what it is sent as fast as it comes."""
        if self.backlog is None:
            self.backlog = Backlog(self.transport.get_write_buffer_size(), self.rooms.clock.monotonic())
            if self.room is not None:
                self.room.live.place(self)
        self._weigh()

    def resume_writing(self) -> None:
        """It has caught up."""
        self.backlog = None
        self.slow = False
        self.read()
        if self.room is not None:
            self.room.live.place(self)
        if self.writable is not None:
            self.writable.set()

    def eof_received(self) -> bool:
        """The peer closed its side; so do we."""
        return False

    def connection_lost(self, _exc: Exception | None) -> None:
        """Forget the socket."""
        self.state = LOST
        self.connections.discard(self)
        self.rooms.lost(self)
        self._leave()
        if self.writable is not None:
            self.writable.set()

    def shutdown(self) -> None:
        """The web server stops: say a resumable goodbye."""
        self.rooms.begin_drain()

    # --- what rooms call

    def send(self, data: bytes, frames: int = 1) -> None:
        """Write frames; what the peer does not take waits in the transport, in order."""
        if self.backlog is not None:
            self.backlog.add(len(data), frames, self.rooms.clock.monotonic())
        try:
            self.transport.write(data)
        except RuntimeError:
            # The handle is closed and connection_lost is on its way; whoever else is written to must get theirs.
            return
        if self.backlog is not None:
            self._weigh()

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not taken."""
        return self.transport.get_write_buffer_size() if self.backlog is not None else 0

    def lag(self) -> Lag | None:
        """How far the peer is behind; None while it keeps up."""
        if self.backlog is None:
            return None
        return self.backlog.lag(self.unsent, self.rooms.clock.monotonic())

    def error(self, failure: errors.GuideError, identifier: str | None) -> None:
        """Tell the client what it may not do; too many faults in a minute close the socket."""
        data: dict[str, str | float] = {"code": failure.code, "message": failure.message}
        if identifier is not None:
            data["id"] = identifier
        if failure.retry_after is not None:
            data["retry_after"] = max(round(failure.retry_after, 3), 0.001)
        if self.state == OPEN:
            self.send(wire.text_frame("error", data, identifier))
            self._count_fault()

    def bye(self, reason: str, code: int, least: float, spread: float = 1.0) -> None:
        """Close with a goodbye that says when to come again: `least` to `least + spread` seconds, not all at once."""
        data = {"reason": reason, "retry_after": round(least + random.uniform(0.0, spread), 3)}
        self.close(code, reason, first=wire.text_frame("bye", data))

    def close(self, code: int, reason: str = "", first: bytes = b"") -> None:
        """Begin the closing handshake; `Rooms.sweep` ends it where the peer does not answer."""
        if self.state != OPEN:
            return
        self._closing()
        self.send(first + wire.close_frame(code, reason))

    def abort(self) -> None:
        """Cut the connection."""
        self._leave()
        self.state = LOST
        self.transport.abort()

    async def drained(self, limit: float) -> bool:
        """Wait until the peer has taken what was sent; False where it has not within `limit` seconds."""
        if self.backlog is None:
            return True
        self.writable = asyncio.Event()
        try:
            async with asyncio.timeout(limit):
                await self.writable.wait()
        except TimeoutError:
            return False
        finally:
            self.writable = None
        return self.state == OPEN

    def message_began(self) -> None:
        """A message is on its way to the database; with too many of them the socket is not read."""
        self.waiting += 1
        if self.waiting >= self.rooms.settings.waiting_messages:
            self.stop_reading()

    def message_ended(self) -> None:
        """It has arrived there, or failed."""
        self.waiting -= 1
        self.read()

    def stop_reading(self) -> None:
        """Leave what the peer sends in the kernel's buffers, which slows it down."""
        if self.state != LOST and not self.transport.is_closing():
            self.transport.pause_reading()

    def read(self) -> None:
        """Read again, where nothing speaks against it; a closing socket is read for the peer's closing frame."""
        if self.state == LOST or self.transport.is_closing():
            return
        busy = self.slow or self.room is None or self.waiting >= self.rooms.settings.waiting_messages
        if not busy or self.state == CLOSING:
            self.transport.resume_reading()

    def keep_alive(self, now: float, epoch: float) -> None:
        """What time asks for: a ping, the end of a silent or unfinished connection, the end of the session."""
        settings = self.rooms.settings
        if self.state == CLOSING:
            if now >= self.deadline:
                self.abort()
        elif now - self.heard_at >= settings.silence_seconds:
            self.abort()
        elif epoch >= self.ends_at:
            self.close(CloseCode.POLICY_VIOLATION, "the session has ended; open the course again")
        elif not self.pinged and now - self.heard_at >= settings.ping_seconds:
            self.pinged = True
            self.send(_PING)

    # --- inside

    def _weigh(self) -> None:
        """Judge the backlog: who does not take answers is not asked for more."""
        lag = self.lag()
        if lag is not None and lag.bytes > self.rooms.settings.soft_buffer and not self.slow:
            self.slow = True
            self.stop_reading()

    def _on_frame(self, opcode: int, payload: bytes) -> None:
        now = self.rooms.clock.monotonic()
        self.frames, wait = Rate(self.rooms.settings.frames_per_minute).spend(self.frames, now)
        if wait:
            failure = errors.RateLimited("too many frames; send fewer", retry_after=wait)
            self.error(limits.SOCKET_FRAMES.over(failure), None)
        elif opcode == wire.PING:
            if not self.slow:
                self.send(wire.frame(wire.PONG, payload))
        elif opcode == wire.TEXT and self.room is not None:
            if len(payload) > limits.FRAME_BYTES.top:
                limits.FRAME_BYTES.note(len(payload))
            try:
                incoming = wire.read_envelope(payload)
            except msgspec.DecodeError as error:
                self.error(errors.Invalid(f"a frame is JSON with type, id and data: {error}"), None)
                return
            self.room.receive(self, incoming)

    def _count_fault(self) -> None:
        now = self.rooms.clock.monotonic()
        self.faults, wait = Rate(self.rooms.settings.faults_per_minute).spend(self.faults, now)
        if wait:
            limits.SOCKET_FAULTS.refused += 1
            self.bye("policy", CloseCode.POLICY_VIOLATION, wait)

    def _answer_close(self, code: int) -> None:
        if self.state == OPEN:
            self._closing()
            self.send(wire.close_frame(code) if code != CloseCode.NO_STATUS_RCVD else wire.frame(wire.CLOSE, b""))
        # The server closes first (RFC 6455, 7.1.1); what is unsent still goes out, within the sweep's deadline.
        self.transport.close()

    def _give_up(self, error: wire.WireError) -> None:
        """Close because of bytes after which nothing can be parsed: all that follows is read and thrown away.

        Not reading it would make the kernel answer with a reset, which can overtake the closing frame. Our side
        is shut at once, so that a peer that waits for the end of the connection sees it.
        """
        self.reader = None
        if error.code == CloseCode.MESSAGE_TOO_BIG:
            limits.FRAME_BYTES.note(self.rooms.settings.frame_limit)
            limits.FRAME_BYTES.refused += 1
        self.close(error.code, error.reason)
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        # TLS knows no half-closed connection, and the peer's own closing frame cannot be told from the rest.
        self.deadline = min(self.deadline, self.rooms.clock.monotonic() + _DISCARD_SECONDS)

    def _closing(self) -> None:
        self.state = CLOSING
        self.deadline = self.rooms.clock.monotonic() + self.rooms.settings.close_seconds
        self._leave()

    def _leave(self) -> None:
        room, self.room = self.room, None
        if room is not None:
            room.leave(self)


def _line(transport: asyncio.Transport) -> Line | None:
    """The line under a transport whose bytes are the peer's, as with TLS they are not."""
    found = transport.get_extra_info("socket")
    if found is None or transport.get_extra_info("sslcontext") is not None:
        return None
    if hasattr(sockets, "TCP_NOTSENT_LOWAT"):
        found.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NOTSENT_LOWAT, _UNSENT_IN_KERNEL)
    return Line(found.family, found.type, found.proto, fileno=found.fileno())
