"""Who may enter a room of this process. Pure: no clock, no randomness, no I/O."""

from __future__ import annotations

from typing import Literal

from atomic_guide.engines.rooms.settings import RoomSettings

Refusal = Literal["restart", "full", "tabs"]


def admit(room_sockets: int, person_sockets: int, settings: RoomSettings, *, draining: bool) -> Refusal | None:
    """Why one more socket of a person is refused, or None.

    A refused socket gets `bye` with `retry_after`: behind a shared port its next attempt is likely to land in
    another process, which is how a room grows beyond one.
    """
    if draining:
        return "restart"
    if person_sockets >= settings.person_sockets:
        return "tabs"
    if room_sockets >= settings.room_sockets:
        return "full"
    return None
