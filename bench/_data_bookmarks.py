"""Reads of sessions that have just written, while the replicas lag: none is stale, nearly all come from replicas."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.replica import ReadSettings
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from tests.postgres import Cluster, fresh_cluster
from tests.replication import by_target, get, installed, opened, replicas_of, seen, written

CALLERS = 16
READS = 10_000


async def measure(bars: Bars) -> None:
    """Two replicas, at 10 ms and at 150 ms behind; and what sessions cost where nothing has to be waited for."""
    with fresh_cluster((("eu", "us"),)) as cluster:
        _delay(cluster, "10ms")
        async with installed(cluster, ReadSettings()) as settings, opened(settings) as shards:
            reads = bars.size(READS, CALLERS)
            stale, seconds = await _rounds(shards, reads)
            share = by_target(shards)["replica"] / max(1, by_target(shards).total())
            bars.show("replicas behind by 10 ms: reads", reads)
            bars.show("writes and reads", reads / seconds, "/s")
            bars.most("stale with a bookmark", stale, 0)
            bars.least("share that replicas served", share, 0.95)
            bars.show("why", _reasons(shards))
            unconstrained, _ = await _rounds(shards, bars.size(1_000, CALLERS), bookmarked=False)
            bars.show("stale in 1,000 without bookmarks, for comparison", unconstrained)
        _delay(cluster, "150ms")
        async with installed(cluster, ReadSettings()) as settings, opened(settings) as shards:
            stale, _ = await _rounds(shards, bars.size(1_000, CALLERS))
            bars.most("replicas behind by 150 ms: stale with a bookmark", stale, 0)
            bars.show("why", _reasons(shards))
        _delay(cluster, None)
        async with installed(cluster, ReadSettings()) as settings, opened(settings) as shards:
            await _cost(bars, shards)


def _delay(cluster: Cluster, delay: str | None) -> None:
    for replica in cluster.shards[0].replicas:
        replica.set(recovery_min_apply_delay=delay)


async def _rounds(shards: Shards, reads: int, *, bookmarked: bool = True) -> tuple[int, float]:
    """So many writes, each read at once by another session; how many reads were stale, and the seconds."""
    numbers = itertools.count(1)
    began = time.perf_counter()
    stale = await asyncio.gather(*(_caller(shards, caller, reads, numbers, bookmarked) for caller in range(CALLERS)))
    return sum(stale), time.perf_counter() - began


async def _caller(shards: Shards, caller: int, reads: int, numbers: Iterator[int], bookmarked: bool) -> int:  # noqa: FBT001 - one of two rounds
    key = CourseKey.of("bench", f"course-{caller}")
    stale = 0
    while (number := next(numbers)) <= reads:
        bookmark = await written(shards, number, key)
        found, _ = await seen(shards, bookmark if bookmarked else "first-unconstrained", key)
        stale += found != number
    return stale


def _reasons(shards: Shards) -> str:
    counted = sorted(replicas_of(shards).reads.items(), key=lambda item: -item[1])
    return ", ".join(f"{target} {reason} {number:,}" for (target, reason), number in counted)


async def _cost(bars: Bars, shards: Shards) -> None:
    """CPU of this process for a read in a session, beside one without, whose replica is up to date."""
    key = CourseKey.of("bench", "course-0")
    bookmark = await written(shards, 1, key)
    await asyncio.sleep(0.2)
    count = bars.size(2_000, 100)
    per_read: dict[str, list[float]] = {"session": [], "plain": []}
    for _ in range(5):
        began = time.process_time()
        for _ in range(count):
            await get(shards, key)
        per_read["plain"].append((time.process_time() - began) / count * 1e6)
        async with shards.session(bookmark):
            began = time.process_time()
            for _ in range(count):
                await get(shards, key)
            per_read["session"].append((time.process_time() - began) / count * 1e6)
    plain = bars.median("CPU of a read without a session", per_read["plain"], "us")
    session = bars.median("CPU of a read in a session, from a replica", per_read["session"], "us")
    bars.show("ratio", session / plain)
