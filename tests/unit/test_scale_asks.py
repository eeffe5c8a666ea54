"""What the time ahead asks for at one moment: its floor, the room around a peak, the schedule, next week's peak."""

from typing import Any

import pytest

from atomic_guide.operations.scaling.decide.ahead import asks, coming
from atomic_guide.operations.scaling.decide.outlook import Entry, Outlook, Peak
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.decide.wish import Wish
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings

BEGIN, HOUR, MINUTE = 1_767_571_200.0, 3600.0, 60.0
FLEET = Fleet(3, 1, 1, 50, 100.0)
OWN = FleetSettings(start_delay_seconds=100.0, quiet_share=0.5)
TRUSTED = Watch(trusted=True, why="")
PEAK = Peak(BEGIN + 5 * HOUR, BEGIN + 6 * HOUR, 850.0, 3.0)
ENTRY = Entry(BEGIN + 5 * HOUR, BEGIN + 6 * HOUR, 6, "orientation week")


def asked(at: float, watch: Watch = TRUSTED, floor: Any = "off", **known: Any) -> list[Wish]:
    settings = ScalingSettings(forecast_floor=floor, forecast_ahead_seconds=800.0)
    return asks(Outlook(made_at=BEGIN, begins=BEGIN, **known), watch, BEGIN + at, FLEET, (OWN, settings))


def test_the_floor_is_the_most_that_is_expected_until_a_unit_that_starts_now_is_used() -> None:
    known: dict[str, Any] = {"p50": [310.0, 420.0, 90.0], "p95": [510.0, 650.0, 95.0]}
    assert asked(HOUR - 900, floor="p50", **known) == [
        Wish(5, "forecast-floor", "p50 of the forecast until 900 s ahead is 420", "low", "pre_scale_resources",
             {"forecast.p50": 420.0})
    ]  # fmt: skip
    assert asked(HOUR - 901, floor="p50", **known)[0].units == 4
    assert asked(0, floor="p95", **known) == [
        Wish(6, "forecast-floor", "p95 of the forecast until 900 s ahead is 510", "low", "pre_scale_resources",
             {"forecast.p95": 510.0})
    ]  # fmt: skip
    assert asked(0, floor="off", **known) == []
    assert asked(9 * HOUR, floor="p50", **known) == [], "there is no forecast for it"
    assert asked(0, floor="p50") == []
    assert asked(0, floor="p50", p50=[0.0], p95=[0.0]) == []


def test_there_is_room_for_a_peak_from_a_quarter_of_an_hour_and_a_start_before_it_to_half_an_hour_after_it() -> None:
    begins = 5 * HOUR
    inputs: dict[str, float | None] = {"peak.demand": 850.0, "peak.intensity": 3.0}
    assert asked(begins - 1001, peaks=[PEAK]) == []
    assert asked(begins - 1000, peaks=[PEAK]) == [
        Wish(9, "daily-peak", "a daily peak of 850 begins in 17 min", "low", "pre_scale_resources", inputs)
    ]
    assert asked(begins - 1, peaks=[PEAK])[0].reason == "a daily peak of 850 begins in 0 min"
    assert asked(begins, peaks=[PEAK])[0].reason == "a daily peak of 850 began 0 min ago"
    assert asked(begins + HOUR + 29 * MINUTE, peaks=[PEAK])[0].reason == "a daily peak of 850 began 89 min ago"
    assert asked(begins + HOUR + 30 * MINUTE, peaks=[PEAK]) == []


def test_in_quiet_hours_a_share_of_a_peak_is_kept_ready() -> None:
    quiet = [(BEGIN, BEGIN + 9 * HOUR)]
    (wish,) = asked(5 * HOUR + 600, peaks=[PEAK], quiet=quiet)
    assert wish.units == 5
    assert wish.reason == "a daily peak of 850 began 10 min ago, in quiet hours, for which 50% of it is kept ready"


def test_an_entry_of_the_schedule_holds_from_the_time_of_a_start_before_it_to_its_end() -> None:
    begins = 5 * HOUR
    assert asked(begins - 101, entries=[ENTRY]) == []
    assert asked(begins - 100, entries=[ENTRY]) == [
        Wish(6, "schedule", "the schedule asks for 6 units (orientation week)", "low", "pre_scale_resources",
             {"schedule.units": 6.0})
    ]  # fmt: skip
    assert asked(begins + HOUR - 1, entries=[ENTRY]) != []
    assert asked(begins + HOUR, entries=[ENTRY]) == []
    plain = Entry(ENTRY.begins, ENTRY.ends, 6)
    assert asked(begins, entries=[plain])[0].reason == "the schedule asks for 6 units"


def test_a_forecast_that_has_been_wrong_asks_in_vain_and_the_schedule_does_not() -> None:
    wrong = Watch(why="it was too low")
    found = asked(5 * HOUR, wrong, "p50", p50=[500.0] * 9, p95=[900.0] * 9, peaks=[PEAK], entries=[ENTRY])
    assert [(one.rule, one.refused) for one in found] == [
        ("forecast-floor", "the forecast is not used: it was too low"),
        ("daily-peak", "the forecast is not used: it was too low"),
        ("schedule", ""),
    ]
    assert [one.refused for one in asked(5 * HOUR, peaks=[PEAK], entries=[ENTRY])] == ["", ""]


@pytest.mark.parametrize(("demand", "said"), [(319.0, False), (320.0, False), (321.0, True)])
def test_a_peak_over_four_fifths_of_what_runs_is_said(demand: float, said: bool) -> None:  # noqa: FBT001 - a case
    ahead = Outlook(made_at=BEGIN, peaks=[Peak(BEGIN + HOUR, BEGIN + 2 * HOUR, demand)])
    assert (coming(ahead, BEGIN, FLEET) is not None) is said


def test_the_highest_peak_of_the_next_week_is_told_with_what_will_be_done() -> None:
    week = 7 * 24 * HOUR
    peaks = [Peak(BEGIN + at, BEGIN + at + HOUR, demand) for at, demand in (
        (0.0, 9000.0), (30.5 * HOUR, 1234.0), (60 * HOUR, 800.0), (week, 1000.0), (week + 1, 9000.0))]  # fmt: skip
    assert coming(Outlook(made_at=BEGIN, peaks=peaks), BEGIN, FLEET) == (
        peaks[1],
        (
            "nothing more is wanted yet; the highest peak of the next week begins on Tuesday at 06:30 UTC with up to"
            " 1,234 (p95), over 80% of the 400 that 4 units do: 13 units are started 15 min before it"
        ),
    )
    sure = coming(Outlook(made_at=BEGIN, peaks=peaks[3:], confidence=0.875), BEGIN, FLEET)
    assert sure is not None
    assert sure[0] == peaks[3]
    assert "begins on Monday at 00:00 UTC with up to 1,000 (p95, kept by 88% of the weeks before)," in sure[1]
    assert coming(Outlook(made_at=BEGIN), BEGIN, FLEET) is None
    assert coming(None, BEGIN, FLEET) is None
