"""Calendars in iCalendar form (RFC 5545), as universities publish their terms and holidays.

A small reader of its own: of a calendar, only the times of its events are needed. The library `icalendar` reads the
form too, but leaves it to two more packages to say on which days an event that recurs takes place. This one reads
VEVENT with DTSTART, DTEND or DURATION, RRULE, EXDATE, and refuses by its line what it would read wrongly: rules by
positions in a month or a year, and time zones that are no IANA names.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

from atomic_guide.errors import Invalid

MOST_BYTES = 2_000_000
MOST_OCCURRENCES = 5_000
"""Of all events together: a holiday a day for thirteen years."""

_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DURATION = re.compile(r"P(?:(\d{1,3})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")
_RULE_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "WKST", "BYMONTH", "BYMONTHDAY"}
_STEPS_LIMIT = 20_000
_YEARS = (1971, 2199)


class Occurrence(NamedTuple):
    """One time at which an event takes place, in epoch seconds; `words` are its summary and categories."""

    begins: float
    ends: float
    words: str
    uid: str


class _Line(NamedTuple):
    number: int
    name: str
    options: dict[str, str]
    value: str


class _Event(NamedTuple):
    lines: dict[str, _Line]
    number: int
    excluded: tuple[_Line, ...]


def read_ics(text: str, name: str, window: tuple[float, float], zone: ZoneInfo) -> list[Occurrence]:
    """The occurrences of a calendar's events within a window of epoch seconds, in order.

    Dates, and times that name no place, are by the clock of `zone`. Raises `Invalid` naming the line.
    """
    if len(text) > MOST_BYTES:
        raise Invalid(f"{name} has {len(text):,} bytes; a calendar of terms and holidays has at most {MOST_BYTES:,}")
    found: list[Occurrence] = []
    for event in _events(text, name):
        found += _occurrences(event, name, window, zone)
        if len(found) > MOST_OCCURRENCES:
            raise Invalid(
                f"{name} has over {MOST_OCCURRENCES:,} occurrences; import a calendar of terms and holidays only"
            )
    return sorted(found)


def _events(text: str, name: str) -> Iterator[_Event]:
    lines: dict[str, _Line] | None = None
    excluded: list[_Line] = []
    begun, inner, calendar = 0, 0, False
    for line in _lines(text, name):
        match line.name, line.value.upper():
            case "BEGIN", "VCALENDAR":
                calendar = True
            case "BEGIN", "VEVENT" if lines is None:
                lines, excluded, begun = {}, [], line.number
            case "END", "VEVENT" if lines is not None and not inner:
                yield _Event(lines, begun, tuple(excluded))
                lines = None
            case "BEGIN", _ if lines is not None:
                inner += 1
            case "END", _ if inner:
                inner -= 1
            case "EXDATE", _ if lines is not None and not inner:
                excluded.append(line)
            case _ if lines is not None and not inner:
                lines.setdefault(line.name, line)
    if not calendar or lines is not None:
        raise Invalid(f"{name} is no iCalendar file, or was cut off: it lacks {'an END' if calendar else 'VCALENDAR'}")


def _lines(text: str, name: str) -> Iterator[_Line]:
    """Content lines, unfolded: a line that begins with a blank goes on with the one before."""
    rows: list[tuple[int, str]] = []
    for number, row in enumerate(text.splitlines(), 1):
        if row[:1] in {" ", "\t"} and rows:
            rows[-1] = (rows[-1][0], rows[-1][1] + row[1:])
        elif row.strip():
            rows.append((number, row))
    for number, row in rows:
        head, colon, value = _split(row)
        if not colon:
            raise Invalid(f"{name}, line {number}: {row[:40]!r} is no line of a calendar: NAME:VALUE")
        title, *options = head.split(";")
        pairs = (option.partition("=") for option in options)
        yield _Line(number, title.upper(), {key.upper(): part.strip('"') for key, _, part in pairs}, value.strip())


def _split(row: str) -> tuple[str, str, str]:
    """At the first colon that is not within quotes."""
    quoted = False
    for place, letter in enumerate(row):
        if letter == '"':
            quoted = not quoted
        if letter == ":" and not quoted:
            return row[:place], ":", row[place + 1 :]
    return row, "", ""


def _occurrences(event: _Event, name: str, window: tuple[float, float], zone: ZoneInfo) -> list[Occurrence]:
    if "RECURRENCE-ID" in event.lines or event.lines.get("STATUS", _NONE).value.upper() == "CANCELLED":
        return []
    if "DTSTART" not in event.lines:
        raise Invalid(f"{name}, line {event.number}: an event without DTSTART")
    start, place = _moment(event.lines["DTSTART"], name, zone)
    length = _length(event, start, name, zone)
    words = " ".join(event.lines[part].value for part in ("SUMMARY", "CATEGORIES") if part in event.lines)
    uid = event.lines.get("UID", _NONE).value
    excluded = {_moment(line._replace(value=value), name, zone)[0] for line in event.excluded
                for value in line.value.split(",")}  # fmt: skip
    found: list[Occurrence] = []
    for local in _recurring(event, start, name, zone):
        begins = local.replace(tzinfo=place).timestamp()
        if begins >= window[1] or len(found) > MOST_OCCURRENCES:
            break
        # Lengths are by the clock on the wall: a holiday ends at midnight, also on the day of a change of time.
        ends = (local + length).replace(tzinfo=place).timestamp()
        if local not in excluded and ends > window[0]:
            found.append(Occurrence(begins, ends, words, uid))
    return found


def _length(event: _Event, start: datetime, name: str, zone: ZoneInfo) -> timedelta:
    if "DTEND" in event.lines:
        length = _moment(event.lines["DTEND"], name, zone)[0] - start
    elif "DURATION" in event.lines:
        line = event.lines["DURATION"]
        match = _DURATION.fullmatch(line.value.upper())
        if match is None:
            raise Invalid(f"{name}, line {line.number}: {line.value[:40]!r} is no duration such as P1D or PT2H")
        weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        length = timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    else:
        length = timedelta(days=1)
    if length <= timedelta(0):
        raise Invalid(f"{name}, line {event.number}: an event that ends before it begins")
    return length


def _moment(line: _Line, name: str, zone: ZoneInfo) -> tuple[datetime, tzinfo]:
    """A time by the clock of its place, and the place: its own time zone, UTC, or that of whoever imports it."""
    form = "%Y%m%d" if len(line.value) == len("YYYYMMDD") else "%Y%m%dT%H%M%S"
    try:
        local = datetime.strptime(line.value.removesuffix("Z"), form)  # noqa: DTZ007 - its place is beside it
    except ValueError as error:
        raise Invalid(f"{name}, line {line.number}: {line.value[:40]!r} is no date or time of a calendar") from error
    if not _YEARS[0] <= local.year <= _YEARS[1]:
        raise Invalid(f"{name}, line {line.number}: {line.value[:40]!r} is not between {_YEARS[0]} and {_YEARS[1]}")
    if line.value.endswith("Z"):
        return local, UTC
    named = line.options.get("TZID")
    if named is None:
        return local, zone
    try:
        return local, ZoneInfo(named)
    except (KeyError, OSError, ValueError) as error:
        raise Invalid(f"{name}, line {line.number}: there is no time zone {named[:40]!r} of that IANA name") from error


def _recurring(event: _Event, start: datetime, name: str, zone: ZoneInfo) -> Iterator[datetime]:
    """The times at which an event begins, by the clock of its place."""
    line = event.lines.get("RRULE")
    if line is None:
        yield start
        return
    rule = dict(part.upper().partition("=")[::2] for part in line.value.split(";") if part)
    _check_rule(rule, line, start, name)
    last = None
    if "UNTIL" in rule:
        last = _moment(_Line(line.number, "UNTIL", {}, rule["UNTIL"]), name, zone)[0]
        if len(rule["UNTIL"]) == len("YYYYMMDD"):
            last += timedelta(days=1, microseconds=-1)
    count = int(rule.get("COUNT", 0))
    for number, moment in enumerate(_steps(rule, start)):
        if (count and number >= count) or (last is not None and moment > last) or number >= _STEPS_LIMIT:
            return
        yield moment


def _check_rule(rule: dict[str, str], line: _Line, start: datetime, name: str) -> None:
    """Raise `Invalid` for a rule that this reader would read wrongly."""
    kind = rule.get("FREQ", "")
    bad = sorted(rule.keys() - _RULE_PARTS)
    if kind not in {"DAILY", "WEEKLY", "YEARLY"} or bad:
        what = ", ".join(bad) if bad else f"FREQ={kind or 'nothing'}"
        raise Invalid(f"{name}, line {line.number}: a rule with {what} is not read; DAILY, WEEKLY and YEARLY ones are")
    if "BYDAY" in rule and (kind != "WEEKLY" or not set(rule["BYDAY"].split(",")) <= set(_DAYS)):
        raise Invalid(f"{name}, line {line.number}: BYDAY={rule['BYDAY'][:40]} is read in weekly rules only, as MO,TU")
    same = {"BYMONTH": start.month, "BYMONTHDAY": start.day}
    if any(part in rule and rule[part] != str(value) for part, value in same.items()):
        raise Invalid(f"{name}, line {line.number}: BYMONTH and BYMONTHDAY may only repeat the day of DTSTART")
    for part in ("INTERVAL", "COUNT"):
        if not re.fullmatch(r"[1-9]\d{0,3}", rule.get(part, "1")):
            raise Invalid(f"{name}, line {line.number}: {part} is a number from 1 to 9999, not {rule[part][:40]}")


def _steps(rule: dict[str, str], start: datetime) -> Iterator[datetime]:
    interval = int(rule.get("INTERVAL", 1))
    if rule["FREQ"] == "YEARLY":
        for year in range(start.year, _YEARS[1], interval):
            # The 29th of February has no occurrence in other years, as the standard says.
            if (start.month, start.day) != (2, 29) or _leap(year):
                yield start.replace(year=year)
        return
    first, days = start, [0]
    if "BYDAY" in rule:
        first, days = start - timedelta(days=start.weekday()), sorted(map(_DAYS.index, rule["BYDAY"].split(",")))
    period = interval * (7 if rule["FREQ"] == "WEEKLY" else 1)
    for number, day in itertools.product(range(_STEPS_LIMIT), days):
        moment = _later(first, timedelta(days=period * number + day))
        if moment is None:
            return
        if moment >= start:
            yield moment


def _later(moment: datetime, step: timedelta) -> datetime | None:
    """A moment and a step, None beyond the years that are read."""
    return moment + step if step.days < 366 * (_YEARS[1] - moment.year) else None


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


_NONE = _Line(0, "", {}, "")
