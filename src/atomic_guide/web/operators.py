"""The console's page, and the session of who uses it.

The page loads for everybody: it holds nothing, and asks who is there itself. Signing in with the operators' token
begins a session, whose cookie the page's script never sees; docs/operators.md says what it may do.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.operations.operators.approvals import prune as prune_approvals
from atomic_guide.operations.operators.audit import Act, Asked
from atomic_guide.operations.operators.audit import Page as AuditPage
from atomic_guide.operations.operators.model import TOKEN, Operator, Role, Source
from atomic_guide.operations.scaling.marked import demo_mark
from atomic_guide.setting import Shown
from atomic_guide.web.access import CONSOLE, check_from_console, check_own_origin, cookie_of, set_cookie
from atomic_guide.web.pages import NOBODY, Markup, NotBuilt, Page, answer, asset, meta, refusal
from atomic_guide.web.paging import TEXT, Limit
from atomic_guide.web.routing import Answer, Call, Calls, Parameter, Repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database
    from atomic_guide.limit import Used
    from atomic_guide.operations.operators.audit import Audit
    from atomic_guide.operations.operators.logins import Logins
    from atomic_guide.operations.operators.people import People
    from atomic_guide.operations.operators.sessions import OperatorSessions, Session
    from atomic_guide.operations.operators.settings import OperatorSettings
    from atomic_guide.web.access import OperatorAccess
    from atomic_guide.web.live import Live
    from atomic_guide.web.oidc import Provider

calls = Calls()

_ENTRY = "src/ops.ts"
_LIMIT = Limit(100, 500)
_SITE = {"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin"}
_FROM_CONSOLE = Parameter(CONSOLE, {"type": "string", "enum": ["1"]}, "Needed with a session's cookie.", place="header")


class Operators(msgspec.Struct, kw_only=True):
    """What the web layer knows of operators. `url` is where browsers reach the installation."""

    settings: OperatorSettings
    access: OperatorAccess
    sessions: OperatorSessions
    people: People
    logins: Logins
    audit: Audit
    live: Live
    provider: Provider | None
    directory: Database
    clock: Clock
    url: str

    async def prune(self) -> None:
        """Forget what is over; called every minute or so."""
        await self.sessions.prune()
        await self.logins.prune()
        await self.audit.prune()
        await prune_approvals(self.directory, self.clock.now())

    async def close(self) -> None:
        """End calls that are under way."""
        if self.provider is not None:
            await self.provider.close()

    def used(self) -> Iterator[Used]:
        """How full the limits of operators are."""
        yield from self.access.used()
        yield from self.sessions.used()
        yield from self.logins.used()
        yield from self.live.used()


class SignIn(msgspec.Struct):
    """The operators' token."""

    token: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Who(msgspec.Struct, frozen=True):
    """Who is signed in, and how they did."""

    id: str
    name: str
    role: Role
    source: Source


class Ways(msgspec.Struct, frozen=True):
    """How operators may sign in: with the token always, at the provider where there is one."""

    oidc: bool
    provider: str | None = None


class Signed(msgspec.Struct, frozen=True):
    """A session of the console; `expires_at` is null for who sends the token with each call.

    `data` is the data directory for commands to name, empty where it is the one that they take by themselves.
    """

    operator: Who
    expires_at: str | None
    sign_in: Ways
    two_person: bool
    demo: bool
    data: str


class Known(msgspec.Struct, frozen=True):
    """What the page knows when it opens: without it, each visitor's first call would fail, and their console say so."""

    signed_in: bool
    sign_in: Ways


class Ended(msgspec.Struct, frozen=True):
    """Nobody is signed in any more."""

    ended: bool


@calls.add("GET", "/ops", access="none", failures=(503,))
@calls.add("GET", "/ops/{rest:path}", access="none", failures=(503,))
async def show_console(call: Call[None]) -> Response:
    """Give the console's page, which says whether somebody is signed in and how one would; it asks for all else."""
    known = Known(await _is_signed_in(call), ways(call.tool.operators.settings))
    metas = (meta("console", msgspec.json.encode(known).decode()),)
    try:
        page = Page("Atomic Guide console", Markup('<div id="app"></div>'), metas, asset(_ENTRY), origins=NOBODY)
    except NotBuilt as error:
        return refusal(error, "The console cannot be opened just now", origins=NOBODY)
    return answer(page, headers=_SITE)


@calls.add("GET", "/api/ops/session", access="operator", reply=Signed, failures=(401, 503))
async def show_session(call: Call[None]) -> Signed:
    """Say who is signed in, until when, and how others would."""
    by_token = "authorization" in call.request.headers
    session = None if by_token else await call.tool.operators.access.session(call.request)
    return await _signed(call, call.operator, session)


@calls.add(
    "POST",
    "/api/ops/session",
    access="none",
    body=SignIn,
    reply=Signed,
    failures=(401, 403, 429),
    repeats=Repeats("itself", "Each time is a new session; the one of the cookie that is sent ends."),
)
async def sign_in(call: Call[SignIn]) -> Answer:
    """Begin a session in the console with the operators' token."""
    operators = call.tool.operators
    check_own_origin(call.request)
    operators.access.check_token(call.request, call.body.token)
    # Before the session is made: by plain http from afar there is none.
    set_cookie(call.request, "", 0)
    cookie, session = await operators.sessions.begin(TOKEN, cookie_of(call.request))
    await operators.audit.note(TOKEN, Act("POST", "sign_in"))
    kept = set_cookie(call.request, cookie, operators.settings.session_seconds)
    return Answer(await _signed(call, TOKEN, session), headers={"Set-Cookie": kept})


@calls.add(
    "POST",
    "/api/ops/session/end",
    access="none",
    reply=Ended,
    failures=(403,),
    parameters=(_FROM_CONSOLE,),
    repeats=Repeats("itself", "A session that has ended stays ended."),
)
async def sign_out(call: Call[None]) -> Answer:
    """End the session of the console; without one nothing happens."""
    operators, cookie = call.tool.operators, cookie_of(call.request)
    session = await operators.access.session(call.request)
    if cookie is None or session is None:
        return Answer(Ended(ended=False))
    check_from_console(call.request)
    await operators.sessions.end(cookie)
    await operators.audit.note(session.operator, Act("POST", "sign_out"))
    return Answer(Ended(ended=True), headers={"Set-Cookie": set_cookie(call.request, "", 0)})


@calls.add(
    "GET",
    "/api/ops/audit",
    access="operator",
    reply=AuditPage,
    failures=(400, 401, 503),
    parameters=(
        Parameter("before", {"type": "integer", "minimum": 1}, "Only entries older than that of this number."),
        _LIMIT.parameter,
        Parameter("who", TEXT, "Only of this operator, by name or id."),
        Parameter("what", TEXT, "Only acts with this in their name."),
    ),
)
async def list_acts(call: Call[None]) -> AuditPage:
    """List what operators did, the newest first."""
    asked = call.request.query_params
    limit = _LIMIT.of(call)
    before = call.whole_number("before", least=1)
    return await call.tool.operators.audit.page(
        Asked(limit, before, asked.get("who", "")[:200], asked.get("what", "")[:200])
    )


class InForce(msgspec.Struct, frozen=True):
    """Every setting of the process that answers."""

    settings: list[Shown]


@calls.add("GET", "/api/ops/settings", access="operator", reply=InForce, failures=(401,))
async def list_settings(call: Call[None]) -> InForce:
    """List every setting with its value, its origin, default, unit and reason; of secrets whether they are set."""
    return InForce(call.tool.settings)


def ways(settings: OperatorSettings) -> Ways:
    """How operators may sign in."""
    return Ways(settings.issuer is not None, settings.provider or None)


async def _is_signed_in(call: Call[Any]) -> bool:
    """Whether there may be a session; where that cannot be told the page finds out, and says why not."""
    try:
        return await call.tool.operators.access.session(call.request) is not None
    except errors.GuideError:
        return True


async def _signed(call: Call[Any], operator: Operator, session: Session | None) -> Signed:
    operators = call.tool.operators
    return Signed(
        Who(operator.id, operator.name, operator.role, operator.source),
        iso(session.ends_at) if session else None,
        ways(operators.settings),
        operators.settings.two_person,
        await demo_mark(operators.directory) is not None,
        _named(call.tool.settings),
    )


def _named(settings: Iterable[Shown]) -> str:
    return next(
        (str(Path(row.value).absolute()) for row in settings if row.key == "data" and row.value != row.default), ""
    )
