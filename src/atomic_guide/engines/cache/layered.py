"""Values by key in layers: this process's memory, what processes share on NATS, and whoever can load them.

    cache = Cache(settings, clock, connection, key)
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
there. Where it is not, values live for `cut_seconds` only. Who can tell from a small read whether a value is new enough
says so with `good`, and never sees an old one, NATS or not.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec

from atomic_guide.engines.cache.counts import Counts
from atomic_guide.engines.cache.keys import EVERYTHING, Scope, mark
from atomic_guide.engines.cache.layer import MISS, Entry, MemoryLayer, Usage
from atomic_guide.engines.cache.sealed import Sealer, Stored
from atomic_guide.engines.cache.shared import Reached, Shared
from atomic_guide.engines.cache.space import Ask, Rules, Space, check_immutable
from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.cache.keys import Key
    from atomic_guide.engines.cache.settings import CacheSettings
    from atomic_guide.engines.nats.bucket import Held
    from atomic_guide.engines.nats.connection import Connection

T = TypeVar("T")

_EARLY = 0.2
"""A value ages in the last fifth of its life, at a random moment of it: processes that loaded together part."""

_TIMER_SECONDS = 0.05
"""How late a value may end."""

_WAIT_FIRST, _WAIT_MOST = 0.005, 0.05
"""Between looks for what another process loads."""

TURNS = 3
"""Loads of a key that a caller lets finish, though they may bring too old a value, before one is begun for them: while
changes stream in, a load beside another would make both late."""

_CLOSE_SECONDS = 2.0


class _Flight:
    """A load under way; `stale` once what it loads has changed meanwhile."""

    def __init__(self, marks: tuple[str, ...]) -> None:
        self.marks = marks
        self.stale = False
        self.task: asyncio.Task[Any] | None = None


class Cache:
    """All spaces of one process over one bounded memory; `run` is its root task."""

    def __init__(
        self,
        settings: CacheSettings,
        clock: Clock,
        connection: Connection | None = None,
        key: bytes = b"",
        regions: Sequence[str] = (),
    ) -> None:
        """`key` is the installation's, for what lies on NATS. Without a connection nothing is shared.

        `regions` are the names of all, this process's own first: values lie in its own, and are removed from all.
        """
        self._settings = settings
        self._clock = clock
        self.memory = MemoryLayer(settings.memory_bytes)
        self.counts = Counts()
        self.shared: Shared | None = None
        if connection is not None:
            told = (self._on_change, self._on_cut)
            self.shared = Shared(connection, settings, Sealer(key), self.counts, told, regions)
        self._holds = asyncio.Event()
        """Set once there is a value again that can be due."""
        self._flights: dict[Hashable, _Flight] = {}
        self._background: set[asyncio.Task[Any]] = set()
        self._cut_at: float | None = None if connection is None else time.monotonic()
        self.spaces: dict[str, Space[Any]] = {}
        self.on_nats: Held | None = None
        """What lay on NATS when `look` last asked; None where it did not say."""

    def space(self, name: str, kind: type[T], *, version: int = 1, shared: bool = True, **seconds: float) -> Space[T]:
        """Declare values of one kind, which must be immutable: the very object is given to every caller.

        `shared` says that fetching one from NATS is quicker than loading it; the settings may forbid it, or ask for it
        of all. `memory_seconds`, `shared_seconds`, `negative_seconds` and `load_seconds` differ from the settings where
        given. Raises `ValueError` for a name that is taken, and `TypeError` for a kind that could be changed.
        """
        if name in self.spaces:
            message = f"the cache has a space {name} already"
            raise ValueError(message)
        check_immutable(kind)
        own = self._settings
        lives = {"memory_seconds": own.memory_seconds, "shared_seconds": own.shared_seconds,
                 "negative_seconds": own.negative_seconds, "load_seconds": own.load_seconds, **seconds}  # fmt: skip
        lies_on_nats = self.shared is not None and {"auto": shared, "on": True, "off": False}[own.shared]
        made = Space(self, name, kind, Rules(version, shared=lies_on_nats, **lives))
        self.spaces[name] = made
        return made

    async def run(self) -> None:
        """End what is due and listen for changes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_time())
            if self.shared is not None:
                tasks.create_task(self.shared.run())

    async def close(self) -> None:
        """Let what is being stored for others be stored, for a moment; break off the rest."""
        if self._background:
            await asyncio.wait(set(self._background), timeout=_CLOSE_SECONDS)
        tasks = [*self._background, *(one.task for one in self._flights.values() if one.task is not None)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, ask: Ask[T]) -> T | None:
        """As `Space.get`."""
        for _ in range(TURNS):
            value, aged = self.memory.get(ask.key)
            if value is not MISS and ask.takes(value):
                return self._given(ask, value, aged=aged)
            self.counts.rejected += value is not MISS
            flight = self._flights.get(ask.key)
            if flight is None or flight.task is None:
                break
            self.counts.joined += 1
            # A caller that gives up does not break the load off for the others.
            value = await asyncio.shield(flight.task)
            if ask.takes(value):
                return cast("T | None", value)
        task = self._take_off(ask, fresh=False)
        return await asyncio.shield(task)

    def _given(self, ask: Ask[T], value: object, *, aged: bool) -> T | None:
        self.counts.negative += value is None
        if aged:
            self.counts.stale += 1
            if ask.key not in self._flights:
                self.counts.refreshed += 1
                self._refresh(ask)
        return cast("T | None", value)

    def _refresh(self, ask: Ask[Any]) -> None:
        self._later(self._take_off(ask, fresh=True))

    async def change(self, marks: Sequence[str]) -> Reached | None:
        """Things have changed, by their marks: who has heard as far as is returned gives nothing old out.

        None where other processes learn of it only once NATS is back.
        """
        for one in marks:
            self._on_change(one)
        if self.shared is None:
            return Reached(0, 0)
        return await self.shared.mark(marks)

    async def changed_mark(self, *names: str) -> bool:
        """Say that what several values depend on has changed; False as in `Space.changed`."""
        return await self.change([mark(name) for name in names]) is not None

    async def drop(self, scope: Scope) -> bool:
        """Have every process forget the values of a scope, and remove them from NATS; False where that is away.

        Then each forgets them at the latest when they end.
        """
        told = await self.change([scope.mark]) is not None
        if told and self.shared is not None and scope.prefix:
            try:
                await self.shared.remove(scope.prefix)
            except Unavailable:
                return False
        return told

    async def drop_value(self, space: Space[Any], key: Key) -> bool:
        """The same for one value."""
        told = await self.change([space.digest(key)]) is not None
        if told and self.shared is not None:
            try:
                await self.shared.remove(space.digest(key))
            except Unavailable:
                return False
        return told

    async def look(self) -> None:
        """Ask how much lies on NATS; for a root task."""
        self.on_nats = None
        if self.shared is not None and self.shared.live:
            self.on_nats = await self.shared.held()

    def clear(self) -> None:
        """Forget everything that this process remembers."""
        self.memory.clear()
        for place, flight in list(self._flights.items()):
            self._overtake(place, flight)

    @property
    def usage(self) -> Usage:
        """What is held in memory."""
        return self.memory.usage

    def _take_off(self, ask: Ask[T], *, fresh: bool) -> asyncio.Task[T | None]:
        before = self._flights.get(ask.key)
        if before is not None:
            # What it brings is older than what comes now.
            self._overtake(ask.key, before)
        flight = _Flight((*ask.space.marks_of(ask.key), *map(mark, ask.marks)))
        self._flights[ask.key] = flight
        load = self._fly(ask, flight, fresh=fresh)
        task: asyncio.Task[T | None] = asyncio.create_task(load, name=f"load {ask.space.name}")
        flight.task = task
        # Nobody may be left to wait for it; its error is then nobody's.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task

    async def _fly(self, ask: Ask[T], flight: _Flight, *, fresh: bool) -> T | None:
        try:
            shared = self.shared if ask.space.rules.shared else None
            if shared is None:
                return await self._loaded(ask, flight)
            name = flight.marks[0]
            found = MISS if fresh else self._taken(ask, flight, await shared.get(name))
            if found is MISS and not await shared.lock(name, ask.space.rules.load_seconds):
                found = await self._waited(ask, flight, shared)
            if found is MISS:
                return await self._loaded(ask, flight)
            return cast("T | None", found)
        finally:
            if self._flights.get(ask.key) is flight:
                del self._flights[ask.key]

    async def _waited(self, ask: Ask[T], flight: _Flight, shared: Shared) -> Any:
        """What another process loads, for as long as loading may take; else `MISS`."""
        name = flight.marks[0]
        pause, until = _WAIT_FIRST, time.monotonic() + ask.space.rules.load_seconds
        while time.monotonic() < until:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _WAIT_MOST)
            if (found := self._taken(ask, flight, await shared.get(name))) is not MISS:
                self.counts.joined += 1
                return found
            if not shared.live:
                return MISS
            if await shared.lock(name, ask.space.rules.load_seconds):
                # Whoever had it may have stored the value between the two calls.
                return self._taken(ask, flight, await shared.get(name))
        return MISS

    def _taken(self, ask: Ask[T], flight: _Flight, stored: Stored | None) -> Any:
        """A shared value into memory, for what is left of its life; `MISS` where it is none or not new enough."""
        if stored is None or (left := stored.ends - self._clock.now()) <= 0:
            return MISS
        value = ask.space.read(stored)
        if value is MISS:
            self.counts.garbage += 1
            return MISS
        if not ask.takes(value):
            self.counts.rejected += 1
            return MISS
        self.counts.negative += value is None
        self._remember(ask, flight, value, len(stored.value), min(left, _life(ask.space, value)))
        return value

    async def _loaded(self, ask: Ask[T], flight: _Flight) -> T | None:
        space, shared = ask.space, self.shared if ask.space.rules.shared else None
        since, seen = (shared.reached.since, shared.seen) if shared is not None else (0, 0)
        began = time.monotonic()
        try:
            async with asyncio.timeout(space.rules.load_seconds):
                value = await ask.load()
        except TimeoutError:
            self.counts.failures += 1
            raise Unavailable(f"{space.name} was not loaded within {space.rules.load_seconds:g} s") from None
        except BaseException:
            self.counts.failures += 1
            raise
        self.counts.loads += 1
        self.counts.load.add(time.monotonic() - began)
        encoded = msgspec.msgpack.encode(value)
        life = _life(space, value)
        if life > 0:
            self._remember(ask, flight, value, len(encoded), life)
        if shared is not None:
            lasts = space.rules.negative_seconds if value is None else space.rules.shared_seconds
            stored = Stored(self._clock.now() + lasts, since, seen, flight.marks, encoded)
            self._later(self._share(shared, flight, stored))
        return value

    async def _share(self, shared: Shared, flight: _Flight, stored: Stored) -> None:
        if not flight.stale:
            await shared.put(flight.marks[0], stored)
        await shared.unlock(flight.marks[0])

    def _remember(self, ask: Ask[T], flight: _Flight, value: object, size: int, life: float) -> None:
        if flight.stale:
            return
        now = time.monotonic()
        ends = now + life
        if self._cut_at is not None:
            ends = min(ends, now + self._settings.cut_seconds)
        ages = now + (ends - now) * (1 - _EARLY * random.random())
        self.memory.put(ask.key, Entry(value, size, ages, ends, flight.marks))
        self._holds.set()

    def _on_change(self, name: str) -> None:
        if name == EVERYTHING:
            self.clear()
            return
        self.memory.drop_mark(name)
        for place, flight in list(self._flights.items()):
            if name in flight.marks:
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
            if following is None:
                self._holds.clear()
                await self._holds.wait()
            else:
                await asyncio.sleep(min(max(following - now, 0.001), _TIMER_SECONDS))

    def _later(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _life(space: Space[Any], value: object) -> float:
    return space.rules.negative_seconds if value is None else space.rules.memory_seconds
