"""What testers say to one another, sealed with a secret that both know.

locust's own messages are plain text over TCP without any proof of who sends them. What matters is in ours: the order
holds the key that launches are signed with, and whoever could give one could aim a tester. So each of them is encrypted
and authenticated (AES-256-GCM) under a key derived from the secret (HKDF), bound to its sender, its kind and to the
tester that asked, whose nonce makes an old order worthless.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class BadSeal(Exception):
    """A message of somebody who does not know the secret, or one that was changed or used before."""


class Seal:
    """Seals and opens the messages between two testers; `bound` is the nonce of the one that asked."""

    def __init__(self, secret: str, bound: bytes = b"") -> None:
        key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"atomic-guide loadtest").derive(secret.encode())
        self._box = AESGCM(key)
        self._bound = bound

    def close(self, kind: str, data: bytes) -> bytes:
        """Seal a message of a kind."""
        nonce = os.urandom(_NONCE)
        return nonce + self._box.encrypt(nonce, data, kind.encode() + b"\x00" + self._bound)

    def open(self, kind: str, sealed: bytes) -> bytes:
        """What was sealed. Raises `BadSeal`."""
        try:
            return self._box.decrypt(sealed[:_NONCE], sealed[_NONCE:], kind.encode() + b"\x00" + self._bound)
        except (InvalidTag, ValueError) as error:
            raise BadSeal from error
