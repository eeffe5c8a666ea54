"""From what is measured in a second to what a month at this pace has and does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import NamedTuple

from atomic_guide.operations.costs.money import exact
from atomic_guide.operations.costs.pricing import MONTH_HOURS
from atomic_guide.operations.costs.state import COOL, HOT, State
from atomic_guide.operations.costs.terms import Terms

_MONTH_SECONDS = float(MONTH_HOURS * 3600)
_DIGITS = Decimal("0.0001")


class Pace(NamedTuple):
    """Units by fleet, bytes that are stored, and what happens in a second: requests to the store, bytes sent."""

    units: Mapping[str, float]
    stored: float
    database_bytes: float
    store_reads: float
    store_writes: float
    sent: float


def pace_state(terms: Terms, pace: Pace) -> State:
    """The state of a month at this pace. Counts are to a ten-thousandth, bytes and requests whole."""
    return State(
        fleets={
            fleet: terms.units(fleet, exact(count).quantize(_DIGITS)) for fleet, count in pace.units.items() if count
        },
        stored={HOT: round(pace.stored)},
        database_bytes=round(pace.database_bytes),
        reads=round(pace.store_reads * _MONTH_SECONDS),
        writes=round(pace.store_writes * _MONTH_SECONDS),
        sent=round(pace.sent * _MONTH_SECONDS),
    )


def cooler(state: State, cooled: int) -> State:
    """The same with so many of the stored bytes in the cool class, where they are already."""
    cooled = min(cooled, state.stored.get(HOT, 0))
    return state.moved(cooled, COOL) if cooled else state
