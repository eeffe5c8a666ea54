"""What an operator can choose from for a simulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from atomic_guide.clock import iso
from atomic_guide.operations.scaling.model import WEB, Key
from atomic_guide.operations.scaling.policies.named import NAMES, WHAT
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.simulator.asked import POINTS_MOST
from atomic_guide.operations.scaling.simulator.demonstration import DEMONSTRATIONS
from atomic_guide.operations.scaling.simulator.telling import Simulation

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.scaling.simulator.runs import Simulator

_HOUR = 3600
_LOOK_BACK = 120 * 86_400.0
"""As long as a quarter of an hour is recorded."""


class TraceChoice(msgspec.Struct, frozen=True):
    """A demonstration: synthetic, the same at each time."""

    name: str
    title: str
    what: str
    unit: str
    unit_capacity: float


class FleetChoice(msgspec.Struct, frozen=True):
    """A fleet whose recorded demand can be replayed: hours on record, from the first one; null where there is none.

    `unit_capacity`, `start_delay`, `min` and `max` hold for it now, and for a replay that is told no others.
    """

    fleet: str
    unit: str
    unit_capacity: float
    start_delay: float
    min: int
    max: int
    hours: int
    since: str | None


class PolicyChoice(msgspec.Struct, frozen=True):
    """A policy, in a few words."""

    name: str
    what: str


class Worth(msgspec.Struct, frozen=True):
    """What the settings say that things are worth, as shares of the least capacity: by it the default chooses, too."""

    minute: float
    change: float
    flap: float


class Choices(msgspec.Struct, frozen=True):
    """All there is to choose from, and the limits: ticks of all policies together, points, seconds, how many run.

    `runs` are the last simulations of all operators, the newest first, without what came out.
    """

    traces: list[TraceChoice]
    fleets: list[FleetChoice]
    policies: list[PolicyChoice]
    worth: Worth
    running: int
    most_running: int
    most_ticks: int
    most_points: int
    most_seconds: float
    runs: list[Simulation]


async def choices(simulator: Simulator, directory: Database, worth: Worth, now: float) -> Choices:
    """What can be chosen now."""
    series = Series(directory)
    fleets = []
    for fleet, usual in (await simulator.usual()).items():
        readings = await series.read(Key(fleet, "demand"), now - _LOOK_BACK, now, _HOUR)
        known = np.flatnonzero(~np.isnan(readings.values))
        since = iso(float(readings.times[known[0]])) if len(known) else None
        unit = "cores" if fleet == WEB else "slots"
        terms = (usual.unit, usual.delay, usual.least, usual.most)
        fleets.append(FleetChoice(fleet, unit, *terms, len(known), since))
    settings = simulator.settings
    return Choices(
        traces=[TraceChoice(one.name, one.title, one.what, "requests/s", one.unit) for one in DEMONSTRATIONS],
        fleets=fleets,
        policies=[PolicyChoice(name, WHAT[name]) for name in NAMES],
        worth=worth,
        running=simulator.running,
        most_running=settings.running,
        most_ticks=settings.most_ticks,
        most_points=POINTS_MOST,
        most_seconds=settings.seconds,
        runs=await simulator.last(),
    )
