"""What a command has to tell, told to the processes of a running server: frames to open pages, wake-ups to workers.

Both go over NATS and are a courtesy: where it does not answer, a page sees the news when it next looks, and a worker
finds its jobs when it polls.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomic_guide.engines.nats.address import read_address
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.queues import wakes
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.bus import Notice, encode, subject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.config import Settings
    from atomic_guide.course.notifications.feed import Feed
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.queues.jobs import Queues

_OPEN_SECONDS = 1.0
"""NATS on the same machine or network answers within milliseconds; a command also runs where no server does."""


@asynccontextmanager
async def telling_beside(settings: Settings, feed: Feed, queues: Queues) -> AsyncIterator[None]:
    """Have what is added to `feed` and published to `queues` in this block told as the server would tell it."""
    data = Path(settings.data)
    if read_address(data, settings.nats) is None:
        yield
        return
    connection = Connection(data, settings.nats, "atomic-guide command")
    await connection.open(_OPEN_SECONDS)
    origin = secrets.token_hex(6)

    def tell(key: CourseKey, user: str, entry: dict[str, Any]) -> None:
        frame = wire.text_frame("notification", entry)
        connection.publish(subject(key), encode(Notice(origin, "announce", 0, user, frame)))

    def wake(queue: str) -> None:
        connection.publish(wakes.SUBJECT, queue.encode())

    feed.on_tell = tell
    queues.on_wake(wake)
    try:
        yield
    finally:
        await connection.flush()
        await connection.close()
