"""The description of every call, made from the table that serves them: OpenAPI 3.1 at /openapi.json.

Shapes come from the very types that decode and encode the bodies. Every failure that the route table itself can
answer is listed without being declared: 400, 413 and 415 with a body, 401 and 403 with a session, 503 while an
engine is away; a call declares only what is its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.web.access import CONSOLE, COOKIE
from atomic_guide.web.routing import BOOKMARK, KEPT, Call, Calls, Declared, Media

calls = Calls()

JSON = "application/json"
_PATH_PARAMETER = re.compile(r"{(\w+)(?::\w+)?}")
_REFERENCE = "#/components/schemas/{name}"
_PHRASES = {errors.ChecksumMismatch.status: "Checksum Mismatch"}
"""Statuses that only tus knows."""
_RANGE = range(400, 600)
_PERSONAL = frozenset({"course", "instructor"})
"""Access by a person's session."""


class ErrorBody(msgspec.Struct):
    """What went wrong: `code` is stable, `message` is for people, `details` depends on the code."""

    code: str
    message: str
    details: dict[str, Any]
    timestamp: str


class Problem(msgspec.Struct):
    """How every call answers a failure."""

    error: ErrorBody


@calls.add("GET", "/openapi.json", access="none", reply=dict[str, Any])
async def read_description(call: Call[None]) -> Response:
    """Describe every call (OpenAPI 3.1)."""
    state = call.request.app.state
    if not hasattr(state, "description"):
        state.description = msgspec.json.encode(describe(state.declared))
    return Response(state.description, media_type=JSON)


def describe(declared: Iterable[Declared]) -> dict[str, Any]:
    """The OpenAPI document of some calls."""
    rows = list(declared)
    types = list(dict.fromkeys([Problem, *_types(rows)]))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in rows:
        path = _PATH_PARAMETER.sub(r"{\1}", row.path)
        paths.setdefault(path, {})[row.method.lower()] = _operation(row, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Atomic Guide",
            "version": version("atomic-guide"),
            "description": "A learning tool for an LMS: live course rooms, lecture videos, performance figures.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The token of POST /api/session: one person in one course.",
                },
                "operator": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The operators' token of this installation.",
                },
                "console": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": "An operator's session; by https its name begins with __Host-. An act with it needs"
                    f" {CONSOLE}: 1 and an Origin or Sec-Fetch-Site of this origin.",
                },
            },
        },
    }


def _types(rows: list[Declared]) -> Iterator[Any]:
    for row in rows:
        for kind in (row.body, row.reply):
            if kind is not None and not isinstance(kind, Media):
                yield kind


def _operation(row: Declared, schemas: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(row),
        "tags": [_tag(row.path)],
        "summary": row.summary,
        "responses": _responses(row, schemas),
    }
    if parameters := [*_path_parameters(row), *_declared_parameters(row)]:
        operation["parameters"] = parameters
    if contents := _contents(row, schemas):
        operation["requestBody"] = {"required": True, "content": contents}
    if row.access != "none":
        operation["security"] = [{"operator": []}, {"console": []}] if row.access == "operator" else [{"session": []}]
    return operation


def _operation_id(row: Declared) -> str:
    words = re.findall(r"[a-z0-9]+", row.path.lower())
    return "_".join([row.method.lower(), *words])


def _tag(path: str) -> str:
    words = [word for word in path.split("/") if word and not word.startswith("{")]
    return words[1] if len(words) > 1 and words[0] == "api" else words[0] if words else "pages"


def _path_parameters(row: Declared) -> Iterator[dict[str, Any]]:
    for name in _PATH_PARAMETER.findall(row.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _declared_parameters(row: Declared) -> Iterator[dict[str, Any]]:
    for parameter in row.parameters:
        yield {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required,
            "description": parameter.description,
            "schema": parameter.schema,
        }
    if row.access in _PERSONAL:
        yield {
            "name": BOOKMARK,
            "in": "header",
            "required": False,
            "description": "The bookmarks of earlier answers, with commas between them: the call shows what they have"
            " seen. Without it, or with first-primary, all that was committed when it came; first-unconstrained: what"
            " a replica has at hand.",
            "schema": {"type": "string"},
        }
    declared = any(parameter.name == "Idempotency-Key" for parameter in row.parameters)
    if row.repeats is not None and row.repeats.how != "none" and not declared:
        text = f"The same key with the same request is done once and answered again. {row.repeats.why}"
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "description": text.strip(),
            "schema": {"type": "string", "pattern": r"^[\x21-\x7e]{1,255}$"},
        }


def _contents(row: Declared, schemas: dict[Any, Any]) -> dict[str, Any]:
    """The request's body by media type; empty where the call takes none."""
    if row.body is None and row.body_kinds == (JSON,):
        return {}
    return {kind: {"schema": _body_schema(kind, row, schemas)} for kind in row.body_kinds}


def _body_schema(kind: str, row: Declared, schemas: dict[Any, Any]) -> dict[str, Any]:
    if kind in {JSON, "multipart/form-data"} and row.body is not None:
        return dict(schemas[row.body])
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return {"type": "object"}
    return {"type": "string"} if kind.startswith("text/") or kind.endswith("ndjson") else {}


def _responses(row: Declared, schemas: dict[Any, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": HTTPStatus(row.status).phrase}
    if isinstance(row.reply, Media):
        good["content"] = {row.reply.kind: {"schema": {"type": "string"}}}
    elif row.reply is not None:
        good["content"] = {JSON: {"schema": schemas[row.reply]}}
    if row.access in _PERSONAL:
        good["headers"] = {
            BOOKMARK: {
                "description": "What the caller has seen by now, for its next call; it stands for those it had sent.",
                "schema": {"type": "string"},
            }
        }
    responses = {str(row.status): good}
    for status in sorted(_failures(row)):
        responses.setdefault(str(status), _failure(row, status, schemas))
    return responses


def _failures(row: Declared) -> set[int]:
    found = {*row.errors, errors.Unavailable.status}
    if row.parameters or row.method == "POST":
        found.add(errors.Invalid.status)
    if row.repeats == KEPT:
        found |= {errors.Conflict.status, errors.KeyReused.status}
    if row.body is not None or row.body_kinds != (JSON,):
        found |= {errors.Invalid.status, errors.TooLarge.status, errors.UnsupportedMedia.status}
    if row.access != "none":
        found.add(errors.Unauthenticated.status)
    if row.access == "operator":
        found.add(errors.RateLimited.status)
    if row.access == "instructor" or (row.access == "operator" and row.method != "GET"):
        found.add(errors.Forbidden.status)
    if _PATH_PARAMETER.search(row.path):
        found.add(errors.NotFound.status)
    return found


def _failure(row: Declared, status: int, schemas: dict[Any, Any]) -> dict[str, Any]:
    """A failure, or another success that the call declares, such as 200 for what was there already."""
    answer: dict[str, Any] = {"description": _PHRASES.get(status) or HTTPStatus(status).phrase}
    if status not in _RANGE:
        if row.reply is not None and not isinstance(row.reply, Media):
            answer["content"] = {JSON: {"schema": schemas[row.reply]}}
        return answer
    answer["content"] = {JSON: {"schema": schemas[Problem]}}
    if row.reply is None and row.access == "none":
        # Browsers come here: they get the failure as a page.
        answer["content"]["text/html"] = {"schema": {"type": "string"}}
    if status in {errors.RateLimited.status, errors.Unavailable.status}:
        answer["headers"] = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}}}
    return answer
