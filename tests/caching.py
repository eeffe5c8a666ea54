"""Caches over the real NATS server, as processes have them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from atomic_guide.clock import SystemClock
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.nats.connection import Connection

KEY = b"of the installation"


async def listening(cache: Cache, seconds: float = 15.0) -> None:
    """Until changes are heard of."""
    assert cache.shared is not None
    async with asyncio.timeout(seconds):
        while not cache.shared.live:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running_cache(
    connection: Connection, settings: CacheSettings | None = None, key: bytes = KEY, regions: tuple[str, ...] = ()
) -> AsyncIterator[Cache]:
    """The cache of one process, which hears of changes; its connection is closed with it."""
    await connection.open()
    cache = Cache(settings or CacheSettings(), SystemClock(), connection, key, regions)
    running = asyncio.create_task(cache.run())
    try:
        await listening(cache)
        yield cache
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cache.close()
        await connection.close()
