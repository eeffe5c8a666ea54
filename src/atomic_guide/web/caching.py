"""The cache over HTTP, for operators: how it stands, what it has of a course, dropping and warming."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from atomic_guide.engines.cache.keys import Scope
from atomic_guide.errors import Invalid
from atomic_guide.operations.caching.desk import Dropped, Found, Stats, Warmed
from atomic_guide.operations.scaling.audit import Entry
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_LIMIT = Limit(100, 1000)
_NAME = {"type": "string", "maxLength": 255}
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Drop(msgspec.Struct, forbid_unknown_fields=True):
    """What to forget: the values of a tenant, of one of its courses (as its LMS calls it), of a space, or all."""

    tenant: _Name | None = None
    course: _Name | None = None
    space: _Name | None = None
    everything: bool = False
    dry_run: bool = False


class Warm(msgspec.Struct, forbid_unknown_fields=True):
    """Which value to load: of a space, of a course as its LMS calls it."""

    space: _Name
    tenant: _Name
    course: _Name
    dry_run: bool = False


class Log(msgspec.Struct, frozen=True):
    """What was done to the cache, the newest first."""

    log: list[Entry]


_CHANGING: dict[str, Any] = {
    "access": "operator",
    "failures": (400, 401, 404, 409, 413, 415, 503, 507),
    "parameters": (
        Parameter("Idempotency-Key", {"type": "string"}, "Taken as everywhere; doing it again is harmless by itself.",
                  place="header"),
    ),
}  # fmt: skip


@calls.add("GET", "/api/ops/cache", access="operator", reply=Stats, failures=(401, 503))
async def show_cache(call: Call[None]) -> Stats:
    """Tell how the cache of every process stands, and what lies on NATS."""
    return await call.tool.remembered.stats()


@calls.add(
    "GET",
    "/api/ops/cache/value",
    access="operator",
    reply=Found,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter("space", _NAME, "The space, such as reports.", required=True),
        Parameter("tenant", _NAME, "The tenant.", required=True),
        Parameter("course", _NAME, "The course, as its LMS calls it.", required=True),
        Parameter("content", {"type": "boolean"}, "With what it says; that you read it is noted."),
    ),
)
async def show_value(call: Call[None]) -> Found:
    """Tell where a value lies, and what it says."""
    asked = call.request.query_params
    who = call.operator.name if asked.get("content") == "true" else ""
    return await call.tool.remembered.find(
        asked.get("space", ""), asked.get("tenant", ""), asked.get("course", ""), who=who
    )


@calls.add(
    "GET",
    "/api/ops/cache/log",
    access="operator",
    reply=Log,
    failures=(400, 401, 503),
    parameters=(_LIMIT.parameter,),
)
async def show_log(call: Call[None]) -> Log:
    """List what was dropped, warmed and read, by whom and when, the newest first."""
    limit = _LIMIT.of(call)
    return Log(await call.tool.remembered.log(limit))


@calls.add("POST", "/api/ops/cache/drop", body=Drop, reply=Dropped, **_CHANGING)
async def drop_values(call: Call[Drop]) -> Dropped:
    """Have every process forget values, and remove them from NATS. Again is harmless."""
    asked = call.body
    scope = Scope(asked.tenant or "", asked.course or "", asked.space or "")
    if any(scope) == asked.everything:
        raise Invalid("name a tenant, a tenant and a course, or a space; or say everything")
    return await call.tool.remembered.drop(scope, call.operator.name, dry_run=asked.dry_run)


@calls.add("POST", "/api/ops/cache/warm", body=Warm, reply=Warmed, **_CHANGING)
async def warm_value(call: Call[Warm]) -> Warmed:
    """Have a value loaded where no layer has it. Again is harmless."""
    asked = call.body
    return await call.tool.remembered.warm(
        asked.space, asked.tenant, asked.course, call.operator.name, dry_run=asked.dry_run
    )
