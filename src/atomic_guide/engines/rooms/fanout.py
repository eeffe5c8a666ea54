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

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.socket import Socket


class Fanout:
    """The sockets of a room that take its frames as they come."""

    __slots__ = ("_aside", "_direct")

    def __init__(self) -> None:
        self._direct: dict[int, Socket] = {}
        self._aside: dict[Socket, None] = {}
        """Those behind, and those without a descriptor that may be written to, such as with TLS."""

    def __len__(self) -> int:
        return len(self._direct) + len(self._aside)

    def __iter__(self) -> Iterator[Socket]:
        yield from list(self._direct.values())
        yield from list(self._aside)

    def add(self, socket: Socket) -> None:
        """Take a socket in."""
        if socket.descriptor >= 0 and socket.backlog is None:
            self._direct[socket.descriptor] = socket
        else:
            self._aside[socket] = None

    def discard(self, socket: Socket) -> bool:
        """Let a socket go; whether it was here."""
        if self._direct.get(socket.descriptor) is socket:
            del self._direct[socket.descriptor]
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
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        aside = [socket for socket in self._aside if socket not in but]
        direct = self._direct
        if but:
            direct = {descriptor: socket for descriptor, socket in direct.items() if socket not in but}
        _write_each(direct, data, len(frames))
        for socket in aside:
            socket.send(data, len(frames))
        return [socket for socket in aside if most is not None and socket.unsent > most]


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
