"""What every `Bus` adapter promises, run against each of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

import pytest

from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.rooms.bus import Bus, LocalBus, NatsBus, Notice, decode, encode, subject
from atomic_guide.engines.rooms.presence import Here, Person

SECONDS = 10


class Ends(Protocol):
    """Two processes' ends of a bus, and a way to separate them."""

    one: Bus
    other: Bus

    async def cut(self) -> None: ...

    async def join(self) -> None: ...


class LocalEnds:
    def __init__(self) -> None:
        self._bus = LocalBus()
        self.one: Bus = self._bus
        self.other: Bus = self._bus

    async def cut(self) -> None:
        self._bus.cut(connected=False)

    async def join(self) -> None:
        self._bus.cut(connected=True)


class NatsEnds:
    def __init__(self, server: NatsServer, one: Connection, other: Connection) -> None:
        self._server = server
        self._connections = (one, other)
        self.one: Bus = NatsBus(one)
        self.other: Bus = NatsBus(other)

    async def cut(self) -> None:
        await self._server.stop()
        await until(lambda: not any(connection.connected for connection in self._connections))

    async def join(self) -> None:
        await self._server.start()
        await until(lambda: all(connection.connected for connection in self._connections))


@asynccontextmanager
async def nats_ends(folder: Path) -> AsyncIterator[NatsEnds]:
    settings = NatsSettings()
    server = NatsServer(folder, settings)
    await server.start()
    one, other = Connection(folder, settings), Connection(folder, settings)
    try:
        await one.open()
        await other.open()
        yield NatsEnds(server, one, other)
    finally:
        await one.close()
        await other.close()
        await server.stop()


@pytest.fixture(params=["local", "nats"])
async def ends(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ends]:
    if request.param == "local":
        yield LocalEnds()
    else:
        async with nats_ends(tmp_path) as made:
            yield made


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - the port has no event for it
            await asyncio.sleep(0.002)


async def test_what_is_published_reaches_subscribers_of_its_subject_only(ends: Ends) -> None:
    here: list[bytes] = []
    there: list[bytes] = []
    await ends.other.subscribe("rooms.t.here", here.append)
    await ends.other.subscribe("rooms.t.there", there.append)
    assert ends.one.connected
    for number in range(100):
        assert ends.one.publish("rooms.t.here", b"%d" % number)
    assert ends.one.publish("rooms.t.there", b"x")
    await until(lambda: len(here) == 100 and len(there) == 1)
    assert here == [b"%d" % number for number in range(100)]


async def test_nothing_is_heard_after_the_end_of_interest(ends: Ends) -> None:
    ended: list[bytes] = []
    kept: list[bytes] = []
    interest = await ends.other.subscribe("rooms.t.c", ended.append)
    await ends.other.subscribe("rooms.t.c", kept.append)
    await interest.end()
    await interest.end()
    ends.one.publish("rooms.t.c", b"x")
    await until(lambda: kept == [b"x"])
    assert ended == []


async def test_a_cut_is_told_drops_what_is_published_and_heals_by_itself(ends: Ends) -> None:
    changes: list[bool] = []
    heard: list[bytes] = []
    ends.other.watch(changes.append)
    await ends.other.subscribe("rooms.t.c", heard.append)
    await ends.cut()
    assert not ends.one.connected
    assert ends.one.publish("rooms.t.c", b"lost") is False
    await ends.other.subscribe("rooms.t.d", heard.append)
    await ends.join()
    ends.one.publish("rooms.t.c", b"c")
    ends.one.publish("rooms.t.d", b"d")
    await until(lambda: sorted(heard) == [b"c", b"d"])
    assert changes == [False, True]


def test_a_notice_travels_whole() -> None:
    notice = Notice("origin", "message", 7, "user", b"\x81\x00", [Here(Person("a", "Ä", "learner"), (7, 9))])
    assert decode(encode(notice)) == notice


@pytest.mark.parametrize("tenant", ["plain-1", "with.dot", "with space", "*", ">", "é", "_xc3a9", ""])
def test_every_tenant_has_a_subject_of_its_own(tenant: str) -> None:
    class Key:
        course = "c1"

        def __init__(self, name: str) -> None:
            self.tenant = name

    own = subject(Key(tenant))
    assert own.split(".")[0::2] == ["rooms", "c1"]
    assert own.isascii()
    assert not set(own) & set(" *>")
    others = {subject(Key(other)) for other in ("plain-1", "with.dot", "é", "_xc3a9", "") if other != tenant}
    assert own not in others
