"""Deep Linking 2.0: what an instructor has chosen goes back to the platform as a signed message."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from atomic_guide.clock import Clock
from atomic_guide.course.lti.launch import Launch
from atomic_guide.course.lti.refusals import Refusal, Refused
from atomic_guide.course.lti.signing import SigningKeys

_LTI = "https://purl.imsglobal.org/spec/lti/claim/"
_DEEP = "https://purl.imsglobal.org/spec/lti-dl/claim/"
_LINK = "ltiResourceLink"
_MESSAGE_SECONDS = 3600
"""How long the page may stay open before its button is pressed."""


class Message(NamedTuple):
    """A signed answer and where the browser has to post it, as the field `JWT`."""

    url: str
    token: str


def check_choice(launch: Launch) -> None:
    """Raise `Refused` unless the launch asks an instructor for links to a tool."""
    if launch.role != "instructor":
        raise Refused(Refusal.LTI_DEEP_LINKING_LEARNER)
    accepted = launch.deep_linking.accept_types if launch.deep_linking else None
    if accepted is not None and _LINK not in accepted:
        raise Refused(Refusal.LTI_DEEP_LINKING_NO_LINKS)


async def chosen(launch: Launch, titles: list[str], base_url: str, signing: SigningKeys, clock: Clock) -> Message:
    """The message that adds a link to the course room for each title; none of them means that nothing was chosen."""
    settings = launch.deep_linking
    if settings is None or not settings.deep_link_return_url:
        raise Refused(Refusal.LTI_DEEP_LINKING_SETTINGS_MISSING)
    now = int(clock.now())
    claims = {
        "iss": launch.platform.client_id,
        "aud": launch.platform.issuer,
        "iat": now,
        "exp": now + _MESSAGE_SECONDS,
        "nonce": secrets.token_urlsafe(24),
        f"{_LTI}deployment_id": launch.deployment_id,
        f"{_LTI}message_type": "LtiDeepLinkingResponse",
        f"{_LTI}version": "1.3.0",
        f"{_DEEP}content_items": [{"type": _LINK, "title": title, "url": f"{base_url}/lti/launch"} for title in titles],
    }
    if settings.data is not None:
        claims[f"{_DEEP}data"] = settings.data
    return Message(settings.deep_link_return_url, await signing.sign(claims))
