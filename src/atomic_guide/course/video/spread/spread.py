"""Copies of lectures as the rest of the product sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import structlog

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.spread.catalog import QUERIES
from atomic_guide.course.video.spread.cooling import RECLASS, Cooling, Reclass
from atomic_guide.course.video.spread.deleting import DELETE, Delete, Deletions, Seals
from atomic_guide.course.video.spread.jobs import COPY, LIST, Copy, List, list_job
from atomic_guide.course.video.spread.looking import SCRUB, Scrub, scrub_job
from atomic_guide.course.video.spread.parts import QUEUE
from atomic_guide.course.video.spread.purging import PURGE, Purge
from atomic_guide.course.video.spread.serving import Serving
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from atomic_guide.course.video.spread.catalog import Wanted
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.queues.handlers import Handler

_log = structlog.get_logger(__name__)

_PAGE = 50
_SCRUB_PAGES = 20
"""Pages of copies that a turn of scrubbing looks through at most: those of other zones cost a row each."""
_FIRST = (-1.0, "", "", "")
"""Before the copy that was read longest ago."""
_SAVED = 86_400.0
"""Seconds of budget that are saved at most: a lecture may be larger than a turn's, and then waits for the next ones."""
_LATE_SECONDS = 900.0
"""How long a copy may stand still before its lecture is listed again: a job that lives notes progress far sooner."""


class StoreView(msgspec.Struct, frozen=True):
    """A declared store as one process finds it; calls are counted by operation and outcome, bytes since its start."""

    name: str
    region: str
    zone: str
    kind: Literal["bucket", "directory"]
    state: str
    calls: dict[str, int]
    written: int
    read: int


class Spread:
    """What becomes of lectures' files elsewhere. Without declared stores nothing does."""

    def __init__(self, parts: SpreadParts, seals: Seals, *, sources: bool) -> None:
        self.parts = parts
        self.deletions = Deletions(parts, seals)
        self.serving = Serving(parts)
        self.cooling = Cooling(parts)
        self._sources = sources
        self._after = ("", "")
        self._budget = 0.0
        self._scrubbed = _FIRST

    @property
    def on(self) -> bool:
        """Whether any store is declared."""
        return bool(self.parts.remotes)

    @property
    def origins(self) -> list[str]:
        """The buckets' addresses, to which browsers may be sent; for the policy of pages that play lectures."""
        return list(dict.fromkeys(store.address for store in self.parts.settings.stores if store.address is not None))

    def stores(self) -> list[StoreView]:
        """The declared stores."""
        return [
            StoreView(
                name=name,
                region=remote.region,
                zone=remote.zone,
                kind="bucket" if remote.settings.bucket is not None else "directory",
                state=remote.breaker.state,
                calls={f"{what} {outcome}": count for (what, outcome), count in sorted(remote.calls.items())},
                written=remote.written,
                read=remote.read,
            )
            for name, remote in self.parts.remotes.items()
        ]

    def check_store(self, name: str) -> None:
        """Raise `NotFound` for a store that nobody has declared: none of its copies could be read."""
        if name not in {"", LOCAL, *self.parts.remotes}:
            known = ", ".join([LOCAL, *self.parts.remotes])
            raise NotFound(f"no store is called {name[:64]}; there are {known}")

    async def look_over(self, wanted: Wanted) -> int:
        """Have copies that were made once read again and put right, by jobs; how many. Raises `NotFound`."""
        self.check_store(wanted.store)
        after, asked = ("", "", ""), 0
        while rows := await self.parts.catalog.page(wanted, after, _PAGE):
            for row in rows:
                listed = await self.parts.catalog.find(row.tenant, row.media)
                if listed is not None and row.state in {"verified", "failed"}:
                    await self._publish(listed.key, row.media, row.store)
                    asked += 1
            after = (rows[-1].tenant, rows[-1].media, rows[-1].store)
        return asked

    def handlers(self) -> dict[str, Handler]:
        """What runs the jobs about copies."""
        return {
            LIST: List(self.parts, sources=self._sources),
            COPY: Copy(self.parts),
            DELETE: Delete(self.deletions),
            SCRUB: Scrub(self.parts),
            PURGE: Purge(self.parts),
            RECLASS: Reclass(self.parts),
        }

    async def note(self, key: CourseKey, place: str, media: str) -> None:
        """A lecture's files have changed: have them listed, and copied, by a job of the course."""
        if not self.on:
            return

        async def work(tx: Transaction) -> None:
            await self.parts.queues.publish(tx, key, list_job(place, media))

        await self.parts.shards.of(key).write(work)
        self.parts.queues.wake(QUEUE)

    async def forget(self, place: CourseKey, media: str) -> bool:
        """A lecture's files are going: have them gone everywhere. Safe to repeat.

        Whether that takes in the main store, as it does where that is a bucket: one that is away is asked on.
        """
        if all(one.state == "deleting" for one in await self.parts.catalog.replicas(place.tenant, media)):
            return False
        main = self.parts.settings.main
        number = await self.deletions.ask(prefix_of(place, media), attempted=(main,))
        if number is None or not main:
            return False
        await self.deletions.attempt(number, main)
        return True

    async def forget_tenant(self, tenant: str) -> dict[str, str]:
        """Have a tenant's files gone everywhere; what each store says now. One that is away is asked on."""
        number = await self.deletions.ask(tenant, attempted=self.parts.remotes)
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
            if self.parts.shards.keeps(row["tenant"]) and (row["list"] is None or row["late"]):
                await self._list(row["tenant"], row["course"], row["id"])
        self._after = (rows[-1]["tenant"], rows[-1]["id"]) if len(rows) == _PAGE else ("", "")

    async def scrub(self, seconds: float) -> None:
        """Have the copies that were read longest ago read again, as many bytes as `seconds` allow; for a root task.

        Each turn goes on behind the copy where the one before has ended, and begins anew at the end: copies of other
        zones, which are other regions' to read, and those whose store is away keep none behind them waiting.
        """
        copies = self.parts.settings.copies
        self._budget = min(
            self._budget + copies.scrub_bytes_per_second * seconds, _SAVED * copies.scrub_bytes_per_second
        )
        if not self.on or self._budget <= 0:
            return
        before = self.parts.clock.now() - copies.scrub_days * 86400
        for _ in range(_SCRUB_PAGES):
            names = dict(zip(("after_at", "after_tenant", "after_media", "after_store"), self._scrubbed, strict=True))
            params = {**names, "before": before, "limit": _PAGE}
            rows = await self.parts.shards.directory.read(QUERIES["oldest_checked"], params)
            for row in rows:
                if self._budget <= 0:
                    return
                self._scrubbed = (row["verified_at"], row["tenant"], row["media"], row["store"])
                if self.parts.shards.keeps(row["tenant"]):
                    self._budget -= row["bytes"]
                    key = CourseKey(row["tenant"], row["course"], row["bucket"])
                    await self._publish(key, row["media"], row["store"])
            if len(rows) < _PAGE:
                self._scrubbed = _FIRST
                return

    async def _publish(self, key: CourseKey, media: str, store: str) -> None:
        async def work(tx: Transaction) -> None:
            await self.parts.queues.publish(tx, key, scrub_job(media, store))

        await self.parts.shards.of(key).write(work)
        self.parts.queues.wake(QUEUE)

    async def _list(self, tenant: str, place: str, media: str) -> None:
        uses = await self.parts.shards.directory.read(QUERIES["uses_of"], {"tenant": tenant, "media": media})
        if uses:
            # The job lives where a lecture does that shows the files.
            await self.note(CourseKey(tenant, uses[0]["course"], uses[0]["bucket"]), place, media)
