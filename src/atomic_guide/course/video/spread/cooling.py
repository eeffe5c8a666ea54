"""Lectures that nobody plays any more in the cheaper class of the main bucket; one that is played again comes back.

A walk over the lectures compares when each was played last with `assets.cool_days`, and publishes a job where its class
is not the one that it should have. The job stores each of the lecture's larger objects once more, in the other class,
its SHA-256 verified while it passes: the name and the bytes stay, so that whoever watches meanwhile notices nothing. It
may end at any point and be started again. With `assets.cool_days` at 0 everything comes back.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.assets.copying import Content, verified
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


def reclass_job(media: str, cool: str) -> NewJob:
    """What brings a lecture's files to a class; the usual one has no name."""
    return NewJob(
        queue=QUEUE,
        kind=RECLASS,
        subject=f"files {media}",
        payload={"media": media, "class": cool},
        unique_key=f"{RECLASS}:{media}",
    )


class Cooling:
    """Walks over lectures, a part at a time."""

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts
        self._after = ("", "")

    async def turn(self) -> None:
        """Look at the next lectures; for a root task. Nothing where lectures are in a directory."""
        if not isinstance(self._parts.store, BucketStore):
            return
        params = {"tenant": self._after[0], "media": self._after[1], "limit": _PAGE}
        rows = await self._parts.shards.directory.read(QUERIES["page_classes"], params)
        for row in rows:
            wanted = await self._wanted(row)
            if wanted is not None and wanted != row["cool"]:
                await self._publish(row, wanted)
        self._after = (rows[-1]["tenant"], rows[-1]["media"]) if len(rows) == _PAGE else ("", "")

    async def _wanted(self, row: Row) -> str | None:
        """The class that a lecture should be in; None where nothing shows it, so that it is about to go."""
        days = self._parts.settings.cool_days
        if not days:
            return ""
        before = self._parts.clock.now() - days * 86_400.0
        played = await self._played(row["tenant"], row["media"])
        if played is None:
            return None
        return str(self._parts.settings.cool_class or "") if played < before else ""

    async def _played(self, tenant: str, media: str) -> float | None:
        """When any lecture that shows these files was played last, or made; None where there is none."""
        found: list[float] = []
        for use in await self._parts.shards.directory.read(QUERIES["uses_of"], {"tenant": tenant, "media": media}):
            key = CourseKey(tenant, use["course"], use["bucket"])
            row = await self._parts.shards.of(key).one(QUERIES["last_played"], {**key.columns, "video": use["video"]})
            if row is not None:
                found += [float(row["created_at"]), float(row["last_at"] or 0.0)]
        return max(found, default=None)

    async def _publish(self, row: Row, wanted: str) -> None:
        key = CourseKey(row["tenant"], row["course"], row["bucket"])

        async def work(tx: Transaction) -> None:
            await self._parts.queues.publish(tx, key, reclass_job(row["media"], wanted))

        await self._parts.shards.of(key).write(work)
        self._parts.queues.wake(QUEUE)


class Reclass(Unmourned):
    """Brings a lecture's files to a class.

    Of a dead letter: the next walk publishes another.
    """

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Store what is larger anew. Raises `RetryLater` where a file is not what it should be, `Unavailable`."""
        tenant, payload = lease.job.key.tenant, lease.job.payload
        media, cool = str(payload["media"]), str(payload["class"])
        store = self._parts.store
        listed = await self._parts.catalog.find(tenant, media)
        if listed is None or not isinstance(store, BucketStore):
            return
        entries = (await self._parts.manifest(listed)).entries
        moved = [entry for entry in entries if entry.size >= _LEAST_BYTES]
        gate = asyncio.Semaphore(self._parts.settings.copies.at_once)

        async def move(entry: Entry) -> None:
            async with gate:
                await self._move(store, listed, entry, cool)

        try:
            for start in range(0, len(moved), _PAGE):
                await asyncio.gather(*map(move, moved[start : start + _PAGE]))
                if await self._is_gone(listed):
                    return
        except (ChecksumMismatch, NotFound) as error:
            raise RetryLater(error.message) from error
        await self._note(listed, cool, sum(entry.size for entry in moved) if cool else 0)

    async def _move(self, store: BucketStore, listed: Listed, entry: Entry, cool: str) -> None:
        name = f"{listed.prefix}/{entry.name}"
        parts = verified(store, name, Content(entry.sha256, entry.size), self._parts.pace)
        await store.restore(name, parts, entry.size, cool)
        if await self._is_gone(listed):
            # It was deleted while its bytes passed: what came after must go, too.
            await store.delete(name)

    async def _is_gone(self, listed: Listed) -> bool:
        return await self._parts.catalog.find(listed.tenant, listed.media) is None

    async def _note(self, listed: Listed, cool: str, cooled: int) -> None:
        params: dict[str, Any] = {
            "tenant": listed.tenant,
            "media": listed.media,
            "list": listed.list,
            "cool": cool,
            "cooled": cooled,
        }

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["note_class"], params)

        await self._parts.shards.directory.write(work)
