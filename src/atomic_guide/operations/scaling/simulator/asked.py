"""What a simulation is asked for: which demand, which policies, on what terms."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.comparing import chosen
from atomic_guide.operations.scaling.policies.named import NAMES
from atomic_guide.operations.scaling.simulate import Terms

POINTS_MOST = 2000
"""Points of a timeline: more than a screen has columns."""

WAIT_MOST = 20.0
"""Seconds that a call waits for an end: proxies give up after 30 or 60."""

_DAY = 86_400.0
_HOUR = 3600.0
_HISTORY_DAYS = 14.0
"""As the command reads back."""


class TraceAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The demand, by exactly one of: the `name` of a demonstration, the `history` of a fleet, the text of a CSV file.

    Of a history the last `days` are taken. A CSV file has the header timestamp,value.
    """

    name: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    history: Annotated[str, msgspec.Meta(max_length=100)] | None = None
    days: Annotated[float, msgspec.Meta(gt=0, le=400)] = _HISTORY_DAYS
    csv: str | None = None


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A simulation: all policies where none is named; times in seconds; `points` of each timeline, 0 for none.

    The answer waits for the end for `wait` seconds at most.

    `unit_capacity` is what one unit does of the demand in a second. Where it, `start_delay`, `min` or `max` is null,
    that of the fleet holds whose record is replayed; else 90 s, 2 and 200 units, 100 a unit of a CSV file.
    """

    trace: TraceAsked
    policies: Annotated[list[str], msgspec.Meta(max_length=len(NAMES))] = []
    unit_capacity: Annotated[float, msgspec.Meta(gt=0, le=1e12)] | None = None
    start_delay: Annotated[float, msgspec.Meta(ge=0, le=_DAY)] | None = None
    tick: Annotated[float, msgspec.Meta(ge=1, le=_HOUR)] = 15.0
    min: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] | None = None
    max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    points: Annotated[int, msgspec.Meta(ge=0, le=POINTS_MOST)] = 0
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT_MOST)] = 10.0

    def terms(self, usual: Terms) -> Terms:
        """The terms of the replay; `usual` are those of the trace. Raises `Invalid` where the bounds cannot be."""
        return replay_terms(usual, self.unit_capacity, self.start_delay, self.tick, (self.min, self.max))


def check_asked(asked: Asked) -> tuple[str, ...]:
    """The policies that are asked for, each once. Raises `Invalid` for what cannot be, naming the field."""
    given = [value for value in (asked.trace.name, asked.trace.history, asked.trace.csv) if value is not None]
    if len(given) != 1:
        raise Invalid("a trace is given by exactly one of name, history and csv", details={"field": "trace"})
    names = chosen(asked.policies)
    for name in names:
        if name not in NAMES:
            message = f"there is no policy {name}; there are {', '.join(NAMES)}"
            raise Invalid(message, details={"field": "policies"})
    return names


def replay_terms(
    usual: Terms, unit: float | None, delay: float | None, tick: float, bounds: tuple[int | None, int | None]
) -> Terms:
    """Terms with what is given in place of the usual. Raises `Invalid` where the fewest are over the most.

    A bound that is given holds: where only one is, the usual other one gives way to it.
    """
    least, most = bounds
    if least is not None and most is not None and least > most:
        raise Invalid(f"min {least} is over max {most}", details={"field": "min"})
    if least is None:
        least = usual.least if most is None else min(usual.least, most)
    if most is None:
        most = max(usual.most, least)
    return Terms(unit or usual.unit, usual.delay if delay is None else delay, tick, least, most)
