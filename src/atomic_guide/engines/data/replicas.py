"""The replicas of a shard: the way of a read to one of them, and what happens when one fails.

Reads go to the healthy replicas of the reader's own region (else to all), of these to the quickest ones, and of these
to the least busy. What a read may cost when something is wrong:

- A replica that is behind the session is waited for, 50 ms at most; then any other that is there, then the primary.
- Only a failed connection, or a conflict with what is being replayed, makes a read go elsewhere. An error in SQL is
  raised as it is: the statement runs once.
- A replica that stops answering, its connections open, is found by the probe; reads that wait for it go elsewhere.
- Reads that the primary takes over are bounded: so many at a time, the others wait, and then are told to come back.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar

import structlog

from atomic_guide import errors
from atomic_guide.engines.data.bookmark import PRIMARY, Position
from atomic_guide.engines.data.database import Row
from atomic_guide.engines.data.limits import TAKEN_OVER
from atomic_guide.engines.data.ownership import QUERIES
from atomic_guide.engines.data.replica import Call, ReadSettings, Replica, Report
from atomic_guide.engines.data.session import View
from atomic_guide.engines.data.standing import Server, Standing
from atomic_guide.limit import Used

_log = structlog.get_logger(__name__)

T = TypeVar("T")

_WAITING = 10_000
"""Reads that may wait for their turn at the primary; as many as may wait for a connection."""

_FIRST_PAUSE = 0.001
"""Seconds before a replica that is behind is asked again; doubles, up to a quarter of the wait."""

_PEERS = 2.0
"""Replicas up to so many times as slow as the quickest share its reads; noise alone makes half of that."""
_NOISE_SECONDS = 0.001

_CONFLICT = "40001"
"""The SQLSTATE with which a replica ends a statement that stands in the way of what it replays."""

_PARTING_LOOKS = 50
"""Tenths of a second that reads on a replica that leaves may still take; they go elsewhere when it is closed."""

_OWN = {"first", "written", "unknown"}
"""Reasons that lie in the session itself; such reads are the primary's own, not taken over from a replica."""


class Reads(NamedTuple):
    """Which server a read went to, and why: a row of the counters."""

    target: str
    reason: str


class ReplicaSet:
    """The replicas of one shard, and the way of a read to one of them.

    `reads` counts the reads that had a choice, by target and reason. It costs nothing until the first of them.
    """

    def __init__(
        self,
        name: str,
        primary: Server,
        replicas: Sequence[Replica],
        settings: ReadSettings,
        region: str,
        beside: Callable[[str, int], Replica] | None = None,
    ) -> None:
        """`beside(name, port)` is a replica on the primary's own machine that was started while this runs."""
        self.name = name
        self.primary = primary
        self.replicas = list(replicas)
        self.declared = len(self.replicas)
        """How many of them the settings name; the others were started beside the primary."""
        self.reads: Counter[Reads] = Counter()
        self.timeline = 0
        """The newest that a server of the shard has told of."""
        self._settings = settings
        self._region = region
        self._places = asyncio.Semaphore(settings.fallback_reads)
        self._waiting = self._taken_over = 0
        self._beside = beside
        self._ports: dict[str, int] = {}
        self._parting: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._looked = asyncio.Event()

    def used(self) -> Iterator[Used]:
        """Reads that the primary has taken over, and what the replicas' own connections are used for."""
        yield Used(TAKEN_OVER, self._taken_over, self.name)
        for replica in self.replicas:
            yield from replica.engine.used()

    async def position(self) -> Position:
        """Where the primary is now; `PRIMARY` where it does not say, and where no replica would make use of it."""
        if not self.replicas:
            return PRIMARY
        standing = await self.primary.asked()
        if standing is None or standing.recovering or not self._is_newest(standing):
            return PRIMARY
        return standing.position

    async def answer(self, view: View, call: Call[T], *, long: bool = False) -> T:
        """Make a read of a session that may be answered by a replica.

        Raises what the read raises, and `DataUnavailable` where too many reads have to go to the primary.
        """
        reason, tried = "", set[Replica]()
        while len(tried) < len(self.replicas):
            chosen, reason = await self._chosen(view, tried, long=long)
            if chosen is None:
                break
            process = chosen.process
            try:
                result = await chosen.call(call)
            except errors.Disconnected:
                reason = "away"
            except errors.Fenced:
                # It has not replayed yet that the course has come here, or the course is gone: the primary knows.
                reason = "fenced"
                break
            except errors.DataUnavailable as error:
                if getattr(error.__cause__, "sqlstate", None) != _CONFLICT:
                    raise
                reason = "conflict"
            else:
                # On a connection made meanwhile, another process may have answered, with less than it was chosen for.
                if process == chosen.process:
                    view.answered(chosen, process)
                    self.reads[Reads("replica", reason)] += 1
                    return result
                reason = "restarted"
            tried.add(chosen)
        self.reads[Reads("primary", reason)] += 1
        if reason in _OWN:
            return await self._at_primary(view, call)
        async with self._bounded():
            return await self._at_primary(view, call)

    def start(self) -> None:
        """Begin to watch the servers; the first read does so by itself."""
        if self._watch is None and self.replicas:
            loop = asyncio.get_running_loop()
            self._watch = loop.create_task(
                self._watching(), name=f"replicas {self.name}", context=contextvars.Context()
            )

    def follow(self, standbys: Sequence[Row]) -> None:
        """Have the replicas that the settings name and the standbys that serve; new ones are probed first."""
        if self._beside is None:
            return
        serving = [row for row in standbys if row["shard"] == self.name and row["state"] == "serving"]
        ports: dict[str, int] = {row["name"]: row["port"] for row in serving}
        for replica in self.replicas[self.declared :]:
            # One that started again may have had to take another port.
            if ports.get(replica.name) != self._ports[replica.name]:
                self.replicas.remove(replica)
                task = asyncio.create_task(_closed(replica))
                self._parting.add(task)
                task.add_done_callback(self._parting.discard)
        known = {replica.name for replica in self.replicas}
        self.replicas += [self._beside(name, port) for name, port in ports.items() if name not in known]
        self._ports = ports

    async def probe(self) -> None:
        """Ask every server once and draw the conclusions."""
        began = time.monotonic()
        replicas = list(self.replicas)
        primary = await self.primary.asked()
        standings = await asyncio.gather(*(replica.asked() for replica in replicas))
        for standing in (primary, *standings):
            if standing is not None:
                self.timeline = max(self.timeline, standing.position.timeline)
        place = None
        if primary is not None and self._is_newest(primary):
            place = began, primary.position.lsn
        elif primary is not None:
            _log.warning("the primary is on an old timeline; it is looked for again", shard=self.name)
            self.primary.forget()
        for replica, standing in zip(replicas, standings, strict=True):
            replica.judge(standing, place, self.timeline, self._settings.max_lag_seconds)
        self._looked.set()

    async def looked(self) -> None:
        """Wait until every server has been asked once, and watch them from then on."""
        if not self._looked.is_set():
            self.start()
            await self._looked.wait()

    def reports(self) -> list[Report]:
        """How each replica is."""
        return [replica.report(self.name) for replica in self.replicas]

    async def close(self) -> None:
        """Stop watching and let go of the replicas; the primary's reads belong to the shard."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await asyncio.gather(*self._parting, return_exceptions=True)
        for server in (self.primary, *self.replicas):
            await server.close()

    async def _watching(self) -> None:
        while True:
            try:
                await self.probe()
            except Exception:  # noqa: BLE001 - logged; without the probe nobody would see a replica come or go
                _log.exception("probing the replicas failed", shard=self.name)
            await asyncio.sleep(self._settings.probe_seconds * random.uniform(0.8, 1.2))

    async def _chosen(self, view: View, tried: set[Replica], *, long: bool) -> tuple[Replica | None, str]:
        """A replica that may answer, and how it was found; or None and why there is none."""
        await self.looked()
        marked, now = view.marked_at, time.monotonic()
        if view.demands or marked is not None:
            young = marked is None or now - marked < self._settings.wait_ms / 1000
            if young and not long:
                return None, "first" if view.demands else "written"
            await view.settle(self)
        healthy = [replica for replica in self.replicas if replica.healthy and replica not in tried]
        if view.seen is not None:
            for replica in healthy:
                same = replica is view.seen and replica.process == view.process
                if same and (view.position is None or replica.covers(view.position)):
                    return replica, "current"
            # Another one must not show less than this one has.
            await view.settle(self)
        if view.position == PRIMARY:
            return None, "unknown"
        if not healthy:
            return None, "away"
        return await self._reached(healthy, view.position)

    async def _reached(self, healthy: list[Replica], position: Position | None) -> tuple[Replica | None, str]:
        """One of the healthy replicas that is at a position or comes there in time."""
        near = self._near(healthy)
        if position is None:
            return _least_busy(near), "any"
        if ready := [replica for replica in near if replica.covers(position)]:
            return _least_busy(ready), "current"
        nearest = _least_busy(near)
        # The others are asked meanwhile, and take over where they know more: the nearest may have lost its primary.
        _asked = [replica.asked.begin() for replica in healthy if replica is not nearest]
        if how := await self._awaited(nearest, position):
            return nearest, how
        if ready := [replica for replica in healthy if replica.covers(position)]:
            return _least_busy(self._near(ready)), "other"
        return None, "behind" if position.timeline == self.timeline else "timeline"

    def _near(self, replicas: list[Replica]) -> list[Replica]:
        own = [replica for replica in replicas if replica.region == self._region] or replicas
        slowest = _PEERS * min(replica.latency for replica in own) + _NOISE_SECONDS
        return [replica for replica in own if replica.latency <= slowest]

    async def _awaited(self, replica: Replica, position: Position) -> str:
        """How the replica came to the position: "asked", "waited", or empty where it did not in time."""
        wait = self._settings.wait_ms / 1000
        deadline, pause, how = time.monotonic() + wait, _FIRST_PAUSE, "asked"
        while (left := deadline - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left):
                    standing = await replica.asked()
            except TimeoutError:
                break
            if replica.covers(position):
                return how
            if standing is None or standing.position.timeline != position.timeline:
                break
            await asyncio.sleep(min(pause, max(0.0, deadline - time.monotonic())))
            pause, how = min(2 * pause, wait / 4), "waited"
        return ""

    async def _at_primary(self, view: View, call: Call[T]) -> T:
        result = await call(self.primary.engine)
        view.mark()
        return result

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """A place among the reads that the primary takes over from replicas."""
        refused = f"the replicas of {self.name} are away or behind, and its primary answers as much as it may for them"
        if self._waiting >= _WAITING:
            raise TAKEN_OVER.over(errors.DataUnavailable(refused, retry_after=1))
        self._waiting += 1
        try:
            async with asyncio.timeout(self._settings.fallback_wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            self.reads[Reads("none", "refused")] += 1
            raise TAKEN_OVER.over(errors.DataUnavailable(refused, retry_after=1)) from None
        finally:
            self._waiting -= 1
        self._taken_over += 1
        try:
            yield
        finally:
            self._taken_over -= 1
            self._places.release()

    def _is_newest(self, standing: Standing) -> bool:
        return not standing.recovering and standing.position.timeline >= self.timeline


async def _closed(replica: Replica) -> None:
    """Let the reads under way on a replica that leaves come to their end, for a while, and close it."""
    for _ in range(_PARTING_LOOKS):
        if not replica.busy:
            break
        await asyncio.sleep(0.1)
    await replica.close()


def _least_busy(replicas: list[Replica]) -> Replica:
    return min(replicas, key=lambda replica: (len(replica.busy), random.random()))


async def count_served(replica: Replica) -> int | None:
    """How many transactions a replica has answered in its shard's database, for everybody; None where it is away."""
    if replica.failure:
        return None
    try:
        row = await replica.engine.one(QUERIES["count_served"])
    except errors.DataUnavailable:
        return None
    return int(row["served"]) if row is not None else None
