"""Calendars: what is read of an iCalendar file, what is refused, and which hours are of which kind."""

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.calendar import Span, kinds_of
from atomic_guide.operations.scaling.ics import Occurrence, read_ics

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo | None = None) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone or UTC).timestamp()


WINDOW = (at("2025-01-01"), at("2028-01-01"))


def calendar(*events: str) -> str:
    inner = "".join(f"BEGIN:VEVENT\r\nUID:{number}\r\n{event}\r\nEND:VEVENT\r\n" for number, event in enumerate(events))
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{inner}END:VCALENDAR\r\n"


def read(*events: str, window: tuple[float, float] = WINDOW) -> list[Occurrence]:
    return read_ics(calendar(*events), "terms.ics", window, BERLIN)


def days(found: list[Occurrence]) -> list[str]:
    return [datetime.fromtimestamp(one.begins, BERLIN).strftime("%Y-%m-%d %H:%M") for one in found]


def test_a_day_is_by_the_clock_of_its_readers_and_lasts_to_midnight_over_a_change_of_time() -> None:
    (found,) = read("DTSTART;VALUE=DATE:20260329\r\nSUMMARY:Palm Sunday")
    assert found.begins == at("2026-03-29", BERLIN)
    assert found.ends == at("2026-03-30", BERLIN) == found.begins + 23 * 3600
    assert found.words == "Palm Sunday"


def test_times_name_their_place_or_are_utc() -> None:
    found = read(
        "DTSTART;TZID=America/New_York:20260105T080000\r\nDURATION:PT2H",
        "DTSTART:20260105T080000Z\r\nDTEND:20260105T083000Z",
        "DTSTART:20260105T080000\r\nDTEND:20260105T090000",
    )
    assert [one.begins for one in found] == [at("2026-01-05T07:00"), at("2026-01-05T08:00"), at("2026-01-05T13:00")]
    assert [one.ends - one.begins for one in found] == [3600, 1800, 7200]


@pytest.mark.parametrize(
    ("rule", "dates"),
    [
        ("FREQ=YEARLY", ["2026-01-06 00:00", "2027-01-06 00:00"]),
        ("FREQ=YEARLY;BYMONTH=1;BYMONTHDAY=6;UNTIL=20261231", ["2026-01-06 00:00"]),
        ("FREQ=DAILY;COUNT=2", ["2026-01-06 00:00", "2026-01-07 00:00"]),
        ("FREQ=WEEKLY;COUNT=3;INTERVAL=2", ["2026-01-06 00:00", "2026-01-20 00:00", "2026-02-03 00:00"]),
        ("FREQ=WEEKLY;BYDAY=MO,TU;COUNT=3", ["2026-01-06 00:00", "2026-01-12 00:00", "2026-01-13 00:00"]),
        ("FREQ=DAILY;UNTIL=20260108", ["2026-01-06 00:00", "2026-01-07 00:00", "2026-01-08 00:00"]),
    ],
)
def test_rules_of_days_weeks_and_years(rule: str, dates: list[str]) -> None:
    assert days(read(f"DTSTART;VALUE=DATE:20260106\r\nRRULE:{rule}")) == dates


def test_a_lecture_each_week_stays_at_eight_when_the_clocks_change() -> None:
    found = read("DTSTART;TZID=Europe/Berlin:20260323T080000\r\nDURATION:PT1H\r\nRRULE:FREQ=WEEKLY;COUNT=2")
    assert days(found) == ["2026-03-23 08:00", "2026-03-30 08:00"]
    assert found[1].begins - found[0].begins == 7 * 86400 - 3600


def test_exceptions_cancelled_events_other_parts_and_folded_lines() -> None:
    found = read(
        "DTSTART;VALUE=DATE:20260106\r\nRRULE:FREQ=DAILY;COUNT=3\r\nEXDATE:20260107\r\nSUMMARY:Epi\r\n phany",
        "DTSTART;VALUE=DATE:20260110\r\nSTATUS:CANCELLED",
        "DTSTART;VALUE=DATE:20260112\r\nBEGIN:VALARM\r\nDTSTART:19990101\r\nEND:VALARM",
    )
    assert days(found) == ["2026-01-06 00:00", "2026-01-08 00:00", "2026-01-12 00:00"]
    assert found[0].words == "Epiphany"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hello", "no line of a calendar"),
        ("VERSION:2.0", "lacks VCALENDAR"),
        (calendar("SUMMARY:x"), "line 3: an event without DTSTART"),
        (calendar("DTSTART:tomorrow"), "line 5: 'tomorrow' is no date"),
        (calendar("DTSTART;TZID=Mars/Phobos:20260101T000000"), "no time zone 'Mars/Phobos'"),
        (calendar("DTSTART:20260102\r\nDTEND:20260101"), "ends before it begins"),
        (calendar("DTSTART:20260102\r\nRRULE:FREQ=MONTHLY"), "FREQ=MONTHLY is not read"),
        (calendar("DTSTART:20260102\r\nRRULE:FREQ=YEARLY;BYDAY=1MO"), "weekly rules only"),
        (calendar("DTSTART:20260102\r\nRRULE:FREQ=YEARLY;BYMONTH=5"), "may only repeat the day of DTSTART"),
        (calendar("DTSTART:20260102\r\nRRULE:FREQ=DAILY;COUNT=0"), "COUNT is a number from 1"),
        (calendar("DTSTART:00010102"), "is not between 1971 and 2199"),
        (calendar("DTSTART:20260102")[:-20], "lacks an END"),
        (calendar(*["DTSTART:20250102\r\nRRULE:FREQ=DAILY"] * 5), "over 5,000 occurrences"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_by_its_line(text: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_ics(text, "terms.ics", WINDOW, BERLIN)
    assert says in refused.value.message


@given(st.text(alphabet="BEGINVTCALRDS:;=-,+0123456789TZ \r\n", max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    event = f"BEGIN:VEVENT\nDTSTART:20260102\n{text}\nEND:VEVENT"
    with contextlib.suppress(Invalid):
        read_ics(f"BEGIN:VCALENDAR\n{event}\nEND:VCALENDAR", "terms.ics", WINDOW, BERLIN)


def test_a_holiday_within_exam_weeks_is_a_holiday() -> None:
    spans = [Span("holiday", 7200, 10800), Span("exams", 0, 18000), Span("term", 14400, 36000)]
    assert kinds_of(spans, 0, 10).tolist() == [2, 2, 4, 2, 2, 1, 1, 1, 1, 1]
    assert kinds_of([Span("break", -9000, -100)], 0, 3).tolist() == [0, 0, 0]
