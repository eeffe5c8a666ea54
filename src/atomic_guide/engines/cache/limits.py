"""The limits of the cache. Its memory is always full after a while; what is watched is whether what is used fits in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from atomic_guide.engines.cache.layer import HOT_SHARE
from atomic_guide.limit import Limit, Used

if TYPE_CHECKING:
    from atomic_guide.engines.cache.layered import Cache

MEMORY = Limit(
    "cache",
    "cache_memory",
    "bytes",
    "cache.memory_bytes",
    refuses="Nothing; what was used longest ago is forgotten, and loaded when it is asked for.",
    answer="forgets",
    use="Bytes of values that were read more than once, by the share of the memory that they may take.",
)
SHARED = Limit(
    "cache",
    "cache_shared",
    "bytes",
    "cache.shared_bytes",
    refuses="Nothing; the oldest values leave NATS, and are loaded when they are asked for.",
    answer="forgets",
    use="Bytes of values on NATS, as its server counts them.",
)
LIMITS = (MEMORY, SHARED)


def used(cache: Cache) -> Iterator[Used]:
    """How full both are; of NATS as it was last looked at."""
    yield Used(MEMORY, cache.usage.hot / HOT_SHARE)
    if cache.on_nats is not None:
        yield Used(SHARED, cache.on_nats.bytes)
