"""Names and roles of a course from the platform (NRPS 2.0), page by page."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Literal
from urllib.parse import urljoin

import msgspec

from atomic_guide.course.lti import claims as read
from atomic_guide.course.lti.claims import Claims, Id, LongText
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed, Reply
from atomic_guide.course.lti.registration import Platform
from atomic_guide.course.lti.tokens import ServiceTokens

SCOPE = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
_KIND = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"

PAGES = 500
"""Most pages that are read of one roster; at Canvas's 50 a page, 25,000 members."""

_PAGE_SIZE = 100
_LINK = re.compile(r'<([^>]*)>((?:\s*;\s*[^\s=;,]+\s*(?:=\s*(?:"[^"]*"|[^\s;,"]*))?)*)')
_REL = re.compile(r';\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]*))', re.IGNORECASE)


class Member(msgspec.Struct, frozen=True):
    """Somebody in the course, as launches would name them. Inactive members may come back, deleted ones are gone."""

    user: str
    name: str
    role: Literal["instructor", "learner"]
    status: Literal["active", "inactive", "deleted"]
    email: str = ""


class _Listed(msgspec.Struct, frozen=True):
    user_id: Id
    roles: list[LongText] = []
    status: LongText | None = None
    name: LongText | None = None
    given_name: LongText | None = None
    family_name: LongText | None = None
    email: LongText | None = None


class _Container(msgspec.Struct, frozen=True):
    members: list[_Listed] = []


class Roster:
    """Reads rosters."""

    def __init__(self, outbound: Outbound, tokens: ServiceTokens) -> None:
        self._outbound = outbound
        self._tokens = tokens

    async def pages(self, platform: Platform, url: str) -> AsyncIterator[list[Member]]:
        """The members, a page of the platform at a time, at most `PAGES`.

        Raises `OutboundFailed` or `TokenRefused`; also where a platform sends the reader in circles.
        """
        seen: set[str] = set()
        following: str | None = url if "limit=" in url else read_limit(url)
        while following is not None:
            if following in seen or len(seen) >= PAGES:
                message = f"the roster at {url} does not end after {len(seen)} pages"
                raise OutboundFailed(message)
            seen.add(following)
            reply = await self._page(platform, following)
            try:
                container = msgspec.json.decode(reply.body, type=_Container)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                message = f"{following} answered with no list of members ({error})"
                raise OutboundFailed(message) from error
            yield [_member(listed) for listed in container.members]
            following = next_link(reply.headers.get_list("link"), following)

    async def _page(self, platform: Platform, url: str) -> Reply:
        for attempt in (1, 2):
            token = await self._tokens.token(platform, (SCOPE,))
            reply = await self._outbound.get(url, {"Accept": _KIND, "Authorization": f"Bearer {token}"}, "roster")
            if reply.status == 401 and attempt == 1:  # noqa: PLR2004 - a token that was withdrawn
                self._tokens.forget(platform, (SCOPE,))
                continue
            break
        if reply.status != 200:  # noqa: PLR2004 - OK
            message = f"{url} answered with status {reply.status}"
            raise OutboundFailed(message)
        return reply


def read_limit(url: str) -> str:
    """The address with a page size: some platforms send ten members a page unless asked."""
    return f"{url}{'&' if '?' in url else '?'}limit={_PAGE_SIZE}"


def next_link(headers: list[str], base: str) -> str | None:
    """The address of the next page (RFC 8288): relation names in any case, quoted or not, several in one header."""
    for target, parameters in (match.groups() for header in headers for match in _LINK.finditer(header)):
        relation = _REL.search(parameters)
        if relation and "next" in (relation[1] or relation[2] or "").lower().split():
            return str(urljoin(base, target))
    return None


def _member(listed: _Listed) -> Member:
    who = Claims(sub=listed.user_id, name=listed.name, given_name=listed.given_name, family_name=listed.family_name)
    status = (listed.status or "active").lower()
    return Member(
        user=listed.user_id,
        name=read.name_of(who),
        role=read.role_of(listed.roles),
        status="deleted" if status == "deleted" else "inactive" if status == "inactive" else "active",
        email=listed.email or "",
    )
