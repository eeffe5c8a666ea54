"""What an LMS reads of the tool, and how it registers it by itself."""

from __future__ import annotations

from starlette.responses import Response

from atomic_guide.course.lti import configuration, dynamic
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.web import pages
from atomic_guide.web.fields import read_query
from atomic_guide.web.launch import as_page
from atomic_guide.web.pages import ANYWHERE, Asset, Page, render
from atomic_guide.web.routing import Call, Calls, Parameter, json_response

calls = Calls()

_TEXT = {"type": "string"}

CLOSE_SCRIPT = b"""(window.opener || window.parent).postMessage({ subject: 'org.imsglobal.lti.close' }, '*');
"""


@calls.add("GET", "/lti/jwks", access="none")
async def key_set(call: Call[None]) -> Response:
    """Publish the tool's public keys."""
    published = await call.tool.lti.signing.published()
    return json_response(published, headers={"Cache-Control": "public, max-age=300"})


@calls.add("GET", "/lti/config.json", access="none")
async def canvas_configuration(call: Call[None]) -> Response:
    """Describe the tool to Canvas."""
    return json_response(configuration.canvas(call.tool.lti.launches.base_url, call.tool.lti.launches.addresses))


@calls.add("GET", "/lti/pages.css", access="none")
async def style(call: Call[None]) -> Response:
    """Style the pages that the server writes itself."""
    del call
    return Response(pages.STYLE, headers={"Cache-Control": "public, max-age=31536000"}, media_type="text/css")


@calls.add("GET", "/lti/close.js", access="none")
async def close_script(call: Call[None]) -> Response:
    """Tell the LMS that a registration is finished."""
    del call
    return Response(CLOSE_SCRIPT, headers={"Cache-Control": "public, max-age=3600"}, media_type="text/javascript")


_DONE = """<main class="notice-page"><div class="card notice-card">
<h1>The course tool is registered</h1>
<p>{platform} is registered with client {client}.</p>
<p>{next}</p>
</div></main>"""

_READY = "Switch the tool on in your LMS, then open a course. This window may be closed."
_NO_DEPLOYMENT = (
    "The LMS named no deployment yet. When it shows one, ask an operator here to add it with `atomic-guide platforms "
    "add` and --deployment-id; until then launches are refused."
)


@calls.add(
    "GET",
    "/lti/register",
    access="none",
    failures=(400, 403),
    parameters=(
        Parameter("openid_configuration", _TEXT, "Where the LMS describes itself; the LMS adds it.", required=True),
        Parameter("registration_token", _TEXT, "The LMS's leave to register; the LMS adds it."),
        Parameter("invitation", _TEXT, "An operator's leave, from `atomic-guide platforms invite`."),
    ),
)
@as_page
async def register(call: Call[None]) -> Response:
    """Register an LMS that opened this page in its administration."""
    fields = read_query(call.request)
    lti = call.tool.lti
    where = fields.get("openid_configuration")
    invitation = fields.get("invitation", "")
    if not lti.settings.open_registration:
        await lti.invitations.check(invitation)
    if not where:
        raise Refused(Refusal.LTI_REGISTRATION_INCOMPLETE)
    if not lti.settings.open_registration:
        # Used up before anything is fetched: an invitation that failed is replaced, never tried by many at once.
        await lti.invitations.use(invitation)
    platform = await dynamic.register(
        where, fields.get("registration_token"), lti.launches.addresses, lti.outbound, lti.platforms
    )
    body = render(
        _DONE,
        platform=platform.name or platform.issuer,
        client=platform.client_id,
        next=_READY if platform.deployments else _NO_DEPLOYMENT,
    )
    entry = Asset("/lti/close.js", pages.plain_styles())
    return pages.answer(Page("The course tool is registered", body, asset=entry, origins=ANYWHERE))
