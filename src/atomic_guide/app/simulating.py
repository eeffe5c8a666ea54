"""The simulator of a process, joined with its record and with where all processes keep what came out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.app.units import fleet_units
from atomic_guide.operations.scaling.recorded import recorded_demand
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.simulator.history import History
from atomic_guide.operations.scaling.simulator.runs import Simulator
from atomic_guide.operations.scaling.usual import usual_terms

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.database import Database
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.scaling.simulate import Terms
    from atomic_guide.operations.scaling.trace import Trace

_DAY = 86_400.0


def made_simulator(settings: Settings, shards: Shards, clock: Clock) -> Simulator:
    """The simulator of a process; a fleet's record is replayed on its own terms, as the command does."""
    directory: Database = shards.directory

    async def record(fleet: str, days: float) -> Trace:
        now = clock.now()
        return await recorded_demand(Series(directory), fleet, now - days * _DAY, now)

    async def usual() -> dict[str, Terms]:
        return await usual_terms(directory, settings.scaling, fleet_units(settings))

    return Simulator(settings.scaling.simulator, clock, record, History(directory), usual)
