"""The console's first page over HTTP, for operators: the day so far, by component."""

from __future__ import annotations

from atomic_guide.operations.scaling.overview import Today
from atomic_guide.web.routing import Call, Calls

calls = Calls()


@calls.add("GET", "/api/ops/overview", access="operator", reply=Today, failures=(401, 503))
async def show_overview(call: Call[None]) -> Today:
    """Tell how each component does today: how full it is, how long it takes, what goes wrong, beside alerts' limits."""
    return await call.tool.overview.look(call.tool.alerts.limits)
