"""From a course to the database that owns it: the cached map, and views that follow a bucket that moves.

The directory holds `bucket_map` (zone, bucket) -> shard with an epoch, `bucket_overrides` for single courses, so that
a hot course can be pinned, and `tenant_zones`. All are small, are held in memory, and are read again when they
change: `map_changes` is looked at every half second, and at once where a shard refuses a stale epoch (ownership.py).

`of(key)` is the database of one course, wherever it is at that moment; `all()` are the shards for work over many
courses, whose statements pass over rows that are not the shard's own (`{{readable ...}}`, `{{writable ...}}`).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import EVERYWHERE, Seal
from atomic_guide.engines.data.database import Engine, Params, Row, Target, Transaction, Work
from atomic_guide.engines.data.ownership import QUERIES, Fence, fenced, over_all
from atomic_guide.engines.data.placement import CourseKey, Map, assign, owners, zone_of
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.replicas import ReplicaSet
from atomic_guide.engines.data.session import FIRST_PRIMARY, Session, opened
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shard import Shard

T = TypeVar("T")

_LOOK_SECONDS = 0.5
"""How often the map's counter is read: one row, and `atomic-guide` promises that a change is seen within a second."""

_FENCE_SECONDS = 5.0
"""How long a call waits for a bucket that is being moved; its writes pause for a tenth of a second."""


class Place(NamedTuple):
    """Where a course is, and the epoch that says so."""

    shard: Shard
    epoch: int


class Shards:
    """Every database of an installation, and the way from a course to its own.

    `opener(name)` opens a shard that the map names and this process does not know yet, or returns None.
    `patience` is how many seconds a call waits for a course that is nowhere at that moment.
    """

    def __init__(
        self, directory: Engine, shards: Sequence[Shard], opener: Callable[[str], Shard | None] | None = None
    ) -> None:
        self.directory = directory
        self._shards = {shard.name: shard for shard in shards}
        self._opener = opener
        self.seal = Seal(directory)
        self.patience = _FENCE_SECONDS
        self._map = Map(-1, {}, {}, {})
        self._reading: asyncio.Task[None] | None = None
        self._registered: set[str] = set()
        self._parting: set[asyncio.Task[None]] = set()

    @property
    def map(self) -> Map:
        """The map that is held."""
        return self._map

    def zone_of(self, tenant: str) -> str:
        """The residency zone of a tenant."""
        return zone_of(tenant, self._map.zones, DEFAULT_ZONE)

    def place(self, key: CourseKey) -> Place:
        """Where a course is. Raises `Unavailable` where the map names a shard that is not configured."""
        found = self._map.overrides.get((key.tenant, key.course)) if self._map.overrides else None
        if found is None:
            zone = zone_of(key.tenant, self._map.zones, DEFAULT_ZONE)
            try:
                found = self._map.buckets[zone][key.bucket]
            except KeyError:
                raise errors.Unavailable(f"zone {zone} has no shards; add one with `atomic-guide shards add`") from None
        name, epoch = found
        return Place(self.named(name), epoch)

    def named(self, name: str) -> Shard:
        """A shard by its name. Raises `Unavailable` where it is not configured."""
        shard = self._opened(name)
        if shard is None:
            raise errors.Unavailable(
                f"the shard map names {name}, which is not in the settings; add it or move its buckets"
            )
        return shard

    def _opened(self, name: str) -> Shard | None:
        shard = self._shards.get(name)
        if shard is None and self._opener is not None and (shard := self._opener(name)) is not None:
            self._shards[name] = shard
        return shard

    def of(self, key: CourseKey) -> Owned:
        """The database of a course; it follows the course when that moves."""
        return Owned(self, key)

    def all(self) -> list[Whole]:
        """Every shard, in the order of their names, for work over many courses."""
        return [Whole(self._shards[name]) for name in sorted(self._shards)]

    @asynccontextmanager
    async def session(
        self, start: str = FIRST_PRIMARY, *, read_only: bool = False, at_primary: bool = False
    ) -> AsyncIterator[Session]:
        """Enter a session (session.py) that begins at a bookmark, or at several with commas between them.

        `read_only`: writes raise `Forbidden`. `at_primary`: its reads decide writes, and go to primaries.
        """
        session = await self.begin(start, read_only=read_only, at_primary=at_primary)
        with session.entered():
            yield session

    async def begin(self, start: str, *, read_only: bool = False, at_primary: bool = False) -> Session:
        """A session that nobody has entered yet, for one who keeps it. Never refuses a bookmark, and never fails."""
        try:
            bookmark = await opened(self.seal, start)
            if bookmark.number > self._map.number:
                # It has been where a course went; this router would still ask the replicas of where it was.
                await self.refresh()
        except errors.GuideError:
            # Primaries refuse a stale map by themselves.
            bookmark, at_primary = EVERYWHERE, True
        return Session(self.seal, bookmark, lambda: self._map.number, read_only=read_only, at_primary=at_primary)

    @property
    def replica_sets(self) -> list[ReplicaSet]:
        """Those shards' replicas that have any, in the order of the shards' names."""
        found = [self._shards[name].replicas for name in sorted(self._shards)]
        return [replicas for replicas in found if replicas is not None and replicas.replicas]

    def grouped(self, keys: Sequence[CourseKey]) -> list[Together]:
        """The courses by the shard that they are on at this moment, for one unit of work on each."""
        by_shard: dict[Shard, dict[CourseKey, int]] = {}
        for key in keys:
            place = self.place(key)
            by_shard.setdefault(place.shard, {})[key] = place.epoch
        return [
            Together(shard, [Fence(key, epoch) for key, epoch in found.items()]) for shard, found in by_shard.items()
        ]

    async def follow(self, key: CourseKey, call: Callable[[Place], Awaitable[T]]) -> T:
        """Make a call where the course is; where the shard refuses it, read the map again, wait, and follow.

        Raises `DataUnavailable` where the course cannot be found at its place for some seconds.
        """
        deadline = time.monotonic() + self.patience
        while True:
            place = self.place(key)
            try:
                return await call(place)
            except errors.Fenced as error:
                if time.monotonic() > deadline:
                    raise errors.DataUnavailable(
                        f"bucket {key.bucket} has been on its way from {place.shard.name} for too long;"
                        " `atomic-guide shards list` shows its move",
                        retry_after=1,
                    ) from error
            await self.look()
            if self.place(key) == place:
                await asyncio.sleep(random.uniform(0.005, 0.02))

    async def refresh(self) -> None:
        """Read the map from the directory; callers of the same moment share one reading."""
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read())
        await asyncio.shield(self._reading)

    async def look(self) -> None:
        """Read the map again where its counter says that it has changed."""
        row = await self.directory.one(QUERIES["read_map_change"])
        if row is not None and row["number"] != self._map.number:
            await self.refresh()

    async def run(self) -> None:
        """Keep the map fresh until cancelled; a directory that does not answer leaves it as it is."""
        while True:
            for replicas in self.replica_sets:
                replicas.start()
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self.look()
            except errors.GuideError:
                continue

    def keeps(self, tenant: str) -> bool:
        """Whether a tenant's zone has shards here: a process in a region knows only those of the region's zones."""
        zone = self.zone_of(tenant)
        return any(shard.zone == zone for shard in self._shards.values())

    async def open_zone(self, zone: str) -> None:
        """Open every shard of a zone, for work that must leave none of it out."""
        for row in await self.directory.read(QUERIES["read_shards"]):
            if row["zone"] == zone:
                self.named(row["name"])

    async def open_all(self) -> None:
        """Open every shard that the directory knows, for work that must not leave one out."""
        for row in await self.directory.read(QUERIES["read_shards"]):
            self.named(row["name"])

    async def join(self) -> None:
        """Bring shards into the directory at first use: an even map for each zone, and each shard told what it owns.

        A zone that has a map is left as it is: a further shard comes in by `shards add` and takes buckets by moves.
        """
        await self.directory.write(self._assign_first)
        await self._read()
        for row in await self.directory.read(QUERIES["read_shards"]):
            if row["state"] == "joining":
                await self.give_buckets(row["name"])

    async def give_buckets(self, name: str) -> None:
        """Tell a joining shard which buckets the map gives it; repeatable. It is active afterwards."""
        shard = self.named(name)
        own = [
            {"bucket": bucket, "tenant": "", "course": "", "epoch": epoch, "now": time.time()}
            for bucket, (owner, epoch) in enumerate(self._map.buckets.get(shard.zone, []))
            if owner == name
        ]

        async def take(tx: Transaction) -> None:
            await tx.execute_many(QUERIES["own_bucket"], own)

        async def activate(tx: Transaction) -> None:
            await tx.execute(QUERIES["set_shard_state"], {"name": name, "state": "active"})
            await tx.read(QUERIES["count_map_change"])

        await shard.primary.write(take)
        await self.directory.write(activate)

    async def close(self) -> None:
        """Close every database."""
        if self._parting:
            await asyncio.wait(self._parting)
        databases: list[Shard | Engine] = [*self._shards.values(), self.directory]
        for database in databases:
            await database.close()

    async def _read(self) -> None:
        # The counter first: a change that comes between is seen at the next look, at the latest.
        change = await self.directory.one(QUERIES["read_map_change"])
        rows = await self.directory.read(QUERIES["read_map"])
        registered = {row["name"] for row in await self.directory.read(QUERIES["read_shards"])}
        overrides = await self.directory.read(QUERIES["read_overrides"])
        zones = await self.directory.read(QUERIES["read_zones"])
        standbys = await self.directory.read(QUERIES["read_standbys"])
        for name in registered:
            # One that was added elsewhere: its jobs and housekeeping are everybody's, though no course led here yet.
            self._opened(name)
        for name in self._registered - registered:
            self._part_with(name)
        self._registered = registered
        for shard in self._shards.values():
            if shard.replicas is not None:
                shard.replicas.follow(standbys)
        self._map = Map(
            change["number"] if change else 0,
            owners((row["zone"], row["shard"], row["epoch"]) for row in rows),
            {(row["tenant"], row["course"]): (row["shard"], row["epoch"]) for row in overrides},
            {row["tenant"]: row["zone"] for row in zones},
        )

    def _part_with(self, name: str) -> None:
        """Close a shard that was removed elsewhere. Nothing leads to it: only work over all shards can be in it."""
        if (shard := self._shards.pop(name, None)) is not None:
            task = asyncio.create_task(shard.close())
            self._parting.add(task)
            task.add_done_callback(self._parting.discard)

    async def _assign_first(self, tx: Transaction) -> None:
        mapped = {row["zone"] for row in await tx.read(QUERIES["read_map"])}
        known = {row["name"] for row in await tx.read(QUERIES["read_shards"])}
        for zone in sorted({shard.zone for shard in self._shards.values()}):
            names = sorted(name for name, shard in self._shards.items() if shard.zone == zone)
            if zone in mapped and known.intersection(names):
                continue
            if zone not in mapped:
                rows = [
                    {"zone": zone, "bucket": bucket, "shard": shard, "epoch": 1}
                    for bucket, shard in enumerate(assign(names))
                ]
                await tx.execute_many(QUERIES["add_bucket"], rows)
            for name in names:
                weight = self._shards[name].weight
                row = {"name": name, "zone": zone, "state": "joining", "weight": weight, "now": time.time()}
                await tx.execute(QUERIES["add_shard"], row)
            await tx.read(QUERIES["count_map_change"])


class Owned:
    """The database of one course: every call carries the fence and follows the course when it has moved."""

    __slots__ = ("_key", "_shards")

    def __init__(self, shards: Shards, key: CourseKey) -> None:
        self._shards = shards
        self._key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Owned) and other._key == self._key and other._shards is self._shards

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def name(self) -> str:
        """The shard's, at this moment."""
        return self._shards.place(self._key).shard.name

    @property
    def target(self) -> Target:
        """Where its writes go at this moment."""
        shard, epoch = self._shards.place(self._key)
        return Target(shard, (Fence(self._key, epoch),))

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """A short read of the course's rows; its parameters name the course."""
        return await self._shards.follow(self._key, lambda place: place.shard.read(query, params, epoch=place.epoch))

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of a short read."""
        return await self._shards.follow(self._key, lambda place: place.shard.one(query, params, epoch=place.epoch))

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """The rows for each set of parameters."""
        return await self._shards.follow(
            self._key, lambda place: place.shard.read_each(query, params, epoch=place.epoch)
        )

    async def scan(self, query: Query, params: Params | None = None) -> list[Row]:
        """A long read of the course's rows."""
        return await self._shards.follow(self._key, lambda place: place.shard.scan(query, params, epoch=place.epoch))

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work where the course is."""
        return await self._shards.follow(
            self._key, lambda place: place.shard.write(fenced(work, (Fence(self._key, place.epoch),)))
        )


class Together:
    """Several courses of one shard, for one unit of work."""

    def __init__(self, shard: Shard, fences: Sequence[Fence]) -> None:
        self.shard = shard
        self.fences = tuple(fences)
        self.keys = {fence.key for fence in fences}

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work over the courses. Raises `Fenced` where any of them has moved."""
        return await self.shard.write(fenced(work, self.fences))


class Whole:
    """A shard for work over many of its courses."""

    __slots__ = ("shard",)

    def __init__(self, shard: Shard) -> None:
        self.shard = shard

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Whole) and other.shard is self.shard

    def __hash__(self) -> int:
        return hash(self.shard)

    @property
    def name(self) -> str:
        """The shard's."""
        return self.shard.name

    @property
    def target(self) -> Target:
        """The shard, with nothing to hold; `write` keeps movers away by itself."""
        return Target(self.shard, ())

    async def read(self, query: Query, params: Params | None = None) -> list[Row]:
        """A short read."""
        return await self.shard.read(query, params)

    async def one(self, query: Query, params: Params | None = None) -> Row | None:
        """The first row of a short read."""
        return await self.shard.one(query, params)

    async def read_each(self, query: Query, params: Sequence[Params]) -> list[list[Row]]:
        """The rows for each set of parameters."""
        return await self.shard.read_each(query, params)

    async def scan(self, query: Query, params: Params | None = None) -> list[Row]:
        """A long read."""
        return await self.shard.scan(query, params)

    async def write(self, work: Work[T]) -> T:
        """Run a unit of work that no mover comes into."""
        return await self.shard.write(over_all(work))
