"""Own hardware: from what was paid and what it draws to a price of a core-hour, a GB-hour and a GB-month. Pure.

    year  = purchase / lifetime + upkeep + power * 8760 h * price of a kWh * PUE
    price = year * share / (what there is * the share of it that is used)

`cores_share` and `memory_share` say how much of a machine's cost stands for cores and for memory; what is left stands
for its disks.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from atomic_guide.errors import Invalid
from atomic_guide.operations.costs.items import KINDS
from atomic_guide.operations.costs.money import ZERO, over, times
from atomic_guide.operations.costs.prices import Item

_HOURS, _MONTHS = Decimal(8760), Decimal(12)
_DIGITS = Decimal("0.000000001")
_ONE = Decimal(1)


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """What was bought, in the currency of the file, watts and GB."""

    purchase: Decimal
    lifetime_years: Decimal
    cores: Decimal
    memory_gb: Decimal
    storage_gb: Decimal
    power_watts: Decimal
    kwh_price: Decimal
    pue: Decimal = _ONE
    """What cooling and losses add to the power: energy of the building by energy of the machines."""
    upkeep_per_year: Decimal = ZERO
    """Hosting, spare parts, hands."""
    usable: Decimal = Decimal("0.7")
    """The share of it that may be used: what is kept for failures and peaks costs, too."""
    cores_share: Decimal = Decimal("0.6")
    memory_share: Decimal = Decimal("0.2")

    @staticmethod
    def required() -> set[str]:
        """Fields without a default."""
        return {field.name for field in msgspec.structs.fields(Hardware) if field.required}


def items_of(hardware: Hardware) -> list[Item]:
    """The prices that it comes to. Raises `Invalid` naming the field in `details`."""
    _check(hardware)
    energy = times(times(hardware.power_watts / 1000, _HOURS), times(hardware.kwh_price, hardware.pue))
    year = over(hardware.purchase, hardware.lifetime_years) + hardware.upkeep_per_year + energy
    rest = _ONE - hardware.cores_share - hardware.memory_share
    found = []
    for what, share, amount, periods in (
        ("compute.cores", hardware.cores_share, hardware.cores, _HOURS),
        ("compute.memory", hardware.memory_share, hardware.memory_gb, _HOURS),
        ("storage.hot", rest, hardware.storage_gb, _MONTHS),
        ("database.storage", rest, hardware.storage_gb, _MONTHS),
    ):
        price = over(times(year, share), times(times(amount, hardware.usable), periods)).quantize(_DIGITS)
        note = f"{share:%} of {year:.2f} a year, over {hardware.usable:%} of what there is"
        found.append(Item(what=what, unit=KINDS[what].unit, price=price, note=note))
    return found


def _check(hardware: Hardware) -> None:
    for name in ("lifetime_years", "cores", "memory_gb", "storage_gb", "usable"):
        if getattr(hardware, name) <= 0:
            raise Invalid(f"`{name}` is more than 0", details={"key": name})
    if hardware.usable > 1:
        raise Invalid("`usable` is a share, at most 1", details={"key": "usable"})
    if hardware.pue < 1:
        raise Invalid("`pue` is at least 1: a building takes what its machines take", details={"key": "pue"})
    if hardware.cores_share + hardware.memory_share > 1:
        raise Invalid("`cores_share` and `memory_share` are at most 1 together", details={"key": "memory_share"})
