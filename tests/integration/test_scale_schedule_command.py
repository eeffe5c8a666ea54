"""`atomic-guide scale schedule`: what operators and calendars tell of the time ahead."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from atomic_guide.cli import program
from atomic_guide.errors import GuideError
from tests.engines import installed

CALENDAR = """BEGIN:VCALENDAR
BEGIN:VEVENT
UID:1
DTSTART;VALUE=DATE:20990101
SUMMARY:New Year (public holiday)
RRULE:FREQ=YEARLY
END:VEVENT
BEGIN:VEVENT
UID:2
DTSTART;VALUE=DATE:20261221
DTEND;VALUE=DATE:20270104
SUMMARY:Winter break
END:VEVENT
BEGIN:VEVENT
UID:3
DTSTART;VALUE=DATE:20261223
SUMMARY:Party of the choir
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "terms.ics").write_text(CALENDAR)
    installed(tmp_path / "data")
    (tmp_path / "settings.toml").write_text('[scaling]\ntime_zone = "Europe/Berlin"\n')
    return tmp_path


def call(folder: Path, *arguments: str) -> Result:
    where = ["--data", str(folder / "data"), "--config", str(folder / "settings.toml")]
    return CliRunner().invoke(program, ["scale", "schedule", *arguments, *where])


def answer(folder: Path, *arguments: str) -> Any:
    result = call(folder, *arguments, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def test_entries_are_added_listed_and_removed(folder: Path) -> None:
    span = ("--from", "2098-10-12", "--until", "2098-10-17T18:00")
    added = answer(folder, "add", *span, "--units", "3", "--fleet", "web", "--note", "orientation week")["entry"]
    assert (added["begins_at"], added["ends_at"]) == ("2098-10-11T22:00:00Z", "2098-10-17T16:00:00Z")
    assert answer(folder, "list")["entries"] == [added]
    assert "2098-10-12 00:00 to 2098-10-17 18:00  3 units of web" in call(folder, "list").stdout
    assert answer(folder, "remove", added["id"]) == {"removed": 1}
    assert answer(folder, "list")["entries"] == []


def test_a_calendar_is_tried_imported_and_removed(folder: Path) -> None:
    tried = answer(folder, "import", str(folder / "terms.ics"), "--dry-run")
    assert answer(folder, "list", "--past")["entries"] == []
    assert {row["kind"] for row in tried["entries"]} <= {"break", "holiday"}
    # The choir's day is a party's, unless the calendar is one of holidays throughout.
    assert tried["left_out"] + len(tried["entries"]) == len(
        answer(folder, "import", str(folder / "terms.ics"), "--kind", "holiday", "--dry-run")["entries"]
    )
    answer(folder, "import", str(folder / "terms.ics"))
    assert len(answer(folder, "list", "--past")["entries"]) == len(tried["entries"])
    if tried["entries"]:
        assert answer(folder, "remove", "terms.ics") == {"removed": len(tried["entries"])}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("add", "--from", "soon", "--until", "2098-01-01"), "'soon' is no time"),
        (("add", "--from", "2098-01-01", "--until", "2098-01-02"), "says how many"),
        (("add", "--from", "2098-01-01", "--until", "2098-01-02", "--units", "1", "--fleet", "x"), "no fleet"),
        (("add", "--from", "2098-01-01", "--until", "2098-01-02", "--units", "1", "--kind", "term"), "--units is"),
        (("remove", "nothing"), "no entry and no calendar nothing"),
    ],
)
def test_bad_input_is_named(folder: Path, arguments: tuple[str, ...], says: str) -> None:
    found = call(folder, *arguments).exception
    assert isinstance(found, GuideError)
    assert says in found.message


def test_what_is_no_calendar_is_refused_by_its_line(folder: Path) -> None:
    found = call(folder, "import", str(folder / "settings.toml")).exception
    assert isinstance(found, GuideError)
    assert "settings.toml, line 1" in found.message
