"""Access tokens for the platforms' services (OAuth 2.0 client credentials with a signed assertion, RFC 7523)."""

from __future__ import annotations

import asyncio
import secrets
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed
from atomic_guide.course.lti.registration import Platform
from atomic_guide.course.lti.signing import SigningKeys
from atomic_guide.engines.cache.memory import Memory

_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_SECONDS = 300
_SPARE_SECONDS = 30
"""A token this close to its end is not used: the call that carries it may take as long."""

_DEFAULT_LIFE = 60
"""Seconds; for a platform that does not say how long its token lives."""

_CACHED = 10_000


class TokenRefused(errors.GuideError):
    """The platform gave no token; the message has its reason."""

    code = "LMS_TOKEN_REFUSED"
    status = 503


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | float = _DEFAULT_LIFE


class _Kept(NamedTuple):
    token: str
    good_until: float


_NONE = _Kept("", float("-inf"))


class ServiceTokens:
    """Access tokens by registration and scopes, each fetched once and used until it expires."""

    def __init__(self, outbound: Outbound, signing: SigningKeys, clock: Clock) -> None:
        self._outbound = outbound
        self._signing = signing
        self._clock = clock
        self._kept: Memory[tuple[str, str], _Kept] = Memory(maxsize=_CACHED)
        self._fetching: dict[tuple[str, str], asyncio.Lock] = {}

    async def token(self, platform: Platform, scopes: tuple[str, ...]) -> str:
        """A token for these scopes. Raises `TokenRefused` or `OutboundFailed`."""
        key = (platform.id, " ".join(sorted(scopes)))
        lock = self._fetching.setdefault(key, asyncio.Lock())
        async with lock:
            kept = self._kept.get(key, _NONE)
            if kept.good_until <= self._clock.monotonic():
                kept = await self._fetch(platform, key[1])
                self._kept[key] = kept
            return kept.token

    def forget(self, platform: Platform, scopes: tuple[str, ...]) -> None:
        """Do not use the kept token again: the platform has refused it."""
        self._kept.pop((platform.id, " ".join(sorted(scopes))), None)

    async def _fetch(self, platform: Platform, scope: str) -> _Kept:
        now = int(self._clock.now())
        assertion = await self._signing.sign(
            {
                "iss": platform.client_id,
                "sub": platform.client_id,
                # Where the two differ (D2L), the registration names the audience.
                "aud": platform.auth_audience or platform.token_url,
                "iat": now,
                "exp": now + _ASSERTION_SECONDS,
                "jti": secrets.token_urlsafe(24),
            }
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": assertion,
            "scope": scope,
        }
        asked_at = self._clock.monotonic()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        reply = await self._outbound.post(platform.token_url, urlencode(form).encode(), headers)
        if reply.status >= 400:  # noqa: PLR2004 - a refusal
            reason = reply.body[:200].decode("utf-8", "replace")
            message = f"{platform.token_url} gave no token (status {reply.status}: {reason})"
            raise TokenRefused(message)
        try:
            granted = msgspec.json.decode(reply.body, type=_Granted)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            message = f"{platform.token_url} answered with no token"
            raise OutboundFailed(message) from error
        return _Kept(granted.access_token, asked_at + granted.expires_in - _SPARE_SECONDS)
