"""Regions over HTTP, for operators: how they are, where a country goes, drains. As `atomic-guide regions` tells it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from atomic_guide.operations.operators.approvals import Approval, Voter
from atomic_guide.operations.regions import telling
from atomic_guide.operations.regions.controls import Controls, Event
from atomic_guide.operations.regions.telling import Told, Where
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()


_LIMIT = Limit(50, 1000, "Most entries of the log, the newest first")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class Regions(msgspec.Struct, frozen=True):
    """Every region as this process sees it, what it has chosen since its start, and what happened lately.

    `needed` operators have to agree to a drain; `agreed` have so far, by region.
    """

    own: str
    regions: list[Told]
    chosen: dict[str, int]
    events: list[dict[str, Any]]
    needed: int
    agreed: dict[str, list[Approval]]


class DrainRegion(msgspec.Struct, forbid_unknown_fields=True):
    """Which region gets no more visits, and why."""

    region: Name
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class UndrainRegion(msgspec.Struct, forbid_unknown_fields=True):
    """Which region gets visits again."""

    region: Name


class Drained(msgspec.Struct, frozen=True):
    """A region, whether it is drained now, and whether that is new; `needed` operators have to ask for a drain."""

    region: str
    drained: bool
    changed: bool
    needed: int = 1


@calls.add(
    "GET",
    "/api/ops/regions",
    access="operator",
    reply=Regions,
    failures=(400, 401, 503),
    parameters=(_LIMIT.parameter,),
)
async def list_regions(call: Call[None]) -> Regions:
    """List the regions: how they are as seen from here, what was chosen, and what happened to them."""
    here, controls = call.regions, _controls(call)
    limit = _LIMIT.of(call)
    own = here.own.name if here.own is not None else ""
    return Regions(
        own,
        telling.told(here.settings, own, here.board.standings, await controls.drains()),
        {f"{region or 'none'} {reason}": count for (region, reason), count in sorted(here.chosen.items())},
        await controls.events(limit=limit),
        needed := call.tool.operators.settings.needed,
        await controls.agreed(needed),
    )


@calls.add(
    "GET",
    "/api/ops/regions/where",
    access="operator",
    reply=Where,
    failures=(400, 401, 404),
    parameters=(Parameter("country", {"type": "string"}, "An ISO 3166 code.", required=True),),
)
async def where(call: Call[None]) -> Where:
    """Say to which regions the logins of a country go."""
    here = call.regions
    return telling.where(here.settings, call.request.query_params.get("country", ""), here.away)


@calls.add(
    "POST",
    "/api/ops/regions/drain",
    access="operator",
    body=DrainRegion,
    reply=Drained,
    failures=(400, 401, 404, 503),
)
async def drain(call: Call[DrainRegion]) -> Drained:
    """Send no more visits to a region, once as many operators ask for it as it takes; what has begun there goes on."""
    event = Event(call.tool.clock.now(), call.body.region, "drained", who=call.operator.name, why=call.body.why)
    voter = Voter(call.operator.id, call.tool.operators.settings.needed)
    changed = await _controls(call).drain(call.body.region, event, voter)
    return Drained(call.body.region, drained=changed is not None, changed=bool(changed), needed=voter.needed)


@calls.add(
    "POST",
    "/api/ops/regions/undrain",
    access="operator",
    body=UndrainRegion,
    reply=Drained,
    failures=(400, 401, 404, 503),
)
async def undrain(call: Call[UndrainRegion]) -> Drained:
    """Send visits to a region again."""
    event = Event(call.tool.clock.now(), call.body.region, "undrained", who=call.operator.name)
    return Drained(call.body.region, drained=False, changed=await _controls(call).undrain(call.body.region, event))


def _controls(call: Call[Any]) -> Controls:
    return Controls(call.tool.shards.directory, call.regions.settings)
