"""Records how runs ended, many in one transaction.

What ends in one turn of the event loop is written together, for each shard; while that is under way, what ends then
waits for the next group. A job whose end is not written yet keeps its lease. A database that does not answer is asked
again for as long as a lease lasts; after that another worker has the job, and this end of it would be refused anyway.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import structlog

from atomic_guide.engines.queues.ending import Return, end_jobs, return_jobs
from atomic_guide.engines.queues.vacuums import Vacuums
from atomic_guide.errors import Fenced, GuideError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Transaction, Work
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lease import Lease

_log = structlog.get_logger(__name__)

_GROUP = 1000
"""Ends in one transaction: 15 ms of a server, 20 of a file."""

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Ending(NamedTuple):
    """How a run ended: done, or back in the queue where `back` says when and why.

    `refund` gives the job its attempt back; `told(outcome)` is called once it is known: what was meant, or "lost".
    """

    lease: Lease
    outcome: str
    told: Callable[[str], None]
    back: Return | None = None
    refund: bool = False


class Endings:
    """What waits to be written, by shard; at most one group of each is under way."""

    def __init__(self, shards: Shards, owner: str, clock: Clock, patience: float) -> None:
        self._shards = shards
        self._owner = owner
        self._clock = clock
        self._patience = patience
        self._waiting: dict[str, deque[Ending]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._vacuums = Vacuums(shards)
        self.unwritten: dict[int, Lease] = {}

    def add(self, ending: Ending) -> None:
        """Have an end written soon."""
        self.unwritten[id(ending.lease)] = ending.lease
        place = ending.lease.shard.name
        waiting = self._waiting.setdefault(place, deque())
        waiting.append(ending)
        if place not in self._tasks:
            # It starts in the next turn of the loop: everything that this one still adds is in its first group.
            self._tasks[place] = asyncio.create_task(self._write(place, waiting), name=f"ends of jobs in {place}")

    async def settle(self, limit: float) -> None:
        """Wait until everything is written, for at most `limit` seconds."""
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()), timeout=limit)
        await self._vacuums.close()

    async def _write(self, place: str, waiting: deque[Ending]) -> None:
        try:
            while waiting:
                group = [waiting.popleft() for _ in range(min(_GROUP, len(waiting)))]
                try:
                    await self._commit(group)
                except Exception as error:  # noqa: BLE001 - those behind must be written too
                    _log.exception("how jobs ended could not be recorded", jobs=len(group), exc_info=error)
                    self._tell([ending for ending in group if id(ending.lease) in self.unwritten], set())
        finally:
            del self._tasks[place]

    async def _commit(self, group: list[Ending]) -> None:
        deadline, pause = self._clock.monotonic() + self._patience, _FIRST_PAUSE
        while group:
            try:
                await self._written(group)
            except GuideError as error:
                group = [ending for ending in group if id(ending.lease) in self.unwritten]
                if self._clock.monotonic() > deadline:
                    _log.warning("how jobs ended is not recorded", jobs=len(group), code=error.code)
                    self._tell(group, set())
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                return

    async def _written(self, group: list[Ending]) -> None:
        """Write a group where its courses are, and tell of each part that is committed."""
        for courses in self._shards.grouped([ending.lease.job.key for ending in group]):
            here = [ending for ending in group if ending.lease.job.key in courses.keys]
            try:
                self._tell(here, await courses.write(self._work(here)))
                self._vacuums.ended(courses.shard.name, len(here))
            except Fenced:
                # A course is on its way to another shard: each follows its own.
                for ending in here:
                    self._tell([ending], await self._shards.of(ending.lease.job.key).write(self._work([ending])))

    def _work(self, group: Sequence[Ending]) -> Work[set[str]]:
        done = [ending.lease.job for ending in group if ending.back is None]
        back = [ending for ending in group if ending.back is not None]

        async def work(tx: Transaction) -> set[str]:
            now, held = self._clock.now(), set[str]()
            if done:
                held |= await end_jobs(tx, done, self._owner, now)
            for refund in {ending.refund for ending in back}:
                returns = [ending.back for ending in back if ending.refund == refund and ending.back is not None]
                held |= await return_jobs(tx, returns, self._owner, now, refund=refund)
            return held

        return work

    def _tell(self, group: list[Ending], held: set[str]) -> None:
        for ending in group:
            self.unwritten.pop(id(ending.lease), None)
            ending.told(ending.outcome if ending.lease.job.id in held else "lost")
