"""One write to many sockets, with as little as can be around the system call.

A socket whose peer takes what it is sent is written to by its descriptor, in a loop that runs inside `map`: 0.9 of
the deliveries of a loop over `send` in C, where going through the transports of uvloop gives 0.75. What a peer does
not take goes to its transport, and as long as anything waits there the socket is written to through it, so that no
byte overtakes another.

This is safe because a transport closes its descriptor only after `connection_lost`, and a socket leaves its room
before that, or then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import repeat
from typing import TYPE_CHECKING

from atomic_guide.engines.rooms import deflate

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.socket import Socket


class Fanout:
    """The sockets of a room that take its frames as they come."""

    __slots__ = ("_aside", "_compress_from", "_direct", "_packed")

    def __init__(self, compress_from: int = 0) -> None:
        """Frames of `compress_from` bytes and more are compressed, once for all sockets that can read that."""
        self._compress_from = compress_from
        self._direct: dict[int, Socket] = {}
        self._packed: dict[int, Socket] = {}
        """The same for those that get large frames compressed."""
        self._aside: dict[Socket, None] = {}
        """Those behind, and those without a descriptor that may be written to, such as with TLS."""

    def __len__(self) -> int:
        return len(self._direct) + len(self._packed) + len(self._aside)

    def __iter__(self) -> Iterator[Socket]:
        yield from list(self._direct.values())
        yield from list(self._packed.values())
        yield from list(self._aside)

    def add(self, socket: Socket) -> None:
        """Take a socket in."""
        if socket.descriptor >= 0 and socket.backlog is None:
            (self._packed if socket.compresses else self._direct)[socket.descriptor] = socket
        else:
            self._aside[socket] = None

    def discard(self, socket: Socket) -> bool:
        """Let a socket go; whether it was here."""
        direct = self._packed if socket.compresses else self._direct
        if direct.get(socket.descriptor) is socket:
            del direct[socket.descriptor]
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
                sockets = {fd: socket for fd, socket in sockets.items() if socket not in but}  # noqa: PLW2901
            if sockets:
                _write_each(sockets, data, len(frames))
        for socket in aside:
            socket.send(packed if socket.compresses else plain, len(frames))
        return [socket for socket in aside if most is not None and socket.unsent > most]

    def _pack(self, frame: bytes) -> bytes:
        return deflate.packed(frame) if len(frame) >= self._compress_from > 0 else frame


def _write_each(sockets: dict[int, Socket], data: bytes, frames: int) -> None:
    sent: list[int] = []
    writes = map(os.write, sockets, repeat(data))
    while True:
        try:
            sent.extend(writes)
            break
        except OSError:
            # Its peer has gone or takes no more; the iterator stands behind it, and what was sent is in the list.
            sent.append(0)
    size = len(data)
    if sent.count(size) != len(sent):
        for socket, count in [pair for pair in zip(sockets.values(), sent, strict=True) if pair[1] != size]:
            # The transport finds out what is wrong.
            socket.send(data[count:], frames)
