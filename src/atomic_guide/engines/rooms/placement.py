"""Who may enter a room of this process, and where others should try. Pure: no clock, no randomness, no I/O.

Processes that share a listening socket cannot choose who accepts the next connection. Whoever has no place left in a
room therefore stops accepting for a moment after it has refused somebody, as long as another process has a place
and accepts: the next attempt of those who were refused lands there. Who has far more sockets than another leaves new
ones to that one, too: a process that wakes first takes all connections that wait. One of them always accepts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from atomic_guide.engines.rooms.settings import RoomSettings

Refusal = Literal["restart", "full", "tabs"]


_LEAN, _LEAN_SHARE = 50, 0.2
"""Sockets, and share of a process's own, by which it may be ahead. Left to chance, one of four took half of 800."""


class Elsewhere(NamedTuple):
    """Another process, as a refused socket would find it."""

    shares_door: bool
    """Whether it accepts from the same listening socket as this one."""
    open: bool
    """Whether it accepts now."""
    full: bool
    """Whether the room has no place left there."""
    sockets: int = 0
    """All that are connected to it."""


class Wait(NamedTuple):
    """When a refused socket should come again: `least` to `least + spread` seconds."""

    least: float
    spread: float


def admit(
    room_sockets: int, person_sockets: int, settings: RoomSettings, *, draining: bool, process_sockets: int = 0
) -> Refusal | None:
    """Why one more socket of a person is refused, or None; the counts are those before it."""
    if draining:
        return "restart"
    if person_sockets >= settings.person_sockets:
        return "tabs"
    if room_sockets >= settings.room_sockets or process_sockets >= settings.process_sockets:
        return "full"
    return None


def comes_again(refusal: Refusal, others: Iterable[Elsewhere], *, hearsay: bool = False) -> Wait:
    """When a socket that was refused should come again.

    Where another process has a place, as soon as this one has stopped accepting; where none has, not before somebody
    may have left or a process may have been added. A tab more will not fit until one of the others is closed; where
    that is `hearsay`, which other processes have told, one of them may have died, which shows within five seconds.
    """
    if refusal == "restart":
        return Wait(1.0, 1.0)
    if refusal == "tabs":
        return Wait(5.0, 1.0) if hearsay else Wait(30.0, 1.0)
    if any(not other.full for other in others):
        return Wait(0.3, 0.7)
    return Wait(4.0, 4.0)


def yields(others: Iterable[Elsewhere]) -> bool:
    """Whether a process that has refused somebody should leave new connections to the others."""
    return any(other.shares_door and other.open and not other.full for other in others)


def leans(sockets: int, others: Iterable[Elsewhere]) -> bool:
    """Whether a process with so many sockets is far ahead of another that accepts and is full in no room."""
    ahead = max(_LEAN, sockets * _LEAN_SHARE)
    return any(
        other.shares_door and other.open and not other.full and sockets - other.sockets > ahead for other in others
    )
