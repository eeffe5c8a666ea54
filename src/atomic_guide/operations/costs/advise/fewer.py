"""Whether a fleet needs its fewest units: the record replayed with fewer, and nothing that scaling wants against it.

The demand of the window is replayed under the policy that decides here, once with the fewest units as they are and once
with each lower number. A lower one is taken where no minute more is over capacity, and where it is no less than what

- the forecast's p95 needs in every hour of the next week: below that the fleet would only swing;
- the fullest room needs to stay below where the rule on full rooms is clear again (600 sockets a process), so that what
  is saved here is not added there. The rule's own limit (800) is further up: between the two nothing is done.

The schedule, daily peaks and the rules themselves go before the fewest as ever; nothing here keeps them from adding.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.costs.advise.model import FleetFacts, RoomFacts
from atomic_guide.operations.costs.money import exact
from atomic_guide.operations.scaling.model import WEB
from atomic_guide.operations.scaling.policies.named import make_policy
from atomic_guide.operations.scaling.simulate import Terms, replay, score

_POLICY = "default"
_DIGITS = Decimal("0.0001")
_DAY = 86_400.0

LEAST_KNOWN = 0.5
"""The share of the window's slots with known demand below which nothing is replayed."""


class Trial(NamedTuple):
    """A replay: the fewest units, units that were paid for on the mean, minutes over capacity a day."""

    least: int
    units: float
    minutes: float


class Fewer(NamedTuple):
    """The fewest units that would do; None where as many as now are needed, and why."""

    least: int | None
    units: Decimal
    """That would have run on the mean."""
    now: Trial | None
    then: Trial | None
    checked: tuple[str, ...]
    why: str


def fewer(fleet: FleetFacts, rooms: RoomFacts | None) -> Fewer:
    """How few units would do. A replay of four weeks takes half a second: for a thread."""
    bounds = fleet.bounds
    if bounds.mode in {"off", "shadow"}:
        return _none(fleet, f"the fleet is in mode {bounds.mode}: its fewest units change nothing while nobody acts")
    if bounds.least <= bounds.lowest:
        return _none(fleet, f"its fewest are {bounds.least} already")
    known = ~np.isnan(fleet.demand)
    if not len(known) or known.mean() < LEAST_KNOWN:
        return _none(fleet, "its demand was measured in less than half of the window")
    now = _trial(fleet, bounds.least)
    why = ""
    for least in range(bounds.lowest, bounds.least):
        against, checked = _against(fleet, rooms, least)
        if against:
            why = against
            continue
        then = _trial(fleet, least)
        if then.minutes > now.minutes:
            why = (
                f"with {least} it would have been over capacity for {then.minutes:.1f} minutes a day in place of"
                f" {now.minutes:.1f}"
            )
            continue
        units = max(fleet.units - exact(now.units - then.units), Decimal(least)).quantize(_DIGITS)
        checked = (f"minutes over capacity a day: {then.minutes:.1f} with {least}, {now.minutes:.1f} now", *checked)
        return Fewer(least, min(units, fleet.units), now, then, checked, "")
    return Fewer(None, fleet.units, now, None, (), why)


def _none(fleet: FleetFacts, why: str) -> Fewer:
    return Fewer(None, fleet.units, None, None, (), why)


def _trial(fleet: FleetFacts, least: int) -> Trial:
    terms = Terms(fleet.unit, fleet.delay, fleet.step, least, max(fleet.bounds.most, least))
    run = replay(make_policy(_POLICY, terms), fleet.start, fleet.demand, terms)
    known = ~np.isnan(fleet.demand)
    minutes = score(run, fleet.demand, terms).violation_minutes_per_day
    return Trial(least, float(run.desired[known].mean()), minutes)


def _against(fleet: FleetFacts, rooms: RoomFacts | None, least: int) -> tuple[str, tuple[str, ...]]:
    """Why so few may not be, empty where they may; and what was looked at."""
    checked = []
    if fleet.always is not None:
        needed = math.ceil(fleet.always / fleet.unit)
        if needed > least:
            return f"the forecast's p95 needs {needed} in every hour of the next week", ()
        checked.append(f"forecast: the emptiest hour of the next week needs {needed} (p95)")
    if fleet.fleet == WEB and rooms is not None and rooms.limit is not None:
        spread = rooms.largest / least
        if spread > rooms.limit:
            return (
                f"the largest room had {rooms.largest:.0f} sockets: over {least} processes that is more than the"
                f" {rooms.limit:g} at which the rule full-room is clear"
            ), ()
        checked.append(f"rooms: the largest had {rooms.largest:.0f} sockets, {spread:.0f} a process; the rule"
                       f" full-room is clear below {rooms.limit:g}")  # fmt: skip
    if fleet.planned:
        checked.append(f"schedule: it asks for up to {fleet.planned} units, and goes before the fewest as ever")
    return "", tuple(checked)
