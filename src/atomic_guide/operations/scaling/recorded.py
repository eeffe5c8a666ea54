"""The recorded demand of a fleet as a trace, to replay policies on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.trace import Trace

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.series import Series

_LEAST = 2
"""Slots that make a trace."""


async def recorded_demand(series: Series, fleet: str, since: float, until: float) -> Trace:
    """What a fleet was asked for, from its first measurement in that time to its last; NaN where there was none.

    Raises `Invalid` where fewer than two were recorded, naming what is there.
    """
    readings = await series.read(Key(fleet, "demand"), since, until)
    known = np.flatnonzero(~np.isnan(readings.values))
    if len(known) < _LEAST:
        raise Invalid(
            f"{len(known)} measurements of the demand of {fleet} are recorded in that time; a server records one each"
            " 15 s, see `atomic-guide scale metrics`"
        )
    first, last = int(known[0]), int(known[-1])
    return Trace(float(readings.times[first]), float(readings.step), readings.values[first : last + 1])
