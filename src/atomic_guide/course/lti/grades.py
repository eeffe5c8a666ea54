"""The platform's grade book (AGS 2.0): find or make a column, send a score."""

from __future__ import annotations

from typing import Literal, TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.lti.addresses import with_query
from atomic_guide.course.lti.claims import Url
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed, Reply
from atomic_guide.course.lti.registration import Platform
from atomic_guide.course.lti.roster import next_link
from atomic_guide.course.lti.tokens import ServiceTokens

LINE_ITEM_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/lineitem"
SCORE_SCOPE = "https://purl.imsglobal.org/spec/lti-ags/scope/score"
_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
_ITEMS = "application/vnd.ims.lis.v2.lineitemcontainer+json"
_SCORE = "application/vnd.ims.lis.v1.score+json"

_PAGES = 50

T = TypeVar("T")


class LineItem(msgspec.Struct, frozen=True):
    """A column of the grade book; `id` is its address."""

    id: Url
    label: str = ""
    scoreMaximum: float = 0.0  # noqa: N815 - the specification's name
    resourceId: str | None = None  # noqa: N815 - as above


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """A score of one learner. `at` is seconds since the epoch; `role` is the course's, for the check below."""

    user: str
    role: Literal["instructor", "learner"]
    score: float
    maximum: float
    at: float
    comment: str | None = None


class ScoreRefused(errors.Invalid):
    """The platform does not take the score, and will not later either; the message says why."""

    code = "LMS_SCORE_REFUSED"


class Grades:
    """Writes grade books."""

    def __init__(self, outbound: Outbound, tokens: ServiceTokens) -> None:
        self._outbound = outbound
        self._tokens = tokens

    async def line_item(self, platform: Platform, url: str, resource: str, label: str, maximum: float) -> LineItem:
        """The column of `resource` (an id of ours) in the grade book at `url`; made where it is not there.

        Raises `OutboundFailed` or `TokenRefused`.
        """
        following: str | None = with_query(url, [("resource_id", resource)])
        for _ in range(_PAGES):
            if following is None:
                break
            reply = await self._call("GET", platform, following, _ITEMS, LINE_ITEM_SCOPE)
            for item in _decoded(reply, list[LineItem]):
                # Some platforms ignore the filter.
                if item.resourceId == resource:
                    return item
            following = next_link(reply.headers.get_list("link"), following)
        made = {"label": label, "scoreMaximum": maximum, "resourceId": resource}
        reply = await self._call("POST", platform, url, _ITEM, LINE_ITEM_SCOPE, msgspec.json.encode(made))
        return _decoded(reply, LineItem)

    async def send(self, platform: Platform, item: LineItem, score: Score) -> None:
        """Send a score. Raises `ScoreRefused` where sending it again would not help, else as `line_item`."""
        if score.role != "learner":
            message = f"member {score.user} teaches the course; an LMS takes scores of learners only"
            raise ScoreRefused(message, details={"user": score.user})
        body = {
            "userId": score.user,
            "scoreGiven": score.score,
            "scoreMaximum": score.maximum,
            "timestamp": iso(score.at),
            "activityProgress": "Completed",
            "gradingProgress": "FullyGraded",
            **({"comment": score.comment} if score.comment else {}),
        }
        address = scores_url(item.id)
        try:
            await self._call("POST", platform, address, _SCORE, SCORE_SCOPE, msgspec.json.encode(body))
        except _Refused as error:
            raise ScoreRefused(error.message, details={"user": score.user}) from error

    async def _call(
        self, method: Literal["GET", "POST"], platform: Platform, url: str, kind: str, scope: str, body: bytes = b""
    ) -> Reply:
        for attempt in (1, 2):
            token = await self._tokens.token(platform, (scope,))
            headers = {"Authorization": f"Bearer {token}"}
            if method == "GET":
                reply = await self._outbound.get(url, {**headers, "Accept": kind}, "grades")
            else:
                reply = await self._outbound.post(
                    url, body, {**headers, "Content-Type": kind, "Accept": kind}, "grades"
                )
            if reply.status == 401 and attempt == 1:  # noqa: PLR2004 - a token that was withdrawn
                self._tokens.forget(platform, (scope,))
                continue
            break
        if reply.status in {400, 404, 422}:
            reason = reply.body[:200].decode("utf-8", "replace")
            message = f"{url} refused with status {reply.status}: {reason}"
            raise _Refused(message)
        if reply.status >= 300:  # noqa: PLR2004 - not done
            message = f"{url} answered with status {reply.status}"
            raise OutboundFailed(message)
        return reply


class _Refused(OutboundFailed):
    """The platform understood and said no."""


def scores_url(item: str) -> str:
    """Where the scores of a column go: `/scores` behind the path, before the query (Moodle's columns have one)."""
    parts = urlsplit(item)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/scores"))


def _decoded(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        message = f"{reply.url} answered with no line item ({error})"
        raise OutboundFailed(message) from error
