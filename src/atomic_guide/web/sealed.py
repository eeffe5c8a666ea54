"""What a one-time code stands for, sealed with the code itself.

The directory keeps a code's digest and this: who reads the directory, or stands it in another region, learns nobody's
name from it. What an erasure has to find stands beside it: the tenant, and a keyed digest in place of the person.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = bytes(12)
"""Constant, because each key seals once: every code is new."""


class Kept(msgspec.Struct, frozen=True):
    """A row's payload: `user` is a digest."""

    tenant: str
    user: str
    sealed: str


def seal(code: str, content: bytes) -> str:
    """The content, for who has the code."""
    return base64.b64encode(AESGCM(_key(code)).encrypt(_NONCE, content, None)).decode()


def unsealed(code: str, sealed: str) -> bytes:
    """The content. Raises ValueError where it was sealed with another code, or altered."""
    try:
        return AESGCM(_key(code)).decrypt(_NONCE, base64.b64decode(sealed, validate=True), None)
    except (InvalidTag, binascii.Error) as error:
        raise ValueError("it was sealed with another code") from error


def _key(code: str) -> bytes:
    # A code has 256 random bits, so one round of a hash is as good as many.
    return hashlib.sha256(b"what a code stands for\0" + code.encode()).digest()
