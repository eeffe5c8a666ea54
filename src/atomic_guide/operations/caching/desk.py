"""What operators ask of the cache and do to it; the command and the HTTP calls are two ways to it.

A value is named by its space, its tenant and its course. What is dropped is forgotten by every process, and removed
from NATS. Who dropped, warmed or read what, and when, is noted in the audit of scaling.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.clock import iso
from atomic_guide.engines.cache.keys import Scope
from atomic_guide.engines.cache.layer import MISS
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Invalid, NotFound, Unavailable
from atomic_guide.operations.scaling.audit import Deed, Entry, entries, note
from atomic_guide.operations.scaling.reports import Reports, named

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.cache.keys import Key
    from atomic_guide.engines.cache.layered import Cache
    from atomic_guide.engines.cache.space import Space
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.operations.scaling.reports import Report

FLEET = "cache"
"""What entries of the log are about."""

AWAY = "NATS is away: other processes forget the values at the latest when they end"


class Kind(NamedTuple):
    """Values of a space as operators name them: by course."""

    space: Space[Any]
    key: Callable[[CourseKey], Key]
    warm: Callable[[CourseKey], Awaitable[Any]]
    """Brings a course's value into the cache."""
    shown: Callable[[Any], Any]
    """A value as operators may read it."""


class Layers(msgspec.Struct, frozen=True):
    """What one process has done since its start, as it last reported; `hears` is null without NATS."""

    process: str
    at: str
    memory_bytes: int
    memory_hits: int
    nats_hits: int
    loads: int
    stale: int
    negative: int
    evicted: int
    skipped: int
    garbage: int
    hears: bool | None


class OnNats(msgspec.Struct, frozen=True):
    """What lies on NATS for all processes, as its server counts it."""

    keys: int
    bytes: int


class SpaceShown(msgspec.Struct, frozen=True):
    """A space: for how many seconds its values live in memory and on NATS; `shared`: whether they lie there.

    `by_course`: operators can name a value by its course, to look at it or to warm it.
    """

    name: str
    version: int
    memory_seconds: float
    shared_seconds: float
    negative_seconds: float
    shared: bool
    by_course: bool


class Stats(msgspec.Struct, frozen=True):
    """How the cache stands; `on_nats` is null where NATS does not say."""

    processes: list[Layers]
    on_nats: OnNats | None
    spaces: list[SpaceShown]


class Place(msgspec.Struct, frozen=True):
    """Where a value was found: `memory` (of the process that answers) or `nats`. `holds`: nothing has changed since."""

    layer: str
    bytes: int
    ends_at: str
    holds: bool
    value: Any = None


class Found(msgspec.Struct, frozen=True):
    """A value in every layer that has it."""

    space: str
    tenant: str
    course: str
    places: list[Place]


class Dropped(msgspec.Struct, frozen=True):
    """What was dropped, or would be: values in the memory of the process that answers, and names on NATS.

    `on_nats` is null where NATS does not say; of a space alone nobody counts there. `told`: all processes know.
    """

    in_memory: int
    on_nats: int | None
    told: bool
    dry_run: bool
    note: str = ""


class Warmed(msgspec.Struct, frozen=True):
    """What was brought into the cache, or would be."""

    space: str
    tenant: str
    course: str
    seconds: float | None
    dry_run: bool


class Desk:
    """The desk of one process; `kinds` are the spaces that operators can name."""

    def __init__(self, cache: Cache, directory: Database, clock: Clock, kinds: dict[str, Kind]) -> None:
        self._cache = cache
        self._directory = directory
        self._clock = clock
        self.kinds = kinds

    async def stats(self) -> Stats:
        """How every process stands, by its last report, and what lies on NATS now."""
        look = await Reports(self._directory).look(self._clock.now())
        shared = self._cache.shared
        try:
            held = await shared.held() if shared is not None else None
        except Unavailable:
            held = None
        spaces = [
            SpaceShown(one.name, one.rules.version, one.rules.memory_seconds, one.rules.shared_seconds,
                       one.rules.negative_seconds, one.rules.shared, one.name in self.kinds)
            for one in self._cache.spaces.values()
        ]  # fmt: skip
        processes = [_layers(report) for report in look.reports if "cache.bytes" in report.gauges]
        return Stats(processes, OnNats(*held) if held is not None else None, spaces)

    async def find(self, space: str, tenant: str, course: str, *, who: str = "") -> Found:
        """A value where it lies; with its content where `who` reads it, which is noted. Raises `NotFound`."""
        kind, key = self._named(space, tenant, course)
        places = [
            msgspec.structs.replace(place, value=kind.shown(value) if who else None)
            for place, value in (*self._in_memory(key), *await self._on_nats(kind.space, key))
        ]
        if not places:
            raise NotFound(f"no layer has {space} of the course {course} of {tenant}")
        if who:
            await self._note(who, "cached value read", {"space": space, "tenant": tenant, "course": course})
        return Found(space, tenant, course, places)

    async def drop(self, asked: Scope, who: str, *, dry_run: bool = False) -> Dropped:
        """Have every process forget the values of a scope, and remove them from NATS; a course goes by its LMS's id."""
        if asked.course and not asked.tenant:
            raise Invalid("a course is named together with its tenant")
        if asked.space and asked.tenant:
            raise Invalid("name a space, or a tenant and its course, not both")
        if asked.space and asked.space not in self._cache.spaces:
            raise NotFound(f"there is no space {asked.space}; there are: {', '.join(sorted(self._cache.spaces))}")
        scope = asked._replace(course=CourseKey.of(asked.tenant, asked.course).course) if asked.course else asked
        in_memory = sum(scope.takes(key) for key in self._cache.memory.names() if isinstance(key, tuple))
        on_nats = await self._count(scope)
        if dry_run:
            return Dropped(in_memory, on_nats, told=False, dry_run=True)
        # Noted before it is done: what nobody can note is not done.
        await self._note(who, "cache dropped", {name: part for name, part in asked._asdict().items() if part})
        told = await self._cache.drop(scope)
        return Dropped(in_memory, on_nats, told, dry_run=False, note="" if told else AWAY)

    async def warm(self, space: str, tenant: str, course: str, who: str, *, dry_run: bool = False) -> Warmed:
        """Have a value loaded where no layer has it, for whoever asks next. Raises what loading raises."""
        kind, _ = self._named(space, tenant, course)
        if dry_run:
            return Warmed(space, tenant, course, None, dry_run=True)
        await self._note(who, "cache warmed", {"space": space, "tenant": tenant, "course": course})
        began = time.monotonic()
        await kind.warm(CourseKey.of(tenant, course))
        return Warmed(space, tenant, course, time.monotonic() - began, dry_run=False)

    async def log(self, limit: int) -> list[Entry]:
        """What was done, the newest first."""
        return await entries(self._directory, fleet=FLEET, limit=limit)

    def _named(self, space: str, tenant: str, course: str) -> tuple[Kind, Key]:
        kind = self.kinds.get(space)
        if kind is None:
            raise NotFound(f"there is no space {space}; there are: {', '.join(sorted(self.kinds))}")
        if not tenant or not course:
            raise Invalid("a value is named by its tenant and its course")
        return kind, kind.key(CourseKey.of(tenant, course))

    def _in_memory(self, key: Key) -> list[tuple[Place, Any]]:
        entry = self._cache.memory.entry(key)
        if entry is None:
            return []
        left = entry.ends - time.monotonic()
        return [(Place("memory", entry.size, iso(self._clock.now() + left), holds=True), entry.value)]

    async def _on_nats(self, space: Space[Any], key: Key) -> list[tuple[Place, Any]]:
        shared = self._cache.shared
        if shared is None or not shared.live:
            return []
        stored = await shared.lying(space.digest(key))
        if stored is None:
            return []
        value = space.read(stored)
        holds = value is not MISS and shared.holds(stored) and stored.ends > self._clock.now()
        return [(Place("nats", len(stored.value), iso(stored.ends), holds), value if value is not MISS else None)]

    async def _count(self, scope: Scope) -> int | None:
        shared = self._cache.shared
        if shared is None or not scope.prefix:
            return None
        try:
            return await shared.count(scope.prefix)
        except Unavailable:
            return None

    async def _note(self, who: str, what: str, details: dict[str, Any]) -> None:
        now, deed = self._clock.now(), Deed(what, FLEET, details=details)

        async def work(tx: Transaction) -> None:
            await note(tx, now, who, deed)

        await self._directory.write(work)


def _layers(report: Report) -> Layers:
    counters, gauges = report.counters, report.gauges

    def total(name: str) -> int:
        return int(counters.get(f"cache.{name}", 0.0))

    unheard = gauges.get("cache.unheard")
    return Layers(
        process=report.process,
        at=iso(report.at),
        memory_bytes=int(gauges["cache.bytes"]),
        memory_hits=int(counters.get(named("cache.hits", "memory"), 0.0)),
        nats_hits=int(counters.get(named("cache.hits", "nats"), 0.0)),
        hears=None if unheard is None else not unheard,
        **{name: total(name) for name in ("loads", "stale", "negative", "evicted", "skipped", "garbage")},
    )
