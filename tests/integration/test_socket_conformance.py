"""The socket against the WebSocket protocol (RFC 6455, RFC 7692), byte by byte.

In the order of the groups that the field's conformance suites use: framing, pings, reserved bits, opcodes, fragments,
UTF-8, closing, sizes, compression.

What those suites ask an echo server, a `ping` frame with an `id` asks here: its `pong` brings the `id` back.
"""

import asyncio
import base64
import json
import os
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

from atomic_guide.engines.rooms.settings import RoomSettings
from tests.integration.chat_server import Course, running
from tests.integration.members import SECONDS

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
LIMIT = 64 * 1024
AT_A_TIME = 10
OFFER = "permessage-deflate; client_max_window_bits"
AGREED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

Seen = list[tuple[str, object]]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"\x37\xfa\x21\x3d"
) -> bytes:
    """A masked frame, of whatever form."""
    first, size = opcode | (0x80 if fin else 0) | rsv << 4, len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    repeated = (mask * (size // 4 + 1))[:size]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(size, "big")


def asked(identifier: str) -> bytes:
    """The text whose answer brings the identifier back."""
    return json.dumps({"type": "ping", "id": identifier}, ensure_ascii=False).encode()


def padded(size: int) -> bytes:
    """The same in exactly so many bytes."""
    return asked("x").ljust(size)


def text(payload: bytes) -> bytes:
    """An unfragmented text message."""
    return frame(TEXT, payload)


def pieces(payload: bytes, size: int, *, between: bytes = b"") -> bytes:
    """A text message in fragments of so many bytes, with something after each but the last."""
    parts = [payload[start : start + size] for start in range(0, len(payload), size)]
    last = len(parts) - 1
    return b"".join(
        frame(0 if place else TEXT, part, fin=place == last) + (between if place < last else b"")
        for place, part in enumerate(parts)
    )


def closing(code: int, reason: bytes = b"") -> bytes:
    """A closing frame."""
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


def deflated(payload: bytes, level: int = 6) -> bytes:
    """A payload as a client compresses it."""
    worker = zlib.compressobj(level, wbits=-15)
    return (worker.compress(payload) + worker.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")


class Case(NamedTuple):
    """What a client sends, and what must be seen: ("echo", id), ("pong", payload), ("close", code), ("error", code)."""

    name: str
    sent: bytes
    seen: Seen
    chop: int | None = None
    """Bytes that are sent at a time."""


ECHO: Seen = [("echo", "x")]


def failed(code: int) -> Seen:
    """The server must fail the connection."""
    return [("close", code)]


FRAMING = [
    *(Case(f"text of {size}", text(padded(size)), ECHO) for size in (125, 126, 127, 128, 65_535, 65_536)),
    Case("text of 65536 in pieces of 997", text(padded(65_536)), ECHO, 997),
    Case("text byte by byte", text(asked("x")), ECHO, 1),
    Case("empty text is no envelope", text(b""), [("error", "VALIDATION_ERROR")]),
    Case("binary", frame(BINARY, b"\x00\xff"), failed(1003)),
    Case("empty binary", frame(BINARY), failed(1003)),
    Case("no mask", b"\x81\x01x", failed(1002)),
    Case("mask of zeros", frame(TEXT, asked("x"), mask=b"\0\0\0\0"), ECHO),
]
PINGS = [
    Case("ping without payload", frame(PING), [("pong", b"")]),
    Case("ping with text", frame(PING, b"hello"), [("pong", b"hello")]),
    Case("ping with bytes", frame(PING, b"\x00\xff\xfe\xfd"), [("pong", b"\x00\xff\xfe\xfd")]),
    Case("ping of 125", frame(PING, b"\xfe" * 125), [("pong", b"\xfe" * 125)]),
    Case("ping of 126", frame(PING, b"\xfe" * 126), failed(1002)),
    Case("ping byte by byte", frame(PING, b"\xfe" * 125), [("pong", b"\xfe" * 125)], 1),
    Case("unsolicited pong", frame(PONG), []),
    Case("unsolicited pong with payload, then ping", frame(PONG, b"x") + frame(PING, b"y"), [("pong", b"y")]),
    Case("ten pings", b"".join(frame(PING, bytes([n])) for n in range(10)), [("pong", bytes([n])) for n in range(10)]),
]
RESERVED = [
    Case(f"reserved bits {bits} on {name}", text(asked("x")) + frame(opcode, b"y", rsv=bits), [*ECHO, *failed(1002)])
    for bits in range(1, 8)
    for name, opcode in (("text", TEXT), ("ping", PING), ("closing", CLOSE))
]
OPCODES = [
    Case(f"opcode {opcode} with {payload!r}", text(asked("x")) + frame(opcode, payload), [*ECHO, *failed(1002)])
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
    for payload in (b"", b"reserved")
]  # fmt: skip
PINGED = frame(PING, b"between")
FRAGMENTS = [
    Case("fragmented ping", frame(PING, b"x", fin=False) + frame(0, b"y"), failed(1002)),
    Case("fragmented pong", frame(PONG, b"x", fin=False) + frame(0, b"y"), failed(1002)),
    Case("fragmented closing", frame(CLOSE, b"\x03\xe8", fin=False), failed(1002)),
    Case("two fragments", pieces(padded(40), 20), ECHO),
    Case("two fragments byte by byte", pieces(padded(40), 20), ECHO, 1),
    Case("ping between fragments", pieces(padded(40), 20, between=PINGED), [("pong", b"between"), *ECHO]),
    Case("the same byte by byte", pieces(padded(40), 20, between=PINGED), [("pong", b"between"), *ECHO], 1),
    Case("pings between fragments", pieces(padded(50), 10, between=PINGED), [("pong", b"between")] * 4 + ECHO),
    Case("pong between fragments", pieces(padded(40), 20, between=frame(PONG)), ECHO),
    Case("nothing to continue", frame(0, b"x"), failed(1002)),
    Case("nothing to continue, not final", frame(0, b"x", fin=False), failed(1002)),
    Case("continued after the end", pieces(padded(40), 20) + frame(0, b"x"), [*ECHO, *failed(1002)]),
    Case("text inside fragments", frame(TEXT, b"{", fin=False) + text(asked("x")), failed(1002)),
    Case("binary inside fragments", frame(TEXT, b"{", fin=False) + frame(BINARY, b"x"), failed(1003)),
    Case("empty fragments", frame(TEXT, fin=False) + frame(0, asked("x"), fin=False) + frame(0), ECHO),
    Case("only empty fragments", frame(TEXT, fin=False) + frame(0), [("error", "VALIDATION_ERROR")]),
]  # fmt: skip
GREEK = "κόσμε \U0001f393 \ud7ff \ue000 \ufffd \U0010ffff"
BAD_TEXTS = {
    "lone continuation": b"\x80",
    "impossible bytes": b"\xfe\xff",
    "surrogate": b"\xed\xa0\x80",
    "surrogate pair": b"\xed\xa1\x80\xed\xb0\x80",
    "overlong": b"\xc0\xaf",
    "overlong of four": b"\xf0\x80\x80\xaf",
    "beyond Unicode": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "cut short": b"\xce",
    "cut by text": b"\xce{",
}
UTF8 = [
    Case("text of all planes", text(asked(GREEK)), [("echo", GREEK)]),
    Case("in fragments of one byte", pieces(asked(GREEK), 1), [("echo", GREEK)]),
    Case("byte by byte", text(asked(GREEK)), [("echo", GREEK)], 1),
    *(Case(name, text(b'{"type":"ping","id":"' + bad + b'"}'), failed(1007)) for name, bad in BAD_TEXTS.items()),
    *(
        Case(f"{name}, in fragments of one byte", pieces(b'{"id":"' + bad + b'"}', 1), failed(1007))
        for name, bad in BAD_TEXTS.items()
    ),
    # Nothing follows: the server must not wait for the end of what is wrong already.
    Case("at once in a fragment", frame(TEXT, b'{"id":"\xf4\x90', fin=False), failed(1007)),
    Case("at once when a fragment begins", frame(TEXT, b"\xce", fin=False) + frame(0, b"x", fin=False), failed(1007)),
]
CLOSINGS = [
    Case("nothing after closing", closing(1000) + text(asked("x")) + frame(PING), failed(1000)),
    Case("closing in fragments", frame(TEXT, b"{", fin=False) + closing(1000), failed(1000)),
    Case("closing twice", closing(1000) * 2, failed(1000)),
    Case("without a code", frame(CLOSE), [("close", None)]),
    Case("half a code", frame(CLOSE, b"\x03"), failed(1002)),
    Case("with a reason of 123", closing(1000, b"x" * 123), failed(1000)),
    Case("with a reason of 124", closing(1000, b"x" * 124), failed(1002)),
    Case("with a reason that is not UTF-8", closing(1000, b"\xce\xba\xed\xa0\x80"), failed(1007)),
    *(
        Case(f"code {code}", closing(code), failed(code))
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    ),
    *(
        Case(f"code {code} is not allowed", closing(code), failed(1002))
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535)
    ),
]
SIZES = [
    Case("as large as may be", text(padded(LIMIT)), ECHO),
    Case("as large as may be, in fragments of 64", pieces(padded(LIMIT), 64), ECHO),
    Case("one byte more", text(padded(LIMIT + 1)), failed(1009)),
    Case("one byte more, in fragments", pieces(padded(LIMIT + 1), 8192), failed(1009)),
    Case("a length that cannot be", b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"mask", failed(1009)),
    Case("endless empty fragments", frame(TEXT, fin=False) + frame(0, fin=False) * LIMIT, failed(1009)),
]
GROUPS = {
    "framing": FRAMING,
    "pings": PINGS,
    "reserved bits": RESERVED,
    "opcodes": OPCODES,
    "fragments": FRAGMENTS,
    "utf-8": UTF8,
    "closing": CLOSINGS,
    "sizes": SIZES,
}


def packed(payload: bytes, size: int | None = None, *, level: int = 6) -> bytes:
    """A compressed text message, in fragments of so many bytes."""
    data = deflated(payload, level)
    parts = [data[start : start + (size or len(data))] for start in range(0, len(data), size or len(data))]
    return b"".join(
        frame(0 if place else TEXT, part, fin=place == len(parts) - 1, rsv=0 if place else 4)
        for place, part in enumerate(parts)
    )


COMPRESSED = [
    *(Case(f"compressed text of {size}", packed(padded(size)), ECHO) for size in (40, 126, 4096, 65_535, LIMIT)),
    *(Case(f"compressed, level {level}", packed(padded(4096), level=level), ECHO) for level in (0, 1, 9)),
    Case("compressed, in fragments of one byte", packed(padded(400), 1), ECHO),
    Case("compressed, byte by byte", packed(padded(400)), ECHO, 1),
    Case("not compressed, though agreed", text(asked("x")), ECHO),
    Case("one after another", packed(asked("a")) + text(asked("b")) + packed(asked("c")), [("echo", x) for x in "abc"]),
    Case("the bit on a continuation", frame(TEXT, b"{", fin=False) + frame(0, b"}", rsv=4), failed(1002)),
    Case("the bit on a ping", frame(PING, b"x", rsv=4), failed(1002)),
    Case("binary, compressed", frame(BINARY, deflated(b"\x00\xff"), rsv=4), failed(1003)),
    Case("another bit", frame(TEXT, deflated(asked("x")), rsv=6), failed(1002)),
    Case("a bomb", packed(b" " * 10_000_000), failed(1009)),
    Case("a bomb in fragments", packed(b" " * 10_000_000, 512), failed(1009)),
    Case("one byte more than may be", packed(padded(LIMIT + 1)), failed(1009)),
    Case("no compressed data", frame(TEXT, b"\xff" * 20, rsv=4), failed(1007)),
    Case("compressed, but not UTF-8", packed(b'{"type":"ping","id":"\xed\xa0\x80"}'), failed(1007)),
    Case("an empty message", frame(TEXT, b"\x00", rsv=4), [("error", "VALIDATION_ERROR")]),
]  # fmt: skip


class Peer:
    """A bare client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, agreed: str | None) -> None:
        self.reader = reader
        self.writer = writer
        self.agreed = agreed

    @classmethod
    async def connect(cls, course: Course, user: str, context: str, offer: str | None = None) -> "Peer":
        """Open a socket and read its welcome."""
        ticket = await course.ticket(user, context=context)
        reader, writer = await asyncio.open_connection("127.0.0.1", course.port)
        extension = f"Sec-WebSocket-Extensions: {offer}\r\n" if offer else ""
        writer.write(
            f"GET /api/chat/ws?ticket={ticket} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n"
            f"{extension}\r\n".encode()
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        assert head.startswith("HTTP/1.1 101 "), head
        found = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-ext")]
        peer = cls(reader, writer, found[0] if found else None)
        while (await peer.frame())[1].find(b'"welcome"') < 0:
            pass
        return peer

    async def frame(self) -> tuple[int, bytes]:
        """The first byte and the payload of the next frame, which must not be masked."""
        first, size = await self.reader.readexactly(2)
        if size > 125:
            size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8), "big")
        return first, await self.reader.readexactly(size)

    async def seen(self) -> Seen:
        """What the server says until it closes or answers the last question."""
        found: Seen = []
        while True:
            try:
                first, payload = await self.frame()
            except (asyncio.IncompleteReadError, ConnectionError):
                return [*found, ("lost", None)]
            assert first & 0x80, "the server's frames are whole"
            if first & 0x0F == CLOSE:
                return [*found, ("close", int.from_bytes(payload[:2], "big") if payload else None)]
            if first & 0x0F == PONG:
                found.append(("pong", payload))
                continue
            said = json.loads(payload)
            if said["type"] == "pong" and said["id"] == "the last":
                return found
            if said["type"] in {"pong", "error"}:
                found.append(("echo", said["id"]) if said["type"] == "pong" else ("error", said["data"]["code"]))

    async def play(self, case: Case) -> Seen:
        """Send what the case says; what is seen of it."""
        open_after = not case.seen or case.seen[-1][0] != "close"
        sent = case.sent + (text(asked("the last")) if open_after else b"")
        for start in range(0, len(sent), case.chop or len(sent)):
            self.writer.write(sent[start : start + (case.chop or len(sent))])
            if case.chop:
                await asyncio.sleep(0)
        async with asyncio.timeout(SECONDS):
            return await self.seen()


async def played(course: Course, cases: list[Case], offer: str | None = None) -> dict[str, tuple[Seen, Seen]]:
    """The cases that went otherwise than they must: what was seen, and what had to be."""

    async def one(number: int, case: Case) -> Seen:
        peer = await Peer.connect(course, f"user-{number}", f"course-{number}", offer)
        assert peer.agreed == (AGREED if offer else None)
        seen = await peer.play(case)
        peer.writer.transport.abort()
        return seen

    wrong = {}
    for start in range(0, len(cases), AT_A_TIME):
        some = cases[start : start + AT_A_TIME]
        for case, seen in zip(
            some, await asyncio.gather(*map(one, range(start, start + AT_A_TIME), some)), strict=True
        ):
            if seen != case.seen:
                wrong[case.name] = (seen, case.seen)
    return wrong


@pytest.mark.parametrize("group", GROUPS)
async def test_the_protocol_is_kept(tmp_path: Path, group: str) -> None:
    async with running(tmp_path) as course:
        assert await played(course, GROUPS[group]) == {}


async def test_the_protocol_is_kept_where_compression_is_agreed_on(tmp_path: Path) -> None:
    plain = [case for name in ("framing", "pings", "fragments", "utf-8", "sizes") for case in GROUPS[name]]
    async with running(tmp_path) as course:
        assert await played(course, COMPRESSED, OFFER) == {}
        assert await played(course, plain, OFFER) == {}


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; client_max_window_bits=10; server_no_context_takeover", True),
        ("permessage-deflate; server_max_window_bits=15", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits=16", False),
        ("permessage-deflate; client_no_context_takeover=1", False),
        ("permessage-deflate; unknown", False),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits", False),
        ("x-webkit-deflate-frame", False),
    ],
)
async def test_compression_is_agreed_on_where_one_serves_everybody(tmp_path: Path, offer: str, agreed: bool) -> None:  # noqa: FBT001
    async with running(tmp_path) as course:
        peer = await Peer.connect(course, "ada", "algebra", offer)
        assert peer.agreed == (AGREED if agreed else None)
        peer.writer.transport.abort()


async def test_a_large_message_is_compressed_once_for_those_who_can_read_it(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(compress_from=1000)) as course:
        packing = [await Peer.connect(course, f"packs-{number}", "algebra", OFFER) for number in range(2)]
        plain = await Peer.connect(course, "plain", "algebra")
        for size in (10, 4000):
            packing[0].writer.write(text(json.dumps({"type": "message", "data": {"content": "x" * size}}).encode()))
            got = []
            for peer in (*packing, plain):
                while b'"message"' not in (unpack := (await _text(peer)))[1]:
                    pass
                got.append(unpack)
            assert len({payload for _, payload in got}) == 1
            assert [first for first, _ in got] == ([0x81] * 3 if size == 10 else [0xC1, 0xC1, 0x81])
        for peer in (*packing, plain):
            peer.writer.transport.abort()


async def _text(peer: Peer) -> tuple[int, bytes]:
    first, payload = await asyncio.wait_for(peer.frame(), SECONDS)
    if first & 0x40:
        payload = zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")
    return first, payload


async def test_no_compression_is_agreed_on_where_the_settings_do_not_want_it(tmp_path: Path) -> None:
    async with running(tmp_path, rooms=RoomSettings(compress_from=0)) as course:
        peer = await Peer.connect(course, "ada", "algebra", OFFER)
        assert peer.agreed is None
        assert await peer.play(Case("compressed", packed(asked("x")), [])) == failed(1002)
        peer.writer.transport.abort()
