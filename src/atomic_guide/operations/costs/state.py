"""What a server has at some time, as it is paid for: fleets, what is stored, what a month's work asks for. Pure.

A priced state is this times a price file (pricing.py). A saving is the difference of two of them, never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import msgspec

from atomic_guide.operations.costs.money import ZERO
from atomic_guide.operations.scaling.model import REPLICAS

DATABASE, NATS = "database", "nats"
"""The fleets beside those of scaling: primaries of shards on servers, and servers of NATS beside ours."""

HOT, COOL, ARCHIVE = "hot", "cool", "archive"


class Units(msgspec.Struct, frozen=True):
    """A fleet: how many units run, a mean of a time, and the size of one."""

    count: Decimal
    cores: Decimal
    memory_gb: Decimal
    hourly: Decimal | None = None
    """What one costs in an hour where that is set, in place of its cores and memory."""


class State(msgspec.Struct, frozen=True):
    """What is had, and what is done in a month at this pace. Bytes, so that a GB is what the price file says it is."""

    fleets: Mapping[str, Units] = {}
    stored: Mapping[str, int] = {}
    """Bytes by class of the object store."""
    recalled: Mapping[str, int] = {}
    """Bytes read in a month from a class that asks for it."""
    database_bytes: int = 0
    """Of all databases and their replicas."""
    reads: int = 0
    writes: int = 0
    """Of the object store in a month."""
    sent: int = 0
    """Bytes to people in a month."""

    def with_units(self, fleet: str, count: Decimal) -> State:
        """The same with another count of a fleet."""
        fleets = dict(self.fleets)
        fleets[fleet] = msgspec.structs.replace(fleets[fleet], count=count)
        return msgspec.structs.replace(self, fleets=fleets)

    def moved(self, size: int, target: str, recalled: int = 0) -> State:
        """The same with so many bytes of the hot class in another one, of which so many are read in a month."""
        stored, read = dict(self.stored), dict(self.recalled)
        stored[HOT] = stored.get(HOT, 0) - size
        stored[target] = stored.get(target, 0) + size
        read[target] = read.get(target, 0) + recalled
        return msgspec.structs.replace(self, stored=stored, recalled=read)

    def units(self, fleet: str) -> Decimal:
        """How many units of a fleet run."""
        found = self.fleets.get(fleet)
        return found.count if found is not None else ZERO


def is_database(fleet: str) -> bool:
    """Whether a fleet's units are database servers."""
    return fleet == DATABASE or fleet.startswith(REPLICAS)
