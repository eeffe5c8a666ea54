"""The cache of a process, joined with its databases and NATS."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.course.analytics.performance import Performance
from atomic_guide.engines.cache.keys import Scope
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.nats.address import read_address
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.errors import NotFound, Unavailable
from atomic_guide.operations.caching.desk import Desk, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.course.analytics.performance import Made
    from atomic_guide.engines.data.database import Database, Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__, "caching.sql")

_SECRET = "cache"  # noqa: S105 - the name of the row, not its value

LOOK_SECONDS = 15.0
"""How often NATS is asked how much lies there: as often as is sampled."""

_LISTEN_SECONDS = 5.0
_FORGET_SECONDS = 1.0
"""An erasure also runs where no server does; NATS on the same machine or network answers within milliseconds."""

_LOOK_AGAIN = 0.01


async def made_cache(directory: Database, settings: Settings, clock: Clock, connection: Connection) -> Cache:
    """A cache whose values on NATS are sealed with the installation's key, which is made at first use.

    So whoever may write to NATS, but not read the directory, puts nothing into it.
    """
    row = await directory.one(QUERIES["find_key"], {"name": _SECRET})
    if row is None:
        fresh = {"name": _SECRET, "value": secrets.token_hex(32), "now": clock.now()}

        async def work(tx: Transaction) -> None:
            await tx.execute(QUERIES["add_key"], fresh)

        await directory.write(work)
        row = await directory.one(QUERIES["find_key"], {"name": _SECRET})
    if row is None:
        raise AssertionError("a key that was added is there")
    return Cache(settings.cache, clock, connection, bytes.fromhex(row["value"]), regions_of(settings))


def regions_of(settings: Settings) -> tuple[str, ...]:
    """The regions whose processes remember, this process's own first; none where there is only one."""
    here = settings.databases.region
    names = [region.name for region in settings.regions.declared]
    return tuple(dict.fromkeys([here, *names] if here else names))


def made_desk(cache: Cache, performance: Performance, shards: Shards, clock: Clock) -> Desk:
    """The desk of a process, with the spaces that the product has."""

    async def warm(key: CourseKey) -> None:
        if await shards.of(key).one(QUERIES["find_course"], key.columns) is None:
            raise NotFound(f"nothing is known of this course of {key.tenant}")
        await performance.made(key)

    def shown(made: Made) -> Any:
        # Without its page in a second form: it is JSON already.
        return {"version": made.version, "people": made.people, "report": msgspec.Raw(made.opened())}

    return Desk(
        cache, shards.directory, clock, {performance.space.name: Kind(performance.space, performance.name, warm, shown)}
    )


@asynccontextmanager
async def desk_beside(settings: Settings, shards: Shards) -> AsyncIterator[Desk]:
    """A desk for a command beside a running server: with a cache of its own, whose memory is empty.

    Raises `Unavailable` where NATS cannot be reached.
    """
    clock = SystemClock()
    connection = Connection(Path(settings.data), settings.nats, "atomic-guide cache")
    await connection.open()
    cache = await made_cache(shards.directory, settings, clock, connection)
    running = asyncio.create_task(cache.run())
    try:
        await _listening(cache)
        yield made_desk(cache, Performance(shards, clock, settings.analytics, cache), shards, clock)
    finally:
        await cache.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()


async def forget_remembered(settings: Settings, tenant: str) -> dict[str, str]:
    """Have every process forget what it remembers of a tenant, and remove that from NATS; what came of it, by place.

    Nothing where the bundled NATS is not there: what was in it is gone, and processes without it forget in seconds.
    """
    if read_address(Path(settings.data), settings.nats) is None:
        return {}
    clock = SystemClock()
    connection = Connection(Path(settings.data), settings.nats, "atomic-guide erase")
    await connection.open(_FORGET_SECONDS)
    cache = Cache(settings.cache, clock, connection, regions=regions_of(settings))
    running = asyncio.create_task(cache.run())
    try:
        await _listening(cache, _FORGET_SECONDS)
        if await cache.drop(Scope(tenant)):
            return {"remembered values": "erased"}
    except Unavailable:
        pass
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await connection.close()
    if not settings.nats.url:
        return {}
    lasts = max(settings.cache.shared_seconds, settings.cache.memory_seconds, settings.analytics.cache_seconds)
    return {"remembered values": f"are on NATS, which did not answer; they end within {lasts:g} s"}


async def _listening(cache: Cache, seconds: float = _LISTEN_SECONDS) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while cache.shared is not None and not cache.shared.live:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(_LOOK_AGAIN)
            return
    raise Unavailable("NATS cannot be reached, where processes share what they remember; does the server run?")
