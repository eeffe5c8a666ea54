"""The way in from an LMS: login initiation, launch, proof of the browser, the course page.

A launch is let in only in the browser that began its login. Three proofs are tried, in this order:

1. A partitioned cookie that `/lti/init` set. It comes back with `POST /lti/launch`; nothing else happens.
2. The platform's own storage (`lti_storage_target`): a page of `/lti/init` puts the secret there before it goes
   on to the platform, a page of `/lti/launch` gets it back and posts it to `/lti/launch/continue`.
3. A new window: it starts the login again at `/lti/init` as a top-level page, where a first-party cookie is
   kept; the platform then launches again in that window.

Pages 2 and 3 carry `<meta name="atomic-guide-binding" content='JSON'>` for `frontend/src/binding.ts`, and all
they need without it as plain HTML. JSON of the page after `/lti/init` (only with a storage target):

    {"step": "store",
     "target": "_parent",                     lti_storage_target: "_parent", or the name of a frame of the parent
     "origin": "https://lms.example.edu",     the only origin to post to and to believe
     "key": "atomic-guide-1f0c...",           for lti.put_data
     "value": "43 URL-safe characters",       the secret, for lti.put_data
     "next": "https://lms.example.edu/auth?..."}   where to go then (location.replace), stored or not

The script posts `{"subject": "lti.put_data", "message_id", "key", "value"}` to the target window with `origin`
as target origin, waits at most 1.5 s for `lti.put_data.response` from that origin, then goes to `next`. Without
script the page shows a link to `next` (`a#next`).

JSON of the page after a `/lti/launch` without the cookie:

    {"step": "prove",
     "target": "_parent" | null,              null: the platform has no storage, offer the window at once
     "origin": "https://lms.example.edu",
     "key": "atomic-guide-1f0c...",           for lti.get_data
     "field": "binding"}                      the hidden input of form#proof that takes the value

The script posts `{"subject": "lti.get_data", "message_id", "key"}`, and when `lti.get_data.response` from
`origin` brings a string `value`, fills the input and submits `form#proof` (POST /lti/launch/continue with state,
id_token, binding). When nothing came within 1.5 s, it hides `#waiting` and shows `#window`, which holds
`a#continue` (target=_blank, to /lti/init). Without script `#window` is visible and `#waiting` is hidden: the
script swaps them first, only where `target` is not null.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping

import msgspec
import structlog
from starlette.responses import RedirectResponse, Response

from atomic_guide import errors
from atomic_guide.course.enrolment import enrol
from atomic_guide.course.lti.addresses import origin_of, with_query
from atomic_guide.course.lti.claims import one_line, return_url_of
from atomic_guide.course.lti.launch import Checked, Launch
from atomic_guide.course.lti.logins import Begun, LoginRequest, binding_name
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.registration import Platform
from atomic_guide.web import pages
from atomic_guide.web.crossing import onward
from atomic_guide.web.deeplinks import choice_page
from atomic_guide.web.fields import Fields, read_form, read_query
from atomic_guide.web.pages import Markup, Page, meta, render
from atomic_guide.web.routing import Call, Calls, Repeats
from atomic_guide.web.sessions import Session
from atomic_guide.web.tool import Tool

calls = Calls()
_log = structlog.get_logger(__name__)

_COOKIE = "__Host-ag-"
_COOKIE_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=None; Partitioned"
_COOKIES = 8
"""Logins that one browser may have under way; older cookies are dropped, so that headers stay small."""

_FORM_KIND = ("application/x-www-form-urlencoded",)
_FIELD_LIMIT = 4096
"""Characters of a field of a login request; Canvas's message hints are JWTs of about 1,200."""

_BY_STATE = Repeats(
    "none", "A browser posts the LMS's form, which has no such header; state and nonce make it good once."
)
_BY_LOGIN = Repeats("none", "A browser posts the LMS's form, which has no such header; each login is a row of its own.")

Handler = Callable[[Call[None]], Awaitable[Response]]


def as_page(handler: Handler) -> Handler:
    """Answer an error with the page that says why, instead of JSON."""

    @functools.wraps(handler)
    async def answered(call: Call[None]) -> Response:
        try:
            return await handler(call)
        except errors.GuideError as error:
            code = error.refusal.code if isinstance(error, Refused) else error.code
            _log.info("refused", path=call.request.url.path, code=code)
            return pages.refusal(error)

    return answered


@calls.add("GET", "/lti/init", access="none", status=302, failures=(400, 403, 429))
@as_page
async def begin(call: Call[None]) -> Response:
    """Begin a login: the LMS, or a new window of ours, sends a browser here."""
    return await _begin(call, read_query(call.request))


@calls.add(
    "POST",
    "/lti/init",
    access="none",
    body_kinds=_FORM_KIND,
    status=302,
    failures=(400, 403, 413, 429),
    repeats=_BY_LOGIN,
)
@as_page
async def begin_posted(call: Call[None]) -> Response:
    """Begin a login: the LMS posts a browser here."""
    return await _begin(call, await read_form(call.request, call.tool.lti.settings.form_bytes))


@calls.add(
    "POST",
    "/lti/launch",
    access="none",
    body_kinds=_FORM_KIND,
    failures=(400, 403, 413, 503),
    repeats=_BY_STATE,
)
@as_page
async def launch(call: Call[None]) -> Response:
    """Check a launch and let it in, or prove the browser first."""
    fields = await read_form(call.request, call.tool.lti.settings.form_bytes)
    checked = await _check(call.tool, fields)
    if (moved := _foreign(call, checked)) is not None:
        return moved
    secret = call.request.cookies.get(_COOKIE + binding_name(fields["state"]))
    if secret is None:
        return _unbound_page(call.tool, checked, fields)
    return await _enter(call, checked, secret, fields)


@calls.add("GET", "/lti/launch", access="none", status=405)
@as_page
async def launch_by_get(call: Call[None]) -> Response:
    """Say that launches are posted; somebody has typed or reloaded the address."""
    del call
    answer = pages.refusal(Refused(Refusal.LTI_LAUNCH_BY_GET))
    answer.headers["Allow"] = "POST"
    return answer


@calls.add(
    "POST",
    "/lti/launch/continue",
    access="none",
    body_kinds=_FORM_KIND,
    failures=(400, 403, 413, 503),
    repeats=_BY_STATE,
)
@as_page
async def proven(call: Call[None]) -> Response:
    """Let a launch in whose browser is proven by the platform's storage."""
    fields = await read_form(call.request, call.tool.lti.settings.form_bytes)
    checked = await _check(call.tool, fields)
    secret = fields.get("binding") or ""
    return await _enter(call, checked, secret, fields)


@calls.add("GET", "/course", access="none", failures=(503,))
@as_page
async def course(call: Call[None]) -> Response:
    """Show the course page again, after a reload; its script has what it needs to come back in."""
    platforms = await call.tool.lti.platforms.all()
    origins = dict.fromkeys(origin for platform in platforms for origin in platform.origins)
    locale = call.request.headers.get("accept-language", "").partition(",")[0].partition(";")[0].strip()
    return _course_page(
        call.tool, (), locale if locale.replace("-", "").isalnum() and locale.isascii() else "en", tuple(origins)
    )


async def _begin(call: Call[None], fields: Fields) -> Response:
    if any(len(value) > _FIELD_LIMIT for value in fields.values()):
        raise Refused(Refusal.LTI_FORM_TOO_LARGE)
    request = LoginRequest(
        iss=fields.get("iss", ""),
        login_hint=fields.get("login_hint", ""),
        target_link_uri=fields.get("target_link_uri", ""),
        lti_message_hint=fields.get("lti_message_hint"),
        client_id=fields.get("client_id") or None,
        lti_deployment_id=fields.get("lti_deployment_id") or None,
        lti_storage_target=_storage_target(fields),
        in_window="in_window" in fields,
    )
    if (moved := await _nearer(call, request)) is not None:
        return moved
    client = call.request.client
    platform, begun = await call.tool.lti.launches.begin(request, client.host if client else "")
    onward = _authentication_url(call.tool, platform, request, begun)
    answer = _storing_page(platform, begun, request.lti_storage_target, onward) if request.lti_storage_target else (
        RedirectResponse(onward, 302, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    )  # fmt: skip
    seconds = call.tool.lti.settings.login_seconds
    answer.headers.append(
        "Set-Cookie", f"{_COOKIE}{begun.name}={begun.binding}; Max-Age={seconds}; {_COOKIE_ATTRIBUTES}"
    )
    # Browsers send the oldest first.
    mine = [name for name in call.request.cookies if name.startswith(_COOKIE)]
    for name in mine[: max(0, len(mine) + 1 - _COOKIES)]:
        answer.headers.append("Set-Cookie", _forgotten(name))
    return answer


async def _nearer(call: Call[None], request: LoginRequest) -> Response | None:
    """A redirect to the region in which this visit is to begin; None where that is here."""
    regions = call.regions
    if regions.own is None:
        return None
    platform = await call.tool.lti.platforms.find(request.iss, request.client_id, request.lti_deployment_id)
    asked = request.lti_deployment_id
    tenants = [tenant for deployment, tenant in platform.deployments.items() if asked in {None, deployment}]
    zones = {regions.zone_of(tenant) for tenant in tenants}
    return onward(regions, call.request, zones.pop() if len(zones) == 1 else None, opens=True)


def _authentication_url(tool: Tool, platform: Platform, request: LoginRequest, begun: Begun) -> str:
    parameters = {
        "scope": "openid",
        "response_type": "id_token",
        "response_mode": "form_post",
        "prompt": "none",
        "client_id": platform.client_id,
        "redirect_uri": f"{tool.lti.launches.own_url}/lti/launch",
        "login_hint": request.login_hint,
        "state": begun.state,
        "nonce": begun.nonce,
    }
    if request.lti_message_hint is not None:
        parameters["lti_message_hint"] = request.lti_message_hint
    return with_query(platform.auth_url, list(parameters.items()))


def _foreign(call: Call[None], checked: Checked) -> Response | None:
    """A redirect for a launch that has come where its tenant may not be kept; its login did not say whose it was."""
    tenant = checked.platform.deployments.get(checked.claims.deployment_id or "")
    if tenant is None or call.regions.own is None:
        return None
    return onward(call.regions, call.request, call.regions.zone_of(tenant))


async def _check(tool: Tool, fields: Fields) -> Checked:
    if "error" in fields:
        said = one_line(fields.get("error_description") or fields["error"], 200)
        raise Refused(Refusal.LTI_PLATFORM_ERROR, f"It said: {said}.")
    return await tool.lti.launches.check(fields.get("state"), fields.get("id_token"))


async def _enter(call: Call[None], checked: Checked, secret: str, fields: Fields) -> Response:
    tool = call.tool
    # Before the login is used up: where the page cannot be shown, the same launch can be tried again.
    pages.asset(pages.COURSE)
    admitted = await tool.lti.launches.admit(checked, secret)
    mailed = tool.notifications.contacts.on
    copies = tool.media.settings.copies
    title = await enrol(tool.shards, tool.clock, tool.media.queues, admitted.arrival, mailed=mailed, copies=copies)
    if admitted.deep_linking is not None:
        answer = await choice_page(tool, admitted, title)
    else:
        code = await tool.sessions.issue_code(_session(call, admitted, title))
        answer = _course_page(tool, (meta("code", code),), admitted.locale, _origins(checked))
    name = _COOKIE + binding_name(fields["state"])
    if name in call.request.cookies:
        answer.headers.append("Set-Cookie", _forgotten(name))
    return answer


def _session(call: Call[None], admitted: Launch, title: str) -> Session:
    return Session(
        tenant=admitted.key.tenant,
        course=admitted.key.course,
        bucket=admitted.key.bucket,
        user=admitted.user,
        name=admitted.name,
        role=admitted.role,
        locale=admitted.locale,
        title=title,
        ends_at=call.tool.sessions.new_end(),
        region=call.regions.own.name if call.regions.own is not None else "",
    )


def _origins(checked: Checked) -> tuple[str, ...]:
    """Who may frame the page: the registration's origins, and the one to which the platform says to return."""
    back = return_url_of(checked.claims)
    try:
        return tuple(dict.fromkeys([*checked.platform.origins, *([origin_of(back)] if back else [])]))
    except ValueError:
        return checked.platform.origins


_COURSE = """<div id="app"></div>
<noscript><p>This course needs JavaScript. Switch it on for this site, then open the course again.</p></noscript>"""


def _course_page(tool: Tool, metas: tuple[Markup, ...], locale: str, origins: tuple[str, ...]) -> Response:
    entry = pages.asset(pages.COURSE)
    page = Page("Course", Markup(_COURSE), (*metas, meta("locale", locale)), entry, locale, origins)
    page = page._replace(stores=tool.media.origins)
    return pages.answer(page)


_STORING = """<main class="notice-page"><div class="card notice-card">
<p>Opening the course&hellip;</p>
<p><a id="next" href="{onward}" rel="noreferrer">Go on if nothing happens</a></p>
</div></main>"""


def _storing_page(platform: Platform, begun: Begun, target: str, onward: str) -> Response:
    facts = {
        "step": "store",
        "target": target,
        "origin": platform.auth_origin,
        "key": f"atomic-guide-{begun.name}",
        "value": begun.binding,
        "next": onward,
    }
    # Framed by anybody: who frames it is not known yet (each customer of a cloud LMS has a host of its own), and
    # there is nothing here to be tricked into.
    return pages.answer(_binding_page("Opening the course", render(_STORING, onward=onward), facts, pages.ANYWHERE))


_UNBOUND = """<main class="notice-page"><div class="card notice-card">
<h1>{title}</h1>
<p id="waiting" role="status" hidden>Opening the course&hellip;</p>
<div id="window" class="box">
<p>{reason}</p>
<p class="actions"><a id="continue" class="button primary" href="{again}" target="_blank" rel="noopener">{verb}</a></p>
</div>
<form id="proof" method="post" action="/lti/launch/continue" hidden>
<input type="hidden" name="state" value="{state}">
<input type="hidden" name="id_token" value="{token}">
<input type="hidden" name="binding" value="">
</form>
</div></main>"""

_IN_FRAME = (
    "This browser keeps nothing for the course inside the LMS's page, so it cannot be seen that it was you who opened "
    "it. In a window of its own it can."
)
_IN_WINDOW = (
    "This browser keeps no cookies for this site, not even in a window of its own. Allow cookies for it, then try "
    "again."
)


def _unbound_page(tool: Tool, checked: Checked, fields: Fields) -> Response:
    request = checked.login.request
    facts = {
        "step": "prove",
        "target": request.lti_storage_target,
        "origin": checked.platform.auth_origin,
        "key": f"atomic-guide-{binding_name(fields['state'])}",
        "field": "binding",
    }
    again = msgspec.structs.replace(request, lti_storage_target=None, in_window=False)
    parameters = [(name, str(value)) for name, value in msgspec.to_builtins(again).items()]
    body = render(
        _UNBOUND,
        title="Open the course in a window" if not request.in_window else "The course needs a cookie",
        reason=_IN_WINDOW if request.in_window else _IN_FRAME,
        verb="Try again" if request.in_window else "Continue in a new window",
        again=with_query(f"{tool.lti.launches.own_url}/lti/init", [*parameters, ("in_window", "1")]),
        state=fields["state"],
        token=fields["id_token"],
    )
    page = _binding_page("Open the course", body, facts, _origins(checked))
    return pages.answer(page)


def _binding_page(title: str, body: Markup, facts: Mapping[str, str | None], origins: tuple[str, ...]) -> Page:
    styles = pages.plain_styles()
    try:
        built = pages.asset("src/binding.ts")
        entry = built._replace(styles=tuple(dict.fromkeys([*built.styles, *styles])))
    except pages.NotBuilt:
        # The page works without script, by its links.
        entry = pages.Asset(None, styles)
    return Page(title, body, (meta("binding", msgspec.json.encode(facts).decode()),), entry, origins=origins)


def _storage_target(fields: Fields) -> str | None:
    target = fields.get("lti_storage_target") or None
    return target if target and len(target) <= 255 and target.isprintable() else None  # noqa: PLR2004 - as other ids


def _forgotten(name: str) -> str:
    return f"{name}=; Max-Age=0; {_COOKIE_ATTRIBUTES}"
