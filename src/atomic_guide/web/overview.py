"""The console's first page over HTTP, for operators: the last 24 hours, by component."""

from __future__ import annotations

from atomic_guide.operations.scaling.overview import LastDay
from atomic_guide.web.routing import Call, Calls

calls = Calls()


@calls.add("GET", "/api/ops/overview", access="operator", reply=LastDay, failures=(401, 503))
async def show_overview(call: Call[None]) -> LastDay:
    """Tell how full each component was in the last 24 hours, how long it took, what went wrong, and alerts' limits."""
    return await call.tool.overview.look(call.tool.alerts.limits)
