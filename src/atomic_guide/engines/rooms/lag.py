"""How far a socket is behind: bytes that its peer has not taken, in how many writes, since when.

A socket that keeps up has no `Backlog` at all. Sans-I/O: how much is unsent is told by the transport.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple


class Lag(NamedTuple):
    """Unsent bytes, the frames that they belong to, and for how many seconds the oldest of them has waited."""

    bytes: int
    frames: int
    seconds: float


NO_LAG = Lag(0, 0, 0.0)


class Backlog:
    """What waits to be sent to one peer, as marks in the stream of its bytes."""

    __slots__ = ("_marks", "_written")

    def __init__(self, unsent: int, now: float) -> None:
        """The peer has just left `unsent` bytes of a frame waiting."""
        self._written = unsent
        self._marks = deque([(unsent, 1, now)])

    def add(self, size: int, frames: int, now: float) -> None:
        """So many bytes more, in so many frames."""
        self._written += size
        self._marks.append((self._written, frames, now))

    def lag(self, unsent: int, now: float) -> Lag:
        """How things are while `unsent` bytes wait."""
        sent = self._written - unsent
        while self._marks and self._marks[0][0] <= sent:
            self._marks.popleft()
        if not self._marks:
            return Lag(unsent, 0, 0.0)
        return Lag(unsent, sum(frames for _, frames, _ in self._marks), now - self._marks[0][2])
