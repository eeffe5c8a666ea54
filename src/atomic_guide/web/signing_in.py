"""Signing in at the provider: there, and back with a session.

The browser takes a cookie along that only comes back to this host, so that nobody ends a sign-in that another browser
began. It is `SameSite=Lax`, as the way back comes from the provider; the session's own cookie is not.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from starlette.responses import RedirectResponse, Response

from atomic_guide import errors
from atomic_guide.course.lti.refusals import Refused
from atomic_guide.operations.operators.audit import Act
from atomic_guide.operations.operators.logins import LIFE_SECONDS, SignInRefused
from atomic_guide.web.access import cookie_name, cookie_of, own_origin, set_cookie
from atomic_guide.web.oidc import Code, Provider
from atomic_guide.web.pages import NOBODY, refusal
from atomic_guide.web.routing import Call, Calls, Parameter

calls = Calls()

BINDING = "atomic_guide_sign_in"
_CALLBACK = "/ops/callback"
_THERE = "/ops/sign-in"
_TITLE = "You are not signed in to the console"
_TEXT = {"type": "string", "maxLength": 4096}
_LONGEST = 4096


@calls.add(
    "GET",
    _THERE,
    access="none",
    status=303,
    failures=(403, 404, 429, 503),
    parameters=(Parameter("again", {"type": "string"}, "Set where this address sent the browser itself."),),
)
async def go_to_provider(call: Call[None]) -> Response:
    """Send an operator to the provider, to sign in."""
    operators = call.tool.operators
    try:
        provider = _provider(call)
        _check_rate(call)
        if (elsewhere := _elsewhere(call)) is not None:
            return RedirectResponse(elsewhere, 303)
        begun = await operators.logins.begin()
        there = await provider.way_there(begun, operators.url + _CALLBACK)
        kept = set_cookie(call.request, begun.binding, LIFE_SECONDS, name=BINDING, same_site="Lax")
    except errors.GuideError as error:
        return _refused(error)
    return RedirectResponse(there, 303, {"Set-Cookie": kept, "Cache-Control": "no-store"})


@calls.add(
    "GET",
    _CALLBACK,
    access="none",
    status=303,
    failures=(403, 404, 413, 503),
    parameters=tuple(
        Parameter(name, _TEXT, said)
        for name, said in (
            ("code", "The provider's code."),
            ("state", "What this sign-in was begun with."),
            ("iss", "The provider, where it says so (RFC 9207)."),
            ("error", "Why the provider lets nobody in."),
        )
    ),
)
async def come_back(call: Call[None]) -> Response:
    """Begin the session of an operator whom the provider sends back."""
    operators = call.tool.operators
    try:
        back = await _checked(call)
        arrival = await _provider(call).arrival(back)
        operator = await operators.people.arrived(arrival)
        cookie, _session = await operators.sessions.begin(operator, cookie_of(call.request))
        await operators.audit.note(operator, Act("GET", "sign_in"))
        kept = set_cookie(call.request, cookie, operators.settings.session_seconds)
    except errors.GuideError as error:
        return _refused(error)
    answer = RedirectResponse("/ops", 303, {"Set-Cookie": kept, "Cache-Control": "no-store"})
    answer.headers.append("Set-Cookie", set_cookie(call.request, "", 0, name=BINDING, same_site="Lax"))
    return answer


async def _checked(call: Call[Any]) -> Code:
    """What came back, once the sign-in is used up that it belongs to. Raises `SignInRefused`."""
    operators, asked = call.tool.operators, call.request.query_params
    binding = call.request.cookies.get(cookie_name(call.request, BINDING), "")
    state, code = asked.get("state", ""), asked.get("code", "")
    if not state or not binding or len(state) > _LONGEST:
        raise SignInRefused("no sign-in is under way in this browser; begin it again")
    begun = await operators.logins.use(state, binding)
    if asked.get("iss", operators.settings.issuer) != operators.settings.issuer:
        raise SignInRefused("another provider than the one that was asked has answered; begin it again")
    if "error" in asked or not code or len(code) > _LONGEST:
        said = "".join(char for char in asked.get("error", "")[:60] if char.isalnum() or char in "_-")
        raise SignInRefused(f"the provider lets you in no further ({said or 'it gave no code'}); begin it again")
    return Code(code, begun.verifier, begun.nonce, operators.url + _CALLBACK)


def _provider(call: Call[Any]) -> Provider:
    provider = call.tool.operators.provider
    if provider is None:
        raise errors.NotFound("operators sign in with their token here; a provider is named by operators.issuer")
    return provider


def _check_rate(call: Call[Any]) -> None:
    """Count a sign-in of an address together with the logins of courses."""
    try:
        call.tool.lti.logins.check_rate(call.request.client.host if call.request.client else "")
    except Refused as error:
        raise errors.RateLimited("too many sign-ins began at your address", retry_after=error.retry_after) from error


def _elsewhere(call: Call[Any]) -> str | None:
    """Where the provider will send the browser back to, where that is another host: the cookie has to be there."""
    public = call.tool.operators.url
    here = urlsplit(own_origin(call.request)).netloc
    if "again" in call.request.query_params or urlsplit(public).netloc == here:
        return None
    return f"{public}{_THERE}?again=1"


def _refused(error: errors.GuideError) -> Response:
    return refusal(error, _TITLE, "Begin again at /ops.", NOBODY)
