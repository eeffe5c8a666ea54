"""What copying stands on, and the lists of files as one process reads them."""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.course.video.spread.catalog import Catalog
from atomic_guide.engines.assets.manifest import Manifest, list_place, place_of, read_manifest
from atomic_guide.engines.assets.opening import opened_stores
from atomic_guide.engines.assets.pace import Pace
from atomic_guide.errors import ChecksumMismatch, NotFound, OutOfSpace, Unavailable

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.video.spread.catalog import Listed
    from atomic_guide.engines.assets.settings import AssetSettings
    from atomic_guide.engines.assets.store import Store
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.jobs import Queues

QUEUE = "assets"
_REMEMBERED = 64
"""Lists held in memory: one of an hour's lecture is 1,800 entries and about 0.5 MB."""
_LARGEST = 64 * 1024 * 1024


class Engines(NamedTuple):
    """What an installation has open already."""

    shards: Shards
    store: Store
    queues: Queues


class SpreadParts:
    """The engines, the declared stores, and what one process shares over all of its copying."""

    def __init__(self, engines: Engines, clock: Clock, settings: AssetSettings, region: str = "") -> None:
        self.shards, self.store, self.queues = engines
        self.region = region
        """Where the main store stands."""
        self.clock = clock
        self.settings = settings
        self.remotes = opened_stores(self.store, settings)
        self.pace = Pace(settings.copies.bytes_per_second)
        self.catalog = Catalog(self.shards.directory, clock)
        self.found: Counter[tuple[str, str]] = Counter()
        """What looking over copies has found, by outcome and whether it was healed, since the process began."""
        self.purged = 0
        """Purges that a CDN took since then."""
        self._lists: OrderedDict[str, Manifest] = OrderedDict()

    async def manifest(self, listed: Listed, digest: str | None = None) -> Manifest:
        """A list of a lecture's files, from here or from whoever has it. Raises `NotFound`, `Unavailable`."""
        digest = digest or listed.list
        found = self._lists.get(digest)
        if found is None:
            found = await self._read(listed, digest)
            self._lists[digest] = found
            if len(self._lists) > _REMEMBERED:
                self._lists.popitem(last=False)
        self._lists.move_to_end(digest)
        return found

    async def _read(self, listed: Listed, digest: str) -> Manifest:
        place, away = list_place(listed.prefix, digest), None
        try:
            return read_manifest(await self.store.read(place, _LARGEST), digest)
        except (NotFound, ChecksumMismatch):
            pass
        except Unavailable as error:
            away = error
        for replica in await self.catalog.replicas(listed.tenant, listed.media):
            remote = self.remotes.get(replica.store)
            if remote is None or replica.held != digest:
                continue
            try:
                name = place_of(listed.prefix, digest)
                content = b"".join([part async for part in remote.stream(name, 0, await remote.size(name))])
                found = read_manifest(content, digest)
            except (NotFound, ChecksumMismatch, Unavailable):
                continue
            if away is None:
                # It serves without, too, where there is no room or the store goes away.
                with contextlib.suppress(OutOfSpace, Unavailable):
                    await self.store.put(place, content)
            return found
        message = f"the list of {listed.media}'s files is gone; `atomic-guide assets repair` makes it anew"
        raise away or NotFound(message)
