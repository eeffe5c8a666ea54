"""The time ahead: the forecast's floor and who watches it, daily peaks, quiet hours, entries, next week's peak."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from atomic_guide.operations.scaling.decide.decider import Decider
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.outlook import Entry, Outlook, Peak
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.forecast import HOUR, Forecast
from atomic_guide.operations.scaling.model import Decision, Key, Seen
from atomic_guide.operations.scaling.peaks import daily_peaks, held_peaks, usage
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from atomic_guide.operations.scaling.trace import Trace
from tests.scaling_units import UNITS

TICK, MINUTE, START = 15.0, 60.0, 1_767_571_200.0  # a Monday's midnight, UTC
SETTINGS = ScalingSettings(web=FleetSettings(mode="auto", min=2, max=50))


def outlook(**changes: Any) -> Outlook:
    """Two days of 100 expected and 150 at most in each hour, and what a test says besides."""
    plain: dict[str, Any] = {"made_at": START, "begins": START, "p50": [100.0] * 48, "p95": [150.0] * 48}
    return Outlook(**(plain | changes))


class Days:
    """A fleet of web that does what is decided, a minute later."""

    def __init__(self, ahead: Outlook, settings: ScalingSettings = SETTINGS) -> None:
        self.decider, self.memory = Decider(settings, UNITS), Memory()
        self.memory.state.outlooks["web"] = ahead
        self.at, self.units, self.due = START, 2, START
        self.found: list[Decision] = []
        self.ran: dict[float, int] = {}

    def trust(self) -> None:
        self.memory.state.watches["web"] = Watch(trusted=True, why="")

    def run(self, seconds: float, demand: float | Callable[[float], float] = 100.0) -> list[Decision]:
        before, end = len(self.found), self.at + seconds
        while self.at < end:
            value = demand(self.at) if callable(demand) else demand
            values = {Key("web", "demand"): value}
            fleet = Fleet(self.units, 0, 1, 50, 100.0)
            self.found += self.decider.decide(Seen(self.at, values), {"web": fleet}, self.memory)
            if self.found[before:] and self.found[-1].at == self.at and self.found[-1].action != "hold":
                self.units = self.found[-1].after
            self.ran[self.at] = self.units
            self.at += TICK
        return [one for one in self.found[before:] if one.action != "hold"]

    def units_at(self, moment: float) -> int:
        return self.ran[math.floor((moment - START) / TICK) * TICK + START]


# --- peaks and schedule


def test_a_peak_is_ready_a_quarter_of_an_hour_before_it_until_half_an_hour_after_it() -> None:
    peak = Peak(START + 8 * HOUR, START + 9 * HOUR, 850.0, 3.0)
    days = Days(outlook(peaks=[peak]))
    days.trust()
    made = days.run(13 * HOUR)
    assert (made[0].action, made[0].rule) == ("pre_scale_resources", "daily-peak")
    assert "a daily peak of 850 cores begins in" in made[0].reason
    assert days.units_at(peak.begins - 15 * MINUTE) == 9
    assert days.units_at(peak.begins - 25 * MINUTE) == 2
    assert days.units_at(peak.ends + 29 * MINUTE) == 9
    assert days.units_at(peak.ends + 75 * MINUTE) < 9
    assert days.units == 2


def test_in_quiet_hours_half_of_a_peak_and_of_the_fewest_but_what_is_needed_stays() -> None:
    peak = Peak(START + 2 * HOUR, START + 3 * HOUR, 800.0, 3.0)
    days = Days(outlook(p50=[30.0] * 48, p95=[60.0] * 48, peaks=[peak], quiet=[(START, START + 6 * HOUR)]))
    days.trust()
    days.run(HOUR, 30.0)
    assert days.units == 1
    days.run(HOUR, 30.0)
    assert days.units_at(peak.begins - 60) == 4
    made = days.run(HOUR, 700.0)
    assert days.units >= 7
    assert {one.rule for one in made} == {"target-tracking"}


def test_entries_of_the_schedule_hold_whatever_the_forecast_is_worth() -> None:
    entry = Entry(START + HOUR, START + 2 * HOUR, 6, "orientation week")
    days = Days(outlook(entries=[entry]))
    made = days.run(4 * HOUR)
    assert (made[0].rule, made[0].action, made[0].after) == ("schedule", "pre_scale_resources", 6)
    assert "orientation week" in made[0].reason
    assert days.units_at(entry.begins) == days.units_at(entry.ends - 60) == 6
    assert days.units == 2


def test_next_weeks_peak_is_said_once_with_its_confidence() -> None:
    peak = Peak(START + 30 * HOUR, START + 31 * HOUR, 850.0, 3.0)
    days = Days(outlook(peaks=[peak], confidence=0.875))
    days.run(20 * HOUR)
    said = [one for one in days.found if one.rule == "next-peak"]
    assert len(said) == 1
    assert said[0].action == "hold"
    assert (
        "begins on Tuesday at 06:00 UTC with up to 850 cores (p95, kept by 88% of the weeks before)" in said[0].reason
    )
    assert "9 units are started 15 min before it" in said[0].reason


# --- the floor and its watch


def test_the_forecast_is_a_floor_for_the_time_of_a_start_and_some() -> None:
    p50 = [100.0] * 6 + [900.0] * 3 + [100.0] * 39
    days = Days(outlook(p50=p50, p95=[value * 1.5 for value in p50]))
    days.trust()
    made = days.run(6 * HOUR)
    assert made[0].rule == "forecast-floor"
    assert made[0].inputs["forecast.p50"] == 900
    assert days.units == 9
    assert days.units_at(START + 6 * HOUR - 20 * MINUTE) == 2


def test_a_forecast_that_is_not_watched_yet_asks_for_nothing_and_later_does() -> None:
    days = Days(outlook(p50=[400.0] * 48, p95=[600.0] * 48))
    assert not [one for one in days.run(3 * HOUR, 390.0) if one.rule == "forecast-floor"]
    assert days.memory.state.watch("web").trusted is False
    days.run(2 * HOUR, 390.0)
    assert days.memory.state.watch("web").trusted


@pytest.mark.parametrize(("share", "side"), [(0.4, "less than two thirds"), (2.0, "over the")])
def test_a_level_shift_ends_the_floor_within_the_hour_and_it_comes_back(share: float, side: str) -> None:
    days = Days(outlook(p50=[800.0] * 48, p95=[1200.0] * 48))
    days.run(5 * HOUR, 800.0)
    assert days.memory.state.watch("web").trusted
    days.run(HOUR, 800.0 * share)
    watch = days.memory.state.watch("web")
    assert not watch.trusted
    assert side in watch.why
    days.run(2 * HOUR, 800.0 * share)
    if share < 1:
        assert days.units * 100 <= 1.6 * 800 * share + 100
    assert any("the forecast is not used" in one.reason for one in days.found) == (share < 1)
    days.memory.state.outlooks["web"] = outlook(p50=[800.0 * share] * 48, p95=[1200.0 * share] * 48)
    days.run(4 * HOUR, 800.0 * share)
    assert days.memory.state.watch("web").trusted


def test_a_term_break_that_nobody_told_of_costs_at_most_what_is_needed_by_three_fifths_more() -> None:
    hours = np.arange(48)
    p50 = (600 + 500 * np.sin(2 * np.pi * (hours - 8) / 24)).tolist()
    days = Days(outlook(p50=p50, p95=[value * 1.4 for value in p50]))

    def lectures(at: float) -> float:
        return 600 + 500 * math.sin(2 * math.pi * ((at - START) / HOUR - 8) / 24)

    days.run(14 * HOUR, lectures)
    begin = days.at
    days.run(20 * HOUR, lambda at: 0.4 * lectures(at))
    ticks = [at for at in days.ran if at >= begin + HOUR]
    paid = sum(days.ran[at] for at in ticks)
    needed = sum(max(math.ceil(0.4 * lectures(at) / 100), 1) for at in ticks)
    assert paid / needed <= 1.6


def test_a_burst_of_some_minutes_does_not_end_it() -> None:
    days = Days(outlook(p50=[800.0] * 48, p95=[1200.0] * 48))
    days.run(5 * HOUR, 800.0)
    days.run(600, 2000.0)
    days.run(HOUR, 800.0)
    assert days.memory.state.watch("web").trusted


def test_an_outlook_from_the_future_is_not_used() -> None:
    days = Days(outlook(made_at=START + 86400, entries=[Entry(START, START + 86400, 9)]))
    assert days.run(HOUR) == []


# --- what usage looks like


def forecast_of(p50: list[float]) -> Forecast:
    values = np.array(p50)
    return Forecast(START, values, values * 1.5)


def test_peaks_are_of_their_day_and_a_quiet_sunday_has_none() -> None:
    monday = [100.0] * 9 + [900, 1000, 950] + [100.0] * 12
    flat, sunday = [400.0] * 24, [10.0] * 12 + [60.0] + [10.0] * 11
    found = daily_peaks(forecast_of([*monday, *flat, *sunday]), np.arange(72))
    assert len(found) == 1
    assert (found[0].begins, found[0].ends) == (START + 9 * HOUR, START + 12 * HOUR)
    assert (found[0].p50, found[0].p95) == (1000, 1500)
    assert found[0].intensity == pytest.approx(1000 / (sum(monday) / 24))


def test_two_lectures_a_day_are_two_peaks() -> None:
    day = [100.0] * 8 + [900.0] * 2 + [100.0] * 4 + [1000.0] * 2 + [100.0] * 8
    assert len(daily_peaks(forecast_of(day), np.arange(24))) == 2


def test_trend_season_and_reliability() -> None:
    hours = 60 * 168
    slots = np.arange(hours) % 168
    pattern = np.where((slots < 120) & (slots % 24 > 7), 1000.0, 100.0)
    grown = pattern * 1.01 ** (np.arange(hours) / 168)
    found = usage(Trace(START, HOUR, grown), slots)
    assert found.trend == pytest.approx(0.01, abs=0.001)
    assert found.season == pytest.approx(1.01**52 - 1, rel=0.01)
    assert found.reliability is not None
    assert found.reliability > 0.99
    noise = np.random.default_rng(1).lognormal(5, 1, hours)
    chance = usage(Trace(START, HOUR, noise), slots)
    assert chance.reliability is not None
    assert chance.reliability < 0.1
    assert usage(Trace(START, HOUR, noise[:100]), slots[:100]) == (None, None, None)


def test_the_confidence_of_a_peak_is_how_often_it_was_kept() -> None:
    slots = np.arange(12 * 168) % 168
    values = np.where((slots < 120) & (slots % 24 > 7), 1000.0, 100.0)
    values = values * np.random.default_rng(2).lognormal(0, 0.05, len(values))
    steady = held_peaks(Trace(START, HOUR, values), None, [])
    assert steady is not None
    assert steady >= 0.6
    wild = values.copy()
    wild[np.arange(8 * 168 + 10, 12 * 168, 168)] *= 4
    shaken = held_peaks(Trace(START, HOUR, wild), None, [])
    assert shaken is not None
    assert shaken < steady
    assert held_peaks(Trace(START, HOUR, values[:200]), None, []) is None
    assert held_peaks(Trace(START, HOUR, values[: 4 * 168 + 12]), None, []) is None, "two weeks are no share"
    assert held_peaks(Trace(START, HOUR, values[: 5 * 168 + 12]), None, []) is not None
