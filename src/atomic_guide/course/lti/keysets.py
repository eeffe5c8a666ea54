"""The platforms' public keys, cached.

One fetch at a time for each key set. A set older than `keyset_seconds` serves on while it is fetched anew in the
background. A key id that it does not hold causes one fetch, at most once a minute: that is how a rotation is
noticed, and all that a flood of made-up key ids can cause. Each key is imported once.

An address may hold the set itself (`data:application/json;base64,...`, RFC 2397), for a platform that the tool cannot
call: then nothing is fetched.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any

import msgspec
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.util import urlsafe_b64decode

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.lti.outbound import Outbound, OutboundFailed
from atomic_guide.course.lti.refusals import Refusal, Refused

_log = structlog.get_logger(__name__)

REFETCH_SECONDS = 60.0
"""Least time between two fetches for unknown key ids."""

RETRY_SECONDS = 5.0
"""Least time between a failed fetch and the next."""

STALE_SECONDS = 86_400.0
"""How long a key set serves that cannot be fetched anew; longer would trust a key that was withdrawn."""

LEAST_BITS = 2048
_MOST_KEYS = 100

HELD = "data:application/json;base64,"
"""How an address begins that holds its key set."""

_HELD_LIMIT = 16_384


class Key(msgspec.Struct, frozen=True):
    """A published key; None where it is too weak to be used."""

    kid: str
    key: RSAKey | None


class _KeySet:
    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.fetched_at = float("-inf")
        self.tried_at = float("-inf")
        self.refetched_at = float("-inf")
        self.fetching: asyncio.Task[None] | None = None


class KeySets:
    """Key sets by their address."""

    def __init__(self, outbound: Outbound, clock: Clock, seconds: float) -> None:
        self._outbound = outbound
        self._clock = clock
        self._seconds = seconds
        self._sets: dict[str, _KeySet] = {}

    async def key(self, url: str, kid: str) -> RSAKey:
        """The key `kid` of the set at `url`. Raises `Refused`."""
        known = self._sets.setdefault(url, _KeySet())
        now = self._clock.monotonic()
        stale = now - known.fetched_at >= STALE_SECONDS
        if stale:
            await self._fetched(url, known)
        elif now - known.fetched_at >= self._seconds:
            # Served stale; whoever comes next finds the new set.
            self._begin(url, known)
        found = known.keys.get(kid)
        if found is None and not stale and self._may_refetch(known, now):
            await self._fetched(url, known)
            found = known.keys.get(kid)
        if found is None:
            raise Refused(Refusal.LTI_KID_UNKNOWN)
        if found.key is None:
            raise Refused(Refusal.LTI_KEY_WEAK)
        return found.key

    async def close(self) -> None:
        """End what is being fetched."""
        running = [known.fetching for known in self._sets.values() if known.fetching]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    @staticmethod
    def _may_refetch(known: _KeySet, now: float) -> bool:
        if known.fetching:
            return True
        if now - known.refetched_at < REFETCH_SECONDS:
            return False
        known.refetched_at = now
        return True

    async def _fetched(self, url: str, known: _KeySet) -> None:
        task = self._begin(url, known)
        if task is None:
            raise Refused(Refusal.LTI_KEYSET_UNAVAILABLE, retry_after=RETRY_SECONDS)
        try:
            # Shielded: a visitor who goes away must not take the fetch from those who wait with him.
            await asyncio.shield(task)
        except errors.GuideError as error:
            raise Refused(Refusal.LTI_KEYSET_UNAVAILABLE, retry_after=RETRY_SECONDS) from error

    async def _asked(self, url: str) -> dict[str, Key]:
        reply = await self._outbound.get(url, {"Accept": "application/jwk-set+json, application/json"})
        if reply.status != 200:  # noqa: PLR2004 - OK
            message = f"{url} answered with status {reply.status}"
            raise OutboundFailed(message)
        return parse_keys(reply.json(), url)

    def _begin(self, url: str, known: _KeySet) -> asyncio.Task[None] | None:
        """The fetch that runs, or a new one; None where the last one failed a moment ago."""
        if known.fetching is None:
            now = self._clock.monotonic()
            failed = known.tried_at > known.fetched_at
            if failed and now - known.tried_at < RETRY_SECONDS:
                return None
            known.fetching = asyncio.create_task(self._fetch(url, known))
            known.fetching.add_done_callback(_observed)
        return known.fetching

    async def _fetch(self, url: str, known: _KeySet) -> None:
        try:
            known.tried_at = self._clock.monotonic()
            known.keys = held_keys(url) if url.startswith(HELD) else await self._asked(url)
            known.fetched_at = known.tried_at
        except errors.GuideError as error:
            _log.warning("a key set could not be fetched", reason=error.message)
            raise
        finally:
            known.fetching = None


def parse_keys(document: Any, url: str) -> dict[str, Key]:
    """The RSA keys for signatures of a key set, by key id. Raises `OutboundFailed` where it is no key set."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        message = f'{url} holds no list "keys": it is no key set'
        raise OutboundFailed(message)
    keys: dict[str, Key] = {}
    for jwk in listed[:_MOST_KEYS]:
        key = _parse_key(jwk)
        if key is not None:
            keys[key.kid] = key
    return keys


def held_keys(url: str) -> dict[str, Key]:
    """The keys of an address that holds its set. Raises `OutboundFailed` where it holds none."""
    if len(url) > _HELD_LIMIT:
        message = f"a key set that is given itself may have {_HELD_LIMIT} characters"
        raise OutboundFailed(message)
    try:
        document = msgspec.json.decode(base64.b64decode(url.removeprefix(HELD), validate=True))
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError) as error:
        message = f"what follows {HELD} is no base64 of a key set in JSON"
        raise OutboundFailed(message) from error
    return parse_keys(document, "the key set that was given")


def _parse_key(jwk: Any) -> Key | None:
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA" or not isinstance(jwk.get("kid"), str):
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", "RS256") != "RS256":
        return None
    try:
        modulus = urlsafe_b64decode(jwk["n"].encode())
        if int.from_bytes(modulus, "big").bit_length() < LEAST_BITS:
            return Key(jwk["kid"], None)
        # Only the public half: a platform that publishes its private key by mistake must not hand it to us.
        key = RSAKey.import_key({"kty": "RSA", "n": jwk["n"], "e": jwk["e"]})
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return Key(jwk["kid"], key)


def _observed(task: asyncio.Task[None]) -> None:
    # A background fetch that failed was logged; without this the loop would report it again.
    if not task.cancelled():
        task.exception()
