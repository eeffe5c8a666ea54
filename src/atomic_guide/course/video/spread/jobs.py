"""The jobs that bring lectures' files to other stores: list what there is, copy it to one store, delete it from one.

Each may end at any point and be started again: what is done stands in the catalogue, and what is copied once more is
the same bytes under the same name.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.spread import policy
from atomic_guide.course.video.spread.catalog import Listed
from atomic_guide.course.video.spread.listing import listed, shown_of
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.assets.copying import Content, copy
from atomic_guide.engines.assets.kinds import kind_of
from atomic_guide.engines.assets.manifest import Entry, Manifest, digest_of, list_place, place_of
from atomic_guide.engines.assets.remote import RemoteStore, is_away
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import ChecksumMismatch, GuideError, NotFound, Permanent, RetryLater
from atomic_guide.resilience import retrying

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.queues.lease import Lease

LIST = "assets.list"
COPY = "assets.copy"
_STRETCH = 32
"""Objects after which it is noted how far a copy is: what a crash costs at most."""
_OBJECT_SECONDS = 10.0
"""How long an object is tried for before its job is put off: a store that fails now and then has answered by then."""
_CHANGES = 10
"""How often a list may change while it is copied before the job is tried again later."""


def _is_watched(name: str) -> bool:
    return not name.startswith("captions/")


def list_job(place: str, media: str) -> NewJob:
    """What lists a lecture's files anew, and has copied what is missing."""
    payload = {"place": place, "media": media}
    return NewJob(queue=QUEUE, kind=LIST, subject=f"files {media}", payload=payload, unique_key=f"{LIST}:{media}")


def copy_job(listed: Listed, store: str) -> NewJob:
    """What brings a lecture's files to a store."""
    return NewJob(
        queue=QUEUE,
        kind=COPY,
        subject=f"files {listed.media}",
        payload={"media": listed.media, "store": store},
        unique_key=f"{COPY}:{listed.media}:{store}",
    )


def content_of(entry: Entry) -> Content:
    """What an entry's object is."""
    return Content(entry.sha256, entry.size, kind_of(entry.name))


class List(Unmourned):
    """Lists a lecture's files, and publishes what copies them.

    Of a dead letter: nothing shows it; the next look at what is stored publishes another.
    """

    def __init__(self, parts: SpreadParts, *, sources: bool) -> None:
        self._parts = parts
        self._sources = sources

    async def run(self, lease: Lease) -> None:
        """List and publish; safe to repeat."""
        key, payload = lease.job.key, lease.job.payload
        place, media = CourseKey(key.tenant, str(payload["place"]), 0), str(payload["media"])
        shown = await shown_of(self._parts, place, media, sources=self._sources)
        if shown is None:
            return
        found = await relisted(self._parts, key, place, media, shown)
        wanted = [one.store for one in await self._parts.catalog.replicas(key.tenant, media) if one.state != "verified"]
        wanted = [store for store in wanted if store in self._parts.remotes]

        async def work(tx: Transaction) -> None:
            await self._parts.queues.publish_many(tx, key, [copy_job(found, store) for store in wanted])

        await lease.finish(work)
        self._parts.queues.wake(QUEUE)


async def relisted(parts: SpreadParts, key: CourseKey, place: CourseKey, media: str, shown: Any) -> Listed:
    """Make the list of now, store it, and want it in every store that the tenant's zone chooses."""
    before = await parts.catalog.find(key.tenant, media)
    try:
        earlier = await parts.manifest(before) if before is not None else None
    except NotFound:
        earlier = None
    manifest = await listed(parts, place, media, shown, earlier)
    content = manifest.encode()
    digest = digest_of(content)
    found = Listed(key.tenant, media, place.course, key, digest, len(manifest.entries), manifest.size)
    if before is None or earlier is None or before.list != digest:
        await parts.store.put(list_place(prefix_of(place, media), digest), content)
    await parts.catalog.put(found, policy.chosen(parts.settings, parts.shards.zone_of(key.tenant), parts.region))
    return found


class Copy(Unmourned):
    """Brings a lecture's files to one store.

    Of a dead letter: the catalogue shows the failure already.
    """

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Copy what is missing. Raises as the queue wants it: the store's trouble is no attempt of the job."""
        key, payload = lease.job.key, lease.job.payload
        media, store = str(payload["media"]), str(payload["store"])
        for _ in range(_CHANGES):
            found = await self._parts.catalog.find(key.tenant, media)
            if found is None:
                return
            try:
                if await self._copied(found, store):
                    return
            except GuideError as error:
                await self._parts.catalog.fail(found, store, error.message)
                if isinstance(error, (ChecksumMismatch, NotFound)):
                    raise RetryLater(error.message) from error
                raise
        raise RetryLater("the lecture's files change all the time")

    async def _copied(self, found: Listed, store: str) -> bool:
        """Copy a list; False where it has changed meanwhile."""
        remote = self._parts.remotes.get(store)
        if remote is None:
            raise Permanent(f"store {store} is no longer declared in assets.stores")
        begun = await self._parts.catalog.begin(found, store)
        if begun is None:
            return True
        done, held, wrong = begun
        manifest = await self._parts.manifest(found)
        # What was found wrong is not there, whatever the list says that was verified once.
        there = await self._held(found, held, lambda name: name not in wrong.objects) if not wrong.more else set()
        done = 0 if wrong.objects else done
        fresh = [entry for entry in manifest.entries if entry.sha256 not in there]
        if not await self._stretches(found, remote, fresh, min(done, len(fresh))):
            return True
        await self._copy_list(found, remote, manifest)
        if not await self._parts.catalog.end(found, store):
            return False
        await self._let_go(found, remote, manifest, held)
        return True

    async def _held(self, found: Listed, held: str | None, wanted: Callable[[str], bool] = bool) -> set[str]:
        """What the store has of the list that was verified there last, of the names that are wanted."""
        if held is None:
            return set()
        try:
            entries = (await self._parts.manifest(found, held)).entries
            return {entry.sha256 for entry in entries if wanted(entry.name)}
        except NotFound:
            return set()

    async def _stretches(self, found: Listed, remote: RemoteStore, entries: Sequence[Entry], done: int) -> bool:
        """Copy entries in turn from the first that is not done; False where they are to go instead."""
        gate = asyncio.Semaphore(self._parts.settings.copies.at_once)

        async def one(entry: Entry) -> None:
            async with gate:
                async for attempt in retrying(is_away, seconds=_OBJECT_SECONDS):
                    with attempt:
                        await self._copy_one(found, remote, entry)

        for start in range(done, len(entries), _STRETCH):
            stretch = entries[start : start + _STRETCH]
            failures = await asyncio.gather(*map(one, stretch), return_exceptions=True)
            # What stands before the first failure is done for good; the rest is begun with the next time.
            failed = next((number for number, failure in enumerate(failures) if failure is not None), len(stretch))
            if not await self._parts.catalog.note(found, remote.name, start + failed):
                return False
            if failed < len(stretch) and (failure := failures[failed]) is not None:
                raise failure
        return True

    async def _copy_one(self, found: Listed, remote: RemoteStore, entry: Entry) -> None:
        source = (self._parts.store, f"{found.prefix}/{entry.name}")
        await copy(source, remote, place_of(found.prefix, entry.sha256), content_of(entry), self._parts.pace)

    async def _copy_list(self, found: Listed, remote: RemoteStore, manifest: Manifest) -> None:
        content = Content(found.list, len(manifest.encode()), "application/json")
        source = (self._parts.store, list_place(found.prefix, found.list))
        await copy(source, remote, place_of(found.prefix, found.list), content, self._parts.pace)

    async def _let_go(self, found: Listed, remote: RemoteStore, manifest: Manifest, held: str | None) -> None:
        """Remove what neither this list nor the one before names, whose pictures and sound somebody may be watching."""
        kept = {
            found.list,
            held,
            *(entry.sha256 for entry in manifest.entries),
            *await self._held(found, held, _is_watched),
        }
        names = [name async for name, _ in remote.names(found.prefix)]
        await remote.delete([name for name in names if name.rpartition("/")[2] not in kept])
