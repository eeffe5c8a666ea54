"""What a plan is about: one kind of thing that can run out, as it is known today. Pure data."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from atomic_guide.operations.capacity.growth import Driver, Growth
from atomic_guide.operations.capacity.spread import Series, Spread
from atomic_guide.operations.scaling.model import Mode

Kind = Literal["add_process", "add_consumer", "add_read_replica", "add_shard", "add_storage", "add_memory"]

What = Literal["web", "workers", "replicas", "database", "storage"]
"""What has a price: a unit of a fleet, a server of a shard, a gigabyte."""


class Price(NamedTuple):
    """What one unit costs in a month; of storage, one gigabyte (10^9 bytes)."""

    month: float
    currency: str
    source: str


class Prices(Protocol):
    """Where prices come from: settings, or the price list of the costs part."""

    def month(self, what: What) -> Price | None:
        """The price of a thing; None where it is not known, which is not zero."""
        ...


class Table(NamedTuple):
    """What is needed for what is offered, such as slots for busy ones, at growing places; ratios go on beyond."""

    offered: Series
    needed: Series


class Component(NamedTuple):
    """What one part needs at its peak, and what there is for it.

    `need` is as of `age` days ago, in `unit`; a `stock` is there already and grows by `inflow` a day. One unit of it
    bears `size`; `units` run, and a fleet's bounds allow `ceiling` of them, which come by themselves in the mode
    `auto`; beyond that something must be had first. `evidence` is the most that was
    ever measured or tested, in `unit`; None where a capacity is a plain size, such as a disk's. `season` has a factor
    for each day from now on.
    """

    name: str
    what: str
    unit: str
    driver: Driver
    need: Spread
    size: Spread | None
    units: int
    ceiling: int
    kind: Kind
    least: int = 0
    age: float = 0.0
    evidence: float | None = None
    evidence_unit: str = ""
    """What evidence is in, where a table makes the unit of it."""
    tested: bool = False
    history: float | None = None
    """Days that were measured."""
    inflow: Spread | None = None
    growth: Growth | None = None
    """Its own, measured growth, in the place of its driver's."""
    season: Series | None = None
    table: Table | None = None
    billed: What | None = None
    paid: float | None = None
    """Units that were paid for in the mean of the last four weeks; None where that is not known."""
    others: int = 0
    """Of the units that are needed, those that another component pays for: of a shard's reads, its primary."""
    mode: Mode | None = None
    """Of the fleet that it is of; None where it is of none."""
    proof: str = ""
    """What would extend the evidence, with {figure} or {steps} up to it, in the unit that `proof_scale` makes."""
    proof_scale: float = 1.0
    notes: tuple[str, ...] = ()


class Today(NamedTuple):
    """Everything that a plan is made from: the components, what could not be had, how many of each driver there are."""

    components: list[Component]
    missing: dict[str, str]
    drivers: dict[Driver, float]
    notes: tuple[str, ...] = ()
