"""The report of costs: now, by day, the month to come, by feature, tenant and region, and for each thing done."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import iso
from atomic_guide.errors import Invalid
from atomic_guide.operations.costs.days import DayCost, Days
from atomic_guide.operations.costs.money import ZERO, cents, micro, over
from atomic_guide.operations.costs.month import DayTotal, MonthForecast, forecast_month
from atomic_guide.operations.costs.pace import pace_state
from atomic_guide.operations.costs.pricing import DAY_HOURS, HOUR, MONTH_HOURS, Line, Unpriced, priced
from atomic_guide.operations.costs.usage import SLOT, read_usage
from atomic_guide.operations.scaling.metric import FEW

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Database
    from atomic_guide.operations.costs.terms import Terms
    from atomic_guide.operations.scaling.series import Series

_DAY = 86_400.0
_LEARNED_DAYS = 70
"""How far back days are read for the month's forecast; the last 56 whole ones count."""

_RECENT_SECONDS = 3600.0
"""What the pace of now is a mean of."""

MOST_DAYS = 400

_OLD_DAYS = 365
"""Providers change prices about once a year, lately more often."""


class Listed(msgspec.Struct, frozen=True):
    """The price list in force; `assumed` names the items whose price is a guess, and what it was made from."""

    provider: str
    version: str
    currency: str
    region: str
    date: str
    source: str
    assumed: Mapping[str, str]


class Now(msgspec.Struct, frozen=True):
    """The pace of the last hour; lines are those of a month."""

    hour: Decimal
    day: Decimal
    month: Decimal
    lines: tuple[Line, ...]
    unpriced: tuple[Unpriced, ...]


class Day(msgspec.Struct, frozen=True):
    """A day in the report; `hours` of it are measured."""

    day: str
    total: Decimal
    hours: Decimal
    version: str


class UnitCosts(msgspec.Struct, frozen=True):
    """What one of each costs, None of fewer than ten. A launch carries everything, the others their feature."""

    launch: Decimal | None
    message: Decimal | None
    lecture_hour: Decimal | None
    launches: int
    messages: int
    lecture_hours: Decimal


class Report(msgspec.Struct, frozen=True):
    """Amounts are decimals in text, in the currency of the list. `why` is empty where there are prices."""

    at: str
    prices: Listed
    why: str
    now: Now | None
    since: str
    days: list[Day]
    total: Decimal
    features: Mapping[str, Decimal]
    tenants: Mapping[str, Decimal]
    regions: Mapping[str, Decimal]
    unit_costs: UnitCosts
    month: MonthForecast
    missing: list[str]
    """What is not known: hours that were not measured, days in another currency."""


NO_PRICES = (
    "nothing has a price: name a list with the setting costs.prices (`atomic-guide costs prices list`), or set"
    " scaling.web.unit_price and scaling.workers.unit_price"
)


async def make_report(directory: Database, series: Series, terms: Terms, now: float, span: int) -> Report:
    """The report of the last `span` days, today among them. Raises `Invalid` for a span that cannot be."""
    if not 1 <= span <= MOST_DAYS:
        raise Invalid(f"a report is over 1 to {MOST_DAYS} days, not {span}")
    ledger = Days(directory, series, terms)
    today = dt.datetime.fromtimestamp(now, dt.UTC).date()
    since = today - dt.timedelta(days=span - 1)
    first = min(since, today - dt.timedelta(days=_LEARNED_DAYS), today.replace(day=1))
    closed = [one for one in await ledger.read(first) if one.day < today.isoformat()]
    running, _ = await ledger.today(now)
    every = [*closed, running]
    same = [one for one in every if one.currency == terms.prices.currency]
    shown = [one for one in same if one.day >= since.isoformat()]
    pace = await _now(series, terms, now)
    totals = [DayTotal(dt.date.fromisoformat(one.day), one.total, float(over(one.hours, DAY_HOURS))) for one in same]
    month = forecast_month(totals, today, now % _DAY / _DAY, pace.day if pace is not None else None)
    return Report(
        at=iso(now),
        prices=listed(terms),
        why="" if terms.known else NO_PRICES,
        now=pace,
        since=since.isoformat(),
        days=[Day(one.day, cents(one.total), one.hours, one.version) for one in shown],
        total=cents(sum((one.total for one in shown), ZERO)),
        features=_added([one.features for one in shown]),
        tenants=_added([one.tenants for one in shown]),
        regions=_added([one.regions for one in shown]),
        unit_costs=_unit_costs(shown),
        month=month,
        missing=_missing(shown, every, terms, now),
    )


def listed(terms: Terms) -> Listed:
    """The list in force."""
    prices = terms.prices
    assumed = {item.name or item.what: item.note for item in prices.items if item.assumed}
    return Listed(prices.provider, prices.version, prices.currency, prices.region, prices.date, prices.source, assumed)


async def _now(series: Series, terms: Terms, now: float) -> Now | None:
    end = now // SLOT * SLOT
    usage = await read_usage(series, end - _RECENT_SECONDS, end + SLOT)
    if not usage.hours or not terms.known:
        return None
    state = pace_state(terms, usage.pace)
    month, hour, day = (priced(state, terms.prices, hours) for hours in (MONTH_HOURS, HOUR, DAY_HOURS))
    return Now(micro(hour.total), cents(day.total), cents(month.total), month.lines, month.unpriced)


def _added(parts: Sequence[Mapping[str, Decimal]]) -> dict[str, Decimal]:
    found: defaultdict[str, Decimal] = defaultdict(lambda: ZERO)
    for part in parts:
        for name, amount in part.items():
            found[name] += amount
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def _unit_costs(days: Sequence[DayCost]) -> UnitCosts:
    launches = sum(one.counts.launches for one in days)
    messages = sum(one.counts.messages for one in days)
    watched = sum((one.counts.lecture_hours for one in days), ZERO)
    total = sum((one.total for one in days), ZERO)
    features = _added([one.features for one in days])

    def each(cost: Decimal, count: Decimal) -> Decimal | None:
        return micro(over(cost, count)) if count >= FEW else None

    return UnitCosts(
        each(total, Decimal(launches)),
        each(features.get("chat", ZERO), Decimal(messages)),
        each(features.get("video", ZERO), watched),
        launches, messages, watched,
    )  # fmt: skip


def _missing(shown: Sequence[DayCost], every: Sequence[DayCost], terms: Terms, now: float) -> list[str]:
    found = []
    passed = over(Decimal(int(now % _DAY)), Decimal(3600))
    of = {one.day: DAY_HOURS if one is not every[-1] else passed for one in every}
    lacking = [(one.day, of[one.day] - one.hours) for one in shown if of[one.day] - one.hours >= 1]
    if lacking:
        hours = sum((more for _, more in lacking), ZERO)
        found.append(
            f"{hours:.1f} h on {len(lacking)} day{'s' * (len(lacking) != 1)} were not measured:"
            " what they cost is unknown and not in here"
        )
    if strange := sorted({one.currency for one in every if one.currency != terms.prices.currency}):
        found.append(f"days that were priced in {', '.join(strange)} are not in here")
    if terms.prices.date and (old := _age(terms.prices.date, now)) > _OLD_DAYS:
        found.append(f"the price list is {old} days old: whether its prices still hold")
    names = sorted({one.what for day in shown for one in day.unpriced})
    if names and terms.known:
        found.append(f"without a price, and so not in here: {', '.join(names)}")
    return found


def _age(date: str, now: float) -> int:
    return (dt.datetime.fromtimestamp(now, dt.UTC).date() - dt.date.fromisoformat(date)).days
