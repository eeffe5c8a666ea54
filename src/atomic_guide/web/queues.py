"""Queues and jobs over HTTP, for operators: what waits and why, pause, resume, cancel. As `atomic-guide queues`."""

from __future__ import annotations

import typing
from typing import Annotated, Any

import msgspec

from atomic_guide import errors
from atomic_guide.operations.jobs.desk import PAUSE_MOST, JobPage, JobShown, Lanes, State
from atomic_guide.web.paging import AFTER, Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

_LIMIT = Limit(100, 500)
_STATES: tuple[State, ...] = typing.get_args(State)


class Pause(msgspec.Struct):
    """Why a queue is paused, for whoever looks later, and for how many seconds; null until somebody resumes it."""

    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    seconds: Annotated[float, msgspec.Meta(gt=0, le=PAUSE_MOST)] | None = None


class Paused(msgspec.Struct, frozen=True):
    """A queue that starts no more jobs, and when it goes on by itself; null where somebody has to resume it."""

    paused: str
    paused_until: str | None


class Resumed(msgspec.Struct, frozen=True):
    """A queue that goes on; `was_paused` is false where it did so before."""

    resumed: str
    was_paused: bool


class Cancelled(msgspec.Struct, frozen=True):
    """A job that was called off."""

    cancelled: str


_CHANGING: dict[str, Any] = {"access": "operator", "failures": (400, 401, 404, 409, 413, 415, 503, 507)}


@calls.add("GET", "/api/ops/queues", access="operator", reply=Lanes, failures=(401, 503))
async def list_queues(call: Call[None]) -> Lanes:
    """Show each queue: what waits and since when, its goal, what runs, how fast, who paused it, what is next."""
    return await call.tool.queues.lanes(ended=False)


@calls.add(
    "GET",
    "/api/ops/queues/{queue}/jobs",
    access="operator",
    reply=JobPage,
    failures=(400, 401, 404, 503),
    parameters=(
        Parameter("state", {"type": "string", "enum": list(_STATES)}, "Which jobs; queued if not given."),
        AFTER,
        _LIMIT.parameter,
    ),
)
async def list_jobs(call: Call[None]) -> JobPage:
    """List a queue's jobs: queued ones in their order, ended ones those that ended last first, others the newest."""
    asked = call.request.query_params
    state = asked.get("state") or "queued"
    if state not in _STATES:
        raise errors.Invalid(f"state is one of {', '.join(_STATES)}", details={"parameter": "state"})
    limit = _LIMIT.of(call)
    return await call.tool.queues.jobs(call.request.path_params["queue"], state, asked.get("after"), limit)


@calls.add("GET", "/api/ops/jobs/{id}", access="operator", reply=JobShown, failures=(401, 404, 503))
async def show_job(call: Call[None]) -> JobShown:
    """Show one job: where it stands and why, its attempts and progress, its last error."""
    return await call.tool.queues.job(call.request.path_params["id"])


@calls.add("POST", "/api/ops/jobs/{id}/cancel", reply=Cancelled, **_CHANGING)
async def cancel_job(call: Call[None]) -> Cancelled:
    """Call a live job off; where it runs, its worker stops it within a second."""
    job = call.request.path_params["id"]
    await call.tool.queues.cancel(job)
    return Cancelled(job)


@calls.add("POST", "/api/ops/queues/{queue}/pause", body=Pause, reply=Paused, **_CHANGING)
async def pause_queue(call: Call[Pause]) -> Paused:
    """Start no more jobs of a queue for a time, or until it is resumed; those that run go on. Again sets the end."""
    queue, asked = call.request.path_params["queue"], call.body
    return Paused(queue, await call.tool.queues.pause(queue, call.operator.name, asked.why, asked.seconds))


@calls.add("POST", "/api/ops/queues/{queue}/resume", reply=Resumed, **_CHANGING)
async def resume_queue(call: Call[None]) -> Resumed:
    """Go on with a queue that was paused. Again is harmless."""
    queue = call.request.path_params["queue"]
    return Resumed(queue, await call.tool.queues.resume(queue, call.operator.name))
