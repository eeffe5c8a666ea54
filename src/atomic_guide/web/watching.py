"""Events of lectures in, how lectures are watched out."""

from __future__ import annotations

import hashlib

import msgspec

from atomic_guide.course.watching.event import PostedEvent
from atomic_guide.course.watching.lectures import LectureReport, WatchReport
from atomic_guide.course.watching.limits import EVENT_BYTES
from atomic_guide.course.watching.taking import Sender, Taken
from atomic_guide.web.bodies import read_body
from atomic_guide.web.routing import Answer, Call, Calls, Parameter, Repeats, Whose

calls = Calls()

_STEP = Parameter(
    "step",
    {"type": "integer", "minimum": 1, "maximum": 3600},
    "Seconds of the lecture in each point of the curve; without it so many that there are at most 300 points.",
)


class SentEvents(msgspec.Struct, forbid_unknown_fields=True):
    """Events of the caller, at most 100; one that cannot be taken is rejected alone."""

    events: list[PostedEvent]


@calls.add(
    "POST",
    "/api/analytics/events",
    access="course",
    body=SentEvents,
    streamed=True,
    reply=Taken,
    status=202,
    failures=(409, 413, 415, 422, 429, 507),
    shed="analytics",
    repeats=Repeats("itself", "The body is bounded by a limit of its own."),
)
async def post_events(call: Call[None]) -> Answer:
    """Take what the caller did with lectures; sending events again is harmless."""
    body = await read_body(call.request, call.tool.events.settings.body_bytes, ("application/json",), EVENT_BYTES)
    session = call.session
    sender = Sender(session.key, session.user, not session.is_instructor)

    async def take() -> Answer:
        return Answer(await call.tool.events.take(sender, body), 202)

    digest = hashlib.sha256(body).hexdigest()
    return await call.tool.answers.once(
        call, Whose(session.key, session.user), "POST /api/analytics/events", digest, take
    )


@calls.add("GET", "/api/analytics/lectures", access="course", reply=WatchReport)
async def lectures(call: Call[None]) -> WatchReport:
    """Show how far the caller is in each lecture; to instructors also how each lecture is watched, and by whom."""
    session = call.session
    if not session.is_instructor:
        return await call.tool.watching.for_student(session.key, session.user)
    call.tool.reads.note(session.key, session.user, "lectures")
    return await call.tool.watching.for_instructor(session.key, session.user)


@calls.add(
    "GET",
    "/api/analytics/lectures/{id}",
    access="instructor",
    reply=LectureReport,
    failures=(404,),
    parameters=(_STEP,),
)
async def lecture(call: Call[None]) -> LectureReport:
    """Show how a lecture is watched: its curve, second by second, and its viewers."""
    session = call.session
    step = call.whole_number("step", least=1, most=3600)
    report = await call.tool.watching.of(session.key, call.request.path_params["id"], step)
    call.tool.reads.note(session.key, session.user, "lecture")
    return report
