"""Keeps the leases of a worker, and stops what it holds no longer.

A heartbeat extends every lease: of what waits for a slot, runs, or has ended and is not yet written. It comes three
times in a lease, and at once when the event loop was held up; while that is so, a thread beats (pacemaker.py). Once a
second, and when something of a queue has changed, the running jobs are looked at: one that was called off stops then.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from atomic_guide.engines.queues.ending import extend_leases
from atomic_guide.engines.queues.pacemaker import Pacemaker
from atomic_guide.errors import Fenced, GuideError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction, Work
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.engines.queues.runs import Runs
    from atomic_guide.engines.queues.settings import QueueSettings

_log = structlog.get_logger(__name__)

_CHECK_SECONDS = 1.0
"""How often running jobs are looked at: `atomic-guide queues cancel` is seen within a second, also without NATS."""

_CHECK_PAUSE = 0.05
"""The least time between two looks: a burst of changes is one."""

_YOUNG_SECONDS = 0.2
"""Jobs that have run for less are not looked at; most are over before it could matter."""


class Heart:
    """Beats for the leases that `held()` names."""

    def __init__(
        self, shards: Shards, clock: Clock, settings: QueueSettings, owner: str, held: Callable[[], list[Lease]]
    ) -> None:
        self._shards = shards
        self._held = held
        self._pacemaker = Pacemaker(shards, settings.lease_seconds, held, self._extension)
        self._clock = clock
        self._settings = settings
        self._owner = owner
        self._hurried = asyncio.Event()
        self._changed = asyncio.Event()

    def hurry(self) -> None:
        """Beat now: the loop was held up."""
        self._hurried.set()

    def look(self) -> None:
        """Look at the running jobs now: one may have been called off."""
        self._changed.set()

    async def beat(self, lost: Callable[[set[int]], None]) -> None:
        """Extend every lease in time, and tell which are lost, by identity; until cancelled."""
        pacemaker = asyncio.create_task(self._pacemaker.watch())
        try:
            while True:
                await _either(self._hurried, self._settings.heartbeat_seconds)
                if found := await self._extend(self._held()):
                    lost(found)
                self._pacemaker.beaten()
        finally:
            pacemaker.cancel()
            await asyncio.wait([pacemaker])

    async def watch(self, runs: Runs) -> None:
        """Find out which running jobs are held no longer, until cancelled."""
        while True:
            await asyncio.sleep(_CHECK_PAUSE)
            await _either(self._changed, _CHECK_SECONDS)
            before = self._clock.monotonic() - _YOUNG_SECONDS
            leases = [run.lease for run in runs.running.values() if run.began <= before and not run.called_off]
            found = await asyncio.gather(*[lease.is_held() for lease in leases], return_exceptions=True)
            # A database that does not answer says nothing of its jobs.
            runs.call_off({id(lease) for lease, held in zip(leases, found, strict=True) if held is False})

    async def _extend(self, leases: Sequence[Lease]) -> set[int]:
        """Extend leases; those that are lost, by identity."""
        lost: set[int] = set()
        for courses in self._shards.grouped([lease.job.key for lease in leases]):
            here = [lease for lease in leases if lease.job.key in courses.keys]
            try:
                lost |= await courses.write(self._extension(here))
            except Fenced:
                # A course is on its way to another shard: each follows its own.
                lost |= await self._follow(here)
            except Exception as error:  # noqa: BLE001 - the heart goes on beating for the other shards
                # The next beat comes before the lease ends; the fence holds in any case.
                _log.warning("a heartbeat failed", jobs=len(here), error=repr(error))
        return lost

    async def _follow(self, leases: Sequence[Lease]) -> set[int]:
        lost: set[int] = set()
        for lease in leases:
            try:
                lost |= await self._shards.of(lease.job.key).write(self._extension([lease]))
            except GuideError as error:
                _log.warning("a heartbeat failed", jobs=1, code=error.code)
        return lost

    def _extension(self, leases: Sequence[Lease]) -> Work[set[int]]:
        async def work(tx: Transaction) -> set[int]:
            until = self._clock.now() + self._settings.lease_seconds
            held = await extend_leases(tx, [lease.job for lease in leases], self._owner, until)
            return {id(lease) for lease in leases if lease.job.id not in held}

        return work


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, at most so long, and clear it."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
    event.clear()
