"""The quick reader of NDJSON gives exactly what the reader of single lines gives."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from atomic_guide.clock import from_iso
from atomic_guide.course.analytics import ndjson
from atomic_guide.course.analytics.columns import Mark
from atomic_guide.course.analytics.forms import LINE_LIMIT, NdjsonForm
from atomic_guide.course.analytics.ndjson import Ndjson
from tests.score_outcomes import of_columns, of_rows

NOW = from_iso("2025-11-23T12:00:00Z")
GOOD: dict[str, Any] = {"user": "u1", "activity": "E1", "score": 16.5, "max": 20, "at": "2025-11-20T10:00:00Z"}
LINE = json.dumps(GOOD).encode()
ODD: list[bytes] = [
    *(b"", b" ", b"{", b"}", b"{}", b"[]", b"null", b"7", b'"x"', b"{]", b"\xff", b"\r", b"x" * (LINE_LIMIT + 1)),
    *(LINE + b" " + LINE, LINE + LINE, LINE + b",", b"," + LINE, b" " + LINE, LINE + b"\r", b"\xef\xbb\xbf" + LINE),
    # One object over two lines, two in one, an end that stands in a text, and what only together looks whole.
    *(
        LINE[:-20],
        LINE[-20:],
        b'{"user": "a}',
        b'", "activity": "b"}',
        b'{"user": {"a": 1}',
        b'{"user": "a"} {"user": "b"}',
    ),
    *(LINE.replace(b'"u1"', b'"u\xff"'), LINE.replace(b'"u1"', b'"\\ud800"'), LINE.replace(b"u1", b"u\\u0000")),
    *(LINE[:-1] + b', "user": "u2"}', LINE[:-1] + b', "extra": 1}', LINE.replace(b"16.5", b"1e999")),
]
values: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(
            "u1",
            "",
            " ",
            " u ",
            "\t",
            "a\nb",
            "\x7f",
            "\x85",
            "\u2003x",
            "علی\u200c",
            "x" * 255,
            "x" * 256,
            "é" * 255,
            "😀" * 171,
        ),
        *(0, 1, -1, -0.0, 0.1, 16777217, 2**53 + 1, 2**70, 1e-300, 1e300, 10**400, True, None, [], {}, "16.5", "1,5"),
        *("2025-11-20", "2025-11-20T10:00:00.5+02:00", "2030-01-01", "1969-12-31", "soon", "2025-11-20T10:00:00.123Z"),
    ]
)
changed = st.dictionaries(st.sampled_from([*GOOD, "id", "other"]), values, max_size=3).map(
    lambda change: json.dumps({**GOOD, **change}).encode()
)
missing = st.sampled_from(list(GOOD)).map(
    lambda name: json.dumps({k: v for k, v in GOOD.items() if k != name}).encode()
)
lines = st.lists(st.just(LINE) | changed | changed | missing | st.sampled_from(ODD), max_size=15)


def assert_same(body: bytes, piece: int = 1 << 20) -> None:
    slow, quick = NdjsonForm(NOW), Ndjson(NOW)
    reads = [quick.feed(body[start : start + piece]) for start in range(0, len(body), piece)]
    reads.append(quick.finish())
    assert of_columns(reads) == of_rows(slow.feed(body) + slow.finish())
    assert quick.mark.offset == len(body)


@settings(deadline=None)
@given(lines, st.integers(1, 400), st.integers(1, 5))
@example([b'{"user": "a"}', b'{"user": "b"} {"user": "c"}'], 400, 5)
def test_any_lines_give_the_same_by_columns_as_one_by_one(rows: list[bytes], piece: int, together: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ndjson, "TOGETHER", together)
        assert_same(b"\n".join(rows), piece)


@pytest.mark.parametrize("odd", ODD)
def test_each_odd_line_among_good_ones_gives_the_same(odd: bytes) -> None:
    assert_same(b"\n".join([LINE, odd, LINE, odd, odd, LINE]))


@settings(deadline=None)
@given(lines, st.integers(1, 300), st.data())
def test_a_reader_that_begins_at_a_mark_returns_the_rest(rows: list[bytes], piece: int, data: st.DataObject) -> None:
    body = b"\n".join(rows)
    first, slow, end = Ndjson(NOW), NdjsonForm(NOW), data.draw(st.integers(0, len(body)))
    reads = [first.feed(body[start : start + piece]) for start in range(0, end, piece)]
    second = Ndjson(NOW)
    second.resume(b"", first.mark)
    reads += [second.feed(body[first.mark.offset :]), second.finish()]
    assert of_columns(reads) == of_rows(slow.feed(body) + slow.finish())


def test_a_mark_counts_bytes_and_lines() -> None:
    reader = Ndjson(NOW)
    reader.feed(LINE + b"\n\n" + LINE)
    assert reader.mark == Mark(len(LINE) + 2, 2)
