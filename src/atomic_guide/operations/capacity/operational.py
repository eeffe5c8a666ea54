"""Points of how the system scales without a load test: the quarters of an hour of the record, by requests in flight.

What happened in operation was not chosen: mixes differ, and nothing was pushed to its limit. So only quarters of an
hour with as many processes as now count, and each point is the mean of many. Most often they hold no evidence for a
peak; then what they show is borne, and no more is said.
"""

from __future__ import annotations

import numpy as np

from atomic_guide.operations.capacity.points import Taken
from atomic_guide.operations.capacity.record import Record
from atomic_guide.operations.capacity.usl import LEAST_POINTS, Point
from atomic_guide.operations.scaling.model import WEB, Key

_PLACES = 10
"""Concurrencies that quarters of an hour are gathered at, evenly in logarithms between the least and the most."""

_LEAST = 8
"""Quarters of an hour of a point: fewer are an accident."""

_SOURCE = "the busiest hours on record"


async def points(record: Record, processes: int) -> Taken | None:
    """The points of the record; None where it has fewer than a law needs."""
    flying, rates, running = [await record.values(Key(WEB, name)) for name in ("in_flight", "throughput", "processes")]
    known = (np.round(running) == processes) & (flying > 0) & (rates > 0)
    if np.count_nonzero(known) < _LEAST * LEAST_POINTS:
        return None
    flying, rates = flying[known], rates[known]
    edges = np.geomspace(flying.min(), flying.max() * 1.0001, _PLACES + 1)
    places = np.clip(np.searchsorted(edges, flying, side="right") - 1, 0, _PLACES - 1)
    found = []
    for place in range(_PLACES):
        inside = places == place
        count = int(np.count_nonzero(inside))
        if count >= _LEAST:
            found.append(Point(float(flying[inside].mean()), float(rates[inside].mean()), float(count)))
    return Taken(found, _SOURCE, []) if len(found) >= LEAST_POINTS else None
