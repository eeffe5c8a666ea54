"""Keeps the table of jobs small where rows that were changed or removed leave dead ones (PostgreSQL).

A job leaves two. Autovacuum comes at its own time, a minute by default, when a busy queue has left a hundred megabytes
of them or more; so whoever ends jobs asks after so many whether it is time. The server counts for all workers together.
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

DEAD_ROWS = 40_000
"""Of 20,000 jobs: 17 MB with their entries in indexes. A vacuum takes 40 ms of the server then."""

DEAD_SHARE = 0.2
"""Of the rows that live, which a vacuum reads too: where a million jobs wait it comes for 200,000 dead rows."""

ASK_JOBS = 5_000
"""Ended by one worker between two questions, each a read of the server's counters."""


class Vacuums:
    """Those of one worker; of each shard at most one is under way."""

    def __init__(self, shards: Shards, ask_jobs: int = ASK_JOBS, dead_rows: int = DEAD_ROWS) -> None:
        self._shards = shards
        self._ask_jobs = ask_jobs
        self._dead_rows = dead_rows
        self._ended: Counter[str] = Counter()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ended(self, shard: str, jobs: int) -> None:
        """So many jobs of a shard have ended, or went back."""
        self._ended[shard] += jobs
        if self._ended[shard] >= self._ask_jobs and shard not in self._tasks:
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
            await self._shards.named(shard).primary.vacuum("jobs", self._dead_rows, DEAD_SHARE)
        except GuideError as error:
            _log.warning("the table of jobs could not be vacuumed", shard=shard, code=error.code)
        finally:
            del self._tasks[shard]
