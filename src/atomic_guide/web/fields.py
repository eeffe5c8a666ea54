"""Fields of forms and queries from browsers: strictly UTF-8, every field once, bounded."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from atomic_guide import errors
from atomic_guide.course.lti.limits import FORM_BYTES
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.web.bodies import read_body

_FIELDS = 64
_KIND = "application/x-www-form-urlencoded"

Fields = dict[str, str]


async def read_form(request: Request, limit: int) -> Fields:
    """The fields of a posted form of at most `limit` bytes. Raises `Refused`."""
    try:
        return parse_fields(await read_body(request, limit, (_KIND,), FORM_BYTES))
    except errors.TooLarge as error:
        raise Refused(Refusal.LTI_FORM_TOO_LARGE) from error
    except (errors.Invalid, errors.UnsupportedMedia) as error:
        raise Refused(Refusal.LTI_FORM_MALFORMED) from error


def read_query(request: Request) -> Fields:
    """The fields of a query. Raises `Refused`."""
    return parse_fields(request.scope.get("query_string", b""))


def parse_fields(body: bytes) -> Fields:
    """The fields of a form or query, each once. Raises `Refused`."""
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except ValueError as error:
        raise Refused(Refusal.LTI_FORM_MALFORMED) from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Refused(Refusal.LTI_FORM_MALFORMED)
    return fields
