"""From where a file of a lecture is had: here, or the nearest store that really holds a verified copy of it.

"Really" means: a list that was verified there names the very SHA-256 that the lecture's list of now names, nothing that
was found wrong there is still open, and the store is not being left alone. A store of another residency zone is never
considered, wherever the person is who asks.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.video.spread import policy
from atomic_guide.engines.assets.manifest import place_of
from atomic_guide.engines.assets.settings import LOCAL
from atomic_guide.errors import ChecksumMismatch, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.course.video.spread.catalog import Listed, Replica
    from atomic_guide.course.video.spread.parts import SpreadParts
    from atomic_guide.engines.assets.manifest import Entry
    from atomic_guide.engines.assets.remote import RemoteStore

_FRESH_SECONDS = 2.0
"""How long what is known of a lecture's copies is believed: a player asks for a segment every few seconds."""
_REMEMBERED = 1024
_FOLDERS = 4
"""TENANT/COURSE/video/MEDIA: what comes before a file's own name."""


class Held(NamedTuple):
    """A file in a declared store: its name there, its SHA-256, its bytes, and where a browser gets it, if it can."""

    remote: RemoteStore
    name: str
    sha256: str
    size: int
    url: str | None


class _Known(NamedTuple):
    listed: Listed
    entries: dict[str, Entry]
    replicas: list[Replica]
    until: float


class Serving:
    """Finds files; remembers for a moment where they are."""

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    def forget(self) -> None:
        """Believe nothing of what is remembered."""
        self._known.clear()

    async def tag(self, path: str) -> str | None:
        """The strong ETag of a file that is listed: the same in every store and region; None where it is not known."""
        try:
            known, file = await self._look(path)
        except Unavailable:
            # The directory is away; a file that is here is played on with the tag that its store gives it.
            return None
        entry = known.entries.get(file) if known is not None else None
        return f'"{entry.sha256}"' if entry is not None else None

    async def nearest(self, path: str, region: str = "", *, order: Sequence[str] = ()) -> Held | None:
        """The nearest declared store with a file, for somebody in a region; `order` are the next regions.

        None where no store holds a verified copy of it. Raises `Unavailable` where all that do are left alone.
        """
        known, file = await self._look(path)
        entry = known.entries.get(file) if known is not None else None
        if known is None or entry is None:
            return None
        zone = self._parts.shards.zone_of(known.listed.tenant)
        away = False
        for name in policy.nearest(policy.allowed(self._parts.settings, zone), region, order):
            remote = self._parts.remotes[name]
            if not await self._holds(known, name, entry):
                continue
            if not remote.breaker.allows():
                away = True
                continue
            place = place_of(known.listed.prefix, entry.sha256)
            url = await remote.sign(place, self._parts.settings.copies.link_seconds)
            return Held(remote, place, entry.sha256, entry.size, url)
        if away:
            raise Unavailable("the stores that have this file do not answer at the moment; try again", retry_after=15)
        return None

    async def store_for(self, listed: Listed, region: str) -> str | None:
        """The store from which somebody in a region gets a lecture: of the data directory, unless another is there."""
        held = {
            one.store
            for one in await self._parts.catalog.replicas(listed.tenant, listed.media)
            if one.held == listed.list and one.state not in {"failed", "deleting"}
        }
        if LOCAL in held and not self.near(region):
            return LOCAL
        allowed = policy.allowed(self._parts.settings, self._parts.shards.zone_of(listed.tenant))
        near = [name for name in policy.nearest(allowed, region) if name in held]
        return near[0] if near else LOCAL if LOCAL in held else None

    def near(self, region: str) -> bool:
        """Whether a declared store stands in a region, and the data directory's does not."""
        return region not in {"", self._parts.region} and any(
            store.region == region for store in self._parts.settings.stores
        )

    async def _holds(self, known: _Known, store: str, entry: Entry) -> bool:
        replica = next((one for one in known.replicas if one.store == store), None)
        if replica is None or replica.held is None or replica.state in {"failed", "deleting"}:
            return False
        if replica.held == known.listed.list:
            return True
        try:
            held = await self._parts.manifest(known.listed, replica.held)
        except (NotFound, ChecksumMismatch):
            return False
        return any(one.sha256 == entry.sha256 for one in held.entries)

    async def _look(self, path: str) -> tuple[_Known | None, str]:
        parts = path.split("/", _FOLDERS)
        if len(parts) <= _FOLDERS:
            return None, ""
        who = parts[0], parts[_FOLDERS - 1]
        known = self._known.get(who)
        if known is None or known.until < time.monotonic():
            known = await self._read(*who)
            if known is None:
                return None, ""
            self._known[who] = known
            self._known.move_to_end(who)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return known, parts[_FOLDERS]

    async def _read(self, tenant: str, media: str) -> _Known | None:
        listed = await self._parts.catalog.find(tenant, media)
        if listed is None:
            return None
        try:
            manifest = await self._parts.manifest(listed)
        except (NotFound, Unavailable):
            return None
        replicas = await self._parts.catalog.replicas(tenant, media)
        entries = {entry.name: entry for entry in manifest.entries}
        return _Known(listed, entries, replicas, time.monotonic() + _FRESH_SECONDS)
