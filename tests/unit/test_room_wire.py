import itertools
import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from atomic_guide.engines.rooms import deflate, wire

LIMIT = 64 * 1024

payloads = st.text(max_size=300).map(str.encode) | st.integers(120, 70_000).map(lambda size: b"x" * size)


def sent(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as a client's own library writes it."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


def read(reader: wire.FrameReader, data: bytes, cuts: list[int]) -> list[tuple[int, bytes]]:
    """Feed `data` in pieces."""
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [message for start, end in itertools.pairwise(places) for message in reader.feed(data[start:end])]


@given(st.lists(payloads, max_size=5), st.lists(st.integers(0, 100_000), max_size=20))
def test_messages_arrive_whole_however_the_network_cuts_them(texts: list[bytes], cuts: list[int]) -> None:
    fitting = [text for text in texts if len(text) <= LIMIT]
    data = b"".join(sent(wire.TEXT, text) for text in fitting)
    assert read(wire.FrameReader(LIMIT), data, cuts) == [(wire.TEXT, text) for text in fitting]


@given(st.lists(st.text(max_size=30), min_size=2, max_size=6), st.lists(st.integers(0, 2000), max_size=10))
def test_fragments_join_and_control_frames_pass_between_them(texts: list[str], cuts: list[int]) -> None:
    parts = [text.encode() for text in texts]
    data = sent(wire.TEXT, parts[0], fin=False)
    for number, part in enumerate(parts[1:], start=2):
        data += sent(wire.PING, b"p") + sent(wire.CONTINUATION, part, fin=number == len(parts))
    messages = read(wire.FrameReader(LIMIT), data, cuts)
    assert messages == [(wire.PING, b"p")] * (len(parts) - 1) + [(wire.TEXT, b"".join(parts))]


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_arbitrary_bytes_are_messages_or_a_close_code(pieces: list[bytes]) -> None:
    reader = wire.FrameReader(LIMIT)
    try:
        for piece in pieces:
            for opcode, payload in reader.feed(piece):
                assert opcode in {wire.TEXT, wire.CLOSE, wire.PING, wire.PONG}
                if opcode == wire.CLOSE:
                    wire.read_close(payload)
    except wire.WireError as error:
        assert error.code in {1002, 1003, 1007, 1009}  # noqa: PT017 - an error is one of the two right outcomes


@given(st.binary(max_size=500))
def test_arbitrary_text_is_an_envelope_or_refused(text: bytes) -> None:
    try:
        incoming = wire.read_envelope(text)
    except (wire.WireError, msgspec.DecodeError):
        return
    assert isinstance(incoming.type, str)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (sent(wire.BINARY, b"x"), 1003),
        (Frame(Opcode.TEXT, b"x").serialize(mask=False), 1002),
        (b"\xc1\x80\x00\x00\x00\x00", 1002),
        (b"\x83\x80\x00\x00\x00\x00", 1002),
        (sent(wire.CONTINUATION, b"x"), 1002),
        (sent(wire.TEXT, b"x", fin=False) + sent(wire.TEXT, b"y"), 1002),
        (b"\x09\x80\x00\x00\x00\x00", 1002),
        (b"\x89\xfe\x00\x7e\x00\x00\x00\x00", 1002),
        (sent(wire.TEXT, b"x" * (LIMIT + 1)), 1009),
        (b"\x81\xff" + b"\xff" * 8 + b"mask", 1009),
        (sent(wire.TEXT, b"x" * LIMIT, fin=False) + sent(wire.CONTINUATION, b"y"), 1009),
    ],
    ids=["binary", "unmasked", "reserved bit", "unknown opcode", "nothing to continue", "text in fragments",
         "fragmented ping", "long ping", "too big", "length beyond all", "fragments too big"],
)  # fmt: skip
def test_a_broken_protocol_is_named_by_its_close_code(data: bytes, code: int) -> None:
    with pytest.raises(wire.WireError) as caught:
        list(wire.FrameReader(LIMIT).feed(data))
    assert caught.value.code == code


def test_endless_empty_fragments_are_too_big_too() -> None:
    reader = wire.FrameReader(1024)
    empty = sent(wire.CONTINUATION, b"", fin=False)
    assert list(reader.feed(sent(wire.TEXT, b"", fin=False))) == []
    assert list(reader.feed(empty * 1023)) == []
    with pytest.raises(wire.WireError) as caught:
        list(reader.feed(empty))
    assert caught.value.code == 1009


@given(st.sampled_from([wire.TEXT, wire.PONG, wire.CLOSE]), st.binary(max_size=70_000))
def test_frames_of_ours_are_read_by_a_client(opcode: int, payload: bytes) -> None:
    payload = payload[:125] if opcode != wire.TEXT else payload
    raw = wire.frame(opcode, payload)

    stream = StreamReader()
    stream.feed_data(raw)
    steps = Frame.parse(stream.read_exact, mask=False)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert (end.value.value.opcode, bytes(end.value.value.data)) == (opcode, payload)


@pytest.mark.parametrize(("payload", "code"), [(b"\x03", 1002), (b"\x03\xed", 1002), (b"\x03\xe8\xff", 1007)])
def test_a_bad_closing_frame_is_refused(payload: bytes, code: int) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.read_close(payload)
    assert caught.value.code == code


def test_a_long_reason_is_cut_between_characters() -> None:
    frame = wire.close_frame(1008, "é" * 100)
    assert len(frame) <= 127
    frame[4:].decode()


@given(st.binary(max_size=5000), st.integers(1, 6000))
def test_what_is_decompressed_is_bounded(text: bytes, limit: int) -> None:
    squeezer = zlib.compressobj(wbits=-15)
    data = (squeezer.compress(text) + squeezer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\x00\x00\xff\xff")
    assert deflate.unpacked(data, limit) == (text if len(text) <= limit else None)


@given(st.text(max_size=3000))
def test_a_compressed_frame_is_read_by_a_client_and_is_never_longer(text: str) -> None:
    plain = wire.frame(wire.TEXT, text.encode())
    packed = deflate.packed(plain)
    assert len(packed) <= len(plain)
    stream = StreamReader()
    stream.feed_data(packed)
    client = PerMessageDeflate(
        remote_no_context_takeover=True, local_no_context_takeover=True, remote_max_window_bits=15,
        local_max_window_bits=15,
    )  # fmt: skip
    with pytest.raises(StopIteration) as end:
        next(Frame.parse(stream.read_exact, mask=False, extensions=[client]))
    assert bytes(end.value.value.data).decode() == text
