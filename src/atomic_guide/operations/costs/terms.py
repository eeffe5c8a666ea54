"""The terms of a server: its settings and its price list, as everything that speaks of money uses them."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide.operations.costs.money import ZERO, exact, times
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.costs.shipped import load_prices
from atomic_guide.operations.costs.state import DATABASE, NATS, Units, is_database
from atomic_guide.operations.scaling.marked import demo_present
from atomic_guide.operations.scaling.model import REPLICAS, WEB, WORKERS
from atomic_guide.operations.scaling.settings import ScalingSettings

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database

UNIT_PRICES = "unit prices"
"""The version of prices where only `unit_price` is set."""


class Terms(NamedTuple):
    """What a server's costs are reckoned with."""

    scaling: ScalingSettings
    costs: CostSettings
    prices: Prices

    @property
    def known(self) -> bool:
        """Whether anything has a price."""
        return bool(self.prices.items) or any(self._own(fleet) for fleet in (WEB, WORKERS, f"{REPLICAS}*"))

    def units(self, fleet: str, count: Decimal) -> Units:
        """So many units of a fleet. One whose price the operator has set has that one."""
        cores, memory = size_of(self.costs, fleet)
        own = self._own(fleet)
        listed = own and own == float(listed_price(self.costs, self.prices, fleet))
        return Units(count, cores, memory, None if listed or not own else exact(own))

    def _own(self, fleet: str) -> float:
        return 0.0 if fleet in {DATABASE, NATS} else self.scaling.fleet(fleet).unit_price


def made_terms(scaling: ScalingSettings, costs: CostSettings) -> Terms:
    """The terms of settings. Raises `Invalid` or `NotFound` where the price list cannot be used."""
    return Terms(scaling, costs, load_prices(costs.prices) if costs.prices else unpriced(costs))


def unpriced(costs: CostSettings) -> Prices:
    """A price list without any: what remains is `unit_price`."""
    return Prices(
        version=UNIT_PRICES, provider="settings", region=costs.region, currency=costs.currency, date="",
        source="scaling.*.unit_price",
    )  # fmt: skip


DEMO_PRICES = "own-hardware"
"""The list that demo data is priced with where no other is set; every figure in it is an example."""


async def terms_in_force(directory: Database, terms: Terms) -> Terms:
    """The terms of settings; where nothing has a price in them and demo data is there, made-up ones that say so."""
    if terms.known or not await demo_present(directory):
        return terms
    return demo_terms(terms)


def demo_terms(terms: Terms) -> Terms:
    """Terms with the prices of demo data."""
    costs = msgspec.structs.replace(terms.costs, prices=DEMO_PRICES)
    made_up = {"provider": "demo data", "version": "made up", "date": "", "source": "an example; no list price"}
    prices = msgspec.structs.replace(load_prices(DEMO_PRICES), **made_up)
    return Terms(with_unit_prices(terms.scaling, costs), costs, prices)


def size_of(costs: CostSettings, fleet: str) -> tuple[Decimal, Decimal]:
    """Cores and GB of memory of a unit."""
    name = "database" if is_database(fleet) else {WEB: "web", WORKERS: "worker", NATS: "nats"}[fleet]
    return exact(getattr(costs, f"{name}_cores")), exact(getattr(costs, f"{name}_memory_gb"))


def listed_price(costs: CostSettings, prices: Prices, fleet: str) -> Decimal:
    """What a unit of a fleet costs in an hour by the price list, without what is free; 0 where the list has none."""
    kind = "database" if is_database(fleet) else "compute"
    cores, memory = size_of(costs, fleet)
    core, gigabyte = prices.find(f"{kind}.cores"), prices.find(f"{kind}.memory")
    return (times(core.price, cores) if core else ZERO) + (times(gigabyte.price, memory) if gigabyte else ZERO)


def with_unit_prices(scaling: ScalingSettings, costs: CostSettings) -> ScalingSettings:
    """The settings of scaling, in which a fleet without a price of its own has the price list's: one list for both."""
    if not costs.prices:
        return scaling
    prices = load_prices(costs.prices)
    changed = {}
    for name, fleet in ((WEB, WEB), (WORKERS, WORKERS), ("replicas", f"{REPLICAS}*")):
        own = getattr(scaling, name)
        if not own.unit_price:
            changed[name] = msgspec.structs.replace(own, unit_price=float(listed_price(costs, prices, fleet)))
    return msgspec.structs.replace(scaling, **changed)
