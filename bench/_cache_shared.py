"""Over two processes and NATS: loads for a thousand misses, how late a change is heard, what is old without NATS.

A second process answers over a pipe: it reads a key without end and says when it first had a new value. Clocks are the
machine's steady one, which both processes share. NATS is stopped for a minute (a shorter time with --share).
"""

from __future__ import annotations

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from atomic_guide.clock import SystemClock
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.cache.space import Space
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from bench._bars import Bars

MISSES = 1000
CHANGES = 500
AWAY_SECONDS = 60.0
STALE_MS = 5.0
CUT_SPARE = 0.3
"""A timer of 50 ms, and the reader's own pause."""
KEY = ("numbers", "tenant", "course")
WAIT_SECONDS = 30.0


async def measure(bars: Bars) -> None:
    """One after the other."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        server = NatsServer(data, NatsSettings())
        await server.start()
        try:
            async with opened(data) as cache:
                await misses(bars, cache)
                space = cache.space("numbers", int)
                await changes(bars, data, space)
                await without(bars, data, server, space)
        finally:
            await server.stop()


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Cache]:
    """A process's cache that hears of changes."""
    connection = Connection(data, NatsSettings())
    await connection.open()
    cache = Cache(CacheSettings(), SystemClock(), connection)
    running = asyncio.create_task(cache.run())
    await live(cache)
    yield cache
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await cache.close()
    await connection.close()


async def live(cache: Cache) -> None:
    """Until changes are heard of."""
    assert cache.shared is not None
    async with asyncio.timeout(WAIT_SECONDS):
        while not cache.shared.live:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)


async def misses(bars: Bars, cache: Cache) -> None:
    """A thousand at once."""
    space, loads = cache.space("misses", str), 0

    async def load() -> str:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.05)
        return "a value"

    began = time.perf_counter()
    await asyncio.gather(*(space.get(space.key("tenant", "course"), load) for _ in range(MISSES)))
    bars.most(f"{MISSES:,} misses at once: loads", loads, 1)
    bars.show("answered after", (time.perf_counter() - began) * 1000, "ms (a load takes 50)")


async def changes(bars: Bars, data: Path, space: Space[int]) -> None:
    """How long another process still reads what was changed."""
    count = bars.size(CHANGES, 50)
    late = []
    async with reading(data) as reader:
        for number in range(1, count + 1):
            (data / "number").write_text(str(number))
            await space.changed(KEY)
            told = time.monotonic()
            async with asyncio.timeout(WAIT_SECONDS):
                while True:
                    value, at = (await reader.readline()).split()
                    if int(value) >= number:
                        break
            late.append(max(0.0, float(at) - told) * 1000)
            await asyncio.sleep(0.005)
    late.sort()
    bars.show("after a change is acknowledged, read elsewhere: median", statistics.median(late), "ms")
    bars.most("the same, 99 of 100", late[int(len(late) * 0.99) - 1], STALE_MS, "ms")


async def without(bars: Bars, data: Path, server: NatsServer, space: Space[int]) -> None:
    """What is read elsewhere while NATS is away, and once it is back."""
    bound = CacheSettings().cut_seconds
    async with reading(data) as reader:
        await reader.readline()
        await server.stop()
        await asyncio.sleep(0.5)
        (data / "number").write_text("1000001")
        told = time.monotonic()
        heard = await space.changed(KEY)
        at = await _first(reader, 1_000_001)
        bars.most("NATS away: an old value is read for at most", at - told, bound + CUT_SPARE, "s")
        bars.show("its change was told at once", "yes" if heard else "no, when NATS was back")
        await asyncio.sleep(max(0.0, AWAY_SECONDS * bars.share - (time.monotonic() - told)))
        await server.start()
        (data / "number").write_text("1000002")
        back = time.monotonic()
        while not await space.changed(KEY):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.05)
        at = await _first(reader, 1_000_002)
        bars.show("NATS back: a change is heard after", at - back, "s")


async def _first(reader: asyncio.StreamReader, number: int) -> float:
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            value, at = (await reader.readline()).split()
            if int(value) >= number:
                return float(at)


@asynccontextmanager
async def reading(data: Path) -> AsyncIterator[asyncio.StreamReader]:
    """A process that reads the number without end."""
    (data / "number").write_text("0")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench._cache_shared", str(data), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        yield process.stdout
    finally:
        process.terminate()
        await process.wait()


async def _read_on(data: Path) -> None:
    async def load() -> int:
        return int((data / "number").read_text() or 0)

    async with opened(data) as cache:
        space, last = cache.space("numbers", int), -1
        print("ready", flush=True)
        while True:
            value = await space.get(KEY, load)
            if value is not None and value != last:
                last = value
                print(value, time.monotonic(), flush=True)
            await asyncio.sleep(0.0005)


if __name__ == "__main__":
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    asyncio.run(_read_on(Path(sys.argv[1])))
