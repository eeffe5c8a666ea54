"""A person's feed over HTTP, their wish for e-mail, and the address at the end of each e-mail that ends it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from starlette.responses import Response

from atomic_guide import errors
from atomic_guide.course.notifications.notice import Notification
from atomic_guide.course.notifications.texts import TEXTS, language_of
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.web import pages
from atomic_guide.web.pages import Asset, Page, render
from atomic_guide.web.paging import Limit
from atomic_guide.web.routing import Answer, Call, Calls, Parameter, Repeats, Whose

calls = Calls()

PAGE_LIMIT = 100
"""Most entries of a page of the feed; 40 kB."""

_LIMIT = Limit(20, PAGE_LIMIT)

_TOKEN_LIMIT = 2048


class Mail(msgspec.Struct, frozen=True):
    """E-mail to the caller: whether there can be any (a mail server is set, an address known), and whether it is on."""

    available: bool
    on: bool


class FeedPage(msgspec.Struct, frozen=True):
    """Entries, the newest first. `unread` counts all of the feed; `next` asks for the next page by `after`."""

    notifications: list[Notification]
    unread: int
    next: str | None
    mail: Mail


Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class MarkRead(msgspec.Struct, forbid_unknown_fields=True):
    """Entries that were read: some, or one and all before it."""

    ids: Annotated[list[Id], msgspec.Meta(max_length=PAGE_LIMIT)] = []
    until: Id | None = None


class Unread(msgspec.Struct, frozen=True):
    """How many entries are left unread."""

    unread: int


class ChooseMail(msgspec.Struct, forbid_unknown_fields=True):
    """What the caller wants of e-mail about the course; what is absent stays as it is."""

    on: bool | None = None
    language: Literal["en", "ar"] | None = None


@calls.add(
    "GET",
    "/api/notifications",
    access="course",
    reply=FeedPage,
    failures=(400, 401, 503),
    parameters=(
        Parameter("after", {"type": "string"}, "Where the page begins: `next` of the one before it."),
        _LIMIT.parameter,
    ),
)
async def read_feed(call: Call[None]) -> FeedPage:
    """List what the caller was told in the course, the newest first."""
    session, parts = call.session, call.tool.notifications
    limit = _LIMIT.of(call)
    after = call.request.query_params.get("after")
    page = await parts.feed.page(session.key, session.user, after, limit)
    return FeedPage(page.entries, page.unread, page.following, await _mail(call))


@calls.add(
    "POST",
    "/api/notifications/read",
    access="course",
    body=MarkRead,
    reply=Unread,
    failures=(400, 401, 409, 413, 415, 503, 507),
)
async def mark_read(call: Call[MarkRead]) -> Unread:
    """Mark entries of the caller's feed as read; again is harmless."""
    session, body, feed = call.session, call.body, call.tool.notifications.feed
    if bool(body.ids) == (body.until is not None):
        raise errors.Invalid("give either ids or until", details={"field": "ids"})
    if body.until is not None:
        return Unread(await feed.mark_read_until(session.key, session.user, body.until))
    return Unread(await feed.mark_read(session.key, session.user, body.ids))


@calls.add(
    "POST",
    "/api/notifications/mail",
    access="course",
    body=ChooseMail,
    reply=Mail,
    failures=(400, 401, 409, 413, 415, 503, 507),
)
async def choose_mail(call: Call[ChooseMail]) -> Mail:
    """Choose whether e-mail about the course comes, and in which language."""
    session, body, contacts = call.session, call.body, call.tool.notifications.contacts
    if body.on is not None:
        await contacts.choose(session.key, session.user, wanted=body.on)
    if body.language is not None and contacts.on:
        await contacts.speak(session.key, session.user, body.language)
    return await _mail(call)


_ASK = """<main class="notice-page"><div class="card notice-card">
<h1>{title}</h1>
<p>{text}</p>
<form method="post"><button class="button primary" type="submit">{verb}</button></form>
</div></main>"""

_DONE = """<main class="notice-page"><div class="card notice-card">
<h1>{title}</h1>
<p>{text}</p>
</div></main>"""


@calls.add("GET", "/mail/stop/{token}", access="none", failures=(404,))
async def ask_to_stop(call: Call[None]) -> Response:
    """Ask whether e-mail about a course should end; programs that look at links change nothing."""
    key, user = _whose(call)
    return await _page(call, key, user, _ASK)


@calls.add(
    "POST",
    "/mail/stop/{token}",
    access="none",
    failures=(404, 503, 507),
    repeats=Repeats("itself", "The key is kept; the answer, a page, is written again."),
)
async def stop(call: Call[None]) -> Response:
    """End e-mail about a course to a person, as its last line or the mail program asks (RFC 8058)."""
    key, user = _whose(call)

    async def produce() -> Answer:
        await call.tool.notifications.contacts.choose(key, user, wanted=False)
        return Answer(None)

    # Once: whoever has switched e-mail on again since must not lose it to an answer that came late.
    await call.tool.answers.once(call, Whose(key, user), "POST /mail/stop", "", produce)
    return await _page(call, key, user, _DONE)


def _whose(call: Call[None]) -> tuple[CourseKey, str]:
    token = call.request.path_params["token"]
    found = call.tool.notifications.contacts.read_stop(token) if len(token) <= _TOKEN_LIMIT else None
    if found is None:
        raise errors.NotFound("this address is not complete; copy it whole from the e-mail")
    return found


async def _page(call: Call[None], key: CourseKey, user: str, template: str) -> Response:
    language = language_of(*await call.tool.notifications.contacts.languages(key, user))
    texts = TEXTS[language]
    title, text = (texts.stop_title, texts.stop_text) if template == _ASK else (texts.stopped_title, texts.stopped_text)
    body = render(template, title=title, text=text, verb=texts.stop_verb)
    return pages.answer(Page(title, body, asset=Asset(None, pages.plain_styles()), locale=language))


async def _mail(call: Call[None] | Call[ChooseMail]) -> Mail:
    contacts, session = call.tool.notifications.contacts, call.session
    if not contacts.on:
        return Mail(available=False, on=False)
    wishes = await contacts.of(session.key, session.user)
    return Mail(available=wishes.known, on=wishes.known and wishes.wanted)
