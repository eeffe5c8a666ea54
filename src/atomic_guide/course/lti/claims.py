"""The claims of an LTI message, strictly typed; anything that is not listed here is ignored.

A claim that is absent or null is None: whether it may be is decided in `launch`, which has a code for each.
"""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote

import msgspec

_LTI = "https://purl.imsglobal.org/spec/lti/claim/"
_DEEP = "https://purl.imsglobal.org/spec/lti-dl/claim/"
_ROSTER = "https://purl.imsglobal.org/spec/lti-nrps/claim/"
_GRADES = "https://purl.imsglobal.org/spec/lti-ags/claim/"

# No control characters: PostgreSQL cannot store NUL, and no id or URL needs the others.
Id = Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[^\x00-\x1f\x7f]*$")]
Url = Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^[^\x00-\x20\x7f]*$")]
LongText = Annotated[str, msgspec.Meta(max_length=16_384)]
Seconds = int | float


class ResourceLink(msgspec.Struct, frozen=True):
    """The link that was opened."""

    id: Id | None = None
    title: LongText | None = None


class Context(msgspec.Struct, frozen=True):
    """The course it was opened in."""

    id: Id | None = None
    label: LongText | None = None
    title: LongText | None = None


class Presentation(msgspec.Struct, frozen=True):
    """How the platform shows the tool."""

    locale: LongText | None = None
    return_url: LongText | None = None


class RosterService(msgspec.Struct, frozen=True):
    """Where the names and roles of the course are (NRPS 2.0)."""

    context_memberships_url: Url | None = None


class GradeService(msgspec.Struct, frozen=True):
    """Where the grade book of the course is (AGS 2.0)."""

    scope: list[Url] | None = None
    lineitems: Url | None = None
    lineitem: Url | None = None


class DeepLinking(msgspec.Struct, frozen=True):
    """How chosen content is to be returned (Deep Linking 2.0). `data` goes back unchanged."""

    deep_link_return_url: Url | None = None
    accept_types: list[Id] | None = None
    accept_multiple: bool | None = None
    data: LongText | None = None


class Claims(msgspec.Struct, frozen=True):
    """What a platform says in an id_token."""

    iss: Url | None = None
    aud: Id | list[Id] | None = None
    azp: Id | None = None
    sub: Id | None = None
    nonce: Id | None = None
    exp: Seconds | None = None
    iat: Seconds | None = None
    nbf: Seconds | None = None
    name: LongText | None = None
    given_name: LongText | None = None
    family_name: LongText | None = None
    email: LongText | None = None
    version: Id | None = msgspec.field(name=f"{_LTI}version", default=None)
    message_type: Id | None = msgspec.field(name=f"{_LTI}message_type", default=None)
    deployment_id: Id | None = msgspec.field(name=f"{_LTI}deployment_id", default=None)
    target_link_uri: Url | None = msgspec.field(name=f"{_LTI}target_link_uri", default=None)
    resource_link: ResourceLink | None = msgspec.field(name=f"{_LTI}resource_link", default=None)
    roles: list[LongText] | None = msgspec.field(name=f"{_LTI}roles", default=None)
    context: Context | None = msgspec.field(name=f"{_LTI}context", default=None)
    presentation: Presentation | None = msgspec.field(name=f"{_LTI}launch_presentation", default=None)
    custom: dict[str, Any] | None = msgspec.field(name=f"{_LTI}custom", default=None)
    roster: RosterService | None = msgspec.field(name=f"{_ROSTER}namesroleservice", default=None)
    grades: GradeService | None = msgspec.field(name=f"{_GRADES}endpoint", default=None)
    deep_linking: DeepLinking | None = msgspec.field(name=f"{_DEEP}deep_linking_settings", default=None)


_TEACHING = {"Instructor", "ContentDeveloper", "TeachingAssistant", "Administrator"}
# The principal role stands first, in the path or in the name; what follows it only narrows it.
_COURSE_ROLE = re.compile(r"(?:.*/membership(?:/([A-Za-z]+))?#|urn:lti:role:ims/lis/)?([A-Za-z]+)(?:/[A-Za-z]+)?")
_ADMINISTRATOR = re.compile(
    r"(?:.*/(?:institution|system)/person#|urn:lti:(?:inst|sys)role:ims/lis/)(?:Sys|Account)?(?:Administrator|Admin)"
)
_LOCALE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_RETURN_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]{1,2040}")

# Zero-width joiners: Persian names and many scripts of India need them.
_JOINERS = "\u200c\u200d"

OUTSIDE = "resource-link:"
"""How the id of a course begins that is a link outside of any course."""
_HISTORY_LIMIT = 8192
_ID_LIMIT = 255

TITLE_LIMIT = 200
NAME_LIMIT = 120


def role_of(roles: list[str]) -> Literal["instructor", "learner"]:
    """Whether the roles, as full URIs or short forms, make somebody an instructor of this course.

    A role that somebody has in the institution does not count, save administrators': Canvas lists "Instructor" of
    the institution for a teacher who takes somebody else's course as a student. Of a sub-role its principal role
    counts: `membership/Instructor#PrimaryInstructor` teaches, `membership/Learner#Instructor` is a kind of learner.
    """
    for role in roles:
        match = _COURSE_ROLE.fullmatch(role)
        if (match and (match[1] or match[2]) in _TEACHING) or _ADMINISTRATOR.fullmatch(role):
            return "instructor"
    return "learner"


def name_of(claims: Claims) -> str:
    """A name to show: the platform's, else "Member 1234" with digits from the id; never an e-mail address."""
    full = claims.name or " ".join(part for part in (claims.given_name, claims.family_name) if part)
    shown = one_line(full, NAME_LIMIT)
    if shown and "@" not in shown:
        return shown
    return f"Member {int.from_bytes(hashlib.sha256((claims.sub or '').encode()).digest()[:4], 'big') % 9000 + 1000}"


def title_of(claims: Claims) -> str | None:
    """The course's title, else its label, if the platform sent one."""
    context = claims.context or Context()
    for text in (context.title, context.label):
        shown = one_line(text or "", TITLE_LIMIT)
        if shown:
            return shown
    return None


def context_of(claims: Claims) -> str:
    """The course's id at the platform; a link outside of any course is a course of its own."""
    if claims.context and claims.context.id:
        return claims.context.id
    link = claims.resource_link.id if claims.resource_link else None
    return f"{OUTSIDE}{link or claims.deployment_id}"


def history_of(claims: Claims) -> tuple[str, ...]:
    """The courses that this one was copied from, by the platform's ids, the latest copy first.

    They come as custom parameters, percent-encoded between commas (LTI 1.3 core, appendix C); a platform that does not
    know the variable sends its name. For a link outside of any course they are the links that it was copied from.
    """
    inside = bool(claims.context and claims.context.id)
    sent = (claims.custom or {}).get("context_id_history" if inside else "resource_link_id_history")
    if not isinstance(sent, str) or sent.startswith("$"):
        return ()
    ids = [unquote(part.strip()) for part in sent[:_HISTORY_LIMIT].split(",")]
    known = [one for one in dict.fromkeys(ids) if one and len(one) <= _ID_LIMIT and one.isprintable()]
    return tuple(one if inside else f"{OUTSIDE}{one}" for one in known)


def locale_of(claims: Claims) -> str:
    """The platform's language as BCP 47, "en" where it sent none that can be read."""
    sent = ((claims.presentation and claims.presentation.locale) or "").partition(".")[0].replace("_", "-")
    return sent if _LOCALE.fullmatch(sent) else "en"


def return_url_of(claims: Claims) -> str | None:
    """Where the way back to the LMS leads; None where it is no web address."""
    sent = (claims.presentation and claims.presentation.return_url) or ""
    return sent if _RETURN_URL.fullmatch(sent) else None


def one_line(text: str, limit: int) -> str:
    """Text without control characters and runs of space, cut to `limit` characters."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)
    return " ".join(text.split())[:limit].strip()
