"""Keeps the table of jobs small where rows that were changed or removed leave dead ones (PostgreSQL).

A job leaves two. Autovacuum comes at its own time, a minute by default, when a busy queue has a hundred megabytes of
them; so whoever ends jobs has the table vacuumed after so many.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from atomic_guide.errors import GuideError

if TYPE_CHECKING:
    from atomic_guide.engines.data.shards import Shards

_log = structlog.get_logger(__name__)

JOBS = 20_000
"""Ended between two vacuums, each of which takes about 60 ms of the server then, and leaves 10 MB to be used again."""


class Vacuums:
    """Those of one worker; of each shard at most one is under way."""

    def __init__(self, shards: Shards, jobs: int = JOBS) -> None:
        self._shards = shards
        self._jobs = jobs
        self._ended: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ended(self, shard: str, jobs: int) -> None:
        """So many jobs of a shard have ended, or went back."""
        self._ended[shard] += jobs
        if self._ended[shard] >= self._jobs and shard not in self._tasks:
            self._ended[shard] = 0
            self._tasks[shard] = asyncio.create_task(self._vacuum(shard), name=f"vacuum of {shard}")

    @property
    def busy(self) -> bool:
        """Whether one is under way."""
        return bool(self._tasks)

    async def close(self) -> None:
        """Break off what is under way; nothing depends on it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _vacuum(self, shard: str) -> None:
        try:
            await self._shards.named(shard).primary.vacuum("jobs")
        except GuideError as error:
            _log.warning("the table of jobs could not be vacuumed", shard=shard, code=error.code)
        finally:
            del self._tasks[shard]
