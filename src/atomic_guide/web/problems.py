"""Errors as HTTP: one JSON shape for every failure, whoever raises it."""

from __future__ import annotations

import math
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from starlette.exceptions import HTTPException

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.web.routing import json_response

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_log = structlog.get_logger(__name__)

_BY_STATUS: dict[int, type[errors.GuideError]] = {
    400: errors.Invalid,
    401: errors.Unauthenticated,
    403: errors.Forbidden,
    404: errors.NotFound,
    405: errors.MethodNotAllowed,
    413: errors.TooLarge,
}


def problem(error: errors.GuideError, headers: dict[str, str] | None = None) -> Response:
    """The response for an error: `{"error": {code, message, details, timestamp}}`, and Retry-After where it has one."""
    sent = dict(headers or {})
    if error.retry_after is not None or error.status in {429, 503}:
        # Whole seconds, never 0: "try again at once" would be a lie for both.
        sent["Retry-After"] = str(max(1, math.ceil(error.retry_after or 1)))
    if error.status == errors.Unauthenticated.status:
        sent.setdefault("WWW-Authenticate", "Bearer")
    return json_response(
        {
            "error": {
                "code": error.code,
                "message": error.message,
                "details": error.details,
                "timestamp": iso(time.time()),
            }
        },
        error.status,
        sent,
    )


def raw(response: Response) -> bytes:
    """A response as HTTP/1.1 writes it, for a connection on which no request reached the application."""
    lines = [f"HTTP/1.1 {response.status_code} {HTTPStatus(response.status_code).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)


async def on_guide_error(_request: Request, error: Exception) -> Response:
    """Answer an error that the product raised on purpose."""
    assert isinstance(error, errors.GuideError)  # noqa: S101 - Starlette dispatches by this type
    if error.status >= errors.GuideError.status and error.__cause__ is not None:
        _log.warning("request failed", code=error.code, cause=repr(error.__cause__))
    return problem(error)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what Starlette refuses itself: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette dispatches by this type
    kind = _BY_STATUS.get(error.status_code, errors.Invalid)
    message = {404: f"there is nothing at {request.url.path}", 405: f"{request.method} is not allowed here"}.get(
        error.status_code, str(error.detail)
    )
    return problem(kind(message), dict(error.headers or {}))


async def on_unexpected(request: Request, error: Exception) -> Response:
    """Answer a defect of ours without showing its insides; the log has the trace under the request's id."""
    # Without the path, which may carry a signature; the request's own line names the route.
    _log.error("unexpected error", method=request.method, exc_info=error)
    return problem(errors.GuideError("something went wrong here; the server's log has the details"))
