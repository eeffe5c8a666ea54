"""A log that is written in this process, over the open databases of a data directory."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from atomic_guide.app.keeping import log
from atomic_guide.config import Settings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.data.wal.marks import Mark
from atomic_guide.engines.data.wal.writer import WalWriter
from tests.keeping import settings_of

ON = {"ATOMIC_GUIDE_BACKUPS_LOG_ENABLED": "true"}
"""What has commands and servers keep a log."""


class Logged(NamedTuple):
    """Open databases and their log."""

    shards: Shards
    wal: WalWriter
    beside: log.Beside

    async def mark(self) -> Mark:
        """Have everything in the log; the mark."""
        await self.beside.turn()
        mark = await self.wal.mark()
        assert mark is not None
        return mark


def logging_settings(data: Path, **more: object) -> Settings:
    """Settings of a data directory that keeps a log."""
    return settings_of(data, backups__log__enabled=True, **more)


@contextlib.asynccontextmanager
async def logged(data: Path, settings: Settings | None = None) -> AsyncIterator[Logged]:
    """The databases and their log, which is written when a mark is asked for."""
    settings = settings or logging_settings(data)
    timeline = log.prepare(settings)
    assert timeline is not None
    shards = await open_embedded(data, settings.databases)
    try:
        wal = log.writer(settings, timeline, shards)
        try:
            await wal.start()
            yield Logged(shards, wal, log.Beside(settings, shards))
        finally:
            await wal.stop()
    finally:
        await shards.close()
