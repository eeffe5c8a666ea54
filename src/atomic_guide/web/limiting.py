"""How full the limits are, over HTTP, for operators. The same values as `atomic-guide limits`."""

from __future__ import annotations

import msgspec

from atomic_guide.operations.limits.telling import Shown, shown
from atomic_guide.operations.scaling.reports import Reports
from atomic_guide.web.routing import Call, Calls

calls = Calls()


class LimitsShown(msgspec.Struct, frozen=True):
    """Every limit, and how many processes have told of theirs."""

    processes: int
    limits: list[Shown]


@calls.add("GET", "/api/ops/limits", access="operator", reply=LimitsShown, failures=(401, 503))
async def list_limits(call: Call[None]) -> LimitsShown:
    """List every limit: setting, value, use over all processes, the most so far, and what it has refused."""
    bounds = call.tool.bounds
    reports = (await Reports(call.tool.shards.directory).look(call.tool.clock.now())).reports
    return LimitsShown(len(reports), shown(bounds.limits, bounds.values, reports))
