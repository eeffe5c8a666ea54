"""What a server does for keeping and forgetting by itself: retention, interrupted erasures, backups by schedule."""

from __future__ import annotations

import asyncio
from pathlib import Path

import structlog

from atomic_guide.app.keeping import log
from atomic_guide.app.keeping.assembly import Keeping, assembled
from atomic_guide.app.keeping.log import folder_of
from atomic_guide.app.keeping.manifest import all_in
from atomic_guide.app.keeping.take import take
from atomic_guide.clock import SystemClock, from_iso
from atomic_guide.config import Settings
from atomic_guide.course.keeping.retention import Changed, Retention
from atomic_guide.course.video.videos import Videos
from atomic_guide.engines.data.shards import Shards

RETENTION_SECONDS = 600.0
"""Between two turns of retention; what is a few minutes older than the settings say harms nobody."""

LOOK_SECONDS = 60.0
"""How often it is looked whether a backup is due, or an erasure stands still."""

_STILL_SECONDS = 600.0
"""After how long an erasure that is not done counts as interrupted; one of a large tenant says so by new counts."""

LIMIT_SECONDS = 3600.0
"""What a backup may take before it counts as failed."""

_log = structlog.get_logger(__name__)


class Keeper:
    """The root tasks, for the process that holds the data directory. `changed` tells of changes of rooms."""

    def __init__(self, settings: Settings, shards: Shards, changed: Changed) -> None:
        self._settings = settings
        self._shards = shards
        self._changed = changed
        self._keeping: Keeping | None = None

    async def retain(self) -> None:
        """One turn of retention."""
        keeping = await self._assembled()
        videos = Videos(keeping.parts)
        done = await Retention(keeping.parts, videos, keeping.holds, self._settings.keeping, self._changed).turn()
        if any(done):
            _log.info("retention let go", **done._asdict())
        if not self._settings.backups.log.enabled:
            await asyncio.to_thread(log.let_go_of_unused, self._settings)

    async def finish_erasures(self) -> None:
        """Complete erasures whose process has gone."""
        keeping = await self._assembled()
        for receipt in await keeping.erasures.resume(still_for=_STILL_SECONDS):
            _log.info("an interrupted erasure was completed", receipt=receipt.id)

    async def back_up(self) -> None:
        """Make a backup where one is due."""
        every = self._settings.backups.every_minutes
        if every is None:
            return
        folder = folder_of(self._settings.backups, Path(self._settings.data))
        known = await asyncio.to_thread(all_in, folder)
        if known and SystemClock().now() - from_iso(known[-1].manifest.began_at) < every * 60:
            return
        found = await take(self._settings, folder, lambda text: _log.debug("backing up", step=text))
        _log.info("made a backup", backup=found.manifest.id, bytes=found.manifest.size)

    async def _assembled(self) -> Keeping:
        if self._keeping is None:
            self._keeping = await assembled(self._settings, Path(self._settings.data), self._shards)
        return self._keeping
