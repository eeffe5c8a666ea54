"""`backups`: how old the newest one is, where they are made by a schedule."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from atomic_guide.app.keeping.log import folder_of
from atomic_guide.app.keeping.manifest import NAME
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample

if TYPE_CHECKING:
    from pathlib import Path

    from atomic_guide.course.keeping.settings import BackupSettings

BACKUPS = "backups"

METRICS = (
    Metric(BACKUPS, "overdue", "share", "Age of the newest backup by backups.every_minutes; without that, no data."),
)

_ID = re.compile(r"(\d{8}T\d{6}Z)-[0-9a-f]{6}")


class BackupsSource:
    """Reads names, never manifests: a folder of a year has a hundred of them."""

    name = BACKUPS
    metrics = METRICS

    def __init__(self, settings: BackupSettings, data: Path) -> None:
        self._every = settings.every_minutes
        self._folder = folder_of(settings, data)

    async def measure(self, at: float) -> list[Sample]:
        """The figure of a tick; none without a schedule, or before the first backup."""
        if self._every is None:
            return []
        newest = await asyncio.to_thread(self._newest)
        if newest is None:
            return []
        return [Sample(Key(BACKUPS, "overdue"), max(0.0, at - newest) / (self._every * 60))]

    def _newest(self) -> float | None:
        if not self._folder.is_dir():
            return None
        whole = [match[1] for path in self._folder.iterdir()
                 if (match := _ID.fullmatch(path.name)) and (path / NAME).is_file()]  # fmt: skip
        if not whole:
            return None
        return datetime.strptime(max(whole), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
