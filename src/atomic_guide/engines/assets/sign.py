"""Addresses that expire: an HMAC over what they open and until when, made and checked without a database."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from atomic_guide.errors import Forbidden
from atomic_guide.setting import setting

if TYPE_CHECKING:
    from atomic_guide.clock import Clock

_SIGNATURE_BYTES = 16
"""128 bits of HMAC-SHA256: half of its length, the least that RFC 2104 recommends."""


class SigningSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a signed address works."""

    life_seconds: Annotated[
        int,
        setting("Least life of a signed address: a long lecture with a break.", "s", ge=60, le=7 * 86400),
    ] = 4 * 3600


class Signer:
    """Signs claims (any JSON) into one path segment, and reads them back."""

    def __init__(self, key: bytes, clock: Clock, settings: SigningSettings | None = None) -> None:
        self._key = key
        self._clock = clock
        self._life = (settings or SigningSettings()).life_seconds

    @property
    def life(self) -> int:
        """Seconds that a signed address lives at least."""
        return self._life

    def sign(self, claims: Any) -> str:
        """A segment of URL-safe characters that lives at least `life` seconds.

        The end is rounded up to a quarter of the life, so that repeated calls give the same address and a
        browser's cache of it stays useful.
        """
        step = max(1, self._life // 4)
        expires_at = math.ceil(self._clock.now() / step) * step + self._life
        body = _encode(msgspec.json.encode([expires_at, claims]))
        return f"{body}.{_encode(self._mac(body))}"

    def check(self, segment: str) -> Any:
        """The claims of a segment. Raises `Forbidden` where it is not ours, was changed, or has expired."""
        body, _, signature = segment.partition(".")
        try:
            given = _decode(signature)
        except (ValueError, binascii.Error) as error:
            raise Forbidden("this address is not one of ours") from error
        if not hmac.compare_digest(given, self._mac(body)):
            raise Forbidden("this address is not one of ours")
        expires_at, claims = msgspec.json.decode(_decode(body))
        if expires_at <= self._clock.now():
            raise Forbidden("this address has expired; open the page again", details={"expired": True})
        return claims

    def _mac(self, body: str) -> bytes:
        return hmac.new(self._key, b"address:" + body.encode(), hashlib.sha256).digest()[:_SIGNATURE_BYTES]


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
