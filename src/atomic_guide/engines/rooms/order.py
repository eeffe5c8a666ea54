"""The order of a room's messages: each number once, none left out, whatever announcements do.

Announcements come from this process (after its commits), from others (over a bus that may lose, double or
reorder them) and from the database (repairs). `Order` lets through exactly the next number, holds what came too
early, and knows when something is missing. Sans-I/O.
"""

from __future__ import annotations

EARLY_LIMIT = 1000
"""Announcements held because an earlier one is missing; what does not fit comes from the database."""


class Order:
    """Sequence bookkeeping of one room, with a ring of the newest frames."""

    __slots__ = ("_early", "_ring", "_ring_bytes", "_ring_limit", "_ring_size", "known", "last")

    def __init__(self, ring_messages: int, ring_bytes: int) -> None:
        self.last = 0
        """The newest number that has been let through; everything up to it has been."""
        self.known = 0
        """The newest number that is known to exist."""
        self._early: dict[int, bytes] = {}
        self._ring: dict[int, bytes] = {}
        """The newest frames by number, without gaps up to `last`; an empty deque would take 760 bytes of each room."""
        self._ring_limit = ring_messages
        self._ring_bytes = ring_bytes
        self._ring_size = 0

    @property
    def missing(self) -> int:
        """How many numbers are known to exist and have not been let through."""
        return self.known - self.last

    def start(self, last: int) -> list[bytes]:
        """Begin (or begin again) behind `last`; the frames that are due at once, announced while it was read."""
        self.last = last
        self.known = max(self.known, last)
        self._ring.clear()
        self._ring_size = 0
        self._early = {seq: frame for seq, frame in self._early.items() if seq > last}
        return self._release()

    def expect(self, seq: int) -> None:
        """Note that messages up to `seq` exist."""
        self.known = max(self.known, seq)

    def hold(self, seq: int, frame: bytes) -> None:
        """An announcement before `start`."""
        self.known = max(self.known, seq)
        if len(self._early) < EARLY_LIMIT:
            self._early[seq] = frame

    def take(self, seq: int, frame: bytes) -> list[bytes]:
        """An announcement; the frames that are due now, in order (none for a double or an early one)."""
        if seq <= self.last:
            return []
        if seq != self.last + 1:
            self.hold(seq, frame)
            return []
        self.known = max(self.known, seq)
        self._early.pop(seq, None)
        self._let_through(frame)
        return [frame, *self._release()]

    def since(self, after: int) -> list[bytes] | None:
        """The frames behind `after` up to `last`; None where the ring does not reach back so far."""
        if self.last - after > len(self._ring):
            return None
        return [self._ring[seq] for seq in range(after + 1, self.last + 1)]

    def forget(self) -> None:
        """Drop every frame that is held or kept, because a message was deleted; the database has what is left of it."""
        self._early.clear()
        self._ring.clear()
        self._ring_size = 0

    def _release(self) -> list[bytes]:
        released = []
        while (frame := self._early.pop(self.last + 1, None)) is not None:
            self._let_through(frame)
            released.append(frame)
        return released

    def _let_through(self, frame: bytes) -> None:
        self.last += 1
        self._ring[self.last] = frame
        self._ring_size += len(frame)
        while self._ring and (len(self._ring) > self._ring_limit or self._ring_size > self._ring_bytes):
            self._ring_size -= len(self._ring.pop(self.last - len(self._ring) + 1))
