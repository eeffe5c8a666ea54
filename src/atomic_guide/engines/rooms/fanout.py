"""One write to many sockets, with as little as can be around the system call.

A socket whose peer takes what it is sent is written to past its transport. Where the kernel takes a list of sends
(volley.py), that costs 0.8 of a loop over `send` in C; our own loop, where it does not, 1.1 of it, and going through
transports of uvloop 1.3. What a peer does not take goes to its transport, and as long as anything waits there the
socket is written to through it, so that no byte overtakes another. The loop keeps what was sent only where that is not
everything: a thousand results, held until its end, cost 1% more.

This is safe because a transport closes its descriptor only after `connection_lost`, and a socket leaves its room
before that, or then.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from atomic_guide.engines.rooms import deflate
from atomic_guide.engines.rooms.line import Line

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.socket import Socket
    from atomic_guide.engines.rooms.volley import Volley

_AT_ONCE = 8
"""Sockets from which on one call of the kernel, and what goes before it, costs less than a call for each."""


class Fanout:
    """The sockets of a room that take its frames as they come."""

    __slots__ = ("_aside", "_compress_from", "_direct", "_listed", "_packed", "_volley")

    def __init__(self, compress_from: int, volley: Callable[[], Volley | None]) -> None:
        """Frames of `compress_from` bytes and more are compressed, once for all sockets that can read that.

        `volley` gives what writes to many sockets at once, where this machine has it.
        """
        self._compress_from = compress_from
        self._volley = volley
        self._direct: dict[Line, Socket] = {}
        self._packed: dict[Line, Socket] = {}
        """The same for those that get large frames compressed."""
        self._aside: dict[Socket, None] = {}
        """Those behind, and those without a line that may be written to, such as with TLS."""
        self._listed: tuple[dict[Line, Socket], array[int]] | None = None
        """Descriptors of the sockets that were written to at once last: to list them is 2% of a write."""

    def __len__(self) -> int:
        return len(self._direct) + len(self._packed) + len(self._aside)

    def __iter__(self) -> Iterator[Socket]:
        yield from list(self._direct.values())
        yield from list(self._packed.values())
        yield from list(self._aside)

    def add(self, socket: Socket) -> None:
        """Take a socket in."""
        self._listed = None
        if socket.line is not None and socket.backlog is None:
            (self._packed if socket.compresses else self._direct)[socket.line] = socket
        else:
            self._aside[socket] = None

    def discard(self, socket: Socket) -> bool:
        """Let a socket go; whether it was here."""
        self._listed = None
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
                self._write_each(sockets, data, len(frames))
        for socket in aside:
            socket.send(packed if socket.compresses else plain, len(frames))
        return [socket for socket in aside if most is not None and socket.unsent > most]

    def _write_each(self, sockets: dict[Line, Socket], data: bytes, frames: int) -> None:
        volley = self._volley() if len(sockets) >= _AT_ONCE else None
        short = self._sent_at_once(volley, sockets, data) if volley is not None else _sent_each(sockets, data)
        for socket, sent in [(sockets[line], sent) for line, sent in short]:
            # The transport finds out what is wrong.
            socket.send(data[sent:], frames)

    def _sent_at_once(self, volley: Volley, sockets: dict[Line, Socket], data: bytes) -> list[tuple[Line, int]]:
        """As `_sent_each`, by one call."""
        if self._listed is None or self._listed[0] is not sockets:
            self._listed = (sockets, array("i", map(Line.fileno, sockets)))
        if not (short := volley.send(self._listed[1], data)):
            return []
        lines = list(sockets)
        return [(lines[place], sent) for place, sent in short]

    def _pack(self, frame: bytes) -> bytes:
        return deflate.packed(frame) if len(frame) >= self._compress_from > 0 else frame


def _sent_each(sockets: dict[Line, Socket], data: bytes) -> list[tuple[Line, int]]:
    """A call for each; those that did not take all, and how much of it."""
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
    return short
