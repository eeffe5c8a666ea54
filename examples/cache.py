"""A cache of one process: bounded by bytes, many askers make one load, what does not exist is remembered too.

With a `Connection` to NATS (`engines/nats`) the same calls share values between processes, and a change reaches all.
"""

import asyncio
import contextlib

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings


class Profile(msgspec.Struct, frozen=True):
    """A value. It cannot be changed: every caller is given the same object."""

    name: str
    visits: int


async def main() -> None:
    """Ask for a value a thousand times, change it, and ask for one that is not there."""
    loads = 0
    stored = {"ada": Profile("Ada", 1)}

    async def load(user: str) -> Profile | None:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return stored.get(user)

    cache = Cache(CacheSettings(memory_bytes=1 << 20), SystemClock())
    profiles = cache.space("profiles", Profile)
    keeping_time = asyncio.create_task(cache.run())
    ada = profiles.key("tenant", "", "ada")

    await asyncio.gather(*(profiles.get(ada, lambda: load("ada")) for _ in range(1000)))
    print(f"1,000 askers: {loads} load")

    stored["ada"] = Profile("Ada", 2)
    await profiles.changed(ada)
    print(f"after a change: {await profiles.get(ada, lambda: load('ada'))}")

    for _ in range(2):
        found = await profiles.get(profiles.key("tenant", "", "bob"), lambda: load("bob"))
        print(f"bob: {found}, after {loads} loads")
    print(f"held: {cache.usage.entries} entries")

    await cache.close()
    keeping_time.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await keeping_time


if __name__ == "__main__":
    asyncio.run(main())
