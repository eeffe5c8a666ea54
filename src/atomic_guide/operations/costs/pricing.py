"""Pricing: a state times a price file, itemised, for a time. Pure.

A month is priced first, with its free amounts and tiers, at the pace of the state; a shorter time is its share of that.
So a day at the end of a month costs what a day at its beginning does, and all days add up to the month.

Each line is rounded to a millionth, and a total is the sum of its lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import msgspec

from atomic_guide.operations.costs.items import KINDS
from atomic_guide.operations.costs.money import ZERO, cents, micro, over, times
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.state import State, is_database

MONTH_HOURS = Decimal(730)
"""Hours of a month: 8760 over twelve, as providers reckon."""

DAY_HOURS, HOUR = Decimal(24), Decimal(1)

_MILLION = Decimal(1_000_000)


class Line(msgspec.Struct, frozen=True):
    """What one thing costs in a time. `subject` is a fleet, a class or a fixed price's name, `quantity` a month's."""

    what: str
    subject: str
    quantity: Decimal
    unit: str
    amount: Decimal
    assumed: bool = False


class Unpriced(msgspec.Struct, frozen=True):
    """Something that is had and has no price: its cost is not known, which is not zero."""

    what: str
    subject: str
    quantity: Decimal
    unit: str


class Priced(msgspec.Struct, frozen=True):
    """A state's cost in `hours`."""

    currency: str
    version: str
    hours: Decimal
    lines: tuple[Line, ...]
    unpriced: tuple[Unpriced, ...] = ()

    @property
    def total(self) -> Decimal:
        """All lines together, to a millionth."""
        return sum((line.amount for line in self.lines), ZERO)

    @property
    def shown(self) -> Decimal:
        """The total to a cent."""
        return cents(self.total)

    def of(self, *subjects: str) -> Decimal:
        """What some subjects cost."""
        return sum((line.amount for line in self.lines if line.subject in subjects), ZERO)


class _Need(NamedTuple):
    what: str
    subject: str
    quantity: Decimal
    """Of a month."""


def priced(state: State, prices: Prices, hours: Decimal = MONTH_HOURS) -> Priced:
    """What a state costs in so many hours."""
    share = over(hours, MONTH_HOURS)
    lines, unpriced = [], []
    by_what: dict[str, list[_Need]] = defaultdict(list)
    for need in _needs(state, prices):
        if need.quantity:
            by_what[need.what].append(need)
    for what, needs in by_what.items():
        item = prices.find(what)
        if item is None:
            unpriced += [Unpriced(what, need.subject, need.quantity, KINDS[what].unit) for need in needs]
            continue
        # Tiers and what is free count over all that use a thing; each pays its part of that.
        whole = sum((need.quantity for need in needs), ZERO)
        month = item.month(whole)
        for need in needs:
            amount = micro(times(over(times(month, need.quantity), whole), share))
            lines.append(Line(what, need.subject, need.quantity, item.unit, amount, item.assumed))
    lines += _own(state, hours)
    for item in prices.fixed:
        amount = micro(times(item.price, share))
        lines.append(Line("fixed", item.name, Decimal(1), item.unit, amount, item.assumed))
    return Priced(prices.currency, prices.version, hours, tuple(lines), tuple(unpriced))


def difference(before: Priced, after: Priced) -> Decimal:
    """What the second state saves, in cents: what is shown of the one less what is shown of the other."""
    return before.shown - after.shown


def _needs(state: State, prices: Prices) -> Iterator[_Need]:
    gigabyte = Decimal(prices.gigabyte)
    for name, units in state.fleets.items():
        if units.hourly is None:
            kind = "database" if is_database(name) else "compute"
            month = times(units.count, MONTH_HOURS)
            yield _Need(f"{kind}.cores", name, times(month, units.cores))
            yield _Need(f"{kind}.memory", name, times(month, units.memory_gb))
    for kind, size in state.stored.items():
        yield _Need(f"storage.{kind}", f"storage {kind}", over(Decimal(size), gigabyte))
    for kind, size in state.recalled.items():
        yield _Need(f"recall.{kind}", f"storage {kind}", over(Decimal(size), gigabyte))
    yield _Need("database.storage", "databases", over(Decimal(state.database_bytes), gigabyte))
    yield _Need("requests.read", "storage requests", over(Decimal(state.reads), _MILLION))
    yield _Need("requests.write", "storage requests", over(Decimal(state.writes), _MILLION))
    yield _Need("traffic.out", "traffic", over(Decimal(state.sent), gigabyte))


def _own(state: State, hours: Decimal) -> Iterator[Line]:
    """Fleets whose unit has a price of its own."""
    for name, units in state.fleets.items():
        if units.hourly is not None and units.count:
            amount = micro(times(times(units.count, units.hourly), hours))
            yield Line("unit", name, times(units.count, MONTH_HOURS), "unit-hour", amount)
