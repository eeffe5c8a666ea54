"""`GET /`: what is here, for people who open the address that a server prints first. Programs are told: nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atomic_guide import errors
from atomic_guide.web import pages
from atomic_guide.web.limits import from_this_computer
from atomic_guide.web.pages import Asset, Markup, Page, render

_BODY = """<main class="notice-page">
<div class="card notice-card">
<h1>Atomic Guide</h1>
<p>This server holds the rooms, lectures and exercises of courses. They are opened from the learning management system \
(LMS), where a course links to them; there is nothing to sign in to here.</p>
{practice}
<p>Operators: <a href="/ops">the console</a>. Programs: <a href="/openapi.json">the description of all calls</a>.</p>
</div>
</main>"""

_PRACTICE = '<p>To try it without an LMS: <a href="/practice">the practice LMS</a>, on this computer only.</p>'


def front_route(*, practice: bool) -> Route:
    """The page; with a link to the practice LMS where there is one, for those whom it lets in."""
    return Route("/", _front(practice=practice), methods=["GET"])


def _front(*, practice: bool) -> Callable[[Request], Awaitable[Response]]:
    async def front(request: Request) -> Response:
        if "text/html" not in request.headers.get("accept", ""):
            message = "there is nothing at /"
            raise errors.NotFound(message)
        link = Markup(_PRACTICE if practice and from_this_computer(request) else "")
        page = Page(
            "Atomic Guide", render(_BODY, practice=link), asset=Asset(None, pages.plain_styles()), origins=pages.NOBODY
        )
        return pages.answer(page, headers={"Vary": "Accept"})

    return front
