"""One write to many sockets, with as little as can be around the system call.

A socket whose peer takes what it is sent is written to past its transport: 0.9 of the deliveries of a loop over `send`
in C, where going through transports of uvloop gives 0.75. What a peer does not take goes to its transport, and as
long as anything waits there the socket is written to through it, so that no byte overtakes another. The loop keeps
what was sent only where that is not everything: a thousand results, held until its end, cost 1% more.

This is safe because a transport closes its descriptor only after `connection_lost`, and a socket leaves its room
before that, or then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from atomic_guide.engines.rooms import deflate
from atomic_guide.engines.rooms.line import Line

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.socket import Socket


class Fanout:
    """The sockets of a room that take its frames as they come."""

    __slots__ = ("_aside", "_compress_from", "_direct", "_packed")

    def __init__(self, compress_from: int = 0) -> None:
        """Frames of `compress_from` bytes and more are compressed, once for all sockets that can read that."""
        self._compress_from = compress_from
        self._direct: dict[Line, Socket] = {}
        self._packed: dict[Line, Socket] = {}
        """The same for those that get large frames compressed."""
        self._aside: dict[Socket, None] = {}
        """Those behind, and those without a line that may be written to, such as with TLS."""

    def __len__(self) -> int:
        return len(self._direct) + len(self._packed) + len(self._aside)

    def __iter__(self) -> Iterator[Socket]:
        yield from list(self._direct.values())
        yield from list(self._packed.values())
        yield from list(self._aside)

    def add(self, socket: Socket) -> None:
        """Take a socket in."""
        if socket.line is not None and socket.backlog is None:
            (self._packed if socket.compresses else self._direct)[socket.line] = socket
        else:
            self._aside[socket] = None

    def discard(self, socket: Socket) -> bool:
        """Let a socket go; whether it was here."""
        direct = self._packed if socket.compresses else self._direct
        if socket.line is not None and direct.pop(socket.line, None) is not None:
            return True
        return self._aside.pop(socket, self) is None

    def place(self, socket: Socket) -> None:
        """A socket has fallen behind, or caught up."""
        if self.discard(socket):
            self.add(socket)

    def behind(self) -> list[Socket]:
        """Those that may have something unsent; all others have not."""
        return list(self._aside)

    def send(
        self, frames: Sequence[bytes], most: int | None = None, *, but: AbstractSet[Socket] = frozenset()
    ) -> list[Socket]:
        """Write frames to all sockets, joined into one write for each; those that have more than `most` unsent then."""
        aside = [socket for socket in self._aside if socket not in but]
        compressed = bool(self._packed) or any(socket.compresses for socket in aside)
        plain = b"".join(frames)
        packed = b"".join(map(self._pack, frames)) if compressed else plain
        for sockets, data in ((self._direct, plain), (self._packed, packed)):
            if but:
                sockets = {line: one for line, one in sockets.items() if one not in but}  # noqa: PLW2901
            if sockets:
                _write_each(sockets, data, len(frames))
        for socket in aside:
            socket.send(packed if socket.compresses else plain, len(frames))
        return [socket for socket in aside if most is not None and socket.unsent > most]

    def _pack(self, frame: bytes) -> bytes:
        return deflate.packed(frame) if len(frame) >= self._compress_from > 0 else frame


def _write_each(sockets: dict[Line, Socket], data: bytes, frames: int) -> None:
    send, size = Line.send, len(data)
    short: list[tuple[Line, int]] = []
    for line in sockets:
        try:
            sent = send(line, data)
        except OSError:
            # Its peer has gone or takes no more.
            sent = 0
        if sent != size:
            short.append((line, sent))
    for socket, sent in [(sockets[line], sent) for line, sent in short]:
        # The transport finds out what is wrong.
        socket.send(data[sent:], frames)
