"""The quick reader of CSV gives exactly what the reader of single lines gives."""

import random
import sys
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomic_guide import errors
from atomic_guide.clock import from_iso
from atomic_guide.course.analytics.columns import Mark
from atomic_guide.course.analytics.digits import WIDEST, decimals, times
from atomic_guide.course.analytics.forms import LINE_LIMIT, CsvForm
from atomic_guide.course.analytics.scores import Rejected
from atomic_guide.course.analytics.sheet import Sheet
from tests.score_outcomes import Outcome, bits, of_columns, of_rows

NOW = from_iso("2025-11-23T12:00:00Z")
HEADER = b"user,activity,score,max,at,id"
ROW = b"u1,E1,16.5,20,2025-11-20T10:00:00Z,"


def by_lines(body: bytes) -> Outcome | str:
    form = CsvForm(NOW)
    try:
        return of_rows(form.feed(body) + form.finish())
    except errors.Invalid as refused:
        return refused.message


def by_columns(body: bytes, piece: int) -> Outcome | str:
    sheet = Sheet(NOW)
    try:
        reads = [sheet.feed(body[start : start + piece]) for start in range(0, len(body), piece)]
        reads.append(sheet.finish())
    except errors.Invalid as refused:
        return refused.message
    assert sheet.mark.offset == len(body)
    return of_columns(reads)


def assert_same(body: bytes, piece: int = 1 << 20) -> None:
    expected, found = by_lines(body), by_columns(body, piece)
    assert found == expected


TEXTS = [
    *("u1", "E1", "Exercise 8", "", " ", " u1", "E1  ", "\tu", "u\x00", "u\x1f", "u\x7f", "u\x85", "\xa0u", "ü", "علی"),
    *(
        "e\u0301",
        "\u2003u",
        "u\u3000",
        "\u1680u",
        "a\u202fb",
        "\u205f",
        "\u2028",
        "a\u200cb",
        "a\u2013b",
        "😀",
        "é" * 255,
    ),
    *(
        "x" * 255,
        "x" * 256,
        "ü" * 200,
        '"',
        '""',
        '"u"',
        '"u,v"',
        '"u""v"',
        'u"v',
        '"u\nv"',
        '"u',
        'u"',
        '" u "',
        '"u" ',
    ),
    *("\r", "u\rv", "=1+1", "NaN", "\ufeffu", "a;b", "a,b"),
]
NUMBERS = [
    *(
        "0",
        "16.5",
        "20",
        "0.1",
        "16777217",
        "9007199254740992",
        "9007199254740993",
        "0.30000000000000004",
        "1e3",
        "1E-3",
    ),
    *(
        "13.738243829384723",
        "007",
        "5.",
        ".5",
        ".",
        "",
        " 7",
        "7 ",
        "     7",
        "+7",
        "-0",
        "-1",
        "1,5",
        "1.000,5",
        "1_0",
    ),
    *("nan", "inf", "1e999", "1.2.3", "123456789012345678901234567", "0.1234567890123456789012345", "٣", '"7"', "1 0"),
    *("9999999999999999", "1.0000000000000002", "99999999999999999999", "0x10", "20.0000000000000001", "1e-400"),
]
TIMES = [
    *("2025-11-20T10:00:00Z", "2025-11-20", "2025-11-20 10:00", "2025-11-20T10:00Z", "2025-11-20T10:00:00"),
    *("2025-11-20T10:00:00.123Z", "2025-11-20T10:00:00.123456+05:30", "2025-11-20T10:00:00-23:59", "20251120T100000Z"),
    *("2025-11-20T10:00:00+24:00", "2025-11-20T10:00:00+01:60", "2025-02-29", "2024-02-29", "2000-02-29", "1970-01-01"),
    *(
        "1970-01-01T00:00:00+00:01",
        "2025-13-01",
        "2025-00-10",
        "2025-11-31",
        "2025-11-20T24:00:00Z",
        "2025-11-20T10:60",
    ),
    *(
        "2025-11-20T10:00:60Z",
        "2025-11-25T11:59:59.999Z",
        "2025-11-25T12:00:00.001Z",
        "2100-02-29",
        "soon",
        "",
        "1969-12-31",
    ),
    *("2025-11-20T10:00:00,5Z", "2025-11-20T10:00:00.5+02:00", "2025-11-20x10:00:00Z", " 2025-11-20", '"2025-11-20"'),
    *("2025-W47-4", "2025-11-20T10:00:00z", "2025-11-20T10:00:00.12Z", "2025-1-20", "2025-11-20T10", "\uff11970-01-01"),
]
mostly_good = st.sampled_from(["u1", "u2", "Exercise 8"])
text_fields = mostly_good | mostly_good | st.sampled_from(TEXTS) | st.text(max_size=5)
number_fields = st.sampled_from(["16.5", "20", "7"]) | st.sampled_from(NUMBERS) | st.floats(0, 30).map(repr)
time_fields = st.sampled_from(TIMES[:8]) | st.sampled_from(TIMES)
FIELDS = {"user": text_fields, "activity": text_fields, "score": number_fields, "max": number_fields}


@st.composite
def sheets(draw: st.DrawFn) -> bytes:
    names = draw(st.permutations(["user", "activity", "score", "max", "at"]))
    names = [*names, *draw(st.sampled_from([[], ["id"], ["id", "note"], ["note"]]))]
    delimiter = draw(st.sampled_from([",", ",", ";"]))
    every = {**FIELDS, "at": time_fields, "id": st.just("") | text_fields, "note": text_fields}
    rows = st.tuples(*(every[name] for name in names)).map(lambda row: delimiter.join(row).encode())
    good = {"user": "u1", "activity": "E1", "score": "1", "max": "2", "at": "2025-11-20"}
    plain = delimiter.join(good.get(name, "") for name in names).encode()
    odd = st.sampled_from(
        [b"", b" ", b"x", b'"', b"u\xff", b"\xc2", b"," * 7, plain + delimiter.encode(), b"\xef\xbb\xbf"]
    )
    lines = draw(st.lists(rows | st.just(plain) | odd, max_size=12))
    end = draw(st.sampled_from([b"\n", b"\r\n"]))
    body = end.join([delimiter.join(names).encode(), *lines])
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + body + draw(st.sampled_from([b"", end]))


@settings(deadline=None)
@given(sheets(), st.integers(1, 400))
def test_any_sheet_gives_the_same_by_columns_as_by_lines(body: bytes, piece: int) -> None:
    assert_same(body, piece)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=20) | st.sampled_from([ROW, b'"', b'"a', b'a"', b",", b"\r"]), max_size=30))
@example([b'"a', b'b",E,1,2,2025-11-20,', ROW])
def test_any_bytes_give_the_same_by_columns_as_by_lines(lines: list[bytes]) -> None:
    assert_same(b"\n".join([HEADER, *lines]), 64)


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_each_odd_field_among_good_rows_gives_the_same(column: int, end: bytes) -> None:
    values = [TEXTS, TEXTS, NUMBERS, NUMBERS, TIMES, TEXTS][column]
    rows = []
    for value in values:
        fields = ["u1", "E1", "1", "20", "2025-11-20T10:00:00Z", ""]
        fields[column] = value
        rows += [ROW, ",".join(fields).encode()]
    assert_same(end.join([HEADER, *rows]))


@settings(deadline=None)
@given(sheets(), st.integers(1, 200), st.data())
def test_a_reader_that_begins_at_a_mark_returns_the_rest(body: bytes, piece: int, data: st.DataObject) -> None:
    expected = by_lines(body)
    if isinstance(expected, str):
        return
    first, end = Sheet(NOW), data.draw(st.integers(0, len(body)))
    reads = [first.feed(body[start : start + piece]) for start in range(0, end, piece)]
    mark = first.mark
    second = Sheet(NOW)
    if mark != Mark():
        second.resume(body, mark)
    reads.append(second.feed(body[mark.offset :]))
    reads.append(second.finish())
    assert of_columns(reads) == expected


@pytest.mark.parametrize("length", [LINE_LIMIT - 1, LINE_LIMIT, LINE_LIMIT + 1, 3 * LINE_LIMIT])
@pytest.mark.parametrize("piece", [4096, 1 << 20])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_line_at_the_limit_gives_the_same(length: int, piece: int, end: bytes) -> None:
    long = ROW + b"x" * (length - len(ROW))
    for lines in ([long], [ROW, long, ROW], [b'"u', long, ROW], [long, long, b'"x']):
        assert_same(b"\n".join([HEADER, *lines]) + end, piece)


def test_a_line_without_end_takes_no_memory() -> None:
    sheet = Sheet(NOW)
    sheet.feed(HEADER + b"\n")
    for _ in range(100):
        assert sheet.feed(b"x" * LINE_LIMIT).columns.rows == 0
        assert sys.getsizeof(sheet._rest) < 2 * LINE_LIMIT
    read = sheet.feed(b"\n" + ROW + b"\n")
    assert read.rejected == [Rejected(2, "the line is longer than 65536 bytes")]
    assert read.columns.user == ["u1"]
    assert sheet.mark == Mark(len(HEADER) + 1 + 100 * LINE_LIMIT + 1 + len(ROW) + 1, 3)


def column(texts: list[bytes]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lengths = np.array([len(text) for text in texts])
    return np.frombuffer(b"".join(texts) + bytes(WIDEST), np.uint8), np.cumsum(lengths) - lengths, lengths


@settings(deadline=None)
@given(
    st.lists(
        st.integers(0, 10**20).map(str)
        | st.floats(0, 1e15).map(lambda value: f"{value:.6f}")
        | st.floats(0, 30).map(repr)
        | st.tuples(st.integers(0, 10**19 - 1).map(str), st.integers(0, 19)).map(
            lambda cut: cut[0][: cut[1]] + "." + cut[0][cut[1] :]
        ),
        min_size=1,
    )
)
@example(["9007199254740993", "0.1", "16777217", "5e3", "9999999999999999999", "18446744073709551615", "."])
# The middle of two doubles, and its neighbours; above and below a power of two.
@example(["9007199254740993", "9007199254740992.9", "9007199254740993.1", "1.0000000000000001", "0.99999999999999994"])
@example(["0.0000000000000000000", "000000000000000000.5", "4503599627370496.5", "4503599627370497.5"])
def test_a_decimal_is_what_float_makes_of_it(texts: list[str]) -> None:
    values, read = decimals(*column([text.encode() for text in texts]), b".")
    for text, value, was_read in zip(texts, values.tolist(), read.tolist(), strict=True):
        assert not was_read or bits(value) == bits(float(text))


def test_almost_every_decimal_is_read_and_as_float_reads_it() -> None:
    chance = random.Random(1)
    texts = [repr(chance.random() * 10 ** chance.randrange(-3, 6)) for _ in range(50_000)]
    texts += [f"{chance.random() * 20:.{chance.randrange(15, 19)}f}" for _ in range(50_000)]
    # Exactly between two doubles, which only `float` tells apart.
    texts += [f"{chance.randrange(2**52, 2**53)}.5" for _ in range(1000)]
    texts = [text for text in texts if "e" not in text and len(text) <= 20]
    values, read = decimals(*column([text.encode() for text in texts]), b".")
    assert [bits(v) for v in values[read].tolist()] == [bits(float(t)) for t, r in zip(texts, read, strict=True) if r]
    assert read[:-1000].mean() > 0.9999


@settings(deadline=None)
@given(st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)), min_size=1))  # noqa: DTZ001 - hypothesis takes naive bounds
def test_a_time_is_what_datetime_makes_of_it(moments: list[datetime]) -> None:
    for timespec in ("minutes", "seconds", "milliseconds", "microseconds"):
        texts = [moment.isoformat(timespec=timespec) for moment in moments]
        values, read = times(*column([text.encode() for text in texts]))
        assert read.all()
        assert [bits(value) for value in values.tolist()] == [bits(from_iso(text)) for text in texts]


def test_no_white_space_is_longer_than_three_bytes() -> None:
    spaces = [code for code in range(0x80, sys.maxunicode + 1) if chr(code).isspace()]
    assert max(spaces) == 0x3000
