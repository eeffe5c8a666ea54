"""Scores as JSON, CSV and NDJSON: what is taken, what is rejected and why, whatever pieces it comes in."""

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.clock import from_iso
from atomic_guide.course.analytics.forms import LINE_LIMIT, CsvForm, Form, NdjsonForm, Taken, read_json
from atomic_guide.course.analytics.scores import Rejected, Score, Unacceptable, check_score
from atomic_guide.errors import Invalid

NOW = from_iso("2025-11-23T12:00:00Z")
GOOD = {"user": "u1", "activity": "E1", "score": 16.5, "max": 20, "at": "2025-11-20T10:00:00Z"}
HEADER = "user,activity,score,max,at,id"
ROW = "u1,E1,16.5,20,2025-11-20T10:00:00Z,"
SCORE = Score("u1", "E1", 16.5, 20.0, from_iso("2025-11-20T10:00:00Z"))


def read(form: Form, body: bytes, piece: int = 65536) -> Taken:
    rows: Taken = []
    for start in range(0, len(body), piece):
        rows += form.feed(body[start : start + piece])
    return rows + form.finish()


def from_csv(*lines: str | bytes, piece: int = 65536) -> Taken:
    encoded = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return read(CsvForm(NOW), b"\r\n".join(encoded), piece)


def reasons(rows: Taken) -> list[tuple[int, str]]:
    return [(row.line, row.reason) for row in rows if isinstance(row, Rejected)]


def scores(rows: Taken) -> list[Score]:
    return [row[1] for row in rows if not isinstance(row, Rejected)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"score": 24}, "score 24 is more than the maximum of 20"),
        ({"score": -1}, "score -1 is less than 0; leave out what was not handed in"),
        ({"score": "16,5"}, "score 16,5 is not a number; write it like 16.5"),
        ({"score": "1_0"}, "score 1_0 is not a number; write it like 16.5"),
        ({"score": "nan"}, "score nan is not a number; write it like 16.5"),
        ({"score": True}, "score true is not a number; write it like 16.5"),
        ({"score": [1]}, "score [1] is not a number; write it like 16.5"),
        ({"score": "1e999"}, "score 1e999 is not a finite number"),
        ({"max": 10**400}, f"max 1{'0' * 59}... is not a finite number"),
        ({"max": 0, "score": 0}, "max 0 must be more than 0"),
        ({"score": None}, "score missing; a row needs user, activity, score, max, at"),
        ({"user": ""}, "user missing; a row needs user, activity, score, max, at"),
        ({"user": 7}, "user 7 is not text; write it in quotes"),
        ({"user": "  "}, "user is empty"),
        ({"activity": "x" * 256}, f"activity {'x' * 60}... has 256 characters; at most 255 are taken"),
        ({"activity": "a\nb"}, "activity a?b has a control character, such as a line break; remove it"),
        ({"id": "x" * 256}, f"id {'x' * 60}... has 256 characters; at most 255 are taken"),
        (
            {"user": "😀" * 255, "activity": "😀" * 255, "id": "x" * 9},
            "user, activity and id have 2049 bytes together; at most 2048 are taken",
        ),
        ({"at": "yesterday"}, "at yesterday is not an ISO 8601 time; write it like 1970-01-01T00:00:00.000Z"),
        ({"at": 1763632800}, "at 1763632800 is not a time; write it like 1970-01-01T00:00:00.000Z, in quotes"),
        ({"at": "2026-01-01"}, "at 2026-01-01 lies in the future; it is 2025-11-23T12:00:00.000Z now"),
        ({"at": "1969-12-31"}, "at 1969-12-31 lies before 1970"),
    ],
)
def test_a_reason_names_field_value_and_remedy(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unacceptable) as refused:
        check_score({**GOOD, **change}, NOW)
    assert str(refused.value) == reason


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("2025-11-20T10:00:00Z", "2025-11-20T10:00:00Z"),
        ("2025-11-20T11:00:00+01:00", "2025-11-20T10:00:00Z"),
        ("2025-11-20T10:00:00", "2025-11-20T10:00:00Z"),
        ("2025-11-20 10:00", "2025-11-20T10:00:00Z"),
        ("2025-11-20", "2025-11-20T00:00:00Z"),
    ],
)
def test_a_time_without_an_offset_is_utc(text: str, meaning: str) -> None:
    assert check_score({**GOOD, "at": text}, NOW).at == from_iso(meaning)


@pytest.mark.parametrize("number", [0.1, 16777217.0, 2.0**53 - 1, 1e-300, 0.1 + 0.2])
def test_numbers_stay_exact(number: float) -> None:
    row = {**GOOD, "score": number, "max": number}
    assert scores(read_json(json.dumps({"scores": [row]}).encode(), NOW))[0].score == number
    line = f"u1,E1,{number!r},{number!r},2025-11-20T10:00:00Z"
    assert scores(from_csv(HEADER[:-3], line))[0].score == number


def test_joiners_of_names_are_kept() -> None:
    name = "علی\u200cرضا"  # noqa: RUF001 - a Persian name
    assert check_score({**GOOD, "user": name}, NOW).user == name


@pytest.mark.parametrize("body", [b"", b"[]", b'{"scores": 1}', b"{", b'{"scores": [1,]}', b'{"points": []}', b"\xff"])
def test_json_that_cannot_be_read_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Invalid):
        read_json(body, NOW)


def test_a_bad_row_of_json_is_rejected_alone() -> None:
    body = b'{"scores": [' + json.dumps(GOOD).encode() + b', 7, {"user": "\xff"}, {"points": 1}, {}]}'
    rows = read_json(body, NOW)
    assert scores(rows) == [SCORE]
    assert [line for line, _ in reasons(rows)] == [2, 3, 4, 5]


def test_csv_with_a_mark_other_order_and_other_columns() -> None:
    rows = from_csv("\ufeffAt;ID;Name;user;Activity;max;score", "2025-11-20T10:00Z;;Ann;u1;E1;20;16,5")
    assert scores(rows) == [SCORE]


def test_csv_quotes() -> None:
    rows = from_csv(
        "user,activity,score,max,at,comment",
        '"u1","E1",16.5,"20",2025-11-20T10:00:00Z,"two lines\nof ""praise"", and more"',
        'u2,"Work, rest",1,2,2025-11-20,x',
        'u3,5" disk,1,2,2025-11-20,x',
    )
    assert [(score.user, score.activity) for score in scores(rows)] == [
        ("u1", "E1"),
        ("u2", "Work, rest"),
        ("u3", '5" disk'),
    ]
    assert reasons(rows) == []


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    rows = from_csv(HEADER, "", ROW, "short", 'u,E,"1', ROW.replace("u1", "u2"), b"u\xff,E,1,2,2025-11-20,", ROW)
    assert reasons(rows) == [
        (4, "1 fields where the header has 6"),
        (5, "a quote is opened and never closed"),
        (7, "byte 2 of the line is not UTF-8; save the file as UTF-8"),
    ]
    assert [score.user for score in scores(rows)] == ["u1", "u2", "u1"]


def test_a_stray_quote_does_not_swallow_the_rows_after_it() -> None:
    rows = from_csv(HEADER, '"u0,E1,1,2,2025-11-20,', *(ROW for _ in range(100)))
    assert reasons(rows) == [(2, "a quote is opened and not closed within 16 lines")]
    assert len(scores(rows)) == 100


def test_a_line_without_end_takes_no_memory() -> None:
    form = NdjsonForm(NOW)
    for _ in range(100):
        assert form.feed(b"x" * LINE_LIMIT) == []
    rows = form.feed(b"\n" + json.dumps(GOOD).encode()) + form.finish()
    assert reasons(rows) == [(1, "the line is longer than 65536 bytes")]
    assert scores(rows) == [SCORE]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "the CSV is empty; its first line must be user,activity,score,max,at,id"),
        ("user,activity,score", "the header lacks max, at; the first line must be user,activity,score,max,at,id"),
        ("user,user,activity,score,max,at", "the header names user twice"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(header: str, message: str) -> None:
    with pytest.raises(Invalid) as refused:
        from_csv(header)
    assert refused.value.message == message


texts = st.text(max_size=6) | st.sampled_from(["u1", "E1", "a,b", 'q"q', "x\ny", "", "علی"])
fields = st.fixed_dictionaries(
    {
        "user": texts,
        "activity": texts,
        "score": st.floats(-1, 30),
        "max": st.floats(-1, 30),
        "at": st.sampled_from(["2025-11-20", "2025-11-20T10:00:00.5+02:00", "soon", ""]),
        "id": texts,
    }
)


@given(st.lists(fields, max_size=8), st.integers(1, 40))
def test_all_forms_mean_the_same(posted: list[dict[str, Any]], piece: int) -> None:
    by_json = read_json(json.dumps({"scores": posted}).encode(), NOW)
    by_lines = read(NdjsonForm(NOW), "\n".join(json.dumps(row) for row in posted).encode(), piece)
    sheet = io.StringIO(newline="")
    writer = csv.DictWriter(sheet, ["user", "activity", "score", "max", "at", "id"])
    writer.writeheader()
    writer.writerows(posted)
    by_csv = read(CsvForm(NOW), sheet.getvalue().encode(), piece)
    assert by_json == by_lines
    assert scores(by_csv) == scores(by_json)
    assert len(reasons(by_json)) + len(scores(by_json)) == len(posted)


@given(
    st.lists(st.binary(max_size=30) | st.sampled_from([ROW.encode(), b'"', b'""', b'"a', b'a"', b","]), max_size=30),
    st.data(),
)
def test_every_line_of_any_bytes_is_accounted_for(lines: list[bytes], data: st.DataObject) -> None:
    body = b"\n".join([HEADER.encode(), *lines])
    whole = read(CsvForm(NOW), body)
    assert read(CsvForm(NOW), body, data.draw(st.integers(1, 50))) == whole
    physical = [line for line in body.split(b"\n")[1:] if line.removesuffix(b"\r").strip()]
    quoted = any(b'"' in line for line in physical)
    assert len(whole) <= len(physical)
    assert quoted or len(whole) == len(physical)
