"""The layers of the cache over the real NATS server: one load, nothing stale, and what happens without NATS."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.engines.cache.layer import MISS
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.cache.space import Space
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.errors import Unavailable

pytestmark = pytest.mark.timeout(60)
KEY = ("course", "tenant", "course-1")


class Course(msgspec.Struct, frozen=True):
    title: str
    seats: int = 0


class Loader:
    """Counts how often it is asked; what it gives can be changed, and takes its time."""

    def __init__(self, value: Any, seconds: float = 0.0) -> None:
        self.value = value
        self.calls = 0
        self.seconds = seconds

    async def __call__(self) -> Any:
        self.calls += 1
        value = self.value
        await asyncio.sleep(self.seconds)
        if isinstance(value, Exception):
            raise value
        return value


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.001)


class Process:
    """One process's cache with its own connection."""

    def __init__(self, folder: Path, settings: CacheSettings, version: int = 1) -> None:
        self.connection = Connection(folder, NatsSettings())
        self.cache = Cache(settings, SystemClock(), self.connection)
        self.courses: Space[Course] = self.cache.space("course", Course, version=version)
        self.task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self.connection.open()
        self.task = asyncio.create_task(self.cache.run())
        await self.listening()

    async def listening(self) -> None:
        assert self.cache.shared is not None
        shared = self.cache.shared
        await until(lambda: shared.live)

    async def close(self) -> None:
        if self.task is not None:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)
        await self.cache.close()
        await self.connection.close()


Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsServer]:
    made = NatsServer(tmp_path, NatsSettings())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def start(server: NatsServer, tmp_path: Path) -> AsyncIterator[Start]:
    made: list[Process] = []

    async def begun(version: int = 1, **changes: Any) -> Process:
        process = Process(tmp_path, CacheSettings(**changes), version)
        made.append(process)
        await process.open()
        return process

    yield begun
    for process in made:
        await process.close()


async def test_a_thousand_who_miss_at_once_make_one_load(start: Start) -> None:
    one, other = await start(), await start()
    load = Loader(Course("Algebra"), 0.2)
    found = await asyncio.gather(*(process.courses.get(KEY, load) for process in (one, other) for _ in range(500)))
    assert set(found) == {Course("Algebra")}
    assert load.calls == 1


async def test_one_process_finds_what_another_has_loaded_with_the_life_that_is_left(start: Start) -> None:
    one, other = await start(shared_seconds=2.0), await start(shared_seconds=2.0)
    load = Loader(Course("Algebra"))
    await one.courses.get(KEY, load)
    assert one.cache.shared is not None
    await asyncio.sleep(0.5)
    assert await other.courses.get(KEY, load) == Course("Algebra")
    assert load.calls == 1
    await asyncio.sleep(1.7)
    assert other.cache.memory.get(KEY)[0] is MISS, "memory does not outlive the shared value"


async def test_nothing_old_is_read_anywhere_once_a_change_was_told(start: Start) -> None:
    one, other = await start(), await start()
    load = Loader(Course("old"))
    for process in (one, other):
        for _ in range(2):
            await process.courses.get(KEY, load)
        assert process.courses.hit(KEY) == Course("old")
    load.value = Course("new")
    assert await one.courses.changed(KEY)
    assert one.courses.hit(KEY) is MISS
    assert await one.courses.get(KEY, load) == Course("new")
    began = time.monotonic()
    await until(lambda: other.courses.hit(KEY) is MISS)
    assert time.monotonic() - began < 1
    assert await other.courses.get(KEY, load) == Course("new")


async def test_what_was_loaded_before_a_change_and_stored_after_it_is_not_believed(start: Start) -> None:
    slow, quick = await start(), await start()
    load = Loader(Course("old"), 1.0)
    first = asyncio.create_task(slow.courses.get(KEY, load))
    await until(lambda: load.calls == 1)
    load.value, load.seconds = Course("new"), 0.0
    await quick.courses.changed(KEY)
    shared = slow.cache.shared
    assert shared is not None
    await until(lambda: slow.cache.counts.marks > 0)
    assert await slow.courses.get(KEY, load) == Course("new"), "whoever comes after a change has it loaded anew"
    assert await first == Course("old"), "whoever came before it gets what was loaded"
    await asyncio.sleep(0.2)
    for process in (slow, quick, await start()):
        assert await process.courses.get(KEY, load) == Course("new")


async def test_a_mark_ends_everything_that_depends_on_it(start: Start) -> None:
    one, other = await start(), await start()
    load = Loader(Course("old"))
    keys = [("course", "tenant", f"course-{number}") for number in range(5)]
    for process in (one, other):
        for key in keys:
            await process.courses.get(key, load, marks=["term 2026"])
        await process.courses.get(("course", "tenant", "alone"), load)
    load.value = Course("new")
    await other.cache.changed_mark("term 2026")
    await until(lambda: one.cache.memory.usage.entries == 1)
    for process in (one, other):
        assert await process.courses.get(keys[0], load, marks=["term 2026"]) == Course("new")
        assert await process.courses.get(("course", "tenant", "alone"), load) == Course("old")


async def test_that_something_does_not_exist_is_remembered_and_an_error_is_not(start: Start) -> None:
    process = await start(negative_seconds=0.5)
    nothing = Loader(None)
    for _ in range(3):
        assert await process.courses.get(KEY, nothing) is None
    assert nothing.calls == 1
    await asyncio.sleep(0.7)
    assert await process.courses.get(KEY, nothing) is None
    assert nothing.calls == 2
    fails = Loader(Unavailable("no database"))
    for _ in range(2):
        with pytest.raises(Unavailable, match="no database"):
            await process.courses.get(("course", "tenant", "other"), fails)
    assert fails.calls == 2


async def test_an_aged_value_is_given_out_while_it_is_loaded_anew(start: Start) -> None:
    process = await start(memory_seconds=2.0)
    load = Loader(Course("old"))
    await process.courses.get(KEY, load)
    load.value, load.seconds = Course("new"), 0.1
    await until(lambda: process.cache.memory.get(KEY)[1])
    began = time.monotonic()
    assert await process.courses.get(KEY, load) == Course("old")
    assert time.monotonic() - began < 0.05
    await until(lambda: process.cache.memory.get(KEY) == (Course("new"), False))
    assert load.calls == 2


async def test_another_version_of_the_program_has_values_of_its_own(start: Start) -> None:
    old, new = await start(1), await start(2)
    await old.courses.get(KEY, Loader(Course("of the old")))
    assert await new.courses.get(KEY, Loader(Course("of the new"))) == Course("of the new")
    assert await old.courses.get(KEY, Loader(Course("again"))) == Course("of the old")


async def test_tenants_share_nothing(start: Start) -> None:
    process = await start()
    await process.courses.get(process.courses.key("one", "course"), Loader(Course("one's")))
    assert await process.courses.get(process.courses.key("other", "course"), Loader(Course("other's"))) == Course(
        "other's"
    )


async def test_without_nats_values_live_shortly_and_come_back_with_it(start: Start, server: NatsServer) -> None:
    one, other = await start(cut_seconds=0.5), await start(cut_seconds=0.5)
    load = Loader(Course("old"))
    for process in (one, other):
        for _ in range(2):
            await process.courses.get(KEY, load)
    await server.stop()
    await until(lambda: not one.connection.connected and not other.connection.connected)
    load.value = Course("new")
    assert not await one.courses.changed(KEY), "the others are told once it is back"
    assert await one.courses.get(KEY, load) == Course("new")
    began = time.monotonic()
    while await other.courses.get(KEY, load) != Course("new"):  # noqa: ASYNC110 - no event tells
        await asyncio.sleep(0.01)
    assert time.monotonic() - began <= 0.5 + 0.3, "the stated bound"
    await server.start()
    for process in (one, other):
        await process.listening()
    load.value = Course("newest")
    assert await other.courses.changed(KEY)
    for process in (one, other):
        with contextlib.suppress(TimeoutError):
            await until(lambda process=process: process.courses.hit(KEY) is MISS, 2)  # type: ignore[misc]
        assert await process.courses.get(KEY, load) == Course("newest")


async def test_a_load_that_nobody_waits_for_goes_on_for_the_others(start: Start) -> None:
    process = await start()
    load = Loader(Course("Algebra"), 0.3)
    given_up = asyncio.create_task(process.courses.get(KEY, load))
    stays = asyncio.create_task(process.courses.get(KEY, load))
    await until(lambda: load.calls == 1)
    given_up.cancel()
    assert await stays == Course("Algebra")
    assert load.calls == 1


async def test_a_load_has_a_limit(start: Start) -> None:
    process = await start(load_seconds=0.2)
    with pytest.raises(Unavailable, match=r"course was not loaded within 0\.2 s"):
        await process.courses.get(KEY, Loader(Course("late"), 5.0))


async def test_alone_it_needs_no_nats() -> None:
    cache = Cache(CacheSettings(), ManualClock(1000.0))
    plain = cache.space("plain", str)
    load = Loader("value")
    assert [await plain.get(KEY, load) for _ in range(3)] == ["value"] * 3
    assert load.calls == 1
    assert await plain.changed(KEY)
    assert await plain.get(KEY, load) == "value"
    assert load.calls == 2


def test_only_what_cannot_be_changed_is_kept() -> None:
    class Open(msgspec.Struct):
        names: tuple[str, ...]

    class Nested(msgspec.Struct, frozen=True):
        names: list[str]

    cache = Cache(CacheSettings(), ManualClock(0.0))
    for kind in (list, dict, Open, Nested, list[str], bytearray):
        with pytest.raises(TypeError, match="could be changed"):
            cache.space(f"of {kind}", kind)
    cache.space("fine", tuple[Course, ...])
    with pytest.raises(ValueError, match="has a space fine already"):
        cache.space("fine", str)
