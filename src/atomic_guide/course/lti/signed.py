"""The signature of a token that somebody else's server has made: an LMS's launch, a provider's sign-in.

The algorithm is ours to choose, never the token's, and so is the key: nothing of the payload is believed, nor of the
header but the key's name, before the signature is verified with a key of the set that we know.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError

from atomic_guide.course.lti.limits import TOKEN_BYTES
from atomic_guide.course.lti.refusals import Refusal, Refused

if TYPE_CHECKING:
    from atomic_guide.course.lti.keysets import KeySets

_REGISTRY = jws.JWSRegistry(algorithms=["RS256"], strict_check_header=False)


class _Header(msgspec.Struct, frozen=True):
    """A token's header; the members typed Any are only looked at for being there."""

    alg: str = ""
    kid: str | None = None
    jwk: Any = msgspec.UNSET
    jku: Any = msgspec.UNSET
    x5c: Any = msgspec.UNSET
    x5u: Any = msgspec.UNSET
    crit: Any = msgspec.UNSET
    b64: Any = msgspec.UNSET


_decoder = msgspec.json.Decoder(_Header)


async def verified(token: str | None, keysets: KeySets, keyset_url: str, limit: int) -> bytes:
    """The payload of a token of at most `limit` characters, signed with a key of a set. Raises `Refused`."""
    if not token:
        raise Refused(Refusal.LTI_TOKEN_MISSING)
    TOKEN_BYTES.note(len(token))
    if len(token) > limit:
        raise TOKEN_BYTES.over(Refused(Refusal.LTI_TOKEN_TOO_LARGE))
    header = _read_header(token)
    if header.alg != "RS256":
        raise Refused(Refusal.LTI_ALGORITHM_REFUSED)
    if any(value is not msgspec.UNSET for value in (header.jwk, header.jku, header.x5c, header.x5u)):
        raise Refused(Refusal.LTI_KEY_EMBEDDED)
    if header.crit is not msgspec.UNSET or header.b64 is not msgspec.UNSET:
        raise Refused(Refusal.LTI_HEADER_CRITICAL)
    if not header.kid:
        raise Refused(Refusal.LTI_KID_MISSING)
    key = await keysets.key(keyset_url, header.kid)
    try:
        return jws.deserialize_compact(token, key, registry=_REGISTRY).payload or b""
    except (JoseError, ValueError, TypeError) as error:
        raise Refused(Refusal.LTI_SIGNATURE_BAD) from error


def _read_header(token: str) -> _Header:
    if token.count(".") != 2:  # noqa: PLR2004 - header.payload.signature
        raise Refused(Refusal.LTI_TOKEN_MALFORMED)
    head = token.partition(".")[0]
    try:
        return _decoder.decode(base64.b64decode(head + "=" * (-len(head) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError) as error:
        raise Refused(Refusal.LTI_TOKEN_MALFORMED) from error
