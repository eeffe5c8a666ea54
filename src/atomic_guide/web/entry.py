"""How a page comes in and stays in: the code for a token, its refresh, and what the page needs to know first."""

from __future__ import annotations

from typing import Annotated

import msgspec

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.web.routing import Call, Calls, Repeats
from atomic_guide.web.sessions import Session, Tokens

QUERIES = load_queries(__package__)

calls = Calls()


class CodeGiven(msgspec.Struct, forbid_unknown_fields=True):
    """The one-time code of a launched page, or the resume code of an earlier session."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class User(msgspec.Struct):
    """A person, by the LMS's own id."""

    id: str
    name: str
    role: str


class CourseTitle(msgspec.Struct):
    """A course as its page names it."""

    id: str
    title: str


class Entered(msgspec.Struct):
    """A session: the token goes into `Authorization: Bearer`; `resume` is good once, after a reload or a sleep."""

    token: str
    expires_in: int
    resume: str
    user: User
    course: CourseTitle


class Space(msgspec.Struct):
    """Bytes that a course's lectures take, and may take."""

    used: int
    limit: int


class UploadLimit(msgspec.Struct):
    """What one upload may be."""

    max_bytes: int


class Limits(msgspec.Struct):
    """What the page checks before it sends, and for how long people may delete what they wrote."""

    message_characters: int
    own_deletion_minutes: int


class Course(msgspec.Struct):
    """What the course page needs to know first."""

    id: str
    title: str
    user: User
    locale: str
    return_url: str | None
    space: Space
    upload: UploadLimit
    limits: Limits


@calls.add(
    "POST",
    "/api/session",
    access="none",
    body=CodeGiven,
    reply=Entered,
    failures=(401,),
    repeats=Repeats("itself", "A code is used up under the key, and another code is another caller."),
)
async def enter(call: Call[CodeGiven]) -> Entered:
    """Exchange a one-time code for a session."""
    return _entered(await call.tool.sessions.exchange(call.body.code, call.idempotency_key))


@calls.add(
    "POST",
    "/api/session/refresh",
    access="course",
    reply=Entered,
    failures=(401,),
    repeats=Repeats("itself", "The key makes the resume code; an answer that holds a token is kept nowhere."),
)
async def refresh(call: Call[None]) -> Entered:
    """Get a new token before the old one expires."""
    return _entered(await call.tool.sessions.refresh(call.session, call.idempotency_key))


@calls.add("GET", "/api/course", access="course", reply=Course, failures=(401,))
async def course(call: Call[None]) -> Course:
    """Describe the session's course to its page."""
    session = call.session
    row = await call.tool.shards.of(session.key).one(QUERIES["find_course"], session.key.columns)
    space = await call.tool.media.videos.space(session.key)
    chat = call.tool.chat.moderation.settings
    return Course(
        id=session.course,
        title=row["title"] if row else session.title,
        user=_user(session),
        locale=session.locale,
        return_url=row["return_url"] if row else None,
        space=Space(space["used"], space["limit"]),
        upload=UploadLimit(call.tool.media.settings.max_bytes),
        limits=Limits(chat.message_characters, chat.own_deletion_minutes),
    )


def _entered(tokens: Tokens) -> Entered:
    session = tokens.session
    return Entered(
        tokens.token, tokens.expires_in, tokens.resume, _user(session), CourseTitle(session.course, session.title)
    )


def _user(session: Session) -> User:
    return User(session.user, session.name, session.role)
