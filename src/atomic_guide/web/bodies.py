"""Bodies of requests: read within their bounds, and decoded strictly."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide import errors
from atomic_guide.limit import Limit
from atomic_guide.web.bounds import BODY_BYTES

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_SECONDS = 30.0
BODY_PACE = 16 * 1024
"""A body that is held may take this many seconds, and one more for so many bytes of its limit: a bad phone's pace."""


async def read_body(request: Request, limit: int, kinds: tuple[str, ...], bound: Limit = BODY_BYTES) -> bytes:
    """The whole body, of at most `limit` bytes, which are those of `bound`.

    Raises `UnsupportedMedia` or `TooLarge` before it is held, `Invalid` where it breaks off.
    """
    kind = media_type(request)
    if kind not in kinds:
        raise errors.UnsupportedMedia(f"send {' or '.join(kinds)}, not {kind or 'a body without a Content-Type'}")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        bound.note(int(declared))
        raise bound.over(errors.TooLarge(f"the body is {declared} bytes, at most {limit} are taken"))
    parts: list[bytes] = []
    size = 0
    seconds = BODY_SECONDS + limit / BODY_PACE
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await request.receive()
                if message["type"] != "http.request":
                    raise errors.Invalid("the body ended before its declared length")
                part = message.get("body", b"")
                size += len(part)
                if size > limit:
                    bound.note(size)
                    raise bound.over(errors.TooLarge(f"the body is over {limit} bytes"))
                parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError as error:
        raise errors.Invalid(f"the body did not come within {seconds:.0f} s") from error
    bound.note(size)
    return b"".join(parts)


def media_type(request: Request) -> str:
    """The body's declared type without its parameters, in lower case; empty where there is none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


_PEOPLE_SAY = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_KINDS = re.compile(r"`({0}(?: \| {0})*)`".format(f"(?:{'|'.join(_PEOPLE_SAY)})"))


def _said(kinds: re.Match[str]) -> str:
    return " or ".join(_PEOPLE_SAY[kind] for kind in kinds[1].split(" | "))


def decoded(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    """A JSON body as what its call takes. Raises `Invalid` naming the field."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").removeprefix("$.")
        message = _KINDS.sub(_said, f"{text[0].lower()}{text[1:]}")
        raise errors.Invalid(
            f"{field}: {message}" if field else message, details={"field": field} if field else None
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the body is not JSON in UTF-8: {error}"
        raise errors.Invalid(message) from error
