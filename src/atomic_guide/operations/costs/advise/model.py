"""What recommendations are made of. Pure data, each written as JSON as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from atomic_guide.operations.costs.state import State
from atomic_guide.operations.scaling.model import Mode

Confidence = Literal["high", "medium", "low"]

Values = NDArray[np.float64]


class Figure(msgspec.Struct, frozen=True):
    """A measured figure, of the window unless it says otherwise; `series` is where it can be looked up."""

    what: str
    value: float | None
    unit: str
    series: str = ""


class Effect(msgspec.Struct, frozen=True):
    """What a recommendation changes of the state: units of a fleet, reads of the store, or bytes of another class."""

    kind: Literal["units", "reads", "class"]
    fleet: str = ""
    units: Decimal = Decimal(0)
    """On the mean, to a ten-thousandth."""
    amount: int = 0
    """Reads a month that are saved, or bytes that move."""
    target: str = ""
    recalled: int = 0


class Change(msgspec.Struct, frozen=True):
    """What can be done at run time: the fewest units of a fleet, beside the settings.

    `unit` is the work a second of one, `shared` how many are paid for as another fleet's; to measure it afterwards.
    """

    fleet: str
    least: int
    former: int
    unit: float = 1.0
    shared: int = 0


class Draft(NamedTuple):
    """What a trigger has found, before it is priced. Those of one `id` are one recommendation."""

    id: str
    title: str
    trigger: str
    evidence: tuple[Figure, ...]
    effect: Effect
    risk: str
    breaks: str
    steps: tuple[str, ...]
    checked: tuple[str, ...] = ()
    change: Change | None = None


class Considered(msgspec.Struct, frozen=True):
    """A trigger that led to no recommendation, and why."""

    trigger: str
    why: str
    evidence: tuple[Figure, ...]


class Advice(msgspec.Struct, frozen=True):
    """A recommendation. Amounts are of a month, in the currency; `saving` is `before` less `after`, to the cent.

    `change` is None where nothing can be done at run time: then `steps` say what to do. `overlaps` are those that
    change the same, so that both together save less than their sum.
    """

    id: str
    title: str
    triggers: tuple[str, ...]
    evidence: tuple[Figure, ...]
    since: str
    until: str
    hours: Decimal
    before: Decimal
    after: Decimal
    saving: Decimal
    currency: str
    version: str
    risk: str
    confidence: Confidence
    confidence_why: str
    breaks: str
    steps: tuple[str, ...]
    checked: tuple[str, ...]
    overlaps: tuple[str, ...]
    change: Change | None
    effects: tuple[Effect, ...]


class Advices(msgspec.Struct, frozen=True):
    """All recommendations of a moment. `saving` is that of the whole set, one state priced, and no sum."""

    at: str
    since: str
    hours: Decimal
    currency: str
    version: str
    before: Decimal
    after: Decimal
    saving: Decimal
    recommendations: tuple[Advice, ...]
    considered: tuple[Considered, ...]
    why: str = ""
    """Why there is none at all: no prices, or too little on record."""


class Bounds(NamedTuple):
    """What holds for a fleet: its mode, fewest and most units, the fewest that it could have at all."""

    mode: Mode
    least: int
    most: int
    lowest: int


class FleetFacts(NamedTuple):
    """A fleet over the window: `demand` is the most of each slot of `step` seconds, NaN where it was not measured."""

    fleet: str
    bounds: Bounds
    units: Decimal
    """That ran, on the mean."""
    unit: float
    """Work a second of one."""
    delay: float
    step: float
    start: float
    demand: Values
    shared: Decimal = Decimal(0)
    """Of `units`, those that are paid for as another fleet's: the first process is one of web."""
    always: float | None = None
    """The least p95 of an hour of the next week, None without a forecast."""
    planned: int = 0
    """Most units that the schedule asks for."""


class RoomFacts(NamedTuple):
    """Sockets: on the mean and at most, and of the largest room at most; what the rule on full rooms allows."""

    mean: float
    most: float
    largest: float
    limit: float | None
    """Sockets of a room in a process at which the rule is clear again; None where it is switched off."""


class StoreFacts(NamedTuple):
    """The object store: reads and writes in a second, reads that a cache would have answered; what lies unwatched."""

    reads: float
    writes: float
    repeats: float
    idle_bytes: int | None
    """Bytes of lectures that nobody has played for `idle_days`; None where that was not counted."""
    idle_days: int
    recalled: int
    """Bytes of them that are read in a month all the same."""
    cool_class: str | None
    """What the main store calls its cool class; empty where it is a bucket that says none, None for a directory."""


class Facts(NamedTuple):
    """All that recommendations are made from."""

    state: State
    fleets: Mapping[str, FleetFacts]
    queues: Mapping[str, float]
    """Utilisation of each queue's places, on the mean."""
    rooms: RoomFacts | None
    store: StoreFacts
    databases: Mapping[str, tuple[float, float]]
    """Reads and writes of a shard in the window."""
    reads_p95: Mapping[str, float | None]
    busy: Mapping[str, float] = {}
    """How busy a shard's servers were, the 95th percentile of quarters of an hour."""
