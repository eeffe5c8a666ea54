"""Beats for a worker whose event loop does not: a job that holds the loop up for longer than a lease keeps its lease.

A thread looks at when the heart last beat. Once that is half a lease ago, it extends the leases itself, over
connections of its own that it opens for the occasion, until the loop is back; what was lost meanwhile, the next beat of
the loop finds. A job that does not let go of the interpreter either, inside a library of its own, stops this thread
too: then the fence is what is left, as where a machine stands still.
"""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import structlog

from atomic_guide.engines.data.ownership import fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atomic_guide.engines.data.database import Work
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lease import Lease

_log = structlog.get_logger(__name__)

_LATE = 0.5
"""Leases without a beat after which it takes over: a slow commit is no reason, and there is time to try again."""

_LOOK = 0.125
"""Leases between two looks."""

_JOIN_SECONDS = 1.0


class Pacemaker:
    """Watches one heart: `lease` in seconds, `held()` what to extend, `extension(leases)` the work that does it."""

    def __init__(
        self,
        shards: Shards,
        lease: float,
        held: Callable[[], Sequence[Lease]],
        extension: Callable[[Sequence[Lease]], Work[set[int]]],
    ) -> None:
        self._shards = shards
        self._lease = lease
        self._held = held
        self._extension = extension
        self._beaten = time.monotonic()
        self._ended = threading.Event()

    def beaten(self) -> None:
        """The heart has beaten."""
        self._beaten = time.monotonic()

    async def watch(self) -> None:
        """Watch, until cancelled."""
        self.beaten()
        thread = threading.Thread(target=self._watch, name="pacemaker", daemon=True)
        thread.start()
        try:
            await asyncio.Event().wait()
        finally:
            self._ended.set()
            await asyncio.to_thread(thread.join, _JOIN_SECONDS)

    def _watch(self) -> None:
        while not self._ended.wait(self._lease * _LOOK):
            late = time.monotonic() - self._beaten
            if late > self._lease * _LATE:
                try:
                    jobs = asyncio.run(self._beat())
                except Exception as error:  # noqa: BLE001 - the next look tries again
                    _log.warning("a heartbeat beside the event loop failed", error=repr(error))
                    continue
                self.beaten()
                _log.warning("the event loop is held up; leases are extended beside it", jobs=jobs, seconds=late)

    async def _beat(self) -> int:
        """Extend every lease, each shard by a connection of its own; how many there were."""
        held = self._held()
        async with asyncio.timeout(self._lease * _LATE):
            for courses in self._shards.grouped([lease.job.key for lease in held]):
                here = [lease for lease in held if lease.job.key in courses.keys]
                engine = courses.shard.apart()
                try:
                    await engine.write(fenced(self._extension(here), courses.fences))
                finally:
                    await engine.close()
        return len(held)
