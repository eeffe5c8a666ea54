"""Capacity planning over HTTP, for operators. The same values as `atomic-guide capacity`."""

from __future__ import annotations

from atomic_guide.operations.capacity.planner import Asked, Plan, read_horizon
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()


@calls.add(
    "GET",
    "/api/ops/capacity/plan",
    access="operator",
    reply=Plan,
    failures=(400, 401, 503),
    parameters=(
        Parameter(
            "growth",
            {"type": "string", "maxLength": 300, "default": "2x/year"},
            "What is expected, such as 2x/year, +10%/month, users=2x/year,lectures=+5%/month, or measured.",
        ),
        Parameter(
            "horizon",
            {"type": "string", "pattern": "^[0-9]{1,3}[my]$", "default": "12m"},
            "How far ahead, at most capacity.most_months (36).",
        ),
    ),
)
async def plan_capacity(call: Call[None]) -> Plan:
    """Plan capacity: what is needed by month, what runs out first and when, what to do by when, what it costs.

    Where nothing is on record yet, there are no components, and `missing` says of each why not.
    """
    asked = call.request.query_params
    months = read_horizon(asked.get("horizon", "12m"), call.tool.capacity.settings.most_months)
    return await call.tool.capacity.plan(
        Asked(asked.get("growth", "2x/year"), months, call.tool.clock.now(), or_nothing=True)
    )
