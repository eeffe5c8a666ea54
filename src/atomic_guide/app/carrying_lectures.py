"""Carrying lectures from one main store to the other: from the data directory into a bucket, or back.

Beside running servers and as often as wanted: what the target has in the same size is passed over, but for captions,
the only files that change under their names. So a carry that ended half way goes on where it was, and a second one,
after the switch of `assets.main`, brings what came meanwhile.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.space.account import QUERIES
from atomic_guide.course.video.space.quotas import known_tenants
from atomic_guide.course.video.space.sweep import Sweep
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.opening import OBJECTS, SCRATCH
from atomic_guide.engines.assets.remote import RemoteStore, is_away
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.resilience import retrying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from atomic_guide.config import Settings
    from atomic_guide.course.video.videos import Parts
    from atomic_guide.engines.assets.store import Store

_AT_ONCE = 8
"""Objects that pass at a time; each holds at most 24 MiB."""
_PAGE = 200
_OBJECT_SECONDS = 30.0


class Carried(msgspec.Struct, kw_only=True):
    """What was carried, or would be: lectures looked at, objects that the target lacked, and those it had.

    `strays` are objects of the target that belong to no lecture; `removed` says whether they are gone.
    """

    source: str
    target: str
    dry_run: bool
    lectures: int = 0
    objects: int = 0
    bytes: int = 0
    present: int = 0
    strays: int = 0
    removed: bool = False


class Wanted(NamedTuple):
    """What a carry is to do: only say what would be carried; remove what in the target belongs to no lecture."""

    dry_run: bool = False
    remove_strays: bool = False


def source_of(settings: Settings, name: str) -> Store:
    """The store to carry from: a bucket, or `local` for the data directory. Raises `Invalid`, `NotFound`."""
    assets, data = settings.assets, Path(settings.data)
    if name == (assets.main or LOCAL):
        raise Invalid(f"{name} is the main store, to which lectures are carried; set assets.main to the other one")
    if name == LOCAL:
        return DirectoryStore(data / OBJECTS, assets)
    found = next((store for store in assets.stores if store.name == name and store.bucket is not None), None)
    if found is None:
        known = ", ".join([store.name for store in assets.stores if store.bucket is not None] + [LOCAL])
        raise NotFound(f"no bucket is called {name}; there are {known}")
    return BucketStore(RemoteStore(found, assets.copies), data / SCRATCH, assets)


async def carry(
    parts: Parts, source: Store, names: tuple[str, str], wanted: Wanted, tell: Callable[[str], None]
) -> Carried:
    """Bring what `source` has of every lecture into the main store of `parts`; `names` are what the two are called.

    Raises `Unavailable` where either does not answer: given again it goes on.
    """
    done = Carried(source=names[0], target=names[1], dry_run=wanted.dry_run)
    sweep = Sweep(parts.shards, parts.store, parts.settings, parts.clock, parts.spread)
    for tenant in await known_tenants(parts.shards.directory):
        # So that every lecture is known by its files, those from before there were accounts among them.
        await sweep.count(tenant)
        known: set[str] = set()
        async for place, media in _lectures(parts, tenant):
            known.add(media)
            await _carry_lecture(source, parts.store, prefix_of(place, media), done)
            done.lectures += 1
            tell(f"{done.lectures} lectures, {done.objects} objects, {done.bytes / 1e9:.1f} GB")
        await _strays(parts, tenant, known, done, remove=wanted.remove_strays)
    return done


async def _lectures(parts: Parts, tenant: str) -> AsyncIterator[tuple[CourseKey, str]]:
    after = ""
    while rows := await parts.shards.directory.read(
        QUERIES["list_files_of"], {"tenant": tenant, "media": after, "limit": _PAGE}
    ):
        for row in rows:
            yield CourseKey(tenant, row["course"], 0), row["id"]
        after = rows[-1]["id"]


async def _carry_lecture(source: Store, target: Store, prefix: str, done: Carried) -> None:
    there, here = await source.names(prefix), await target.names(prefix)
    lacking = {
        name: size for name, size in there.items() if here.get(name) != size or name.startswith(f"{prefix}/captions/")
    }
    done.present += len(there) - len(lacking)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str, size: int) -> None:
        async with gate:
            if not done.dry_run and not await _carry_object(source, target, name, size):
                return
        done.objects += 1
        done.bytes += size

    # The playlists last: where one is, everything that it names is.
    for last in (False, True):
        some = [(name, size) for name, size in lacking.items() if name.endswith(".m3u8") == last]
        await asyncio.gather(*(one(name, size) for name, size in some))


async def _carry_object(source: Store, target: Store, name: str, size: int) -> bool:
    """Carry an object; False where it was deleted meanwhile."""
    try:
        async for attempt in retrying(is_away, seconds=_OBJECT_SECONDS):
            with attempt:
                await target.restore(name, source.stream(name, 0, size), size)
    except NotFound:
        return False
    return True


async def _strays(parts: Parts, tenant: str, known: set[str], done: Carried, *, remove: bool) -> None:
    """Count, and remove, what the target has of lectures that are no more."""
    for course in await parts.store.folders(tenant):
        for folder in await parts.store.folders(f"{course}/video"):
            media = folder.rpartition("/")[2]
            if media in known:
                continue
            # Once more: it may have begun since.
            if await parts.shards.directory.one(QUERIES["find_file"], {"tenant": tenant, "media": media}) is not None:
                continue
            done.strays += len(await parts.store.names(folder))
            if remove and not done.dry_run:
                await parts.store.delete_prefix(folder)
                done.removed = True
