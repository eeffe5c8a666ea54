"""`atomic-guide costs report`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from atomic_guide.cli.costs.opened import ask
from atomic_guide.cli.options import Context, data_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from decimal import Decimal

    from atomic_guide.operations.costs.month import MonthForecast
    from atomic_guide.operations.costs.report import Now, Report, UnitCosts

_SHOWN = 12
"""Days, and shares of a division, that are listed as text; JSON has all."""


@click.command(name="report")
@data_options
@click.option(
    "--days", type=click.IntRange(1, 400), default=30, show_default=True, help="How many, today among them; of UTC."
)
def report(context: Context, days: int) -> None:
    """Show what is paid: now, by day, and what the month will come to; by feature, tenant and region.

    Each day is priced with the list of that day. What was not measured is not in the sums, and is said.
    """
    found = ask(context, lambda costs: costs.report(days), "reading the record")
    context.emit(msgspec.to_builtins(found), "\n".join(_lines(found)))


def _lines(found: Report) -> Iterator[str]:
    prices, currency = found.prices, found.prices.currency
    if found.why:
        yield found.why
        return
    dated = f", of {prices.date}" if prices.date else ""
    yield f"Prices: {prices.provider}, {prices.region}, version {prices.version}{dated} ({prices.source})"
    if prices.assumed:
        yield f"  assumed, not listed: {', '.join(prices.assumed)}"
    yield from _pace(found.now, currency)
    yield from _month(found.month, currency)
    yield f"Since {found.since}: {found.total} {currency}"
    for day in found.days[-_SHOWN:]:
        yield f"  {day.day}  {day.total:>12}  {day.hours:>6.2f} h measured"
    for name, parts in (("feature", found.features), ("tenant", found.tenants), ("region", found.regions)):
        yield from _shares(name, parts)
    yield from _each(found.unit_costs, currency)
    yield from (f"Not known: {what}." for what in found.missing)


def _pace(now: Now | None, currency: str) -> Iterator[str]:
    if now is None:
        yield "Now: nothing was measured in the last hour"
        return
    yield f"Now: {now.hour} {currency} an hour, {now.day} a day, {now.month} a month, of which"
    for line in now.lines:
        what = line.subject if line.what in {"fixed", "unit"} else f"{line.subject}: {line.what}"
        mark = " (assumed)" if line.assumed else ""
        yield f"  {what:<34}{line.quantity:>16,.4f} {line.unit:<18}{line.amount:>14,.2f}{mark}"
    for one in now.unpriced:
        yield f"  {one.subject}: {one.what:<24}{one.quantity:>16,.4f} {one.unit:<18}{'no price':>14}"


def _month(month: MonthForecast, currency: str) -> Iterator[str]:
    yield f"Month {month.month}: {month.to_date} {currency} to date"
    if month.expected is None:
        yield f"  what it will come to is not known ({month.why})"
    elif month.low is None:
        yield f"  expected {month.expected} ({month.why})"
    else:
        yield (
            f"  expected {month.expected}, in {month.confidence:.0%} of such months from {month.low} to {month.high}"
            f" ({month.why})"
        )


def _shares(name: str, parts: Mapping[str, Decimal]) -> Iterator[str]:
    if parts:
        yield f"By {name}:"
    for one, amount in list(parts.items())[:_SHOWN]:
        yield f"  {one:<34}{amount:>14,.2f}"


def _each(units: UnitCosts, currency: str) -> Iterator[str]:
    yield "For each:"
    for name, cost, count in (
        ("launch, of everything", units.launch, units.launches),
        ("message, of chat", units.message, units.messages),
        ("lecture hour watched, of video", units.lecture_hour, units.lecture_hours),
    ):
        none = f"too few to say: {count:,.3g}" if count else "none"
        yield f"  {name:<34}" + (f"{cost:>14} {currency}, of {count:,.6g}" if cost is not None else f"{none:>14}")
