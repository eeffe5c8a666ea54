"""What is wrong with a registration, in plain words: each finding names the thing and the remedy."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.lti import roster
from atomic_guide.course.lti.addresses import origin_of
from atomic_guide.course.lti.keysets import HELD, LEAST_BITS, Key, held_keys, parse_keys
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed, Reply
from atomic_guide.course.lti.registration import Platform, near
from atomic_guide.course.lti.tokens import ServiceTokens

Level = Literal["good", "warning", "bad"]

_SKEW_UNSEEN = 3.0
_SKEW_WARNED = 20.0
_SKEW_REFUSED = 60.0
"""Seconds by which the clocks may differ: beyond it launches are refused as made in the future, or as expired."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    check: str
    level: Level
    text: str


class Diagnosis:
    """Looks at registrations."""

    def __init__(self, outbound: Outbound, tokens: ServiceTokens, clock: Clock, base_url: str) -> None:
        self._outbound = outbound
        self._tokens = tokens
        self._clock = clock
        self._base_url = base_url

    async def examine(self, platform: Platform, others: list[Platform]) -> list[Finding]:
        """Everything that can be found out without a launch."""
        found = [*self._registration(platform, others), *self._tool()]
        found += await self._key_set(platform)
        found.append(await self._token(platform))
        return found

    def _registration(self, platform: Platform, others: list[Platform]) -> list[Finding]:
        found = []
        if not platform.active:
            found.append(Finding("active", "bad", "The registration is switched off; `platforms add` switches it on."))
        if not platform.deployments:
            found.append(
                Finding(
                    "deployment", "bad", "No deployment is registered: add it with `platforms add --deployment-id`."
                )
            )
        for other in others:
            if near(platform.issuer, other.issuer):
                text = f"{platform.issuer} and {other.issuer} are two issuers to LTI: keep the one that the LMS sends."
                found.append(Finding("issuer", "warning", text))
        found += _issuer(platform)
        return found or [Finding("registration", "good", "The registration is complete.")]

    def _tool(self) -> list[Finding]:
        parts = urlsplit(self._base_url)
        if parts.scheme == "https" or self._outbound.reach.loopback:
            return []
        text = f"The tool is at {self._base_url}, without TLS: browsers then drop its cookies. Set server.public_url."
        return [Finding("tool", "bad", text)]

    async def _key_set(self, platform: Platform) -> list[Finding]:
        url = platform.keyset_url
        if url.startswith(HELD):
            # It was checked when it was registered.
            return [_usable(held_keys(url), "the registration")]
        try:
            reply = await self._outbound.get(url)
            if reply.status != 200:  # noqa: PLR2004 - OK
                text = f"The key set address {url} answers with status {reply.status}: correct --keyset-url."
                return [Finding("key set", "bad", text)]
            keys = parse_keys(reply.json(), url)
        except OutboundFailed as error:
            return [Finding("key set", "bad", f"The key set cannot be used: {error.message}.")]
        return [_usable(keys, url), *self._clocks(reply)]

    def _clocks(self, reply: Reply) -> list[Finding]:
        try:
            theirs = parsedate_to_datetime(reply.headers.get("date", "")).timestamp()
        except (ValueError, TypeError):
            return [Finding("clock", "warning", "The LMS does not tell its time, so the clocks cannot be compared.")]
        apart = theirs - self._clock.now()
        if abs(apart) < _SKEW_UNSEEN:
            return [Finding("clock", "good", "The clocks of the LMS and of this server agree.")]
        text = f"The clock of the LMS is {abs(apart):.0f} s {'ahead of' if apart > 0 else 'behind'} this server's."
        if abs(apart) > _SKEW_REFUSED:
            return [Finding("clock", "bad", f"{text} Launches are refused: set both by NTP.")]
        if abs(apart) > _SKEW_WARNED:
            return [Finding("clock", "warning", f"{text} More than {_SKEW_REFUSED:.0f} s would refuse launches.")]
        return [Finding("clock", "good", text)]

    async def _token(self, platform: Platform) -> Finding:
        try:
            await self._tokens.token(platform, (roster.SCOPE,))
        except errors.GuideError as error:
            text = (
                f"Roster and grades will not work: {error.message}. The LMS has to know this tool's key set,"
                f" {self._base_url}/lti/jwks, and to allow the roster; launches work without."
            )
            if platform.auth_audience is None:
                text += " Where the LMS wants another audience than its token address, give it with --auth-audience."
            return Finding("token", "bad", text)
        return Finding("token", "good", f"{platform.token_url} gives access tokens.")


def _usable(keys: dict[str, Key], where: str) -> Finding:
    usable = [key for key in keys.values() if key.key is not None]
    if usable:
        return Finding("key set", "good", f"The key set at {where} holds {_counted(len(usable))}.")
    if keys:
        text = f"The RSA keys at {where} are shorter than {LEAST_BITS} bits: have the LMS make a new one."
        return Finding("key set", "bad", text)
    text = f"The key set at {where} holds no RSA key for signatures with a key id: launches cannot be verified."
    return Finding("key set", "bad", text)


def _issuer(platform: Platform) -> list[Finding]:
    found = []
    login = origin_of(platform.auth_url)
    if near(origin_of(platform.issuer), login):
        text = f"The issuer is {platform.issuer}, but its login is at {login}: one of them says http for https."
        found.append(Finding("issuer", "warning", text))
    if platform.issuer.endswith("/"):
        text = f"The issuer {platform.issuer} ends in a slash. Most LMSs send none, and both must be the same text."
        found.append(Finding("issuer", "warning", text))
    return found


def _counted(keys: int) -> str:
    return "1 usable key" if keys == 1 else f"{keys} usable keys"


def worst(findings: list[Finding]) -> Level:
    """The level of the worst finding."""
    levels: tuple[Level, ...] = ("bad", "warning")
    return next((level for level in levels if any(finding.level == level for finding in findings)), "good")


def as_facts(platform: Platform, findings: list[Finding]) -> dict[str, Any]:
    """A registration's findings as JSON."""
    return {
        "issuer": platform.issuer,
        "client_id": platform.client_id,
        "level": worst(findings),
        "findings": [msgspec.to_builtins(finding) for finding in findings],
    }
