"""What a simulation answers: each policy as the command prints it, with a timeline that is thinned for a picture. Pure.

A thinned timeline keeps what a picture must not lose: the most of the demand and the least that was ready of each
column. Which minutes were over capacity, and what was not measured, is told exactly beside it, as pairs of seconds
since the trace's start and of how long.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.scaling.comparing import Compared
from atomic_guide.operations.scaling.simulate import Terms, violated_minutes
from atomic_guide.operations.scaling.trace import Series

State = Literal["running", "done", "failed", "cancelled"]

_MINUTE = 60

Span = tuple[float, float]
"""Seconds since the trace's start, and how long."""


class Row(msgspec.Struct, frozen=True):
    """A tick, or a column of several: its most demand, null where none is known; its least ready and most desired."""

    timestamp: str
    demand: float | None
    ready: int
    desired: int
    reason: str


class PolicyTold(msgspec.Struct, frozen=True):
    """How one policy did, as `atomic-guide scale simulate` prints it; `over` are the minutes over capacity, exactly."""

    name: str
    violation_minutes: int
    violation_minutes_per_day: float
    cost_ratio: float | None
    events_per_day: float
    flaps_per_day: float
    peak: int
    over: list[Span]
    timeline: list[Row] | None = None


class TraceTold(msgspec.Struct, frozen=True):
    """The demand that was replayed and the terms: `ticks` of `tick` seconds; `missing` was not measured."""

    start: str
    end: str
    ticks: int
    tick: float
    unit_capacity: float
    start_delay: float
    min: int
    max: int
    missing: list[Span]


class Demand(msgspec.Struct, frozen=True):
    """What is replayed: a demonstration by its `name`, a fleet's record of so many `days`, or a CSV file."""

    kind: Literal["demonstration", "history", "csv"]
    name: str = ""
    days: float | None = None


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """A simulation. `progress` is the share that is done; `step` says what is under way, `error` why it failed.

    `who` asked for it: these policies, `names`, on this `demand`. `trace` and `policies` are there once it is done; a
    list of several lacks them.
    """

    id: str
    state: State
    progress: float
    step: str
    started_at: str
    seconds: float
    who: str = ""
    demand: Demand | None = None
    names: list[str] = []
    error: str = ""
    trace: TraceTold | None = None
    policies: list[PolicyTold] = []


def trace_told(start: float, demand: Series, terms: Terms) -> TraceTold:
    """What was replayed."""
    return TraceTold(
        start=_stamp(start),
        end=_stamp(start + len(demand) * terms.tick),
        ticks=len(demand),
        tick=terms.tick,
        unit_capacity=terms.unit,
        start_delay=terms.delay,
        min=terms.least,
        max=terms.most,
        missing=spans(np.flatnonzero(np.isnan(demand)), terms.tick),
    )


def policy_told(one: Compared, start: float, demand: Series, terms: Terms, points: int) -> PolicyTold:
    """How a policy did, with a timeline of at most so many points, none for 0."""
    return PolicyTold(
        name=one.name,
        **one.score._asdict(),
        over=spans(violated_minutes(one.run, demand, terms), _MINUTE),
        timeline=_timeline(one, start, demand, terms, points) if points else None,
    )


def spans(places: NDArray[np.int64], step: float) -> list[Span]:
    """Rising whole numbers, each of `step` seconds, as spans of those that follow one another."""
    if not len(places):
        return []
    breaks = np.flatnonzero(np.diff(places) > 1)
    firsts = places[np.concatenate(([0], breaks + 1))]
    lasts = places[np.concatenate((breaks, [len(places) - 1]))]
    return [
        (first * step, (last + 1 - first) * step) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)
    ]


def _timeline(one: Compared, start: float, demand: Series, terms: Terms, points: int) -> list[Row]:
    columns = min(points, len(demand))
    bounds = np.linspace(0, len(demand), columns, endpoint=False).astype(int)
    most = np.maximum.reduceat(np.where(np.isnan(demand), -np.inf, demand), bounds)
    ready = np.minimum.reduceat(one.run.ready, bounds)
    desired = np.maximum.reduceat(one.run.desired, bounds)
    ends = [*bounds[1:].tolist(), len(demand)]
    changed = sorted(one.run.reasons)
    rows, place = [], 0
    for number, (begin, end) in enumerate(zip(bounds.tolist(), ends, strict=True)):
        reason = "as before" if number else "what the first tick needs"
        while place < len(changed) and changed[place] < end:
            reason = one.run.reasons[changed[place]]
            place += 1
        value = float(most[number])
        rows.append(
            Row(
                _stamp(start + begin * terms.tick),
                None if np.isinf(value) else value,
                int(ready[number]),
                int(desired[number]),
                reason,
            )
        )
    return rows


def _stamp(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
