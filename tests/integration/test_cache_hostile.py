"""What lies on NATS and is none of ours, what NATS loses, and who dies at the wrong moment."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.engines.cache.keys import Scope
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.sealed import Sealer, Stored
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.cache.shared import MARKS, VALUES
from atomic_guide.engines.cache.space import Space
from atomic_guide.engines.nats.bucket import Bounds, Bucket
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from tests.caching import KEY as SECRET
from tests.caching import listening, running_cache

pytestmark = pytest.mark.timeout(60)


class Grade(msgspec.Struct, frozen=True):
    user: str
    score: int


class Loader:
    """Counts how often it is asked for what there is now."""

    def __init__(self, value: Grade) -> None:
        self.value = value
        self.calls = 0

    async def __call__(self) -> Grade:
        self.calls += 1
        return self.value


class Ground:
    """Processes over one NATS server, and a hand that writes to it past them."""

    def __init__(self, folder: Path, server: NatsServer, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.server = server
        self.stack = stack
        self.hand = Connection(folder, NatsSettings())

    async def process(
        self, key: bytes = SECRET, regions: tuple[str, ...] = (), **settings: Any
    ) -> tuple[Cache, Space[Grade]]:
        connection = Connection(self.folder, NatsSettings())
        made = running_cache(connection, CacheSettings(**settings), key, regions)
        cache = await self.stack.enter_async_context(made)
        return cache, cache.space("grades", Grade)

    async def bucket(self, name: str) -> Bucket:
        bucket = Bucket(self.hand, name, Bounds(3600.0, bytes=CacheSettings().shared_bytes))
        await bucket.open()
        return bucket

    async def lose(self, name: str) -> None:
        """The stream of a bucket, as an operator of NATS might delete it."""
        client = self.hand.client
        assert client is not None
        await client.jetstream().delete_stream(f"KV_{name}")


@pytest.fixture
async def ground(tmp_path: Path) -> AsyncIterator[Ground]:
    server = NatsServer(tmp_path, NatsSettings())
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop)
        found = Ground(tmp_path, server, stack)
        await found.hand.open()
        stack.push_async_callback(found.hand.close)
        yield found


async def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)


Write = Callable[[Cache, str, bytes], Awaitable[bytes]]


async def noise(cache: Cache, name: str, lying: bytes) -> bytes:
    del cache, name, lying
    return b"\x00\xff" * 500


async def cut_short(cache: Cache, name: str, lying: bytes) -> bytes:
    del cache, name
    return lying[:-3]


async def empty(cache: Cache, name: str, lying: bytes) -> bytes:
    del cache, name, lying
    return b""


async def altered(cache: Cache, name: str, lying: bytes) -> bytes:
    del cache, name
    place = lying.index(b"ada")
    return lying[:place] + b"eve" + lying[place + 3 :]


async def of_another_key(cache: Cache, name: str, lying: bytes) -> bytes:
    """What one may write who may write to NATS, and does not know the installation's key."""
    del lying
    assert cache.shared is not None
    reached = cache.shared.reached
    value = msgspec.msgpack.encode(Grade("eve", 100))
    return Sealer(b"a guess").close(name, Stored(2e9, reached.since, reached.number, (name,), value))


async def of_another_form(cache: Cache, name: str, lying: bytes) -> bytes:
    """Sealed by us, as a program with another form of the value under the same version would."""
    del lying
    assert cache.shared is not None
    reached = cache.shared.reached
    value = msgspec.msgpack.encode({"user": 7})
    return Sealer(SECRET).close(name, Stored(2e9, reached.since, reached.number, (name,), value))


@pytest.mark.parametrize("write", [noise, cut_short, empty, altered, of_another_key, of_another_form])
async def test_what_is_no_value_of_ours_is_a_miss_and_counted(ground: Ground, write: Write) -> None:
    _, grades = await ground.process()
    victim, its = await ground.process()
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 7))
    await grades.get(key, load)
    bucket, name = await ground.bucket(VALUES), grades.digest(key)
    lying = None
    async with asyncio.timeout(10):
        while lying is None:
            lying = await bucket.get(name, 1.0)
    await bucket.put(name, await write(victim, name, lying), 1.0)
    assert await its.get(key, load) == Grade("ada", 7)
    assert (load.calls, victim.counts.garbage) == (2, 1)


async def test_a_value_under_another_name_is_none(ground: Ground) -> None:
    """Somebody who may write to NATS shows one student's grade as another's."""
    _, grades = await ground.process()
    victim, its = await ground.process()
    ada, ben = (grades.key("t", "algebra", user) for user in ("ada", "ben"))
    await grades.get(ada, Loader(Grade("ada", 20)))
    bucket, lying = await ground.bucket(VALUES), None
    async with asyncio.timeout(10):
        while lying is None:
            lying = await bucket.get(grades.digest(ada), 1.0)
    await bucket.put(grades.digest(ben), lying, 1.0)
    assert await its.get(ben, Loader(Grade("ben", 3))) == Grade("ben", 3)
    assert victim.counts.garbage == 1


async def test_another_installation_on_the_same_nats_is_not_believed(ground: Ground) -> None:
    _, ours = await ground.process()
    foreign, theirs = await ground.process(key=b"of another installation")
    key = ours.key("t", "algebra", "ada")
    await ours.get(key, Loader(Grade("ada", 1)))
    assert await theirs.get(key, Loader(Grade("ada", 2))) == Grade("ada", 2)
    assert foreign.counts.shared_hits == 0


async def test_a_lost_bucket_of_values_is_made_again(ground: Ground) -> None:
    one, grades = await ground.process()
    two, its = await ground.process()
    await ground.lose(VALUES)
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 7))
    assert await grades.get(key, load) == Grade("ada", 7)
    assert one.counts.skipped > 0

    async def shared() -> bool:
        one.memory.drop(key)
        two.memory.drop(key)
        await grades.get(key, load)
        await its.get(key, load)
        return two.counts.shared_hits > 0

    async with asyncio.timeout(15):
        while not await shared():  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.05)


async def test_values_of_before_the_order_of_changes_was_lost_are_not_believed(ground: Ground) -> None:
    one, grades = await ground.process()
    two, its = await ground.process()
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    # So that the number of what is stored is greater than those of the new order.
    for _ in range(50):
        await grades.changed(key)
    await grades.get(key, load)
    await until(lambda: one.counts.puts == 1)
    await ground.lose(MARKS)
    await until(lambda: one.counts.cuts > 0 and two.counts.cuts > 0)
    for cache in (one, two):
        await listening(cache)
    load.value = Grade("ada", 2)
    assert await grades.changed(key)
    for space in (grades, its):
        assert await space.get(key, load) == Grade("ada", 2)


async def test_nats_that_starts_anew_is_used_again(ground: Ground) -> None:
    one, grades = await ground.process()
    two, its = await ground.process()
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    await grades.get(key, load)
    await ground.server.stop()
    load.value = Grade("ada", 2)
    assert not await grades.changed(key)
    assert await grades.get(key, load) == Grade("ada", 2)
    await ground.server.start()
    for cache in (one, two):
        await listening(cache)
    assert await its.get(key, load) == Grade("ada", 2)


async def test_a_writer_that_dies_without_nats_leaves_others_old_for_the_life_of_the_value_only(ground: Ground) -> None:
    other, its = await ground.process(memory_seconds=2.0, shared="off")
    writer = Cache(CacheSettings(), other._clock, Connection(ground.folder, NatsSettings()), SECRET)
    key, load = its.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    assert await its.get(key, load) == Grade("ada", 1)
    load.value = Grade("ada", 2)
    # It has never reached NATS, and is gone before it does.
    assert not await writer.space("grades", Grade).changed(key)
    await writer.close()
    began = asyncio.get_running_loop().time()
    async with asyncio.timeout(10):
        while await its.get(key, load) != Grade("ada", 2):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() - began < 2.0 + 0.5


async def test_who_knows_how_new_a_value_must_be_never_sees_an_older_one(ground: Ground) -> None:
    _, grades = await ground.process()
    two, its = await ground.process()
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    await grades.get(key, load)
    await its.get(key, load)
    for score in range(2, 6):
        # Nobody is told.
        load.value = Grade("ada", score)

        def good(found: Grade | None, score: int = score) -> bool:
            return found is not None and found.score >= score

        for space in (its, grades):
            assert await space.get(key, load, good=good) == Grade("ada", score)
    assert two.counts.rejected > 0
    calls = load.calls
    found = await asyncio.gather(*(its.get(key, load, good=lambda one: one == load.value) for _ in range(200)))
    assert set(found) == {Grade("ada", 5)}
    assert load.calls == calls


async def test_many_who_must_see_something_newer_make_one_load(ground: Ground) -> None:
    _, grades = await ground.process()
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    await grades.get(key, load)
    load.value, calls = Grade("ada", 2), load.calls
    found = await asyncio.gather(*(grades.get(key, load, good=lambda one: one == Grade("ada", 2)) for _ in range(200)))
    assert set(found) == {Grade("ada", 2)}
    assert load.calls == calls + 1


async def test_values_stay_in_their_region_and_changes_are_heard_in_all(ground: Ground) -> None:
    europe, grades = await ground.process(regions=("eu", "us"))
    america, its = await ground.process(regions=("us", "eu"))
    key, load = grades.key("t", "algebra", "ada"), Loader(Grade("ada", 1))
    await grades.get(key, load)
    await until(lambda: europe.counts.puts == 1)
    assert await (await ground.bucket(f"{VALUES}-eu")).get(grades.digest(key), 1.0) is not None
    assert await its.get(key, load) == Grade("ada", 1)
    assert (load.calls, america.counts.shared_hits) == (2, 0), "what lies in one region is not read in another"
    await until(lambda: america.counts.puts == 1)
    assert await america.drop(Scope("t"))
    for region in ("eu", "us"):
        assert await (await ground.bucket(f"{VALUES}-{region}")).get(grades.digest(key), 1.0) is None
    await until(lambda: europe.memory.entry(key) is None)


async def test_what_is_dropped_where_a_region_has_never_remembered_is_dropped(ground: Ground) -> None:
    cache, grades = await ground.process(regions=("eu", "us", "ap"))
    key = grades.key("t", "algebra", "ada")
    await grades.get(key, Loader(Grade("ada", 1)))
    assert await cache.drop(Scope("t", "algebra"))
    assert cache.memory.entry(key) is None
