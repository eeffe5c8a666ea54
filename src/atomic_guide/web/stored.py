"""What tenants store of lectures, for operators."""

from __future__ import annotations

import msgspec

from atomic_guide.course.video.space.quotas import TenantSpace, list_space
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_LIMIT = Limit(100, 1000)


class Accounts(msgspec.Struct):
    """Tenants in the order of their names; `next` is the `after` of what follows, null at the end."""

    tenants: list[TenantSpace]
    next: str | None


@calls.add(
    "GET",
    "/api/ops/lectures/space",
    access="operator",
    reply=Accounts,
    failures=(400, 401),
    parameters=(
        Parameter("after", {"type": "string"}, "The tenant after which to begin."),
        _LIMIT.parameter,
    ),
)
async def show_space(call: Call[None]) -> Accounts:
    """Say what each tenant stores of lectures, and may store."""
    limit = _LIMIT.of(call)
    media = call.tool.media
    after = call.request.query_params.get("after", "")
    found = await list_space(call.tool.shards.directory, media.settings.tenant_quota_bytes, after, limit)
    return Accounts(found, found[-1].tenant if len(found) == limit else None)
