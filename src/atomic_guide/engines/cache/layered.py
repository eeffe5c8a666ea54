"""Values by key in layers: this process's memory, what processes share on NATS, and whoever can load them.

    cache = Cache(settings, shards.clock, connection)
    courses = cache.space("course", Course, version=2)
    key = courses.key(tenant, course)
    found = courses.hit(key)
    if found is MISS:
        found = await courses.get(key, load)

Of many callers who miss at one moment one loads and the others wait for it, in this process and, where values are
shared, over all of them. A value that ages is still given out while it is loaded anew, at a moment that is not the same
in any two processes. That something does not exist is remembered too, for less long; an error never is. What cannot be
reached is passed over and counted: a broken layer makes reads slower and nothing else.

Whoever changes something says so: `await courses.changed(key)`, or `await cache.changed_mark("course:1")` for
everything that carries the mark. Then no process gives the old value out any more, within milliseconds where NATS is
there. Where it is not, values live for `cut_seconds` only.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import types
import typing
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

import msgspec
import structlog

from atomic_guide.engines.cache.layer import MISS, Entry, MemoryLayer, Usage
from atomic_guide.engines.cache.shared import Shared, Stored
from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.cache.settings import CacheSettings
    from atomic_guide.engines.nats.connection import Connection

_log = structlog.get_logger(__name__)

T = TypeVar("T")
Key = tuple[str, ...]
"""The space, the tenant, then what names the thing within it: made by `Space.key`."""

_EARLY = 0.2
"""A value ages in the last fifth of its life, at a random moment of it: processes that loaded together part."""

_TIMER_SECONDS = 0.05
"""How late a value may end; less often where nothing is due."""

_WAIT_FIRST, _WAIT_MOST = 0.005, 0.05
"""Between looks for what another process loads."""


class Space(Generic[T]):
    """Values of one kind. Its version is part of every key: a program with another one has values of its own."""

    def __init__(self, cache: Cache, name: str, kind: type[T], rules: Rules) -> None:
        self._cache = cache
        self.name = name
        self.rules = rules
        self._decoder = msgspec.msgpack.Decoder(cast("Any", kind | None))
        self.hit: Callable[[Key], Any] = cache.memory.hit
        """A value that is hot in memory, or `MISS`; None means that it is known not to exist. The quick way."""

    def key(self, tenant: str, *parts: str) -> Key:
        """The key of a thing of a tenant, which must have one: nobody else's is ever found by it."""
        return (self.name, tenant, *parts)

    async def get(self, key: Key, load: Callable[[], Awaitable[T | None]], marks: Sequence[str] = ()) -> T | None:
        """A value from the nearest layer, or as `load` loads it; None where it does not exist.

        `marks` name what else it depends on. Raises what `load` raises, and `Unavailable` where that takes too long.
        """
        found = self.hit(key)
        return cast("T | None", found if found is not MISS else await self._cache.get(self, key, load, marks))

    async def changed(self, *keys: Key) -> bool:
        """Say that values have changed; False where other processes learn of it only once NATS is back."""
        return await self._cache.change([_digest(self, key) for key in keys])

    def decoded(self, stored: Stored) -> T | None:
        """A value as another process stored it. Raises `msgspec.DecodeError` for what is none."""
        return cast("T | None", self._decoder.decode(stored.value))


class Rules(NamedTuple):
    """How long values of a space live in memory and on NATS, how long what does not exist; whether they are shared."""

    version: int
    memory_seconds: float
    shared_seconds: float
    negative_seconds: float
    shared: bool


class Counts(NamedTuple):
    """What happened since the start: values loaded, loads that failed, loads that were waited for, refreshes."""

    loads: int = 0
    failures: int = 0
    joined: int = 0
    refreshed: int = 0


class _Flight:
    """A load under way; `stale` once what it loads has changed meanwhile."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        self.marks = marks
        self.stale = False
        self.task: asyncio.Task[Any] | None = None


class Cache:
    """All spaces of one process over one bounded memory; `run` is its root task."""

    def __init__(self, settings: CacheSettings, clock: Clock, connection: Connection | None = None) -> None:
        """Without a connection nothing is shared, and changes are this process's own."""
        self._settings = settings
        self._clock = clock
        self.memory = MemoryLayer(settings.memory_bytes)
        self.shared = Shared(connection, settings, self._on_change, self._on_cut) if connection is not None else None
        self._flights: dict[Hashable, _Flight] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._alone = connection is None
        self._cut_at: float | None = None if connection is None else time.monotonic()
        self.spaces: dict[str, Space[Any]] = {}
        self.counts = Counts()

    def space(self, name: str, kind: type[T], *, version: int = 1, shared: bool = True, **seconds: float) -> Space[T]:
        """Declare values of one kind, which must be immutable: the very object is given to every caller.

        `memory_seconds`, `shared_seconds` and `negative_seconds` differ from the settings where given. Raises
        `ValueError` for a name that is taken, and `TypeError` for a kind that could be changed.
        """
        if name in self.spaces:
            message = f"the cache has a space {name} already"
            raise ValueError(message)
        _check_immutable(kind)
        own = self._settings
        lives = {"memory_seconds": own.memory_seconds, "shared_seconds": own.shared_seconds,
                 "negative_seconds": own.negative_seconds, **seconds}  # fmt: skip
        made = Space(self, name, kind, Rules(version, shared=shared and self.shared is not None, **lives))
        self.spaces[name] = made
        return made

    async def run(self) -> None:
        """End what is due and listen for changes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_time())
            if self.shared is not None:
                tasks.create_task(self.shared.run())

    async def close(self) -> None:
        """Break off what is under way for later readers."""
        tasks = [*self._background, *(one.task for one in self._flights.values() if one.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(
        self, space: Space[T], key: Key, load: Callable[[], Awaitable[T | None]], marks: Sequence[str]
    ) -> T | None:
        """As `Space.get`."""
        value, aged = self.memory.get(key)
        if value is not MISS and not aged:
            return cast("T | None", value)
        flight = self._flights.get(key)
        if flight is None:
            flight = self._take_off(space, key, load, marks, fresh=aged)
            if aged:
                self._count(refreshed=1)
        elif not aged:
            self._count(joined=1)
        if aged:
            return cast("T | None", value)
        if flight.task is None:
            raise AssertionError("a flight has a task from its beginning")
        # A caller that gives up does not break the load off for the others.
        return cast("T | None", await asyncio.shield(flight.task))

    async def change(self, marks: Sequence[str]) -> bool:
        """Things have changed, by their marks."""
        for mark in marks:
            self._on_change(mark)
        if self.shared is None:
            return True
        return await self.shared.mark(marks)

    async def changed_mark(self, *names: str) -> bool:
        """Say that what several values depend on has changed; False as in `Space.changed`."""
        return await self.change([_mark(name) for name in names])

    def clear(self) -> None:
        """Forget everything that this process remembers."""
        self.memory.clear()
        for place, flight in list(self._flights.items()):
            self._overtake(place, flight)

    @property
    def usage(self) -> Usage:
        """What is held in memory."""
        return self.memory.usage

    def _take_off(
        self, space: Space[T], key: Key, load: Callable[[], Awaitable[T | None]], marks: Sequence[str], *, fresh: bool
    ) -> _Flight:
        flight = _Flight((_digest(space, key), *map(_mark, marks)))
        self._flights[key] = flight
        flight.task = asyncio.create_task(self._fly(space, key, flight, load, fresh=fresh), name=f"load {space.name}")
        # Nobody may be left to wait for it; its error is then nobody's.
        flight.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return flight

    async def _fly(
        self,
        space: Space[T],
        place: Hashable,
        flight: _Flight,
        load: Callable[[], Awaitable[T | None]],
        *,
        fresh: bool,
    ) -> T | None:
        try:
            shared = self.shared if space.rules.shared else None
            if shared is None:
                return await self._loaded(space, place, flight, load)
            stored = None if fresh else await shared.get(flight.marks[0])
            if stored is None and not await shared.lock(flight.marks[0], self._settings.load_seconds):
                stored = await self._waited(shared, flight.marks[0])
            if stored is not None and (found := self._taken(space, place, flight, stored)) is not MISS:
                return cast("T | None", found)
            return await self._loaded(space, place, flight, load)
        finally:
            if self._flights.get(place) is flight:
                del self._flights[place]

    async def _waited(self, shared: Shared, digest: str) -> Stored | None:
        """What another process loads, for as long as loading may take."""
        pause, until = _WAIT_FIRST, time.monotonic() + self._settings.load_seconds
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _WAIT_MOST)
            if (stored := await shared.get(digest)) is not None:
                self._count(joined=1)
                return stored
            if not shared.live:
                return None
            if await shared.lock(digest, self._settings.load_seconds):
                # Whoever had it may have stored the value between the two calls.
                return await shared.get(digest)
        return None

    def _taken(self, space: Space[T], place: Hashable, flight: _Flight, stored: Stored) -> Any:
        """A shared value into memory, for what is left of its life; `MISS` where it is none."""
        left = stored.ends - self._clock.now()
        try:
            value = space.decoded(stored)
        except msgspec.DecodeError:
            return MISS
        if left <= 0:
            return MISS
        self._remember(place, flight, value, len(stored.value), min(left, self._life(space, value)))
        return value

    async def _loaded(
        self, space: Space[T], place: Hashable, flight: _Flight, load: Callable[[], Awaitable[T | None]]
    ) -> T | None:
        shared = self.shared if space.rules.shared else None
        seen = shared.seen if shared is not None else 0
        try:
            async with asyncio.timeout(self._settings.load_seconds):
                value = await load()
        except TimeoutError:
            self._count(failures=1)
            raise Unavailable(f"{space.name} was not loaded within {self._settings.load_seconds:g} s") from None
        except BaseException:
            self._count(failures=1)
            raise
        self._count(loads=1)
        encoded = msgspec.msgpack.encode(value)
        life = self._life(space, value)
        if life > 0:
            self._remember(place, flight, value, len(encoded), life)
        if shared is not None:
            lasts = space.rules.negative_seconds if value is None else space.rules.shared_seconds
            stored = Stored(self._clock.now() + lasts, seen, flight.marks, encoded)
            self._later(self._share(shared, flight, stored))
        return value

    async def _share(self, shared: Shared, flight: _Flight, stored: Stored) -> None:
        if not flight.stale:
            await shared.put(flight.marks[0], stored)
        await shared.unlock(flight.marks[0])

    def _remember(self, place: Hashable, flight: _Flight, value: object, size: int, life: float) -> None:
        if flight.stale:
            return
        now = time.monotonic()
        ends = now + life
        if self._cut_at is not None:
            ends = min(ends, now + self._settings.cut_seconds)
        ages = now + (ends - now) * (1 - _EARLY * random.random())
        self.memory.put(place, Entry(value, size, ages, ends, flight.marks))

    def _life(self, space: Space[Any], value: object) -> float:
        return space.rules.negative_seconds if value is None else space.rules.memory_seconds

    def _on_change(self, mark: str) -> None:
        self.memory.drop_mark(mark)
        for place, flight in list(self._flights.items()):
            if mark in flight.marks:
                self._overtake(place, flight)

    def _overtake(self, place: Hashable, flight: _Flight) -> None:
        """Those who wait already get what is loaded; whoever comes now has it loaded anew."""
        flight.stale = True
        del self._flights[place]

    def _on_cut(self, *, away: bool) -> None:
        if away:
            self._cut_at = time.monotonic()
            self.memory.shorten(self._cut_at + self._settings.cut_seconds)
        else:
            # What changed meanwhile was not heard of.
            self._cut_at = None
            self.clear()

    async def _keep_time(self) -> None:
        while True:
            now = time.monotonic()
            following = self.memory.expire(now)
            pause = _TIMER_SECONDS if following is None else following - now
            await asyncio.sleep(min(max(pause, 0.001), _TIMER_SECONDS))

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _count(self, *, loads: int = 0, failures: int = 0, joined: int = 0, refreshed: int = 0) -> None:
        before = self.counts
        self.counts = Counts(
            before.loads + loads, before.failures + failures, before.joined + joined, before.refreshed + refreshed
        )


def _digest(space: Space[Any], key: Key) -> str:
    """The name of a value on NATS: of its space, its version, its tenant and the rest of its key."""
    return _hashed("\0".join((str(space.rules.version), *key)))


def _mark(name: str) -> str:
    return _hashed(f"mark\0{name}")


def _hashed(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _check_immutable(kind: Any) -> None:
    """Raise `TypeError` for a kind of value that could be changed by one who was given it."""
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) in {tuple, frozenset, typing.Union}:
        for part in typing.get_args(kind):
            if part is not Ellipsis:
                _check_immutable(part)
        return
    if kind in {str, bytes, int, float, bool, type(None)}:
        return
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__struct_config__.frozen:
        for field in msgspec.structs.fields(kind):
            _check_immutable(field.type)
        return
    message = f"{kind!r} could be changed by whoever is given it; use a frozen struct, a tuple or a plain value"
    raise TypeError(message)
