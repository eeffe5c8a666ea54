"""Prices as they are used: what each thing costs, in tiers where the provider has them. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from atomic_guide.operations.costs.money import ZERO, times


def _nothing() -> tuple[()]:
    """No tiers, no items. A function, since the description of the API cannot write down a tuple as a default."""
    return ()


class Tier(msgspec.Struct, frozen=True):
    """What lies above so many units in a month has this price."""

    above: Decimal
    price: Decimal


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """The price of one thing by its unit. `free` units a month cost nothing; tiers count from the first unit on.

    `assumed` is a figure that no price list states; `note` says what it was made from.
    """

    what: str
    unit: str
    price: Decimal
    name: str = ""
    free: Decimal = ZERO
    tiers: tuple[Tier, ...] = msgspec.field(default_factory=_nothing)
    source: str = ""
    assumed: bool = False
    note: str = ""

    def month(self, quantity: Decimal) -> Decimal:
        """What so many units in a month cost, unrounded."""
        bounds = [ZERO, *(tier.above for tier in self.tiers)]
        rates = [self.price, *(tier.price for tier in self.tiers)]
        total = ZERO
        for number, (begin, rate) in enumerate(zip(bounds, rates, strict=True)):
            end = bounds[number + 1] if number + 1 < len(bounds) else max(quantity, begin)
            # The allowance lies at the bottom: what is free is taken from the dearest units, the first ones.
            charged = min(quantity, end) - max(begin, self.free)
            if charged > 0:
                total += times(rate, charged)
        return total


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """The prices of a provider at a date."""

    version: str
    provider: str
    region: str
    currency: str
    date: str
    source: str
    gigabyte: int = 10**9
    note: str = ""
    items: tuple[Item, ...] = msgspec.field(default_factory=_nothing)

    def find(self, what: str) -> Item | None:
        """The price of a thing; for database servers that of other cores and memory, where it has none of its own."""
        by_name = {item.what: item for item in self.items if item.what != "fixed"}
        found = by_name.get(what)
        if found is None and what in {"database.cores", "database.memory"}:
            found = by_name.get(what.replace("database", "compute"))
        return found

    @property
    def fixed(self) -> tuple[Item, ...]:
        """What is paid whether it is used or not."""
        return tuple(item for item in self.items if item.what == "fixed")
