"""Copies of lectures as the rest of the product sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.deleting import DELETE, Delete, Deletions, Seals
from atomic_guide.course.video.spread.jobs import COPY, LIST, Copy, List, list_job
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.engines.data.placement import CourseKey

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.queues.handlers import Handler

_log = structlog.get_logger(__name__)

_PAGE = 50
_LATE_SECONDS = 900.0
"""How long a copy may stand still before its lecture is listed again: a job that lives notes progress far sooner."""


class Spread:
    """What becomes of lectures' files elsewhere. Without declared stores nothing does."""

    def __init__(self, parts: SpreadParts, seals: Seals, *, sources: bool) -> None:
        self.parts = parts
        self.deletions = Deletions(parts, seals)
        self._sources = sources
        self._after = ("", "")

    @property
    def on(self) -> bool:
        """Whether any store is declared."""
        return bool(self.parts.remotes)

    def handlers(self) -> dict[str, Handler]:
        """What runs the jobs about copies."""
        return {
            LIST: List(self.parts, sources=self._sources),
            COPY: Copy(self.parts),
            DELETE: Delete(self.deletions),
        }

    async def note(self, key: CourseKey, place: str, media: str) -> None:
        """A lecture's files have changed: have them listed, and copied, by a job of the course."""
        if not self.on:
            return

        async def work(tx: Transaction) -> None:
            await self.parts.queues.publish(tx, key, list_job(place, media))

        await self.parts.shards.of(key).write(work)
        self.parts.queues.wake(QUEUE)

    async def forget(self, place: CourseKey, media: str) -> None:
        """A lecture's files are going from here: have them gone everywhere. Safe to repeat."""
        if any(one.state != "deleting" for one in await self.parts.catalog.replicas(place.tenant, media)):
            await self.deletions.ask(prefix_of(place, media))

    async def forget_tenant(self, tenant: str) -> dict[str, str]:
        """Have a tenant's files gone everywhere; what each store says now. One that is away is asked on."""
        number = await self.deletions.ask(tenant)
        if number is None:
            return {}
        receipt = await self.deletions.attempt_all(number)
        return {
            f"store {one.store}": f"{one.objects} objects removed"
            if one.gone_at
            else f"{one.error}; asked until it answers (deletion {number})"
            for one in receipt.stores
        }

    async def tend(self) -> None:
        """Look at the next lectures: list those that nobody has, or whose copies stand still; for a root task."""
        await self.deletions.remind()
        if not self.on:
            return
        before = self.parts.clock.now() - _LATE_SECONDS
        params = {"tenant": self._after[0], "media": self._after[1], "before": before, "limit": _PAGE}
        rows = await self.parts.shards.directory.read(QUERIES["page_files"], params)
        for row in rows:
            if row["list"] is None or row["late"]:
                await self._list(row["tenant"], row["course"], row["id"])
        self._after = (rows[-1]["tenant"], rows[-1]["id"]) if len(rows) == _PAGE else ("", "")

    async def _list(self, tenant: str, place: str, media: str) -> None:
        uses = await self.parts.shards.directory.read(QUERIES["uses_of"], {"tenant": tenant, "media": media})
        if uses:
            # The job lives where a lecture does that shows the files.
            await self.note(CourseKey(tenant, uses[0]["course"], uses[0]["bucket"]), place, media)
