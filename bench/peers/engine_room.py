"""The rooms of Atomic Guide alone, on a bare asyncio server: no HTTP framework, tickets, checks or database.

What `send_loop.c` does in C, done by `engines/rooms`: a body that is posted goes to every member.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any, cast

import uvloop
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import Socket

KEY = CourseKey.of("bench", "course")


class Nothing:
    """A history of a room in which nothing is kept: the ring is enough."""

    def __init__(self) -> None:
        self.count = 0

    async def standing(self, _key: Any) -> Standing:
        """The newest number."""
        return Standing(self.count, 0)

    async def changes(self, _key: Any, _after: int) -> Changes:
        """None are made."""
        return Changes(0, {}, {}, [])

    async def frames(self, _key: Any, _after: int, _limit: int) -> list[tuple[int, bytes]]:
        """None are kept."""
        return []


class Entrance(asyncio.Protocol):
    """A connection: a member after `GET`, a poster with `POST`."""

    def __init__(self, rooms: Rooms, history: Nothing, tasks: set[asyncio.Task[None]]) -> None:
        self.rooms = rooms
        self.history = history
        self.tasks = tasks
        self.held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Serve a request when it is complete."""
        self.held += data
        head, end, rest = self.held.partition(b"\r\n\r\n")
        if not end:
            return
        if head.startswith(b"GET"):
            self.enter()
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        if len(rest) >= length:
            self.held = rest[length:]
            self.history.count += 1
            self.rooms.deliver(KEY, self.history.count, wire.frame(wire.TEXT, rest[:length]))
            self.transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")

    def enter(self) -> None:
        """Make the connection a member's."""
        lines = StreamReader()
        lines.feed_data(self.held)
        parsing = Request.parse(lines.read_line)
        try:
            next(parsing)
        except StopIteration as done:
            answer = ServerProtocol().accept(done.value)
        self.transport.write(answer.serialize())
        person = Person(f"{id(self.transport)}", "Name of a student", "learner")
        socket = Socket(self.rooms, self.transport, person, time.time() + 3600, set())
        self.transport.set_protocol(socket)
        task = asyncio.create_task(self.rooms.join(KEY, socket, None))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


async def main() -> None:
    """Serve until the end."""
    history, tasks = Nothing(), set[asyncio.Task[None]]()
    rooms = Rooms(RoomSettings(room_sockets=100_000), SystemClock(), LocalBus(), history)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Entrance(rooms, history, tasks), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"ready http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await rooms.run()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
