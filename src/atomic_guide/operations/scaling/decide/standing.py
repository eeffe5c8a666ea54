"""What a fleet stands at: what runs and starts, unless an act is under way or the figure has only just changed."""

from __future__ import annotations

from atomic_guide.operations.scaling.decide.memory import FleetState
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Mode
from atomic_guide.operations.scaling.settings import FleetSettings

_GRACE = 60.0
_APPROVAL = 3600.0
"""How long an act that an operator must agree to counts as under way."""


def standing(state: FleetState, fleet: Fleet, at: float, mode: Mode, settings: FleetSettings) -> int:
    """How many units there are to reckon with.

    In shadow, those that there would be. While an act is under way, those that it asks for. A count that changes by
    itself, as in a rolling update or when a unit has died, counts when it has lasted for the time of a start.
    """
    coming = fleet.coming
    if mode == "shadow":
        if state.virtual is None:
            state.virtual = coming
        return state.virtual
    state.virtual = None
    lasts = settings.start_delay_seconds + _GRACE
    if state.asked is not None:
        arrived = coming == state.asked.after and not fleet.starting
        patience = _APPROVAL if mode == "approve" else 2 * lasts
        if arrived or at - state.asked.at > patience:
            state.asked = None
            state.counted, state.counting_since = coming, None
        else:
            # What an operator has not agreed to yet is not there, but is not asked for again either.
            state.counted, state.counting_since = state.asked.after, None
            return state.asked.before if mode == "approve" and coming == state.asked.before else state.asked.after
    if state.counted is None or coming == state.counted:
        state.counted, state.counting_since = coming, None
        return coming
    if state.counting_since is None:
        state.counting_since = at
    if at - state.counting_since >= lasts:
        state.counted, state.counting_since = coming, None
    return state.counted
