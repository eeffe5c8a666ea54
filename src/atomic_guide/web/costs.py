"""Costs over HTTP, for operators: the same values as `atomic-guide costs`. Amounts are decimals in text."""

from __future__ import annotations

import msgspec

from atomic_guide.operations.costs.assembly import REPORT_DAYS
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.report import MOST_DAYS, Report
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()


class PriceList(msgspec.Struct, frozen=True):
    """The price list in force, with all its items."""

    prices: Prices


@calls.add(
    "GET",
    "/api/ops/costs",
    access="operator",
    reply=Report,
    failures=(400, 401, 503),
    parameters=(
        Parameter(
            "days",
            {"type": "integer", "minimum": 1, "maximum": MOST_DAYS},
            f"How many days, today among them; {REPORT_DAYS} if not given.",
        ),
    ),
)
async def show_costs(call: Call[None]) -> Report:
    """Say what is paid: now, by day, for what and whom, and what the month will come to."""
    days = call.whole_number("days", default=REPORT_DAYS, least=1, most=MOST_DAYS) or REPORT_DAYS
    return await call.tool.costs.report(days)


@calls.add("GET", "/api/ops/costs/prices", access="operator", reply=PriceList, failures=(401,))
async def show_prices(call: Call[None]) -> PriceList:
    """Show the price list in force, each price with where it stands."""
    return PriceList(call.tool.costs.terms.prices)
