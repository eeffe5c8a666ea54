"""The same moment of an earlier day, also where clocks are changed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from atomic_guide.operations.alerts.days import back, midnight, shifts
from atomic_guide.operations.alerts.names import When

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3600.0


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


@pytest.mark.parametrize(
    ("now", "when", "hours"),
    [
        ("2026-06-10T10:00", "previous_day", 24),
        ("2026-06-10T10:00", "previous_week", 168),
        # Clocks go forward on 29 March 2026 at 2:00, and back on 25 October at 3:00.
        ("2026-03-29T01:30", "previous_day", 24),
        ("2026-03-29T10:00", "previous_day", 23),
        ("2026-03-30T10:00", "previous_day", 24),
        ("2026-03-30T00:30", "previous_day", 23),
        ("2026-03-31T00:30", "previous_day", 24),
        ("2026-04-01T10:00", "previous_week", 167),
        ("2026-10-25T10:00", "previous_day", 25),
        ("2026-10-26T00:30", "previous_day", 25),
        ("2026-10-26T10:00", "previous_day", 24),
        ("2026-10-28T10:00", "previous_week", 169),
    ],
)
def test_nine_o_clock_is_compared_with_nine_o_clock(now: str, when: When, hours: float) -> None:
    found = back(at(now), when, BERLIN, daily=False)
    assert found == hours * HOUR
    then = datetime.fromtimestamp(at(now) - found, BERLIN)
    assert then.strftime("%H:%M") == now[-5:]


@pytest.mark.parametrize(
    ("now", "hours"),
    [
        ("2026-03-29T23:59", 24),
        ("2026-03-30T00:30", 23),
        ("2026-03-30T22:59", 23),
        ("2026-10-25T00:30", 24),
        ("2026-10-25T22:59", 24),
        ("2026-10-26T00:30", 25),
        ("2026-10-26T23:59", 25),
        ("2026-10-27T00:30", 24),
    ],
)
def test_what_grows_with_the_day_is_compared_at_the_same_length_of_it(now: str, hours: float) -> None:
    found = back(at(now), "previous_day", BERLIN, daily=True)
    assert found == hours * HOUR
    then = at(now) - found
    assert then - midnight(then, BERLIN) == at(now) - midnight(at(now), BERLIN)


@pytest.mark.parametrize("now", ["2026-03-30T23:01", "2026-10-25T23:00", "2026-10-25T23:59"])
def test_the_last_hour_of_a_longer_day_has_nothing_to_be_compared_with(now: str) -> None:
    assert back(at(now), "previous_day", BERLIN, daily=True) is None


def test_an_hour_that_comes_twice_or_not_at_all_has_one_moment_to_be_compared_with() -> None:
    assert back(at("2026-10-25T02:30", fold=1), "previous_day", BERLIN, daily=False) == 25 * HOUR
    assert back(at("2026-10-26T02:30"), "previous_day", BERLIN, daily=False) == 25 * HOUR
    assert back(at("2026-03-30T02:30"), "previous_day", BERLIN, daily=False) == 23 * HOUR


def test_the_distances_of_a_zone_are_known_beforehand() -> None:
    assert shifts("2026-06-01", "previous_day", ZoneInfo("UTC"), daily=False) == (86400.0,)
    assert set(shifts("2026-06-01", "previous_day", BERLIN, daily=True)) == {23 * HOUR, 24 * HOUR, 25 * HOUR}
    assert shifts("2026-06-01", "previous_week", BERLIN, daily=False)[0] == 7 * 86400.0
    lord_howe = shifts("2026-06-01", "previous_day", ZoneInfo("Australia/Lord_Howe"), daily=False)
    assert set(lord_howe) == {23.5 * HOUR, 24 * HOUR, 24.5 * HOUR}
    assert back(datetime(2026, 6, 1, tzinfo=UTC).timestamp(), "now", BERLIN, daily=True) == 0
