"""Whether everything of each tenant is where its zone is: databases, stores, what NATS keeps, logs, and the directory.

Rows are counted by tenant in every shard, objects listed in every store and in the data directory, which stands where
its region does. In NATS and in logs the tenant's id is looked
for, and words of it: ids and names of people, ids and titles of courses, as its own shards have them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.config import Settings
from atomic_guide.course.keeping.survey import Whom, survey
from atomic_guide.engines.assets.bucket import FOLDER
from atomic_guide.engines.assets.remote import RemoteStore
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.looking import kept
from atomic_guide.errors import Invalid, NotFound, Unavailable
from atomic_guide.regions.settings import RegionSettings

QUERIES = load_queries(__package__)

_WORDS = 200
"""People, and courses, of a tenant whose words are looked for."""
_SAID = {"words_of_people": ("user", "name"), "words_of_courses": ("course", "context", "title")}
OBJECTS = "objects"
"""The folder of lectures in a data directory, by tenant."""
_LEAST_LETTERS = 6
"""Shorter words stand everywhere, and say nothing."""


class Astray(msgspec.Struct, frozen=True):
    """Something of a tenant where it may not be."""

    tenant: str
    zone: str
    where: str
    what: str


class TenantSeen(msgspec.Struct, frozen=True):
    """A tenant: its zone, its rows by shard, its objects by store, and how many words of it were looked for.

    `files` are its objects in the data directory.
    """

    tenant: str
    zone: str
    rows: dict[str, int]
    objects: dict[str, int]
    files: int
    words: int


class DataDirectory(msgspec.Struct, frozen=True):
    """The data directory: its region, empty where none is declared, and the zones that may be kept there."""

    path: str
    region: str
    zones: tuple[str, ...]


class Residency(msgspec.Struct, frozen=True):
    """What was found. `looked` counts what was looked through, `unseen` says what could not be."""

    ok: bool
    directory: DataDirectory
    tenants: list[TenantSeen]
    astray: list[Astray]
    looked: dict[str, int]
    unseen: dict[str, str]


class LogFile(NamedTuple):
    """A log, and the region that wrote it."""

    region: str
    path: Path


class _Words(NamedTuple):
    tenant: str
    zone: str
    words: tuple[bytes, ...]


async def look(settings: Settings, shards: Shards, tenants: Sequence[str], logs: Sequence[LogFile]) -> Residency:
    """Look through everything for some tenants; none: for all. Raises `NotFound` for a log of an unknown region."""
    regions = {region.name: region for region in settings.regions.declared}
    for log in logs:
        if log.region not in regions:
            raise NotFound(f"no region is called {log.region}; there are {', '.join(regions) or 'none'}")
        if not log.path.is_file():
            raise Invalid(f"there is no log {log.path}")
    chosen = tenants or [row["tenant"] for row in await shards.directory.read(QUERIES["tenants"])]
    found = _Look(settings, shards)
    for tenant in chosen:
        await found.tenant(tenant)
    for region in regions.values():
        if region.cache_nodes:
            await found.messages(region)
    for log in logs:
        astray, lines = await asyncio.to_thread(_in_log, log, regions[log.region], found.words)
        found.astray += astray
        found.looked["log lines"] += lines
    ok = not found.astray and not found.unseen
    return Residency(ok, found.directory, found.seen, found.astray, dict(found.looked), found.unseen)


class _Look:
    """What one look finds."""

    def __init__(self, settings: Settings, shards: Shards) -> None:
        self._settings = settings
        self._shards = shards
        self.directory = _directory(settings, shards)
        self._stores = [RemoteStore(store, settings.assets.copies) for store in settings.assets.stores]
        self.looked: Counter[str] = Counter(shards=len(shards.all()), stores=len(self._stores))
        self.seen: list[TenantSeen] = []
        self.astray: list[Astray] = []
        self.unseen: dict[str, str] = {}
        self.words: list[_Words] = []

    async def tenant(self, tenant: str) -> None:
        """Its rows and objects, and the words to look for elsewhere."""
        zone = self._shards.zone_of(tenant)
        rows = await self._rows(tenant, zone)
        objects = await self._objects(tenant, zone)
        files = await asyncio.to_thread(self._files, tenant, zone)
        words = await self._words(tenant, rows)
        self.words.append(_Words(tenant, zone, words))
        self.seen.append(TenantSeen(tenant, zone, rows, objects, files, len(words)))
        self.looked["rows"] += sum(rows.values())
        self.looked["objects"] += sum(objects.values())
        self.looked["files"] += files

    async def messages(self, region: RegionSettings) -> None:
        """What a region's NATS servers keep."""
        near = msgspec.structs.replace(self._settings.nats, url=",".join(region.cache_nodes))
        connection = Connection(Path(self._settings.data), near, "residency")
        foreign = [one for one in self.words if one.zone not in region.zones]
        await connection.open()
        try:
            async for message in kept(connection):
                self.looked["messages"] += 1
                said = message.subject.encode() + b" " + message.data
                self.astray += [
                    Astray(one.tenant, one.zone, f"NATS of {region.name}", f"{message.stream}: {message.subject}")
                    for one in foreign
                    if any(word in said for word in one.words)
                ]
        except Unavailable as error:
            self.unseen[f"NATS of {region.name}"] = error.message
        finally:
            await connection.close()

    async def _rows(self, tenant: str, zone: str) -> dict[str, int]:
        counted: Counter[str] = Counter()
        for one in await survey(self._shards, Whom(tenant=tenant)):
            name = one.database.name
            counted[name] += one.rows
            if self._shards.named(name).zone != zone:
                self.astray.append(Astray(tenant, zone, f"shard {name}", f"{one.rows} rows of {one.table}"))
        return dict(counted)

    async def _objects(self, tenant: str, zone: str) -> dict[str, int]:
        counted = {}
        for store in self._stores:
            try:
                counted[store.name] = sum([await _count(store, folder) for folder in self._folders(store, tenant)])
            except Unavailable as error:
                self.unseen[f"store {store.name}"] = error.message
                continue
            if counted[store.name] and store.zone != zone:
                said = f"{counted[store.name]} objects"
                self.astray.append(Astray(tenant, zone, f"store {store.name}", said))
        return counted

    def _folders(self, store: RemoteStore, tenant: str) -> list[str]:
        """Where a store may have something of a tenant: copies, and in the main one the lectures themselves."""
        return [tenant, *([f"{FOLDER}/{tenant}"] if store.name == self._settings.assets.main else [])]

    def _files(self, tenant: str, zone: str) -> int:
        """How many objects of a tenant lie in the data directory."""
        folder = Path(self.directory.path) / OBJECTS / tenant
        count = sum(path.is_file() for path in folder.rglob("*"))
        if count and zone not in self.directory.zones:
            self.astray.append(Astray(tenant, zone, "the data directory", f"{count} objects"))
        return count

    async def _words(self, tenant: str, rows: dict[str, int]) -> tuple[bytes, ...]:
        found = {tenant}
        for name in rows:
            for query, columns in _SAID.items():
                params = {"tenant": tenant, "limit": _WORDS}
                for row in await self._shards.named(name).scan(QUERIES[query], params):
                    found |= {str(row[column]) for column in columns}
        return tuple(word.encode() for word in sorted(found) if len(word) >= _LEAST_LETTERS)


async def _count(store: RemoteStore, folder: str) -> int:
    return len([name async for name, _ in store.names(folder)])


def _directory(settings: Settings, shards: Shards) -> DataDirectory:
    """Where the data directory stands; without declared regions it belongs to the shards that are served from it."""
    own = settings.regions.named(settings.databases.region)
    zones = own.zones if own is not None else tuple(sorted({whole.shard.zone for whole in shards.all()}))
    return DataDirectory(settings.data, own.name if own is not None else "", zones)


def _in_log(log: LogFile, region: RegionSettings, words: Sequence[_Words]) -> tuple[list[Astray], int]:
    """The lines of a log that speak of tenants which may not be kept in its region."""
    foreign = [one for one in words if one.zone not in region.zones]
    found: list[Astray] = []
    number = 0
    with log.path.open("rb") as file:
        for number, line in enumerate(file, 1):
            found += [
                Astray(one.tenant, one.zone, f"log {log.path.name} of {region.name}", f"line {number}")
                for one in foreign
                if any(word in line for word in one.words)
            ]
    return found, number
