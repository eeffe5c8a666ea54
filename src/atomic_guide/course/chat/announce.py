"""Telling the room of a stored message."""

from __future__ import annotations

from collections.abc import Callable

from atomic_guide.course.chat.message import Message
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.registry import Rooms


def announcer(rooms: Rooms) -> Callable[[CourseKey, Message], None]:
    """What `Messages` calls after a commit: the frame is built once, for every socket and every process."""

    def announce(key: CourseKey, message: Message) -> None:
        rooms.deliver(key, message.seq, message.frame())

    return announce
