"""The simulator of a process, joined with its record and with what processes share on NATS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.model import WEB, WORKERS
from atomic_guide.operations.scaling.recorded import recorded_demand
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.simulator.runs import Simulator

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.cache.layered import Cache
    from atomic_guide.engines.data.database import Database
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.scaling.trace import Trace

_WHOSE = "operators"
"""In the place of a tenant: no registration's is called so, they begin with t-."""

_DAY = 86_400.0
_MEMORY_SECONDS, _SHARED_SECONDS = 60.0, 900.0
"""An operator looks at what came out within minutes; it can be run again at any time."""


class CachedSimulations:
    """Simulations laid into the cache, where all processes of an installation find them."""

    def __init__(self, cache: Cache) -> None:
        self._space = cache.space(
            "simulation", bytes, memory_seconds=_MEMORY_SECONDS, shared_seconds=_SHARED_SECONDS, negative_seconds=1.0
        )

    async def put(self, name: str, value: bytes) -> None:
        """Lay one there, in the place of what was."""

        async def give() -> bytes:
            return value

        key = self._space.key(_WHOSE, "", name)
        await self._space.changed(key)
        await self._space.get(key, give)

    async def find(self, name: str) -> bytes | None:
        """The one of an id, None where there is none."""

        async def nothing() -> None:
            return None

        return await self._space.get(self._space.key(_WHOSE, "", name), nothing)


def made_simulator(settings: Settings, shards: Shards, cache: Cache, clock: Clock) -> Simulator:
    """The simulator of a process; a unit of a fleet does what the command says: a core, or the slots of a worker."""
    directory: Database = shards.directory

    async def record(fleet: str, days: float) -> Trace:
        now = clock.now()
        return await recorded_demand(Series(directory), fleet, now - days * _DAY, now)

    units = {WEB: 1.0, WORKERS: float(settings.queues.slots)}
    return Simulator(settings.scaling.simulator, clock, record, CachedSimulations(cache), units)
