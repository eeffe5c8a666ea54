"""`disk`: what is left of the disk that the data directory is on."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample

if TYPE_CHECKING:
    from pathlib import Path

DISK = "disk"

METRICS = (Metric(DISK, "utilisation", "share", "What is taken of the data directory's disk, for whoever serves."),)


class DiskSource:
    """Of the process that leads."""

    name = DISK
    metrics = METRICS

    def __init__(self, data: Path) -> None:
        self._data = data

    async def measure(self, at: float) -> list[Sample]:
        """The figure of a tick; none where the directory cannot be looked at."""
        del at
        usage = await asyncio.to_thread(shutil.disk_usage, self._data)
        # Not `total`: what is kept for root is not there for the server.
        return [Sample(Key(DISK, "utilisation"), usage.used / (usage.used + usage.free))]
