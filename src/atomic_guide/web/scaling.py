"""Scaling over HTTP, for operators: how it stands, why, and their answers. The same values as `atomic-guide scale`."""

from __future__ import annotations

import typing
from typing import Annotated, Any

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.operations.operators.approvals import Voter
from atomic_guide.operations.scaling import telling
from atomic_guide.operations.scaling.controls import PAUSE_MOST_SECONDS, Controls
from atomic_guide.operations.scaling.events import Wanted
from atomic_guide.operations.scaling.model import Mode, State
from atomic_guide.operations.scaling.telling import Explained, History, Status, Told
from atomic_guide.web.paging import TEXT, Limit
from atomic_guide.web.routing import Call, Calls, Parameter, moment

calls = Calls()

HISTORY_LIMIT = 1000
_LIMIT = Limit(100, HISTORY_LIMIT)
_STATES: tuple[State, ...] = typing.get_args(State)

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Pause(msgspec.Struct):
    """Which fleet is left alone, for how long, and why."""

    fleet: Name
    seconds: Annotated[float, msgspec.Meta(ge=1, le=PAUSE_MOST_SECONDS)]
    why: Why


class Resume(msgspec.Struct):
    """Which fleet goes on."""

    fleet: Name


class SetMode(msgspec.Struct):
    """A fleet's mode; null goes back to the settings."""

    fleet: Name
    mode: Mode | None


class SetBounds(msgspec.Struct):
    """A fleet's fewest and most units beside the settings; null where those hold."""

    fleet: Name
    min: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None
    max: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None


class Pin(msgspec.Struct):
    """The number of the candidate that a fleet's nightly choice is pinned to; null frees it."""

    fleet: Name
    candidate: Annotated[int, msgspec.Meta(ge=0, le=100_000)] | None


class Refuse(msgspec.Struct):
    """Why an operator does not agree."""

    why: Annotated[str, msgspec.Meta(max_length=500)] = ""


class Answered(msgspec.Struct, frozen=True):
    """An event as it is after the answer."""

    event: Told


class Set(msgspec.Struct, frozen=True):
    """What now holds for a fleet."""

    fleet: str
    paused_until: str | None = None
    was_paused: bool | None = None
    mode: Mode | None = None
    candidate: int | None = None
    min: int | None = None
    max: int | None = None


_CHANGING: dict[str, Any] = {
    "access": "operator",
    "failures": (400, 401, 404, 409, 413, 415, 503, 507),
}


@calls.add("GET", "/api/ops/scaling", access="operator", reply=Status, failures=(401, 503))
async def show_status(call: Call[None]) -> Status:
    """Tell how scaling stands: fleets, modes, pauses, who leads, what is not known, the last decisions."""
    return await telling.status(call.tool.shards.directory, call.tool.clock.now(), _needed(call))


@calls.add(
    "GET",
    "/api/ops/scaling/events",
    access="operator",
    reply=History,
    failures=(400, 401, 503),
    parameters=(
        Parameter("fleet", TEXT, "Only of this fleet."),
        Parameter("rule", TEXT, "Only of this rule."),
        Parameter("state", {"type": "string", "enum": list(_STATES)}, "Only in this state."),
        Parameter("since", {"type": "string", "format": "date-time"}, "Only what was decided since."),
        _LIMIT.parameter,
    ),
)
async def list_events(call: Call[None]) -> History:
    """List what was decided and what became of it, the newest first, with success rates by rule."""
    asked = call.request.query_params
    state = asked.get("state", "")
    if state and state not in _STATES:
        raise errors.Invalid(f"state is one of {', '.join(_STATES)}", details={"parameter": "state"})
    wanted = Wanted(since=moment("since", asked.get("since")), fleet=asked.get("fleet", ""), state=state,
                    rule=asked.get("rule", ""))  # fmt: skip
    limit = _LIMIT.of(call)
    return await telling.history(call.tool.shards.directory, wanted, limit, _needed(call))


@calls.add("GET", "/api/ops/scaling/events/{id}", access="operator", reply=Explained, failures=(401, 404, 503))
async def explain_event(call: Call[None]) -> Explained:
    """Explain one decision: inputs, rule, what was not done and why, what was expected, what came of it."""
    event = call.request.path_params["id"]
    return await telling.explain(call.tool.shards.directory, event, call.tool.clock.now(), _needed(call))


@calls.add("POST", "/api/ops/scaling/events/{id}/approve", reply=Answered, **_CHANGING)
async def approve_event(call: Call[None]) -> Answered:
    """Agree to a decision that waits; the leader begins it within a second, where it takes no second operator."""
    record = await _controls(call).approve(call.request.path_params["id"])
    return Answered(await telling.tell(call.tool.shards.directory, record, _needed(call)))


@calls.add("POST", "/api/ops/scaling/events/{id}/refuse", body=Refuse, reply=Answered, **_CHANGING)
async def refuse_event(call: Call[Refuse]) -> Answered:
    """Do not agree to a decision that waits; the like of it is not asked for a while. Again is harmless."""
    record = await _controls(call).refuse(call.request.path_params["id"], call.body.why)
    return Answered(await telling.tell(call.tool.shards.directory, record, _needed(call)))


@calls.add("POST", "/api/ops/scaling/pause", body=Pause, reply=Set, **_CHANGING)
async def pause_fleet(call: Call[Pause]) -> Set:
    """Leave a fleet alone for a time; what is under way is finished, what would be done is still told."""
    until = await _controls(call).pause(call.body.fleet, call.body.seconds, call.body.why)
    return Set(call.body.fleet, paused_until=iso(until))


@calls.add("POST", "/api/ops/scaling/resume", body=Resume, reply=Set, **_CHANGING)
async def resume_fleet(call: Call[Resume]) -> Set:
    """End a pause before its time."""
    return Set(call.body.fleet, was_paused=await _controls(call).resume(call.body.fleet))


@calls.add("POST", "/api/ops/scaling/mode", body=SetMode, reply=Set, **_CHANGING)
async def set_mode(call: Call[SetMode]) -> Set:
    """Set a fleet's mode, off, shadow, approve or auto, beside the settings, or go back to them."""
    await _controls(call).set_mode(call.body.fleet, call.body.mode)
    return Set(call.body.fleet, mode=call.body.mode)


@calls.add("POST", "/api/ops/scaling/bounds", body=SetBounds, reply=Set, **_CHANGING)
async def set_bounds(call: Call[SetBounds]) -> Set:
    """Set a fleet's fewest and most units beside the settings, or go back to them."""
    await _controls(call).set_bounds(call.body.fleet, call.body.min, call.body.max)
    return Set(call.body.fleet, min=call.body.min, max=call.body.max)


@calls.add("POST", "/api/ops/scaling/pin", body=Pin, reply=Set, **_CHANGING)
async def pin_candidate(call: Call[Pin]) -> Set:
    """Pin the nightly choice of a fleet to a candidate, or free it."""
    candidate = call.body.candidate
    await _controls(call).pin(call.body.fleet, None if candidate is None else {"candidate": candidate})
    return Set(call.body.fleet, candidate=candidate)


def _controls(call: Call[Any]) -> Controls:
    return Controls(call.tool.shards.directory, call.operator.name, Voter(call.operator.id, _needed(call)))


def _needed(call: Call[Any]) -> int:
    return call.tool.operators.settings.needed
