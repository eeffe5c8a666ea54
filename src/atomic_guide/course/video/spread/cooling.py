"""Lectures that nobody plays any more in the cheaper class of the buckets they lie in; one that is played comes back.

A walk over the lectures compares when each was played last with `assets.cool_days`, and publishes a job for each
bucket, the main one and those of copies, where the class is not the one that it should have. The job stores each of
the larger objects there once more, in the other class, its SHA-256 verified while it passes: the name and the bytes
stay, so that whoever watches meanwhile notices nothing. It may end at any point and be started again. With
`assets.cool_days` at 0 everything comes back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.jobs import content_of
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.copying import verified
from atomic_guide.engines.assets.manifest import place_of
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import ChecksumMismatch, NotFound, RetryLater

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.catalog import Listed
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.assets.manifest import Entry
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.queues.lease import Lease

RECLASS = "assets.reclass"
_LEAST_BYTES = 128 * 1024
"""Smaller objects stay: services with such a class charge them as if they had so many bytes."""
_PAGE = 200


def reclass_job(media: str, store: str, cool: str) -> NewJob:
    """What brings a lecture's files in a store to a class; the usual one has no name."""
    return NewJob(
        queue=QUEUE,
        kind=RECLASS,
        subject=f"files {media}",
        payload={"media": media, "store": store, "class": cool},
        unique_key=f"{RECLASS}:{media}:{store}",
    )


class Cooling:
    """Walks over lectures, a part at a time."""

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts
        self._after = ("", "")

    async def turn(self) -> None:
        """Look at the next lectures; for a root task. Nothing where no bucket is declared."""
        classes = _classes(self._parts)
        if not classes:
            return
        directory = self._parts.shards.directory
        params = {"tenant": self._after[0], "media": self._after[1], "limit": _PAGE}
        rows = await directory.read(QUERIES["page_classes"], params)
        if rows:
            last = {"last_tenant": rows[-1]["tenant"], "last_media": rows[-1]["media"]}
            copies = await directory.read(QUERIES["page_copy_classes"], {**params, **last})
            found: dict[tuple[str, str], dict[str, str]] = {}
            for copy in copies:
                found.setdefault((copy["tenant"], copy["media"]), {})[copy["store"]] = copy["cool"]
            for row in rows:
                held = {**found.get((row["tenant"], row["media"]), {}), LOCAL: row["cool"]}
                await self._look(row, {store: cool for store, cool in held.items() if store in classes}, classes)
        self._after = (rows[-1]["tenant"], rows[-1]["media"]) if len(rows) == _PAGE else ("", "")

    async def _look(self, row: Row, held: dict[str, str], classes: dict[str, str]) -> None:
        """Publish what brings a lecture to the right class in each store that has it in a class."""
        if not self._parts.shards.keeps(row["tenant"]):
            return
        idle = await self._is_idle(row)
        for store, cool in held.items() if idle is not None else ():
            wanted = classes[store] if idle else ""
            if wanted != cool:
                await self._publish(row, store, wanted)

    async def _is_idle(self, row: Row) -> bool | None:
        """Whether nobody has played a lecture for long; None where nothing shows it, so that it is about to go."""
        days = self._parts.settings.cool_days
        if not days:
            return False
        played = await self._played(row["tenant"], row["media"])
        return None if played is None else played < self._parts.clock.now() - days * 86_400.0

    async def _played(self, tenant: str, media: str) -> float | None:
        """When any lecture that shows these files was played last, or made; None where there is none."""
        found: list[float] = []
        for use in await self._parts.shards.directory.read(QUERIES["uses_of"], {"tenant": tenant, "media": media}):
            key = CourseKey(tenant, use["course"], use["bucket"])
            row = await self._parts.shards.of(key).one(QUERIES["last_played"], {**key.columns, "video": use["video"]})
            if row is not None:
                found += [float(row["created_at"]), float(row["last_at"] or 0.0)]
        return max(found, default=None)

    async def _publish(self, row: Row, store: str, wanted: str) -> None:
        key = CourseKey(row["tenant"], row["course"], row["bucket"])

        async def work(tx: Transaction) -> None:
            await self._parts.queues.publish(tx, key, reclass_job(row["media"], store, wanted))

        await self._parts.shards.of(key).write(work)
        self._parts.queues.wake(QUEUE)


def _classes(parts: SpreadParts) -> dict[str, str]:
    """What each bucket calls its cool class, empty where it says none."""
    main = {LOCAL: parts.settings.cool_class or ""} if isinstance(parts.store, BucketStore) else {}
    return main | {
        name: remote.settings.cool_class for name, remote in parts.remotes.items() if remote.settings.bucket is not None
    }


class Reclass(Unmourned):
    """Brings a lecture's files in a store to a class.

    Of a dead letter: the next walk publishes another.
    """

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Store what is larger anew. Raises `RetryLater` where a file is not what it should be, `Unavailable`."""
        tenant, payload = lease.job.key.tenant, lease.job.payload
        media, cool, store = str(payload["media"]), str(payload["class"]), str(payload.get("store", LOCAL))
        listed = await self._parts.catalog.find(tenant, media)
        if listed is None or store not in _classes(self._parts) or not await self._is_whole(listed, store):
            return
        entries = (await self._parts.manifest(listed)).entries
        # A copy has what is there twice once.
        moved = list({_place(listed, store, one): one for one in entries if one.size >= _LEAST_BYTES}.values())
        gate = asyncio.Semaphore(self._parts.settings.copies.at_once)

        async def move(entry: Entry) -> None:
            async with gate:
                await self._move(listed, store, entry, cool)

        try:
            for start in range(0, len(moved), _PAGE):
                await asyncio.gather(*map(move, moved[start : start + _PAGE]))
                if await self._is_gone(listed):
                    return
        except (ChecksumMismatch, NotFound) as error:
            raise RetryLater(error.message) from error
        await self._note(listed, store, cool, sum(entry.size for entry in moved) if cool else 0)

    async def _is_whole(self, listed: Listed, store: str) -> bool:
        """Whether a copy is complete; one that is not is looked at again when it is."""
        if store == LOCAL:
            return True
        held = await self._parts.catalog.replicas(listed.tenant, listed.media)
        return any(one.store == store and one.state == "verified" and one.held == listed.list for one in held)

    async def _move(self, listed: Listed, store: str, entry: Entry, cool: str) -> None:
        name, content = _place(listed, store, entry), content_of(entry)
        main = self._parts.store
        if store != LOCAL:
            remote = self._parts.remotes[store]
            parts = verified(remote, name, content, self._parts.pace)
            await remote.put(name, parts, content.size, content.kind, cool)
        elif isinstance(main, BucketStore):
            await main.restore(name, verified(main, name, content, self._parts.pace), content.size, cool)
        if await self._is_gone(listed):
            # It was deleted while its bytes passed: what came after must go, too.
            await (main.delete(name) if store == LOCAL else self._parts.remotes[store].delete([name]))

    async def _is_gone(self, listed: Listed) -> bool:
        return await self._parts.catalog.find(listed.tenant, listed.media) is None

    async def _note(self, listed: Listed, store: str, cool: str, cooled: int) -> None:
        names = {"tenant": listed.tenant, "media": listed.media, "list": listed.list}
        params: dict[str, Any] = {**names, "cool": cool, "cooled": cooled, "store": store}
        query = QUERIES["note_class" if store == LOCAL else "note_copy_class"]

        async def work(tx: Transaction) -> None:
            await tx.execute(query, params)

        await self._parts.shards.directory.write(work)


def _place(listed: Listed, store: str, entry: Entry) -> str:
    return f"{listed.prefix}/{entry.name}" if store == LOCAL else place_of(listed.prefix, entry.sha256)
