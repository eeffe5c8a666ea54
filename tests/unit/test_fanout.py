"""One write to many sockets, on real connections: who does not read, who has gone, and everybody else."""

import asyncio
import contextlib
import json
import socket
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import LOST, OPEN, Socket
from atomic_guide.engines.rooms.volley import Volley, open_volley

KEY = CourseKey.of("tenant", "course")


class Empty:
    """A room in which nothing has been said."""

    async def standing(self, _key: Any) -> Standing:
        return Standing(0, 0)

    async def changes(self, _key: Any, _after: int) -> Changes:
        return Changes(0, {}, {}, [])

    async def frames(self, _key: Any, _after: int, _limit: int) -> list[tuple[int, bytes]]:
        return []


class Hall:
    """Rooms behind a port: every connection is a member."""

    def __init__(self, settings: RoomSettings) -> None:
        self.rooms = Rooms(settings, SystemClock(), LocalBus(), Empty())
        self.joined: asyncio.Queue[Socket] = asyncio.Queue()
        self.port = 0
        self.peers: list[asyncio.StreamWriter] = []

    def entrance(self) -> asyncio.Protocol:
        """The protocol of a connection."""
        hall = self

        class Entrance(asyncio.Protocol):
            def connection_made(self, transport: Any) -> None:
                person = Person(f"user-{len(hall.peers)}", "Name", "learner")
                socket = Socket(hall.rooms, transport, person, time.time() + 100, set())
                transport.set_protocol(socket)
                self.joining = asyncio.create_task(self.join(socket))

            async def join(self, socket: Socket) -> None:
                await hall.rooms.join(KEY, socket, None)
                hall.joined.put_nowait(socket)

        return Entrance()

    async def member(self) -> tuple[Socket, asyncio.StreamReader, asyncio.StreamWriter]:
        """One more: the socket here and the peer's ends, behind its welcome."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 26)
        self.peers.append(writer)
        socket = await asyncio.wait_for(self.joined.get(), 5)
        assert b'"welcome"' in await read_frame(reader)
        return socket, reader, writer


@asynccontextmanager
async def hall(**settings: Any) -> AsyncIterator[Hall]:
    """A hall of rooms until the block ends."""
    opened = Hall(RoomSettings(close_seconds=0.1, **settings))
    loop = asyncio.get_running_loop()
    server = await loop.create_server(opened.entrance, "127.0.0.1", 0)
    opened.port = server.sockets[0].getsockname()[1]
    try:
        yield opened
    finally:
        await opened.rooms.drain()
        server.close()
        for writer in opened.peers:
            writer.transport.abort()


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The text of the next frame."""
    async with asyncio.timeout(5):
        length = (await reader.readexactly(2))[1]
        if length == 126:
            length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)


def deaf(writer: asyncio.StreamWriter) -> None:
    """A peer that reads no more."""
    writer.transport.pause_reading()  # type: ignore[attr-defined]


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - looks on from outside
            await asyncio.sleep(0.001)


async def _one_reads_late(others: int) -> None:
    async with hall(hard_buffer=1 << 26) as opened:
        late, late_reader, late_writer = await opened.member()
        deaf(late_writer)
        readers = [(await opened.member())[1] for _ in range(others)]
        gone, _, gone_writer = await opened.member()
        gone_writer.transport.abort()
        sent = 0
        while late.backlog is None or sent < 200:
            opened.rooms.announce(KEY, "notification", {"number": sent, "text": "x" * 50_000})
            sent += 1
            await asyncio.sleep(0)
            assert sent < 2000, "the kernel takes everything"
        await until(lambda: gone.state == LOST)
        assert late.line not in opened.rooms._rooms[KEY].live._direct
        late_writer.transport.resume_reading()  # type: ignore[attr-defined]
        for each in (*readers, late_reader):
            heard = [json.loads(await read_frame(each)) for _ in range(sent)]
            while (numbers := [one["data"]["number"] for one in heard if "number" in one["data"]]) != list(range(sent)):
                assert len(numbers) < sent, numbers
                heard.append(json.loads(await read_frame(each)))
        # It is written to directly again.
        await until(lambda: late.backlog is None)
        assert late.line is not None
        assert opened.rooms._rooms[KEY].live._direct[late.line] is late


@pytest.mark.parametrize(
    ("factory", "others"),
    [(uvloop.new_event_loop, 1), (asyncio.new_event_loop, 1), pytest.param(uvloop.new_event_loop, 7, id="at once")],
)
def test_who_reads_late_gets_every_byte_in_order_and_who_has_gone_costs_nobody_anything(
    factory: Any, others: int
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_one_reads_late(others))


@pytest.fixture
def volley() -> Volley:
    """What sends to many sockets with one call of the kernel."""
    opened = open_volley()
    if opened is None:
        pytest.skip("this kernel has no io_uring for us")
    return opened


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for each in (ours, theirs):
            each.settimeout(0)
        yield ours, theirs


def test_operators_may_switch_it_off() -> None:
    halls = [Hall(RoomSettings(write_at_once=on)) for on in (True, False)]
    assert [hall.rooms.volley() is not None for hall in halls] == [open_volley() is not None, False]


def test_a_volley_sends_to_all_in_turn_and_tells_who_did_not_take_it(
    volley: Volley, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    gone, peer = socket.socketpair()
    peer.close()
    with gone:
        # More than go into one call, and more calls than the ring has places for.
        targets = array("i", [ours.fileno()] * 10 + [gone.fileno(), -1] * 700 + [ours.fileno()] * 10)
        for data in (b"a", b"bc", b"def", b"ghij"):
            assert volley.send(targets, data) == [(place, 0) for place in range(10, 1410)]
            assert theirs.recv(100) == data * 20


def test_a_volley_that_was_interrupted_leaves_nothing_to_the_next(
    volley: Volley, pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = pair

    def interrupted(*_: int) -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(volley, "_syscall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            volley.send(array("i", [ours.fileno()] * 5), b"old")
    assert volley.send(array("i", [ours.fileno()] * 3), b"new") == []
    assert theirs.recv(100) == b"newnewnew"


def test_a_volley_tells_how_much_was_taken_of_what_is_too_much(
    volley: Volley, pair: tuple[socket.socket, socket.socket]
) -> None:
    ours, theirs = pair
    data = b"".join(number.to_bytes(4) for number in range(1 << 18))
    [(place, taken), rest] = volley.send(array("i", [ours.fileno()] * 2), data)
    assert (place, rest) == (0, (1, 0))
    heard = b""
    with contextlib.suppress(BlockingIOError):
        while True:
            heard += theirs.recv(1 << 20)
    assert heard == data[:taken]


async def test_a_closed_handle_takes_nothing_from_the_others() -> None:
    """uvloop refuses to write to a closed handle; whoever is written to next must get theirs."""
    async with hall() as opened:
        first, _, _ = await opened.member()
        _, reader, _ = await opened.member()

        class Closed:
            def write(self, _data: bytes) -> None:
                raise RuntimeError("unable to perform operation; the handler is closed")

            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

        transport, room = first.transport, opened.rooms._rooms[KEY]
        room.live.discard(first)
        first.line = None
        first.transport = Closed()  # type: ignore[assignment]
        room.live.add(first)
        for user in (None, first.person.id):
            opened.rooms.announce(KEY, "notification", {}, user=user)
        opened.rooms.announce(KEY, "room", {"open": True})
        await until(lambda: first.state == OPEN)
        heard = b""
        while b'"room"' not in heard:
            heard += await asyncio.wait_for(reader.read(1 << 16), 5)
        assert heard.count(b'"notification"') == 1
        first.transport = transport


async def test_who_never_reads_is_closed_at_the_hard_limit_and_costs_the_kernel_little() -> None:
    async with hall(hard_buffer=200_000) as opened:
        silent, _, writer = await opened.member()
        deaf(writer)
        _, reader, _ = await opened.member()
        sent = 0
        while silent.state == OPEN:
            opened.rooms.announce(KEY, "notification", {"text": "x" * 50_000})
            sent += 1
            await asyncio.sleep(0)
            assert sent < 1000, "the kernel takes everything"
        assert opened.rooms.slow_closed == 1
        heard = b""
        while heard.count(b'"notification"') < sent:
            heard += await asyncio.wait_for(reader.read(1 << 20), 5)
