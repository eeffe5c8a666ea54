"""Rooms of several processes in one event loop: a bus that can be cut and loses, doubles and delays, a database in
memory, and members that believe what they are told."""

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from typing import Any

from atomic_guide.clock import Clock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Deletion, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import Socket
from tests.virtual import VirtualClock, VirtualLoop

KEY = CourseKey.of("tenant", "course")
TEACHERS = ("teacher",)


class Database:
    """Messages 1..n; a deleted one keeps its number."""

    def __init__(self, clock: Clock) -> None:
        self.deleted: list[bool] = []
        self.deletions: list[Deletion] = []
        self._clock = clock

    @property
    def last(self) -> int:
        return len(self.deleted)

    def add(self) -> int:
        self.deleted.append(False)
        return self.last

    def frame(self, seq: int) -> bytes:
        return wire.text_frame("message", {"seq": seq, "deleted": self.deleted[seq - 1]})

    def fresh_read(self, after: int) -> dict[int, bool]:
        """What somebody who came at `after` sees."""
        return {seq: self.deleted[seq - 1] for seq in range(after + 1, self.last + 1)}

    def delete(self, seq: int) -> int:
        """Delete a message; the room's revision after that."""
        if not self.deleted[seq - 1]:
            self.deleted[seq - 1] = True
            self.deletions.append(Deletion(len(self.deletions) + 1, seq, self._clock.now()))
        return len(self.deletions)

    async def standing(self, key: Any) -> Standing:
        await asyncio.sleep(0.001)
        return Standing(self.last, len(self.deletions))

    async def changes(self, key: Any, after: int) -> Changes:
        await asyncio.sleep(0.001)
        return Changes(len(self.deletions), {"open": True}, {}, self.deletions[after:])

    async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:
        await asyncio.sleep(0.001)
        return [(seq, self.frame(seq)) for seq in range(after + 1, min(after + limit, self.last) + 1)]


class Net:
    """What carries notices between processes."""

    def __init__(self, chance: random.Random, loss: float = 0.0) -> None:
        self.chance = chance
        self.loss = loss
        self.sent = 0
        self.ends: list[End] = []

    def end(self) -> "End":
        self.ends.append(End(self))
        return self.ends[-1]

    def carry(self, subject: str, payload: bytes) -> None:
        self.sent += 1
        for end in self.ends:
            for _ in range(2 if self.chance.random() < self.loss else 1):
                if self.chance.random() >= self.loss:
                    late = self.chance.uniform(0, 0.2) if self.chance.random() < self.loss else 0.001
                    asyncio.get_running_loop().call_later(late, end.arrive, subject, payload)


class End:
    """One process's connection: a bus that can be cut, silently or not."""

    def __init__(self, net: Net) -> None:
        self._net = net
        self.connected = True
        self.deaf = False
        self._receivers: list[tuple[str, Callable[[bytes], None]]] = []
        self._listeners: list[Callable[[bool], None]] = []

    def publish(self, subject: str, payload: bytes) -> bool:
        if self.connected and not self.deaf:
            self._net.carry(subject, payload)
        return self.connected

    def arrive(self, subject: str, payload: bytes) -> None:
        if self.connected and not self.deaf:
            for wanted, receive in list(self._receivers):
                if wanted == subject:
                    receive(payload)

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> Any:
        await asyncio.sleep(0.001)
        pair = (subject, receive)
        self._receivers.append(pair)
        return _Interest(lambda: self._receivers.remove(pair))

    def watch(self, changed: Callable[[bool], None]) -> None:
        self._listeners.append(changed)

    def cut(self, *, connected: bool) -> None:
        if connected != self.connected:
            self.connected = connected
            for changed in self._listeners:
                changed(connected)

    @property
    def subjects(self) -> set[str]:
        return {subject for subject, _ in self._receivers}


class _Interest:
    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    async def end(self) -> None:
        if self._remove is not None:
            self._remove()
            self._remove = None


class Process:
    """One process's rooms."""

    def __init__(self, net: Net, database: Database, settings: RoomSettings) -> None:
        self.bus = net.end()
        self._net = net
        self.database = database
        self.rooms = Rooms(settings, VirtualClock(asyncio.get_running_loop()), self.bus, database)
        self._running = asyncio.create_task(self.rooms.run())

    async def crash(self) -> None:
        """End as by SIGKILL: nothing is said any more, and every connection is lost."""
        self.bus.deaf = True
        self._net.ends.remove(self.bus)
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        for socket in list(self.rooms.sockets):
            socket.abort()
        for room in self.rooms.all_rooms():
            await room.end()

    async def drain(self) -> None:
        """End as by SIGTERM."""
        await self.rooms.drain()
        await self.crash()


class Member(asyncio.Transport):
    """A person's client: what it has been told, and what it makes of it."""

    def __init__(self, user: str) -> None:
        super().__init__()
        self.user = user
        self.seen: dict[int, bool] = {}
        self.order: list[int] = []
        self.people: set[str] = set()
        self.count = 0
        self.welcomed = 0
        self.first = 0
        self.skipped_to = 0
        self.late: list[bool] = []
        self.frames = 0
        self.typing = 0
        self.bye: dict[str, Any] | None = None
        self.online = False
        self._socket: Socket | None = None
        self._database: Database | None = None
        self._data = b""

    @property
    def cursor(self) -> int:
        return self.order[-1] if self.order else self.first

    async def join(self, process: Process, after: int | None = None) -> None:
        """Open a socket and enter the room; `bye` is set where that is refused."""
        self.bye = None
        self.online = True
        self._database = process.database
        role = "instructor" if self.user in TEACHERS else "learner"
        self._socket = Socket(process.rooms, self, Person(self.user, self.user, role), 2**40, set())
        await process.rooms.join(KEY, self._socket, after)

    def leave(self) -> None:
        """Lose the connection."""
        if self._socket is not None and self.online:
            self.online = False
            self._socket.connection_lost(None)

    def send(self, kind: str) -> None:
        """Send a frame without data."""
        assert self._socket is not None
        if self._socket.room is not None:
            self._socket.room.receive(self._socket, wire.Incoming(kind))

    # --- what the socket calls

    def write(self, data: Any) -> None:
        self._data += data
        while (frame := self._next()) is not None:
            self._hear(frame)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return not self.online

    def close(self) -> None:
        self.leave()

    def abort(self) -> None:
        self.leave()

    def _next(self) -> dict[str, Any] | None:
        while len(self._data) >= 2:
            length, start = self._data[1], 2
            if length == 126:
                length, start = int.from_bytes(self._data[2:4], "big"), 4
            elif length == 127:
                length, start = int.from_bytes(self._data[2:10], "big"), 10
            opcode, text = self._data[0] & 0x0F, self._data[start : start + length]
            self._data = self._data[start + length :]
            if opcode == wire.CLOSE:
                asyncio.get_running_loop().call_soon(self.leave)
            elif opcode == wire.TEXT:
                decoded: dict[str, Any] = json.loads(text)
                return decoded
        return None

    def _hear(self, frame: dict[str, Any]) -> None:
        kind, data = frame["type"], frame["data"]
        self.frames += 1
        if kind in {"welcome", "members"}:
            self.welcomed += kind == "welcome"
            self._list(data)
            if not data.get("resumed", True):
                self._read_anew()
        elif kind == "message":
            self.order.append(data["seq"])
            self.seen[data["seq"]] = data["deleted"]
        elif kind == "deleted" and data["seq"] in self.seen:
            self.seen[data["seq"]] = True
        elif kind in {"joined", "left"}:
            self._move(kind, data)
        elif kind == "behind":
            self._behind(data)
        elif kind == "bye":
            self.bye = data
        self.typing += kind == "typing"

    def _move(self, kind: str, data: dict[str, Any]) -> None:
        self.count = data["count"]
        if "id" in data:
            (self.people.add if kind == "joined" else self.people.discard)(data["id"])

    def _list(self, data: dict[str, Any]) -> None:
        self.people = {person["id"] for person in data["members"]}
        self.count = data["count"]

    def _behind(self, data: dict[str, Any]) -> None:
        if data.get("reload"):
            self._read_anew()
        if "late" in data:
            self.late.append(data["late"])
        else:
            self.skipped_to = data["last_seq"]

    def _read_anew(self) -> None:
        """What has been read before is read again, over HTTP."""
        assert self._database is not None
        self.seen = {seq: self._database.deleted[seq - 1] for seq in self.seen}


class Site:
    """Some processes and what is between them."""

    def __init__(self, settings: RoomSettings) -> None:
        self.settings = settings
        self.net = Net(random.Random(1))
        self.database = Database(VirtualClock(asyncio.get_running_loop()))

    def process(self) -> Process:
        return Process(self.net, self.database, self.settings)

    async def members(self, process: Process, names: list[str]) -> list[Member]:
        made = [Member(name) for name in names]
        await asyncio.gather(*(member.join(process) for member in made))
        return made


def play(scene: Callable[[Site], Coroutine[Any, Any, None]], settings: RoomSettings) -> None:
    """Run a scene in virtual time and end what it began."""
    loop = VirtualLoop()

    async def whole() -> None:
        try:
            await scene(Site(settings))
        finally:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()
