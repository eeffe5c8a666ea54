"""Costs over HTTP, for operators: the same values as `atomic-guide costs`. Amounts are decimals in text."""

from __future__ import annotations

import msgspec

from atomic_guide.operations.costs.advise.model import Advices
from atomic_guide.operations.costs.assembly import REPORT_DAYS, Explained, Planned
from atomic_guide.operations.costs.changes import Applied, Entry
from atomic_guide.operations.costs.prices import Prices
from atomic_guide.operations.costs.report import MOST_DAYS, Report
from atomic_guide.operations.operators.approvals import Voter
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
    return PriceList((await call.tool.costs.terms()).prices)


class Apply(msgspec.Struct):
    """Whether the caller approves; without, only what would be done is said."""

    approved: bool = False


class RolledBack(msgspec.Struct, frozen=True):
    """Whether there was something to take back."""

    change: str
    rolled_back: bool


class InForce(msgspec.Struct, frozen=True):
    """Changes that are in force."""

    changes: list[Applied]


class Audit(msgspec.Struct, frozen=True):
    """What was done, the newest first."""

    audit: list[Entry]


_AUDITED = 1000


@calls.add("GET", "/api/ops/costs/recommendations", access="operator", reply=Advices, failures=(401, 503))
async def list_recommendations(call: Call[None]) -> Advices:
    """List what could be saved, and what was considered and why not; at most five minutes old."""
    return await call.tool.costs.recommendations()


@calls.add("GET", "/api/ops/costs/recommendations/{id}", access="operator", reply=Explained, failures=(401, 404, 503))
async def explain_recommendation(call: Call[None]) -> Explained:
    """Explain a recommendation, or a change with what it has saved."""
    return await call.tool.costs.explain(call.request.path_params["id"])


@calls.add(
    "POST",
    "/api/ops/costs/recommendations/{id}/apply",
    access="operator",
    body=Apply,
    reply=Planned,
    failures=(400, 401, 404, 409, 413, 415, 503, 507),
)
async def apply_recommendation(call: Call[Apply]) -> Planned:
    """Do what a recommendation says, where it is approved; else say what would be done. Again is harmless."""
    voter = Voter(call.operator.id, call.tool.operators.settings.needed)
    advice = call.request.path_params["id"]
    return await call.tool.costs.apply(advice, call.operator.name, approved=call.body.approved, voter=voter)


@calls.add("GET", "/api/ops/costs/changes", access="operator", reply=InForce, failures=(401, 503))
async def list_changes(call: Call[None]) -> InForce:
    """List the changes that are in force."""
    return InForce(await call.tool.costs.changes())


@calls.add(
    "POST",
    "/api/ops/costs/changes/{id}/rollback",
    access="operator",
    reply=RolledBack,
    failures=(400, 401, 404, 409, 503, 507),
)
async def roll_back_change(call: Call[None]) -> RolledBack:
    """Put back exactly what there was before a change. Again is harmless."""
    change = call.request.path_params["id"]
    return RolledBack(change, await call.tool.costs.rollback(change, call.operator.name))


@calls.add("GET", "/api/ops/costs/audit", access="operator", reply=Audit, failures=(401, 503))
async def list_audit(call: Call[None]) -> Audit:
    """List what was applied, measured and taken back, by whom and when, the newest first."""
    return Audit(await call.tool.costs.audit(_AUDITED))
