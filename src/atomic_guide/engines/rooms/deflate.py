"""Compression of messages (permessage-deflate, RFC 7692), without memory between them.

Each message is compressed by itself: so one compression serves every member of a room, and an idle socket holds no
window of 32 KiB. Pure.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from websockets.exceptions import InvalidHeaderFormat
from websockets.headers import parse_extension

NAME = "permessage-deflate"
ANSWER = f"{NAME}; server_no_context_takeover; client_no_context_takeover"
"""What is agreed on; a server may ask for the client's part unasked (RFC 7692, 7.1.1.2)."""

RESERVED = 0x40
"""The bit in the head of a message's first frame that says that it is compressed."""

_TAIL = b"\x00\x00\xff\xff"
_WINDOW = 15
_TAKEN = frozenset({"server_no_context_takeover", "client_no_context_takeover"})


def agree(offers: Iterable[str]) -> bool:
    """Whether one of a client's offers (values of Sec-WebSocket-Extensions) can be accepted as `ANSWER`.

    One that wants a smaller window from the server cannot: the room's one compression uses the largest. Raises
    ValueError for a header that cannot be read.
    """
    try:
        found = [offer for header in offers for offer in parse_extension(header)]
    except InvalidHeaderFormat as error:
        raise ValueError(str(error)) from error
    return any(name == NAME and _acceptable(parameters) for name, parameters in found)


def _acceptable(parameters: Iterable[tuple[str, str | None]]) -> bool:
    seen = set()
    for name, value in parameters:
        known = (
            (name in _TAKEN and value is None)
            or (name == "client_max_window_bits" and (value is None or value in _BITS))
            or (name == "server_max_window_bits" and value == str(_WINDOW))
        )
        if not known or name in seen:
            return False
        seen.add(name)
    return True


_BITS = frozenset(str(bits) for bits in range(8, _WINDOW + 1))


def packed(frame: bytes) -> bytes:
    """A server's text frame, compressed; as it is where that would make it longer."""
    start = 2 if frame[1] < 126 else 4 if frame[1] == 126 else 10  # noqa: PLR2004 - the three forms of a length
    deflater = zlib.compressobj(wbits=-_WINDOW)
    payload = (deflater.compress(memoryview(frame)[start:]) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(_TAIL)
    if len(payload) >= len(frame) - start:
        return frame
    return head(frame[0] | RESERVED, len(payload)) + payload


def head(first: int, length: int) -> bytes:
    """The head of an unmasked frame: its first byte and the length of its payload."""
    if length < 126:  # noqa: PLR2004 - fits into the second byte beside two marks
        return bytes((first, length))
    if length < 1 << 16:
        return bytes((first, 126)) + length.to_bytes(2, "big")
    return bytes((first, 127)) + length.to_bytes(8, "big")


def unpacked(payload: bytes, limit: int) -> bytes | None:
    """A client's message; None where it is longer than `limit` bytes, of which no more are made.

    Raises ValueError for what is not compressed data.
    """
    inflater = zlib.decompressobj(-_WINDOW)
    try:
        text = inflater.decompress(payload + _TAIL, limit + 1)
    except zlib.error as error:
        raise ValueError("the message cannot be decompressed") from error
    return text if len(text) <= limit else None
