"""A dead replica, a frozen one, and a primary that fails over to a synchronous standby, under reads and writes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import PRIMARY
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from tests.postgres import Shard, fresh_cluster
from tests.replication import by_target, get, installed, opened, replicas_of, seen, written

READERS = 8
NOTICED_SECONDS = 20.0


class Watched:
    """Readers with bookmarks, and a writer whose acknowledged numbers they must see.

    Where the primary dies between a commit and the question where it is, the writer's own session has to wait for the
    next primary; such bookmarks are counted, and the readers go on with the one before.
    """

    def __init__(self, shards: Shards) -> None:
        self.shards = shards
        self.acknowledged = self.placed = 0
        self.bookmark = "first-primary"
        self.waits: list[float] = []
        self.refused = self.stale = self.failed_writes = self.unplaced = 0
        self._stop = asyncio.Event()

    async def read(self) -> None:
        """Read again and again."""
        while not self._stop.is_set():
            least, began = self.placed, time.perf_counter()
            try:
                found, _ = await seen(self.shards, self.bookmark)
                self.stale += found < least
            except errors.DataUnavailable:
                self.refused += 1
            self.waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.005)

    async def write(self) -> None:
        """Write ever higher numbers."""
        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                bookmark = await written(self.shards, number)
            except errors.DataUnavailable:
                self.failed_writes += 1
            else:
                self.acknowledged = number
                if PRIMARY in (await self.shards.seal.open(bookmark)).positions.values():
                    self.unplaced += 1
                else:
                    self.placed, self.bookmark = number, bookmark
            await asyncio.sleep(0.005)

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Readers and writer under way."""
        self.bookmark = await written(self.shards, 0)
        tasks = [asyncio.create_task(self.write()), *(asyncio.create_task(self.read()) for _ in range(READERS))]
        await asyncio.sleep(0.5)
        yield
        self._stop.set()
        await asyncio.gather(*tasks)

    def show(self, bars: Bars, what: str) -> None:
        """What the readers met."""
        bars.show(f"{what}: reads", len(self.waits))
        bars.most(f"{what}: stale", self.stale, 0)


async def measure(bars: Bars) -> None:
    """Each in a cluster of its own, with the settings of production."""
    await _without_a_replica(bars, "dead replica", lambda shard: shard.replicas[0].kill())
    await _without_a_replica(bars, "frozen replica", lambda shard: shard.replicas[0].pause())
    await _failover(bars)


async def _without_a_replica(bars: Bars, what: str, harm: Callable[[Shard], None]) -> None:
    with fresh_cluster((("eu", "us"),)) as cluster:
        shard = cluster.shards[0]
        async with (
            installed(cluster, ReadSettings(), region="eu") as settings,
            opened(settings) as shards,
        ):
            watched = Watched(shards)
            async with watched.going_on():
                harm(shard)
                await _until(lambda: not replicas_of(shards).replicas[0].healthy)
                before = by_target(shards)
                await asyncio.sleep(2)
                after = by_target(shards)
            watched.show(bars, what)
            bars.most(f"{what}: refused reads", watched.refused, 0)
            bars.most(f"{what}: longest read", max(watched.waits), 4.0, "s")
            share = (after["replica"] - before["replica"]) / max(1, after.total() - before.total())
            bars.show(f"{what}: share of the other replica afterwards", share)
            bars.most(f"{what}: acknowledged and lost", int(await get(shards) < watched.acknowledged), 0)
            shard.replicas[0].resume()


async def _failover(bars: Bars) -> None:
    with fresh_cluster((("eu", "us"),)) as cluster:
        shard = cluster.shards[0]
        shard.make_synchronous()
        async with (
            installed(cluster, ReadSettings(), failover=True) as settings,
            opened(settings) as shards,
        ):
            watched = Watched(shards)
            async with watched.going_on():
                held = watched.acknowledged
                shard.primary.kill()
                died = time.perf_counter()
                reads, refused = len(watched.waits), watched.refused
                await asyncio.sleep(1)
                orphaned, refused = len(watched.waits) - reads, watched.refused - refused
                furthest = max(shard.replicas, key=lambda replica: replica.position())
                await asyncio.to_thread(shard.fail_over, furthest)
                with suppress(TimeoutError):
                    await _until(lambda: watched.acknowledged > held + 2)
                pause = time.perf_counter() - died
                await asyncio.sleep(2)
            watched.show(bars, "failover")
            bars.show("failover: longest read", max(watched.waits), "s")
            bars.show("failover: reads answered while there was no primary", orphaned - refused)
            bars.least("failover: share of those that were answered", (orphaned - refused) / max(1, orphaned), 0.9)
            bars.show("failover: writes acknowledged before it", held)
            bars.least("failover: writes acknowledged after it", watched.acknowledged - held, 1)
            bars.show("failover: pause of writes, of it 1 s without anybody", pause, "s")
            bars.show("failover: writes refused", watched.failed_writes)
            bars.show("failover: bookmarks that have to wait for a primary", watched.unplaced)
            bars.most("failover: acknowledged and lost", max(0, watched.acknowledged - await get(shards)), 0)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(NOTICED_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.02)
