"""The memory of the cache, and what it keeps on NATS."""

from atomic_guide.clock import SystemClock
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.limits import used
from atomic_guide.engines.cache.settings import CacheSettings
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.limit import Used
from tests.caching import running_cache
from tests.integration.chat_server import nats_beside
from tests.limit_cases import Ground, Reached, fullest, reaches, until

MOST = 1 << 20


@reaches("cache_memory")
async def _(ground: Ground) -> Reached:
    del ground
    cache = Cache(CacheSettings(memory_bytes=MOST), SystemClock())
    pages = cache.space("pages", bytes)
    seen: list[Used] = []
    for number in range(100):
        key = pages.key("t", str(number))
        for _ in range(2):
            await pages.get(key, _page)
        assert cache.usage.bytes <= MOST
        seen = max(seen, fullest(used(cache), "cache_memory"), key=lambda found: [one.value for one in found])
    assert cache.usage.evicted > 0, "those used longest ago"
    assert await pages.get(pages.key("t", "0"), _page) == await _page(), "and is loaded when it is asked for"
    return Reached("forgets", MOST, seen)


@reaches("cache_shared")
async def _(ground: Ground) -> Reached:
    async with nats_beside(ground.folder):
        connection = Connection(ground.folder, NatsSettings())
        async with running_cache(connection, CacheSettings(shared_bytes=MOST)) as cache:
            pages = cache.space("pages", bytes)
            for number in range(100):
                await pages.get(pages.key("t", str(number)), _page)
            await until(lambda: cache.counts.puts == 100)
            await cache.look()
            seen = fullest(used(cache), "cache_shared")
            assert 0 < seen[0].value <= MOST
            return Reached("forgets", MOST, seen)


async def _page() -> bytes:
    return b"x" * 20_000
