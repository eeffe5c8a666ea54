"""Serving an object: conditions, byte ranges, HEAD (RFC 9110, sections 13 and 14).

Of several ranges those that overlap, or lie closer together than what tells them apart takes, are sent as one, so that
no byte is sent twice. More than a few at once are answered as none, with the whole object: a header of a thousand asks
for no more than a plain request. Starlette's own answer with ranges is for files only; an object may be in a bucket.
"""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, NamedTuple, Protocol

from starlette.responses import Response, StreamingResponse

from atomic_guide import errors

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request


class Streams(Protocol):
    """A store as something to read from."""

    def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`."""
        ...


_RANGE = re.compile(r"([0-9]{0,15})-([0-9]{0,15})")
_MOST = 8
"""Ranges of one request: a player asks for one, a reader of an index and its entries for a few."""
_NEAR = 128
"""Bytes between two ranges that are sent along with them: the lines before another part take about as many."""


def byte_ranges(header: str | None, size: int) -> list[tuple[int, int]]:
    """The half-open ranges that a Range header asks of `size` bytes, apart and as they were asked for; none: the whole.

    A header that is no set of a few ranges of bytes is ignored, as the RFC wants. Raises `RangeUnsatisfiable`.
    """
    unit, _, listed = (header or "").replace(" ", "").partition("=")
    specs = listed.split(",", _MOST)
    if unit.lower() != "bytes" or len(specs) > _MOST:
        return []
    found: list[tuple[int, int]] = []
    for spec in specs:
        match = _RANGE.fullmatch(spec)
        if not match or spec == "-":
            return []
        first, last = match[1], match[2]
        if first and last and int(last) < int(first):
            return []
        start = int(first) if first else max(0, size - int(last))
        end = min(size, int(last) + 1) if first and last else size
        if start < end:
            found.append((start, end))
    if not found:
        raise errors.RangeUnsatisfiable(f"the object has {size} bytes")
    return _apart(found)


def _apart(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same bytes in ranges that lie apart, each where the first of what it is made of stood."""
    made: list[tuple[int, int, int]] = []
    for start, end, place in sorted((start, end, place) for place, (start, end) in enumerate(ranges)):
        if made and start <= made[-1][1] + _NEAR:
            before = made[-1]
            made[-1] = (before[0], max(before[1], end), min(before[2], place))
        else:
            made.append((start, end, place))
    return [(start, end) for start, end, _ in sorted(made, key=lambda one: one[2])]


class Object(NamedTuple):
    """What is served: `stream(name, start, end)` gives its bytes, `etag` is a strong one."""

    store: Streams
    name: str
    size: int
    etag: str
    kind: str


def serve(request: Request, found: Object, headers: dict[str, str]) -> Response:
    """An object, or ranges of it."""
    headers = {**headers, "ETag": found.etag, "Accept-Ranges": "bytes"}
    if same_tag(request, found.etag):
        return Response(status_code=304, headers=headers)
    try:
        parts = _asked(request, found)
    except errors.RangeUnsatisfiable as error:
        return Response(error.message, 416, headers={"Content-Range": f"bytes */{found.size}"})
    if len(parts) > 1:
        return _several(found, parts, headers)
    start, end = parts[0] if parts else (0, found.size)
    headers |= {"Content-Type": found.kind, "Content-Length": str(end - start)}
    if parts:
        headers["Content-Range"] = _content_range(start, end, found)
    if request.method == "HEAD":
        return Response(headers=headers)
    return StreamingResponse(found.store.stream(found.name, start, end), 206 if parts else 200, headers)


def _asked(request: Request, found: Object) -> list[tuple[int, int]]:
    """The ranges of a GET; the RFC knows none of HEAD. Raises `RangeUnsatisfiable`."""
    if request.method == "HEAD" or request.headers.get("if-range") not in {None, found.etag}:
        return []
    return byte_ranges(request.headers.get("range"), found.size)


def _several(found: Object, parts: Sequence[tuple[int, int]], headers: dict[str, str]) -> Response:
    """Several ranges as the parts of one body (RFC 9110, section 14.6)."""
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {found.kind}\r\n"
        f"Content-Range: {_content_range(start, end, found)}\r\n\r\n".encode()
        for start, end in parts
    ]
    last = f"\r\n--{boundary}--\r\n".encode()

    async def body() -> AsyncIterator[bytes]:
        for head, (start, end) in zip(heads, parts, strict=True):
            yield head
            async for chunk in found.store.stream(found.name, start, end):
                yield chunk
        yield last

    length = sum(map(len, heads)) + sum(end - start for start, end in parts) + len(last)
    kind = f"multipart/byteranges; boundary={boundary}"
    return StreamingResponse(body(), 206, {**headers, "Content-Type": kind, "Content-Length": str(length)})


def _content_range(start: int, end: int, found: Object) -> str:
    return f"bytes {start}-{end - 1}/{found.size}"


def asked_of(request: Request, size: int) -> int:
    """How many of an object's bytes a request asks for."""
    if request.method == "HEAD":
        return 0
    try:
        parts = byte_ranges(request.headers.get("range"), size)
    except errors.RangeUnsatisfiable:
        return 0
    return sum(end - start for start, end in parts) if parts else size


def same_tag(request: Request, etag: str) -> bool:
    """Whether If-None-Match names the current version."""
    named = request.headers.get("if-none-match", "")
    return named == "*" or etag in [tag.strip().removeprefix("W/") for tag in named.split(",")]
