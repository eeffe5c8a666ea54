"""The practice LMS's pages and services; served in development only, to this computer only.

Its routes are no part of the product's table: where the server does not run in development, nothing is here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from atomic_guide import errors
from atomic_guide.course.lti.addresses import is_loopback_name, origin_of, with_query
from atomic_guide.course.lti.practice.platform import FAULTS, SERVICE_SCOPES, PracticePlatform, choice_of
from atomic_guide.course.lti.practice.school import COURSES, OFFERED
from atomic_guide.web import pages
from atomic_guide.web.bodies import read_body
from atomic_guide.web.fields import read_form
from atomic_guide.web.limits import from_this_computer
from atomic_guide.web.pages import Asset, Markup, Page, joined, meta, render
from atomic_guide.web.routing import Repeats, json_response

_HERE = Path(__file__).parent
_FILES = {
    "practice.css": ((_HERE / "practice.css").read_bytes(), "text/css"),
    "practice.js": ((_HERE / "practice.js").read_bytes(), "text/javascript"),
}
_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
_SCORE = "application/vnd.ims.lis.v1.score+json"
_PAGE_SIZE = 25
_BODY_LIMIT = 64 * 1024
_DIGITS = 6

REPEATS = Repeats("none", "An LMS's services: those who post here speak OAuth and LTI, which know no such header.")
"""What the posts of the practice LMS do with an Idempotency-Key; they are none of the product's calls."""

Handler = Callable[[Request], Awaitable[Response]]


def practice_routes(platform: PracticePlatform) -> list[BaseRoute]:
    """The routes of the practice LMS, for `create_app`."""
    site = _Practice(platform)
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/practice", site.page),
        ("GET", "/practice/open", site.open),
        ("GET", "/practice/auth", site.auth),
        ("GET", "/practice/jwks", site.key_set),
        ("POST", "/practice/token", site.token),
        ("GET", "/practice/courses/{course}/members", site.members),
        ("GET", "/practice/courses/{course}/items", site.items),
        ("POST", "/practice/courses/{course}/items", site.add_item),
        ("POST", "/practice/courses/{course}/items/{item}/scores", site.add_score),
        ("GET", "/practice/files/{name}", site.file),
    ]
    return [Route(path, _local(handler), methods=[method]) for method, path, handler in table]


def _local(handler: Handler) -> Handler:
    """Only for browsers on this computer that asked for this computer.

    The second condition stops a page of the internet whose name was made to resolve to 127.0.0.1.
    """

    async def guarded(request: Request) -> Response:
        if not from_this_computer(request) or not is_loopback_name(request.url.hostname or ""):
            message = "the practice LMS is for this computer only"
            raise errors.Forbidden(message)
        return await handler(request)

    return guarded


class _Practice:
    """The handlers over one platform."""

    def __init__(self, platform: PracticePlatform) -> None:
        self._platform = platform

    async def page(self, request: Request) -> Response:
        """The page with the three choices."""
        if origin_of(str(request.url)) != origin_of(self._platform.front):
            # The other name of this computer is the tool's own site: its frame would not be third-party.
            return RedirectResponse(self._platform.front, 302)
        tool, front = origin_of(self._platform.tool), origin_of(self._platform.front)
        page = Page(
            "Practice LMS",
            _body(),
            asset=_asset(),
            form_targets=(tool,),
            frames=(tool, front),
        )
        return pages.answer(page)

    async def open(self, request: Request) -> Response:
        """Go to the tool as the choices say."""
        query = request.query_params
        choice = choice_of(query.get("course", ""), query.get("person", ""), query.get("fault", ""))
        login = list(self._platform.login(choice).items())
        if "storage" in query:
            login.append(("lti_storage_target", "_parent"))
        return RedirectResponse(with_query(f"{self._platform.tool}/lti/init", login), 302)

    async def auth(self, request: Request) -> Response:
        """Answer the tool's authentication request with a form that posts itself."""
        query = dict(request.query_params)
        answer = self._platform.answer(query)
        told = {"request": query, "header": answer.header, "claims": answer.claims}
        body = render(_POST, url=answer.url, state=answer.state, token=answer.token)
        page = Page(
            "Practice LMS",
            body,
            (meta("practice", msgspec.json.encode(told).decode()),),
            _asset(),
            form_targets=(origin_of(self._platform.tool),),
            # In the frame, the tool's page stands between this one and the LMS's only while the login runs.
            origins=(origin_of(self._platform.tool),),
        )
        return pages.answer(page)

    async def key_set(self, _request: Request) -> Response:
        """The platform's keys."""
        return json_response(self._platform.key_set())

    async def token(self, request: Request) -> Response:
        """An access token for the services."""
        return json_response(await self._platform.access_token(await read_form(request, _BODY_LIMIT)))

    async def members(self, request: Request) -> Response:
        """The roster, in pages."""
        course = self._authorised(request, "members")
        start = _number(request, "start", 0)
        limit = min(_number(request, "limit", _PAGE_SIZE), _PAGE_SIZE)
        listed, more = self._platform.members(course, start, limit)
        following = str(request.url.include_query_params(start=start + limit))
        headers = {"Link": f'<{following}>; rel="next"'} if more else {}
        body = {"id": str(request.url), "context": {"id": course}, "members": listed}
        return json_response(body, 200, headers)

    async def items(self, request: Request) -> Response:
        """The columns of the grade book."""
        return json_response(self._platform.items(self._authorised(request, "items")))

    async def add_item(self, request: Request) -> Response:
        """A new column."""
        course = self._authorised(request, "items")
        return json_response(self._platform.add_item(course, await _object(request, _ITEM)), 201)

    async def add_score(self, request: Request) -> Response:
        """A score."""
        course = self._authorised(request, "scores")
        self._platform.add_score(course, request.path_params["item"], await _object(request, _SCORE))
        return Response(status_code=204)

    async def file(self, request: Request) -> Response:
        """The pages' script and style."""
        if request.path_params["name"] not in _FILES:
            message = "there is no such file"
            raise errors.NotFound(message)
        body, kind = _FILES[request.path_params["name"]]
        return Response(body, media_type=kind, headers={"Cache-Control": "no-cache"})

    def _authorised(self, request: Request, service: str) -> str:
        course: str = request.path_params["course"]
        if course not in COURSES:
            message = "there is no such course"
            raise errors.NotFound(message)
        self._platform.check_access(request.headers.get("authorization", ""), SERVICE_SCOPES[service])
        return course


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) else default


async def _object(request: Request, kind: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await read_body(request, _BODY_LIMIT, (kind,)), type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = "the body is no JSON object"
        raise errors.Invalid(message) from error


def _asset() -> Asset:
    stamp = {name: hashlib.sha256(body).hexdigest()[:8] for name, (body, _kind) in _FILES.items()}
    style = f"/practice/files/practice.css?v={stamp['practice.css']}"
    return Asset(f"/practice/files/practice.js?v={stamp['practice.js']}", (*pages.plain_styles(), style))


def _body() -> Markup:
    courses = [(course.id, course.title, course.holds) for course in COURSES.values()]
    people = [(person.id, person.name, person.does) for person in OFFERED]
    places = [
        ("frame", "Inside a page, as an LMS does", "in a frame"),
        ("window", "New window", "as when cookies are blocked"),
    ]
    faults = [
        render('<option value="{name}" data-code="{code}">{label}</option>', name=name, code=fault.code,
               label=fault.label)
        for name, fault in FAULTS.items()
    ]  # fmt: skip
    return render(
        _PAGE,
        courses=_options("course", courses),
        people=_options("person", people),
        places=_options("where", places),
        faults=joined(faults),
    )


def _options(field: str, options: list[tuple[str, str, str]]) -> Markup:
    return joined(
        [
            render(
                _OPTION,
                field=field,
                value=value,
                title=title,
                text=text,
                checked=Markup(" checked" if not place else ""),
            )
            for place, (value, title, text) in enumerate(options)
        ]
    )


_OPTION = """<label class="choice">
<input type="radio" name="{field}" value="{value}"{checked}>
<span><strong>{title}</strong><br><span class="note">{text}</span></span>
</label>"""

_PAGE = """<main class="practice">
<h1>Practice LMS</h1>
<p>Plays your Moodle or Canvas, on this computer only. Choose three things and launch: the login, keys and signatures
are the real ones.</p>
<form id="launch" method="get" action="/practice/open" target="course">
<div class="choices">
<fieldset class="card"><legend class="visually-hidden">Course</legend>
<h2 aria-hidden="true"><span class="number">1</span> Course</h2>
{courses}
</fieldset>
<fieldset class="card"><legend class="visually-hidden">Who you are</legend>
<h2 aria-hidden="true"><span class="number">2</span> Who you are</h2>
{people}
</fieldset>
<fieldset class="card"><legend class="visually-hidden">Where</legend>
<h2 aria-hidden="true"><span class="number">3</span> Where</h2>
{places}
<button class="button primary" id="go" type="submit">Launch as Instructor</button>
</fieldset>
</div>
</form>
<p class="note">What happens: <b>1</b> login request &rarr; <b>2</b> signed token &rarr; <b>3</b> course page</p>
<p class="note"><label><input type="checkbox" name="storage" value="on" form="launch"> Offer the LMS's own storage, as
Canvas does: for browsers that keep no cookie in a frame</label></p>
<div class="more">
<details>
<summary>Show the messages</summary>
<div class="messages" aria-live="polite">
<p id="none">Launch a course to see what the LMS and the tool say to each other.</p>
<h3 hidden>1. The tool's login request to the LMS</h3><pre id="request" hidden tabindex="0"></pre>
<h3 hidden>2. The LMS's token: header</h3><pre id="header" hidden tabindex="0"></pre>
<h3 hidden>The token's claims</h3><pre id="claims" hidden tabindex="0"></pre>
</div>
</details>
<details>
<summary>Try a launch that must be refused</summary>
<form id="refuse" method="get" action="/practice/open" target="course">
<input type="hidden" name="course" value="waves">
<input type="hidden" name="person" value="instructor">
<p><label for="fault">What is wrong with it</label>
<select class="field" id="fault" name="fault">
{faults}
</select></p>
<p class="note">The page should say <code id="code"></code>.</p>
<button class="button" type="submit">Launch it</button>
</form>
</details>
</div>
<iframe class="card" name="course" id="course" title="The course, inside the LMS's page" hidden
allow="autoplay *; fullscreen *; clipboard-write *"></iframe>
</main>"""

_POST = """<main class="notice-page"><div class="card notice-card">
<p>Signing in&hellip;</p>
<form id="answer" method="post" action="{url}">
<input type="hidden" name="state" value="{state}">
<input type="hidden" name="id_token" value="{token}">
<button class="button" type="submit">Go on if nothing happens</button>
</form>
</div></main>"""
