"""WebSocket frames (RFC 6455) and the JSON envelope in them. Sans-I/O.

The parser is ours because of memory: the protocol object of `websockets` holds a stream reader, a generator and
a logger for each connection, which is more than everything else of an idle socket together. Its handshake and
its masking in C are used. Compression is in `deflate`; where it is not agreed on, reserved bits are errors.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
from websockets.frames import EXTERNAL_CLOSE_CODES, Opcode
from websockets.frames import CloseCode as CloseCode  # noqa: PLC0414 - the rest of rooms takes it from here

from atomic_guide.engines.rooms import deflate

try:
    from websockets.speedups import apply_mask as _apply_mask
except ImportError:  # a platform without the compiled part
    from websockets.utils import apply_mask as _apply_mask

CONTINUATION, TEXT, BINARY = int(Opcode.CONT), int(Opcode.TEXT), int(Opcode.BINARY)
CLOSE, PING, PONG = int(Opcode.CLOSE), int(Opcode.PING), int(Opcode.PONG)

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL = 0x08
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_PRIVATE_CODES = range(3000, 5000)

_encode = msgspec.json.Encoder().encode


class WireError(Exception):
    """The peer broke the protocol; `code` is the close code that says how."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Incoming(msgspec.Struct):
    """A client's frame: `type`, its own `id` for the answer, and `data` that depends on the type."""

    type: str
    id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_incoming = msgspec.json.Decoder(Incoming)


def read_envelope(text: bytes) -> Incoming:
    """A client's frame from its text. Raises `WireError` 1007 for bad UTF-8, msgspec.DecodeError for bad JSON."""
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise WireError(CloseCode.INVALID_DATA, "the text is not UTF-8") from error
    try:
        return _incoming.decode(text)
    except RecursionError as error:
        raise msgspec.DecodeError("the JSON is nested too deeply") from error


def text_frame(kind: str, data: Any, identifier: str | None = None) -> bytes:
    """A server's frame `{"type", "id"?, "data"}`, ready to be written to any number of sockets."""
    envelope = {"type": kind, "data": data} if identifier is None else {"type": kind, "id": identifier, "data": data}
    return frame(TEXT, _encode(envelope))


def frame(opcode: int, payload: bytes) -> bytes:
    """An unmasked frame, as servers send them."""
    return deflate.head(_FIN | opcode, len(payload)) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A closing frame; the reason is cut to the 123 bytes that fit."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason.encode()[:123].decode(errors="ignore").encode())


def read_close(payload: bytes) -> int:
    """The code of a peer's closing frame, 1005 where it has none. Raises `WireError` for one that is not allowed."""
    if not payload:
        return CloseCode.NO_STATUS_RCVD
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or (code not in EXTERNAL_CLOSE_CODES and code not in _PRIVATE_CODES):
        raise WireError(CloseCode.PROTOCOL_ERROR, "bad close code")
    try:
        payload[2:].decode()
    except UnicodeDecodeError as error:
        raise WireError(CloseCode.INVALID_DATA, "the reason is not UTF-8") from error
    return code


class _Head(NamedTuple):
    first: int
    start: int
    """Where the payload starts, behind the mask."""
    length: int


class FrameReader:
    """Turns what a client sent into messages and control frames; holds no buffer while nothing is half received."""

    __slots__ = ("_buffer", "_decoder", "_deflate", "_fragments", "_limit", "_packed", "_size")

    def __init__(self, limit: int, *, deflate: bool = False) -> None:
        """`limit` is the most bytes of a message, all its fragments together and decompressed."""
        self._limit = limit
        self._deflate = deflate
        self._packed = False
        self._decoder: codecs.IncrementalDecoder | None = None
        """Of the fragments so far, so that what is not UTF-8 is found before the last has come."""
        self._buffer: bytearray | None = None
        self._fragments: list[bytes] | None = None
        self._size = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The complete messages as (TEXT, payload), and control frames, that `data` completes.

        Raises `WireError`; nothing may be fed after that.
        """
        buffer: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            buffer = self._buffer
        position = 0
        while (head := self._head(buffer, position)) is not None:
            end = head.start + head.length
            if len(buffer) < end:
                break
            payload = _apply_mask(bytes(buffer[head.start : end]), bytes(buffer[head.start - 4 : head.start]))
            position = end
            message = self._take(head.first, payload)
            if message is not None:
                yield message
        if position == len(buffer):
            self._buffer = None
        elif self._buffer is not None:
            del self._buffer[:position]
        else:
            self._buffer = bytearray(memoryview(data)[position:])

    def _head(self, buffer: bytes | bytearray, position: int) -> _Head | None:
        """The head of the frame at `position`; None where it is not complete. Checked before its payload is awaited."""
        size = len(buffer) - position
        if size < 2:  # noqa: PLR2004 - the two fixed bytes of a head
            return None
        first, second = buffer[position], buffer[position + 1]
        length = second & _LENGTH
        self._check(first, second, length)
        start = position + 2
        if length == _MEDIUM:
            length, start = int.from_bytes(buffer[start : start + 2], "big"), start + 2
        elif length == _LONG:
            length, start = int.from_bytes(buffer[start : start + 8], "big"), start + 8
        start += 4
        if len(buffer) < start:
            return None
        pending = self._size if not first & _CONTROL else 0
        if length + pending > self._limit:
            raise WireError(CloseCode.MESSAGE_TOO_BIG, f"more than {self._limit} bytes")
        return _Head(first, start, length)

    def _check(self, first: int, second: int, length: int) -> None:
        opcode = first & _OPCODE
        begins = first & (_RESERVED | _OPCODE) in {deflate.RESERVED | TEXT, deflate.RESERVED | BINARY}
        if first & _RESERVED and not (self._deflate and begins):
            raise WireError(CloseCode.PROTOCOL_ERROR, "reserved bits are set")
        if not second & _MASKED:
            raise WireError(CloseCode.PROTOCOL_ERROR, "a client's frame must be masked")
        if opcode in {CLOSE, PING, PONG}:
            if length > _SHORT or not first & _FIN:
                raise WireError(CloseCode.PROTOCOL_ERROR, "a control frame is too long or fragmented")
        elif opcode == BINARY:
            raise WireError(CloseCode.UNSUPPORTED_DATA, "text frames only")
        elif opcode == TEXT:
            if self._fragments is not None:
                raise WireError(CloseCode.PROTOCOL_ERROR, "a new message inside a fragmented one")
        elif opcode != CONTINUATION:
            raise WireError(CloseCode.PROTOCOL_ERROR, "unknown opcode")
        elif self._fragments is None:
            raise WireError(CloseCode.PROTOCOL_ERROR, "nothing to continue")

    def _take(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        opcode = first & _OPCODE
        if opcode & _CONTROL:
            return opcode, payload
        if opcode == TEXT:
            self._packed = bool(first & deflate.RESERVED)
            if first & _FIN:
                return TEXT, self._whole(payload)
            self._fragments = []
            self._decoder = None if self._packed else codecs.getincrementaldecoder("utf-8")()
        assert self._fragments is not None  # noqa: S101 - checked with the head
        # An empty fragment counts too: a message of endless empty ones would otherwise cost memory for ever.
        self._size += max(len(payload), 1)
        self._fragments.append(payload)
        if self._size > self._limit:
            raise WireError(CloseCode.MESSAGE_TOO_BIG, f"more than {self._limit} bytes")
        self._check_text(payload, final=bool(first & _FIN))
        if not first & _FIN:
            return None
        message = b"".join(self._fragments)
        self._fragments, self._size, self._decoder = None, 0, None
        return TEXT, self._whole(message)

    def _check_text(self, payload: bytes, *, final: bool) -> None:
        if self._decoder is not None:
            try:
                self._decoder.decode(payload, final)
            except UnicodeDecodeError as error:
                raise WireError(CloseCode.INVALID_DATA, "the text is not UTF-8") from error

    def _whole(self, payload: bytes) -> bytes:
        """A message as it was before it was compressed."""
        if not self._packed:
            return payload
        try:
            text = deflate.unpacked(payload, self._limit)
        except ValueError as error:
            raise WireError(CloseCode.INVALID_DATA, str(error)) from error
        if text is None:
            raise WireError(CloseCode.MESSAGE_TOO_BIG, f"more than {self._limit} bytes")
        return text
