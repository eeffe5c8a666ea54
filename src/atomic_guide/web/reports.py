"""Scores in, figures out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Annotated

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.course.analytics.ingest import Taking
from atomic_guide.course.analytics.limits import JSON_BYTES
from atomic_guide.course.analytics.performance import Report
from atomic_guide.course.analytics.scores import TEXT_LIMIT
from atomic_guide.web.bodies import media_type, read_body
from atomic_guide.web.idempotency import Hashed
from atomic_guide.web.routing import Answer, Call, Calls, Repeats, Whose, json_page

calls = Calls()

JSON = "application/json"
CSV = "text/csv"
NDJSON = "application/x-ndjson"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=TEXT_LIMIT)]


class PostedScore(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One attempt. `user` is the LMS's own id (`sub`), `at` an ISO 8601 time, UTC where it has no offset."""

    user: _Name
    activity: _Name
    score: Annotated[float, msgspec.Meta(ge=0)]
    max: Annotated[float, msgspec.Meta(gt=0)]
    at: Annotated[str, msgspec.Meta(examples=["2025-11-20T10:00:00Z"])]
    id: Annotated[str, msgspec.Meta(max_length=TEXT_LIMIT, description="Stored once in the course.")] | None = None


_NAME = "POST /api/analytics/performance"


class PostedScores(msgspec.Struct, forbid_unknown_fields=True):
    """Attempts; a row that cannot be taken is rejected alone."""

    scores: list[PostedScore]


@calls.add(
    "POST",
    "/api/analytics/performance",
    access="instructor",
    body=PostedScores,
    body_kinds=(JSON, CSV, NDJSON),
    streamed=True,
    reply=Taking,
    failures=(409, 413, 415, 422, 507),
    repeats=Repeats("itself", "The body is read as it comes, and its digest is what the key was used for."),
)
async def post_scores(call: Call[None]) -> Answer:
    """Take scores into the course; sending rows again is harmless."""
    scores, key, request = call.tool.scores, call.session.key, call.request
    kind = media_type(request)
    if kind == JSON:
        return await _post_json(call)
    if kind not in {CSV, NDJSON}:
        message = f"send {JSON}, {CSV} or {NDJSON}, not {kind or 'a body without a Content-Type'}"
        raise errors.UnsupportedMedia(message)
    pieces = Hashed(_pieces(request, scores.settings.stall_seconds))

    async def take() -> Answer:
        return Answer(await (scores.take_csv(key, pieces) if kind == CSV else scores.take_ndjson(key, pieces)))

    return await call.tool.answers.once(call, Whose(key, call.session.user), _NAME, kind, take, pieces.whole)


@calls.add("GET", "/api/analytics/performance", access="course", reply=Report)
async def performance(call: Call[None]) -> Report | Response:
    """Show how the course does: to instructors every student, to students what is theirs to see."""
    session = call.session
    if session.is_instructor:
        call.tool.reads.note(session.key, session.user, "performance")
        # Ready as it is remembered; encoding it anew would be two fifths of what the call takes.
        return json_page(await call.tool.performance.page(session.key))
    return await call.tool.performance.for_student(session.key, session.user)


async def _post_json(call: Call[None]) -> Answer:
    scores, key = call.tool.scores, call.session.key
    body = await read_body(call.request, scores.settings.json_bytes, (JSON,), JSON_BYTES)

    async def take() -> Answer:
        return Answer(await scores.take_json(key, body))

    digest = hashlib.sha256(body).hexdigest()
    return await call.tool.answers.once(call, Whose(key, call.session.user), _NAME, digest, take)


async def _pieces(request: Request, stall_seconds: float) -> AsyncIterator[bytes]:
    """The body as it comes in. Raises `Invalid` where it breaks off or stalls."""
    stream = request.stream()
    try:
        while True:
            async with asyncio.timeout(stall_seconds):
                piece = await anext(stream, None)
            if piece is None:
                return
            yield piece
    except ClientDisconnect as error:
        message = "the body ended before its declared length; send it again, rows that were stored are passed over"
        raise errors.Invalid(message) from error
    except TimeoutError as error:
        message = f"nothing of the body came for {stall_seconds:g} s; send it again"
        raise errors.Invalid(message) from error
