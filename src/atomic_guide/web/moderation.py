"""Moderation over HTTP: deleting messages, muting, closing the room, live sessions; and how the room is."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.course.chat.moderation import MUTE_MINUTES, Action
from atomic_guide.course.chat.state import Live, Mute, read_room
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

LOG_LIMIT = 200
"""Most entries of a page of the log; 40 kB."""

_LIMIT = Limit(50, LOG_LIMIT)

_NEWEST = 2**53 - 1


class RoomView(msgspec.Struct, frozen=True):
    """How a room is. `revision` counts its changes: a socket that gives it hears what has changed since."""

    open: bool
    live: Live | None
    mutes: list[Mute]
    revision: int


class SetRoom(msgspec.Struct):
    """Whether everybody may write in the room, or only instructors."""

    open: bool


class SetLive(msgspec.Struct):
    """Whether the course has a live session."""

    live: bool


Person = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class PutMute(msgspec.Struct):
    """Who may not write; without `minutes` until it is lifted."""

    user: Person
    minutes: Annotated[int, msgspec.Meta(ge=1, le=MUTE_MINUTES)] | None = None


class LiftMute(msgspec.Struct):
    """Who may write again."""

    user: Person


class Log(msgspec.Struct, frozen=True):
    """What was done in the room, the newest first."""

    actions: list[Action]


@calls.add("GET", "/api/chat/room", access="course", reply=RoomView, failures=(401, 503))
async def read_state(call: Call[None]) -> RoomView:
    """Tell how the course's room is: open or closed, live or not, who is muted."""
    return await _view(call)


@calls.add(
    "POST",
    "/api/chat/room",
    access="instructor",
    body=SetRoom,
    reply=RoomView,
    failures=(400, 401, 403, 404, 409, 413, 415, 503, 507),
)
async def set_room(call: Call[SetRoom]) -> RoomView:
    """Close the room, so that only instructors write, or open it again."""
    session, wanted = call.session, call.body.open
    await call.tool.chat.moderation.set_open(session.key, session.user, is_open=wanted)
    return await _view(call)


@calls.add(
    "POST",
    "/api/chat/live",
    access="instructor",
    body=SetLive,
    reply=RoomView,
    failures=(400, 401, 403, 404, 409, 413, 415, 503, 507),
)
async def set_live(call: Call[SetLive]) -> RoomView:
    """Begin or end a live session; it ends by itself after a while."""
    session, wanted = call.session, call.body.live
    await call.tool.chat.moderation.set_live(session.key, session.user, is_live=wanted)
    return await _view(call)


@calls.add(
    "POST",
    "/api/chat/mutes",
    access="instructor",
    body=PutMute,
    reply=RoomView,
    failures=(400, 401, 403, 404, 409, 413, 415, 503, 507),
)
async def put_mute(call: Call[PutMute]) -> RoomView:
    """Mute a member, for some minutes or until it is lifted."""
    session, body = call.session, call.body
    await call.tool.chat.moderation.mute(session.key, session.user, body.user, body.minutes)
    return await _view(call)


@calls.add(
    "POST",
    "/api/chat/mutes/lift",
    access="instructor",
    body=LiftMute,
    reply=RoomView,
    failures=(400, 401, 403, 404, 409, 413, 415, 503, 507),
)
async def lift_mute(call: Call[LiftMute]) -> RoomView:
    """Let a member write again."""
    session, body = call.session, call.body
    await call.tool.chat.moderation.unmute(session.key, session.user, body.user)
    return await _view(call)


@calls.add("DELETE", "/api/chat/messages/{seq}", access="course", status=204, failures=(400, 401, 403, 404, 503, 507))
async def delete_message(call: Call[None]) -> Response:
    """Delete a message: instructors any, authors their own for a while; again is harmless."""
    text = call.request.path_params["seq"]
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_NEWEST)) and int(text) <= _NEWEST):
        raise errors.Invalid("seq must be the number of a message", details={"parameter": "seq"})
    await call.tool.chat.moderation.delete(call.session.key, call.session.user, int(text))
    return Response(status_code=204)


@calls.add(
    "GET",
    "/api/chat/moderation",
    access="instructor",
    reply=Log,
    failures=(400, 401, 403, 503),
    parameters=(
        Parameter("before", {"type": "integer", "minimum": 0}, "Only what was done before this `revision`."),
        _LIMIT.parameter,
    ),
)
async def read_log(call: Call[None]) -> Log:
    """Tell who did what in the room and when, the newest first."""
    before = call.whole_number("before", default=_NEWEST)
    limit = _LIMIT.of(call)
    found = await call.tool.chat.moderation.log(call.session.key, before or 0, limit)
    return Log(found)


async def _view(call: Call[Any]) -> RoomView:
    state = await read_room(call.tool.shards, call.tool.clock, call.session.key)
    return RoomView(state.open, state.live, state.mutes, state.revision)
