"""Serving an object: conditions, one byte range, HEAD (RFC 9110, sections 13 and 14).

Several ranges at once are answered as none, with the whole object once: a header of a thousand overlapping ones asks
for no more than a plain request.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

from starlette.responses import Response, StreamingResponse

from atomic_guide import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request


class Streams(Protocol):
    """A store as something to read from."""

    def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`."""
        ...


_RANGE = re.compile(r"bytes=(\d{0,15})-(\d{0,15})")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The half-open range that a Range header asks of `size` bytes; None for the whole.

    A header that is no single range of bytes is ignored, as the RFC wants. Raises `RangeUnsatisfiable`.
    """
    match = _RANGE.fullmatch((header or "").replace(" ", ""))
    if not match or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise errors.RangeUnsatisfiable(f"the object has {size} bytes")
    return start, end


class Object(NamedTuple):
    """What is served: `stream(name, start, end)` gives its bytes, `etag` is a strong one."""

    store: Streams
    name: str
    size: int
    etag: str
    kind: str


def serve(request: Request, found: Object, headers: dict[str, str]) -> Response:
    """An object or a range of it."""
    headers = {**headers, "ETag": found.etag, "Accept-Ranges": "bytes"}
    if same_tag(request, found.etag):
        return Response(status_code=304, headers=headers)
    headers["Content-Type"] = found.kind
    if_range = request.headers.get("if-range")
    wanted = request.headers.get("range") if if_range in {None, found.etag} else None
    try:
        part = byte_range(wanted, found.size)
    except errors.RangeUnsatisfiable as error:
        return Response(error.message, 416, headers={"Content-Range": f"bytes */{found.size}"})
    start, end = part or (0, found.size)
    headers["Content-Length"] = str(end - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{found.size}"
    status = 206 if part else 200
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    return StreamingResponse(found.store.stream(found.name, start, end), status, headers)


def asked_of(request: Request, size: int) -> int:
    """How many of an object's bytes a request asks for."""
    if request.method == "HEAD":
        return 0
    try:
        start, end = byte_range(request.headers.get("range"), size) or (0, size)
    except errors.RangeUnsatisfiable:
        return 0
    return end - start


def same_tag(request: Request, etag: str) -> bool:
    """Whether If-None-Match names the current version."""
    named = request.headers.get("if-none-match", "")
    return named == "*" or etag in [tag.strip().removeprefix("W/") for tag in named.split(",")]
