"""Values on NATS as their processes store them: sealed, so that what anybody else puts there is no value.

The seal is a keyed hash (BLAKE2b, RFC 7693) of the value and of the name it lies under; the key is the installation's
and never on NATS. What was altered, moved to another name, or written by another installation does not open.
"""

from __future__ import annotations

import hashlib
import hmac

import msgspec

_SEAL = 16
"""Bytes of the seal: as hard to guess as a key of 128 bits."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """A value as it is kept: until when (epoch seconds), what was heard of before it was loaded, its marks.

    `since` is when the order of changes began that `seen` is a number of.
    """

    ends: float
    since: int
    seen: int
    marks: tuple[str, ...]
    value: bytes


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stored)


class Garbage(ValueError):
    """What lies under a name is no value of ours."""


class Sealer:
    """Closes and opens values with the key of an installation."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32, person=b"guide-cache").digest()

    def close(self, name: str, stored: Stored) -> bytes:
        """A value as bytes, for its name only."""
        body = _encoder.encode(stored)
        return self._seal(name, body) + body

    def open(self, name: str, data: bytes) -> Stored:
        """The value of a name. Raises `Garbage` for what was not closed for it."""
        seal, body = data[:_SEAL], data[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(name, body)):
            message = "the seal is not ours"
            raise Garbage(message)
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError as error:
            message = "the body is of another form"
            raise Garbage(message) from error

    def _seal(self, name: str, body: bytes) -> bytes:
        return hashlib.blake2b(name.encode() + b"\0" + body, digest_size=_SEAL, key=self._key).digest()
