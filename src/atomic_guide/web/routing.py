"""The route table: each call is declared once, which serves it and describes it in /openapi.json.

    calls = Calls()

    @calls.add("POST", "/api/chat/message", access="course", body=PostMessage, reply=Posted, status=201)
    async def post_message(call: Call[PostMessage]) -> Answer | Posted: ...

A handler gets a `Call` (tool, session, decoded body, raw request) and returns a msgspec-encodable value (sent
with the declared status), an `Answer` (another status or headers), or a Starlette response. It raises
`GuideError`s. Before it runs, the table has checked the session and the role, bounded the body's size, decoded it
strictly into its type, and entered a session of the databases at the bookmark that the caller sent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atomic_guide import errors
from atomic_guide.clock import from_iso
from atomic_guide.engines.data.session import FIRST_PRIMARY
from atomic_guide.operations.operators.audit import Act, objects_of, why_of
from atomic_guide.web.acts import acted
from atomic_guide.web.bodies import decoded, read_body
from atomic_guide.web.crossing import REGION, check_region

if TYPE_CHECKING:
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.operations.operators.model import Operator
    from atomic_guide.regions.here import Here
    from atomic_guide.web.overload import Kind
    from atomic_guide.web.sessions import Session
    from atomic_guide.web.tool import Tool

Access = Literal["none", "course", "instructor", "operator"]
B = TypeVar("B")

BOOKMARK = "Atomic-Guide-Bookmark"
"""The header in which a client is told what its session has seen, and with which it goes on from there. It may send
several with commas between them; without one, a call shows all that was committed when it came."""

TENANT = "atomic_guide.tenant"
"""Where a request's scope says whose work it was, for who surrounds the table."""
ELSEWHERE = "atomic_guide.elsewhere"
"""Where it says how many bytes the answer has a browser get from a bucket, which are sent and paid for, too."""

_READING = frozenset({"GET", "HEAD"})

_encoder = msgspec.json.Encoder()


class Answer(NamedTuple):
    """A reply with a status or headers other than the declared ones."""

    value: Any
    status: int = 200
    headers: dict[str, str] | None = None


class Media(NamedTuple):
    """What a call answers with that is not JSON, for its description."""

    kind: str


class Parameter(NamedTuple):
    """A query or header parameter, for the description of the call."""

    name: str
    schema: dict[str, Any]
    description: str
    required: bool = False
    place: Literal["query", "header"] = "query"


class Repeats(NamedTuple):
    """What a POST does with an Idempotency-Key, and why it does that itself.

    `kept`: the table claims the key, keeps the answer and gives it again. `itself`: the handler does, or its work is
    the same work under the same key by its nature. `none`: whoever posts here can send no such header.
    """

    how: Literal["kept", "itself", "none"]
    why: str = ""


KEPT = Repeats("kept")


class Claim(NamedTuple):
    """A claimed Idempotency-Key. Under its `mark` stands what is made for it, also by who held it before."""

    mark: str
    taken_over: bool = False


class Whose(NamedTuple):
    """Whose Idempotency-Key it is."""

    key: CourseKey
    user: str


class Declared(NamedTuple):
    """One call as declared: what the description and the server are made from; `repeats` is None but for POST."""

    method: str
    path: str
    summary: str
    access: Access
    body: Any
    body_kinds: tuple[str, ...]
    reply: Any
    status: int
    errors: tuple[int, ...]
    parameters: tuple[Parameter, ...]
    handler: Handler
    repeats: Repeats | None
    shed: Kind | None = None
    action: str = ""
    """What an operator does by it, in the audit log: the handler's name."""


class Call(Generic[B]):
    """What a handler works on."""

    __slots__ = ("_operator", "_session", "body", "claim", "request", "tool")

    def __init__(self, request: Request, tool: Tool, session: Session | None, body: B) -> None:
        self.request = request
        self.tool = tool
        self.body = body
        self.claim: Claim | None = None
        self._session = session
        self._operator: Operator | None = None

    @property
    def operator(self) -> Operator:
        """Who calls, in a call of operators; `Unauthenticated` in any other."""
        if self._operator is None:
            message = "this call needs an operator"
            raise errors.Unauthenticated(message)
        return self._operator

    @operator.setter
    def operator(self, operator: Operator) -> None:
        self._operator = operator

    @property
    def session(self) -> Session:
        """The caller's session; `Unauthenticated` where the call has none."""
        if self._session is None:
            message = "this call needs a session"
            raise errors.Unauthenticated(message)
        return self._session

    @property
    def regions(self) -> Here:
        """What this process knows of the regions."""
        here: Here = self.request.app.state.regions
        return here

    @property
    def idempotency_key(self) -> str | None:
        """The header Idempotency-Key, 1 to 255 visible characters; `Invalid` otherwise."""
        return checked_idempotency_key(self.request)

    def whole_number(
        self, name: str, *, default: int | None = None, least: int = 0, most: int = 2**53 - 1
    ) -> int | None:
        """A query parameter as a whole number within bounds; `Invalid` naming it otherwise."""
        text = self.request.query_params.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,16}", text) or not least <= int(text) <= most:
            message = f"{name} must be a whole number from {least} to {most}"
            raise errors.Invalid(message, details={"parameter": name})
        return int(text)


def moment(name: str, text: str | None, otherwise: float = 0.0) -> float:
    """A parameter that is an ISO 8601 time, as epoch seconds; `Invalid` naming it where it is none."""
    if text is None:
        return otherwise
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise errors.Invalid(f"{name} is no ISO 8601 time", details={"parameter": name}) from error


Handler = Callable[[Call[Any]], Awaitable[Any]]


class Calls:
    """A part of the route table; `web.server` joins them."""

    def __init__(self) -> None:
        self.declared: list[Declared] = []

    def add(  # noqa: PLR0913 - a declaration is a table row: every column has a name and most a default
        self,
        method: str,
        path: str,
        *,
        access: Access,
        body: Any = None,
        body_kinds: tuple[str, ...] = ("application/json",),
        streamed: bool = False,
        reply: Any = None,
        status: int = 200,
        failures: tuple[int, ...] = (),
        parameters: tuple[Parameter, ...] = (),
        repeats: Repeats = KEPT,
        shed: Kind | None = None,
    ) -> Callable[[Handler], Handler]:
        """Declare a call. `body=None` leaves the body to the handler (uploads, forms).

        A `streamed` body is read by the handler too; then `body` only describes its JSON form. `repeats` is for POST.
        A call that can wait says by `shed` with which class it is refused under overload (web/overload.py).
        """
        decoder = msgspec.json.Decoder(body) if body is not None and not streamed else None
        kept = method == "POST" and repeats is KEPT
        if kept and (streamed or access == "none"):
            message = f"POST {path} must say by `repeats` what an Idempotency-Key does"
            raise ValueError(message)

        def declare(handler: Handler) -> Handler:
            summary = (handler.__doc__ or "").strip().split("\n")[0].rstrip(".")

            async def serve(call: Call[Any]) -> Any:
                if decoder is not None:
                    limit: int = call.request.app.state.body_bytes
                    call.body = decoded(decoder, await read_body(call.request, limit, body_kinds))
                return await handler(call)

            async def serve_once(call: Call[Any]) -> Any:
                if "idempotency-key" not in call.request.headers:
                    return await serve(call)
                if decoder is not None:
                    limit: int = call.request.app.state.body_bytes
                    call.body = decoded(decoder, await read_body(call.request, limit, body_kinds))
                return await _once(call, row, handler)

            async def serve_unless_shed(call: Call[Any]) -> Any:
                call.tool.overload.check(cast("Kind", shed))
                return await (serve_once if kept else serve)(call)

            row = Declared(
                *(method, path, summary, access, body, body_kinds, reply, status, failures, parameters),
                serve_unless_shed if shed is not None else serve_once if kept else serve,
                repeats if method == "POST" else None,
                shed,
                handler.__name__,
            )
            self.declared.append(row)
            return handler

        return declare


def checked_idempotency_key(request: Request) -> str | None:
    """The header Idempotency-Key; `Invalid` unless it is 1 to 255 visible ASCII characters."""
    key = request.headers.get("idempotency-key")
    if key is not None and not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        message = "Idempotency-Key must be 1 to 255 visible ASCII characters"
        raise errors.Invalid(message, details={"header": "Idempotency-Key"})
    return key


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A value as a JSON response, which nobody keeps unless `headers` say so: tokens and names are in it."""
    return json_page(_encoder.encode(value), status, headers)


def json_page(page: bytes, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The same of what is JSON already."""
    return Response(page, status, {"Cache-Control": "no-store", **(headers or {})}, "application/json")


def routes(declared: list[Declared]) -> list[Route]:
    """Starlette routes, one for each path, so that a wrong method on a known path is 405 with `Allow`."""
    by_path: dict[str, dict[str, Declared]] = {}
    for row in declared:
        methods = by_path.setdefault(row.path, {})
        if row.method in methods:
            message = f"{row.method} {row.path} is declared twice"
            raise ValueError(message)
        methods[row.method] = row
    return [Route(path, _endpoint(methods), methods=sorted(methods)) for path, methods in by_path.items()]


def _endpoint(methods: dict[str, Declared]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        # Starlette adds HEAD to every GET route.
        row = methods.get(request.method) or methods["GET"]
        tool: Tool = request.app.state.tool
        regions: Here = request.app.state.regions
        if row.access in {"none", "operator"}:
            call = Call(request, tool, None, None)
            return _told(regions, await _answered(call, row))
        session = await tool.sessions.access(request.headers, row.access)
        request.scope[TENANT] = session.tenant
        check_region(regions, request, session.tenant)
        call = Call(request, tool, session, None)
        # What decides about a change is read from the primary; the rest as new as the caller has seen it.
        start = request.headers.get(BOOKMARK, FIRST_PRIMARY)
        async with tool.shards.session(start, at_primary=request.method not in _READING) as reading:
            response = _response(await row.handler(call), row.status)
            response.headers[BOOKMARK] = await reading.bookmark()
        return _told(regions, response)

    return endpoint


async def _answered(call: Call[Any], row: Declared) -> Response:
    """The answer of a call that needs no session of a course; what operators do leaves an entry."""

    async def respond() -> Response:
        return _response(await row.handler(call), row.status)

    if row.access == "none":
        return await respond()
    operators = call.tool.operators
    call.operator = await operators.access.operator(call.request)
    if call.request.method in _READING:
        return await respond()

    def telling() -> Act:
        objects = objects_of(call.request.path_params, call.body)
        return Act(row.method, row.action, objects, why_of(call.body))

    return await acted(operators.audit, call.operator, telling, respond)


def _told(regions: Here, response: Response) -> Response:
    """The response with the region that it comes from."""
    if regions.own is not None:
        response.headers.setdefault(REGION, regions.own.name)
    return response


async def _once(call: Call[Any], row: Declared, handler: Handler) -> Answer:
    """Answer a call whose key the table keeps, after its body was read."""
    url = call.request.url
    whose = None if row.access == "operator" else Whose(call.session.key, call.session.user)
    # As it was understood: a client may write the same in another order when it tries again.
    asked = msgspec.json.encode([url.path, url.query, call.body], order="deterministic")

    async def produce() -> Answer:
        answer = await handler(call)
        if isinstance(answer, Response):
            message = (
                f"POST {row.path} answers with a response, which cannot be kept; declare what it does by `repeats`"
            )
            raise TypeError(message)
        return answer if isinstance(answer, Answer) else Answer(answer, row.status)

    digest = hashlib.sha256(asked).hexdigest()
    return await call.tool.answers.once(call, whose, f"POST {row.path}", digest, produce)


def _response(answer: Any, status: int) -> Response:
    if isinstance(answer, Response):
        return answer
    if isinstance(answer, Answer):
        return json_response(answer.value, answer.status, answer.headers)
    return json_response(answer, status)
