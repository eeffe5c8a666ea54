"""Going over what is stored, a part at a time, so that the accounts become right by themselves.

Two walks, each with a place of its own where it goes on. One goes over the rows of lectures and uploads and counts
those that nobody has counted, such as those from before there were accounts. The other goes over what is counted: it
measures the files in the store, forgets uses of lectures that are gone, and lets the files of old failures go. Each
is safe at any moment, in any number of processes.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.space.account import QUERIES, Account, Counted
from atomic_guide.engines.assets.manifest import LISTS
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import GuideError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.course.video.settings import VideoSettings
    from atomic_guide.course.video.spread.spread import Spread
    from atomic_guide.engines.assets.store import Store
    from atomic_guide.engines.data.database import Database, Row
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)

_ROWS = 500
"""Rows of lectures looked at in one go: one read, and a transaction of the directory for each tenant among them."""
_FILES = 50
"""Lectures measured in one go: a lecture of an hour is some 1,800 files, which take about 20 ms to list."""
_GRACE_SECONDS = 3600.0
"""How old a use must be before the lack of its lecture counts: an upload's row follows its reservation at once."""
_WATCHED_SECONDS = 86_400.0
"""How long the old qualities of a lecture that was processed again stay: its addresses live some hours (`playback`)."""
_FIRST: dict[str, Any] = {"bucket": -1, "tenant": "", "course": "", "id": ""}


class Sweep:
    """Walks over the lectures of an installation."""

    def __init__(
        self, shards: Shards, store: Store, settings: VideoSettings, clock: Clock, spread: Spread | None = None
    ) -> None:
        self._shards = shards
        self._store = store
        self._settings = settings
        self._clock = clock
        self._account = Account(shards.directory, store, settings, clock, spread)
        self._rows: dict[str, dict[str, Any]] = {}
        self._files = ("", "")
        self._rested = 0.0

    async def turn(self) -> None:
        """Do the next part of both walks; for a root task."""
        for shard in self._shards.all():
            await self._count_page(shard)
        if self._clock.now() < self._rested:
            return
        self._rested = self._clock.now() + self._store.rest_seconds
        rows = await self._shards.directory.read(
            QUERIES["list_files"], {"tenant": self._files[0], "media": self._files[1], "limit": _FILES}
        )
        await self._measure([row for row in rows if self._shards.keeps(row["tenant"])])
        self._files = (rows[-1]["tenant"], rows[-1]["id"]) if len(rows) == _FILES else ("", "")

    async def count(self, tenant: str) -> None:
        """Count all lectures of a tenant by their rows; for one that has never been counted."""
        await self._shards.open_zone(self._shards.zone_of(tenant))
        await self._account.add(tenant, [])
        for shard in self._shards.all():
            place = {**_FIRST, "tenant": tenant, "limit": _ROWS}
            while rows := await shard.read(QUERIES["tenant_lectures"], place):
                await self._account.add(tenant, await self._account.uncounted([_counted(row) for row in rows]))
                place |= {name: rows[-1][name] for name in ("bucket", "course", "id")}
        await self._account.recount(tenant)

    async def recount(self, tenant: str, tell: Callable[[str], None]) -> int:
        """Count a tenant anew by its rows and by what is in the store; how many lectures' files were measured."""
        await self.count(tenant)
        after, done = "", 0
        while rows := await self._shards.directory.read(
            QUERIES["list_files_of"], {"tenant": tenant, "media": after, "limit": _FILES}
        ):
            await self._measure(rows)
            after, done = rows[-1]["id"], done + len(rows)
            tell(f"{done} lectures of {tenant} measured")
        return done

    async def _count_page(self, shard: Database) -> None:
        place = self._rows.get(shard.name, _FIRST)
        try:
            rows = await shard.read(QUERIES["page_lectures"], {**place, "limit": _ROWS})
        except GuideError as error:
            _log.warning("lectures of a shard could not be counted", shard=shard.name, code=error.code)
            return
        missing = await self._account.uncounted([_counted(row) for row in rows])
        for tenant, group in itertools.groupby(sorted(missing), key=_tenant):
            await self._account.add(tenant, list(group))
        ended = len(rows) < _ROWS
        self._rows[shard.name] = _FIRST if ended else {name: rows[-1][name] for name in _FIRST}

    async def _measure(self, rows: Sequence[Row]) -> None:
        for row in rows:
            try:
                await self._measure_one(row)
            except GuideError as error:
                _log.warning("a lecture could not be measured", lecture=row["id"], code=error.code)
        for tenant in {row["tenant"] for row in rows}:
            await self._account.recount(tenant)

    async def _measure_one(self, row: Row) -> None:
        tenant, media, place = row["tenant"], row["id"], CourseKey(row["tenant"], row["course"], 0)
        # Before anything else is read: what comes into the store from here on is not judged.
        names = await self._store.names(prefix_of(place, media))
        uses = await self._account.uses(tenant, media)
        shown: list[Row] = []
        for use in uses:
            key = CourseKey(tenant, use["course"], use["bucket"])
            found = await self._shards.of(key).one(QUERIES["find_showing"], {**key.columns, "video": use["video"]})
            if found is None and use["created_at"] < self._clock.now() - _GRACE_SECONDS:
                await self._account.forget_use(tenant, media, use)
                continue
            if found is None or found["status"] == "uploading":
                return
            if len(uses) == 1 and self._is_old_failure(found):
                await self._store.delete(f"{prefix_of(place, media)}/source")
            shown.append(found)
        if shown:
            for name in _unused(names, prefix_of(place, media), shown, self._clock.now()):
                await self._store.delete(name)
            await self._account.measure(place, media)
        elif not uses and row["created_at"] < self._clock.now() - _GRACE_SECONDS:
            await self._account.let_go(place, media)

    def _is_old_failure(self, found: Row) -> bool:
        before = self._clock.now() - self._settings.failed_days * 86400
        return bool(found["status"] == "failed" and found["created_at"] < before)


def _unused(names: Iterable[str], prefix: str, shown: Sequence[Row], now: float) -> Iterator[str]:
    """The objects of earlier qualities that no lecture shows any more, once nobody can be watching them."""
    folders: set[str] = set()
    for row in shown:
        if row["status"] != "ready" or row["remaking"] or (row["ready_at"] or now) > now - _WATCHED_SECONDS:
            return
        folders |= {one.get("folder") or one["name"] for one in msgspec.json.decode(row["renditions"])}
        if row["preview"]:
            folders.add(msgspec.json.decode(row["preview"])["folder"])
    for name in names:
        folder, _, file = name.removeprefix(f"{prefix}/").partition("/")
        if file and folder not in folders | {"captions", LISTS}:
            yield name


def _tenant(one: Counted) -> str:
    return one.key.tenant


def _counted(row: Row) -> Counted:
    return Counted(CourseKey(row["tenant"], row["course"], row["bucket"]), row["id"], row["origin"], row["bytes"])
