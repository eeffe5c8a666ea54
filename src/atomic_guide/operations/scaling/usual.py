"""The terms that a replay of a fleet's record assumes unless it is told others: those that hold for the fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.controls import NONE, Control, Controls
from atomic_guide.operations.scaling.events import Reader
from atomic_guide.operations.scaling.loop import Counted, recall_standing
from atomic_guide.operations.scaling.simulate import Terms

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings


async def usual_terms(directory: Database, settings: ScalingSettings, units: Mapping[str, float]) -> dict[str, Terms]:
    """Of each fleet: its bounds, its start delay, and what the decider takes a unit to do.

    `units` says that of fleets that nobody has looked at yet. Raises `DataUnavailable`.
    """
    standing = await recall_standing(Reader(directory))
    fleets = standing.fleets if standing is not None else {}
    controls = await Controls(directory).look()
    return {
        name: _terms(settings.fleet(name), unit, fleets.get(name), controls.get(name, NONE))
        for name, unit in units.items()
    }


def _terms(own: FleetSettings, unit: float, counted: Counted | None, control: Control) -> Terms:
    least = own.min if control.least is None else control.least
    most = own.max if counted is None else counted.most
    if control.most is not None:
        most = min(most, control.most)
    if counted is not None:
        least, unit = max(least, counted.least), counted.unit
    most = max(most, 1)
    return Terms(unit, own.start_delay_seconds, least=min(least, most), most=most)
