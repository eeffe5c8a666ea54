"""Rooms of two processes over a bus that loses, doubles and reorders, with a list as the database."""

import asyncio
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms import room as room_module
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import Socket

KEY = CourseKey.of("tenant", "course")


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.unsent = 0
        self.lost: Callable[[None], None] = lambda _: None

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        del high, low

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None:
        self.lost(None)

    def frames(self) -> list[dict[str, Any]]:
        """Every text frame, decoded."""
        found, data = [], self.written
        while data:
            length, start = data[1], 2
            if length == 126:
                length, start = int.from_bytes(data[2:4], "big"), 4
            if data[0] & 0x0F == wire.TEXT:
                found.append(json.loads(data[start : start + length]))
            data = data[start + length :]
        return found

    def seqs(self) -> list[int]:
        """The numbers of the messages, as they came."""
        return [frame["data"]["seq"] for frame in self.frames() if frame["type"] == "message"]


class Stored:
    """The database: messages 1..n."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    async def standing(self, key: Any) -> Standing:
        await asyncio.sleep(0)
        return Standing(self.count, 0)

    async def changes(self, key: Any, after: int) -> Changes:
        await asyncio.sleep(0)
        return Changes(0, {}, {}, [])

    async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:
        await asyncio.sleep(0)
        return [(seq, message(seq)) for seq in range(after + 1, min(after + limit, self.count) + 1)]


class BadBus:
    """Loses, doubles, delays and reorders what it carries."""

    def __init__(self, chance: random.Random, loss: float) -> None:
        self.connected = True
        self._chance = chance
        self._loss = loss
        self._receivers: list[Callable[[bytes], None]] = []

    def publish(self, subject: str, payload: bytes) -> bool:
        for receive in self._receivers:
            for _ in range(self._chance.choice([1, 1, 2])):
                if self._chance.random() >= self._loss:
                    asyncio.get_running_loop().call_later(self._chance.uniform(0, 0.004), receive, payload)
        return True

    async def subscribe(self, subject: str, receive: Callable[[bytes], None]) -> Any:
        self._receivers.append(receive)
        return self

    async def end(self) -> None: ...

    def watch(self, changed: Callable[[bool], None]) -> None: ...


def message(seq: int) -> bytes:
    return wire.text_frame("message", {"seq": seq})


def socket_in(rooms: Rooms, user: str) -> tuple[Socket, Wire]:
    transport = Wire()
    socket = Socket(rooms, transport, Person(user, user, "learner"), 2**40, set())
    transport.lost = socket.connection_lost
    return socket, transport


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the rooms have no event for a test to wait on
            await asyncio.sleep(0.002)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "_PATIENCE", 0.003)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    loss=st.sampled_from([0.0, 0.3, 1.0]),
    script=st.lists(st.sampled_from(["post 0", "post 1", "join 0", "join 1", "silent", "wait"]), max_size=40),
)
def test_every_member_gets_each_message_once_and_in_order(seed: int, loss: float, script: list[str]) -> None:
    """Whatever two processes post, members join with, and the bus does to announcements."""

    async def play() -> None:
        stored = Stored()
        chance = random.Random(seed)
        bus = BadBus(chance, loss)
        limits = RoomSettings(ring_messages=4, resume_page=3, person_sockets=100, close_seconds=0.1)
        processes = [Rooms(limits, SystemClock(), bus, stored) for _ in range(2)]
        members: list[tuple[int, Wire]] = []
        joins: list[asyncio.Task[None]] = []
        for step in script:
            what, _, number = step.partition(" ")
            if what == "post":
                seq = stored.add()
                processes[int(number)].deliver(KEY, seq, message(seq))
            elif what == "silent":
                stored.add()  # stored by a process that died before it could announce it
            elif what == "join":
                after = chance.randint(0, stored.count)
                socket, transport = socket_in(processes[int(number)], f"user {chance.randint(1, 3)}")
                joins.append(asyncio.create_task(processes[int(number)].join(KEY, socket, after)))
                members.append((after, transport))
            else:
                await asyncio.sleep(0.003)
        await asyncio.gather(*joins)
        for rooms in processes:
            for room in rooms._rooms.values():
                await room.check()
        await until(lambda: all(len(member.seqs()) >= stored.count - after for after, member in members))
        for after, transport in members:
            assert transport.seqs() == list(range(after + 1, stored.count + 1))
            assert transport.frames()[0]["type"] == "welcome"
        for rooms in processes:
            await rooms.drain()

    asyncio.run(play())


async def test_who_missed_too_much_is_told_so_and_gets_the_newest() -> None:
    stored = Stored()
    stored.count = 500
    rooms = Rooms(
        RoomSettings(resume_limit=100, resume_page=20, close_seconds=0.1),
        SystemClock(),
        BadBus(random.Random(1), 0),
        stored,
    )
    socket, transport = socket_in(rooms, "ada")
    await rooms.join(KEY, socket, 10)
    welcome, behind, *_ = transport.frames()
    assert welcome["data"]["resumed"] is False
    assert behind == {"type": "behind", "data": {"last_seq": 500}}
    assert transport.seqs() == list(range(481, 501))
    stored.count = 900
    await rooms._rooms[KEY].check()
    await until(lambda: transport.frames()[-1] == {"type": "behind", "data": {"last_seq": 900}})
    await rooms.drain()


async def test_a_slow_reader_is_closed_to_resume_later_and_the_others_are_not_held_up() -> None:
    stored = Stored()
    rooms = Rooms(
        RoomSettings(hard_buffer=10_000, close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored
    )
    slow, slow_wire = socket_in(rooms, "slow")
    quick, quick_wire = socket_in(rooms, "quick")
    await rooms.join(KEY, slow, None)
    await rooms.join(KEY, quick, None)
    slow_wire.unsent = 20_000
    slow.pause_writing()
    for _ in range(3):
        seq = stored.add()
        rooms.deliver(KEY, seq, message(seq))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert quick_wire.seqs() == [1, 2, 3]
    assert slow_wire.frames()[-1]["type"] == "bye"
    assert slow_wire.frames()[-1]["data"]["reason"] == "slow"
    assert slow_wire.seqs() == [1]
    await rooms.drain()


async def test_typing_and_presence_are_dropped_for_a_slow_reader_only() -> None:
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), Stored())
    wires = {}
    for user in ("slow", "quick", "typist"):
        socket, wires[user] = socket_in(rooms, user)
        await rooms.join(KEY, socket, None)
        if user == "slow":
            wires[user].unsent = 100_000
            socket.pause_writing()
    typist = next(socket for socket in rooms.sockets if socket.person.id == "typist")
    for _ in range(5):
        rooms._rooms[KEY].receive(typist, wire.Incoming("typing"))
    await until(lambda: wires["quick"].frames()[-1]["type"] == "typing")
    assert [frame["type"] for frame in wires["quick"].frames()].count("typing") == 1
    assert [frame["type"] for frame in wires["slow"].frames()] == ["welcome"]
    assert "typing" not in [frame["type"] for frame in wires["typist"].frames()]
    await rooms.drain()


async def test_a_process_that_was_cut_off_tells_the_others_what_it_has_stored_meanwhile() -> None:
    """They were connected all the while, so nothing makes them look by themselves."""
    stored = Stored()
    bus = BadBus(random.Random(1), loss=1.0)
    cut_off, other = (Rooms(RoomSettings(close_seconds=0.1), SystemClock(), bus, stored) for _ in range(2))
    socket, transport = socket_in(other, "ada")
    await other.join(KEY, socket, None)
    for _ in range(3):
        seq = stored.add()
        cut_off.deliver(KEY, seq, message(seq))
    bus._loss = 0.0
    cut_off._on_hearing(True)  # noqa: FBT003 - as it is called
    await until(lambda: transport.seqs() == [1, 2, 3])
    await other.drain()


async def test_messages_that_are_being_stored_share_a_write_and_one_alone_does_not_wait() -> None:
    stored = Stored()
    rooms = Rooms(RoomSettings(close_seconds=0.1), SystemClock(), BadBus(random.Random(1), 0), stored)
    writes: list[int] = []

    class Counting(Wire):
        def write(self, data: Any) -> None:
            writes.append(data.count(b'"message"'))
            super().write(data)

    crowd = [Socket(rooms, Counting(), Person(f"{n}", "Name", "learner"), 2**40, set()) for n in range(200)]
    for socket in crowd:
        await rooms.join(KEY, socket, None)
    writes.clear()
    with rooms.expecting(KEY):
        rooms.deliver(KEY, stored.add(), message(1))
        await asyncio.sleep(0)
        assert writes == [1] * 200
    with rooms.expecting(KEY):
        with rooms.expecting(KEY):
            rooms.deliver(KEY, stored.add(), message(2))
            await asyncio.sleep(0)
        assert writes == [1] * 200
        rooms.deliver(KEY, stored.add(), message(3))
        await asyncio.sleep(0)
    assert writes == [1] * 200 + [2] * 200
    # One that is expected and fails holds up the others for a moment only.
    with rooms.expecting(KEY), rooms.expecting(KEY):
        rooms.deliver(KEY, stored.add(), message(4))
        await until(lambda: writes[400:] == [1] * 200)
    await rooms.drain()
