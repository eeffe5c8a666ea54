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

    `unit_capacity` is what one unit does of the demand in a second; null is the trace's own, 100 of a CSV file.
    """

    trace: TraceAsked
    policies: Annotated[list[str], msgspec.Meta(max_length=len(NAMES))] = []
    unit_capacity: Annotated[float, msgspec.Meta(gt=0, le=1e12)] | None = None
    start_delay: Annotated[float, msgspec.Meta(ge=0, le=_DAY)] = 90.0
    tick: Annotated[float, msgspec.Meta(ge=1, le=_HOUR)] = 15.0
    min: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 2
    max: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 200
    points: Annotated[int, msgspec.Meta(ge=0, le=POINTS_MOST)] = 0
    wait: Annotated[float, msgspec.Meta(ge=0, le=WAIT_MOST)] = 10.0

    def terms(self, unit: float) -> Terms:
        """The terms of the replay; `unit` is the trace's own."""
        return Terms(self.unit_capacity or unit, self.start_delay, self.tick, self.min, self.max)


def check_asked(asked: Asked) -> tuple[str, ...]:
    """The policies that are asked for, each once. Raises `Invalid` for what cannot be, naming the field."""
    given = [value for value in (asked.trace.name, asked.trace.history, asked.trace.csv) if value is not None]
    if len(given) != 1:
        raise Invalid("a trace is given by exactly one of name, history and csv", details={"field": "trace"})
    if asked.min > asked.max:
        raise Invalid(f"min {asked.min} is over max {asked.max}", details={"field": "min"})
    names = chosen(asked.policies)
    for name in names:
        if name not in NAMES:
            message = f"there is no policy {name}; there are {', '.join(NAMES)}"
            raise Invalid(message, details={"field": "policies"})
    return names
