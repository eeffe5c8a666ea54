"""The page on which an instructor adds the course room to a course of the LMS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from atomic_guide.course.lti.addresses import origin_of
from atomic_guide.course.lti.deeplinks import check_choice, chosen
from atomic_guide.web import pages
from atomic_guide.web.pages import Asset, Page, render

if TYPE_CHECKING:
    from atomic_guide.course.lti.launch import Launch
    from atomic_guide.web.tool import Tool

ROOM = "Course room"
"""What the added link is called in the LMS."""

_CHOICE = """<main class="notice-page"><div class="card notice-card">
<h1>Add the course room to {course}</h1>
<p>A link to the live room, the lectures and the performance figures of this course is added at the place that you
came from. Every link of a course leads to the same room.</p>
<form method="post" action="{url}">
<input type="hidden" name="JWT" value="{room}">
<button class="button primary" type="submit">Add the course room</button>
</form>
<form method="post" action="{url}">
<input type="hidden" name="JWT" value="{nothing}">
<button class="button plain" type="submit">Go back without adding it</button>
</form>
</div></main>"""


async def choice_page(tool: Tool, launch: Launch, title: str) -> Response:
    """The page of a deep linking launch. Raises `Refused` for learners and where no links are taken."""
    check_choice(launch)
    lti = tool.lti
    room = await chosen(launch, [ROOM], lti.launches.base_url, lti.signing, tool.clock)
    nothing = await chosen(launch, [], lti.launches.base_url, lti.signing, tool.clock)
    body = render(
        _CHOICE, course=title, url=room.url, room=room.token, nothing=nothing.token
    )  # fmt: skip
    # Browsers hold the redirects after a form to the same policy, and an LMS redirects among its own hosts.
    origins = tuple(dict.fromkeys([origin_of(room.url), *launch.platform.origins]))
    page = Page(
        "Add the course room",
        body,
        asset=Asset(None, pages.plain_styles()),
        origins=origins,
        form_targets=origins,
    )
    return pages.answer(page)
