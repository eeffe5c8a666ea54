"""Budgets: of a day as it comes, of a month at a pace, with the figures in every decision that they hold back."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.scaling.decide.budget import affordable, month_of, paced, spend
from atomic_guide.operations.scaling.decide.decider import Decider
from atomic_guide.operations.scaling.decide.memory import FleetState, Memory, Month, Pace, State
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Decision, Key, Seen
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from tests.scaling_units import UNITS

HOUR, TICK = 3600.0, 300.0
BEGIN = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
HOURS = 30 * 24
SLOTS = range(168)


def costing(costs: float | list[float]) -> dict[int, float]:
    """What each hour of the week is known to cost; the first of June 2026 is a Monday."""
    return dict(enumerate(costs)) if isinstance(costs, list) else dict.fromkeys(SLOTS, costs)


def settings(month: float, day: float = 0.0) -> ScalingSettings:
    return ScalingSettings(
        tick_seconds=TICK, budget_per_month=month, budget_per_day=day, quiet_hours="",
        forecast_floor="off",
        web=FleetSettings(mode="auto", min=1, max=50, unit_price=1.0, up_most=50, down_share=1.0,
                          down_window_seconds=0.0, down_cool_down_seconds=0.0),
        workers=FleetSettings(mode="auto", min=1, max=50, unit_price=2.0),
    )  # fmt: skip


def fleet(units: int) -> Fleet:
    return Fleet(units, 0, 0, 1000, 100.0)


def test_a_budget_that_lasts_holds_nothing() -> None:
    fleets = {"web": fleet(3), "workers": fleet(1)}
    state = State(at=BEGIN, usual=costing(5.0))
    pace = paced(state, fleets, settings(5.0 * HOURS + 1))
    assert (pace.level, pace.hours, pace.forecast) == (None, HOURS, 5.0 * HOURS)
    state.pace = pace
    assert affordable(state, "web", fleets, settings(5.0 * HOURS + 1)) is None


def test_only_the_dearest_hours_are_cut() -> None:
    """Twelve hours of each day cost 3, the others 13; 4,320 are left for 720 hours: 9 an hour by day, 3 by night."""
    usual = {slot: 13.0 if 8 <= slot % 24 < 20 else 3.0 for slot in SLOTS}
    pace = paced(State(at=BEGIN, usual=usual), {"web": fleet(1), "workers": fleet(1)}, settings(4320.0))
    assert pace.level == pytest.approx(9.0)
    assert pace.forecast == pytest.approx(8.0 * HOURS)


@given(
    st.lists(st.floats(0, 100), min_size=168, max_size=168),
    st.floats(0, HOURS * 110),
    st.floats(0, 29.9),
    st.floats(0, 50_000),
)
def test_at_the_level_the_money_lasts_exactly(costs: list[float], budget: float, days: float, spent: float) -> None:
    at = BEGIN + days * 86400
    fleets = {"web": fleet(1), "workers": fleet(1)}
    state = State(at=at, usual=costing(costs), months={"2026-06": Month(BEGIN, spent)})
    pace = paced(state, fleets, settings(budget))
    first = math.floor(at / HOUR) * HOUR
    left = [(max(costs[int((first - BEGIN) / HOUR + each) % 168], 3.0), 1.0) for each in range(HOURS)]
    left = [one for each, one in enumerate(left) if first + each * HOUR < BEGIN + HOURS * HOUR]
    left[0] = (left[0][0], (first + HOUR - at) / HOUR)
    assert pace.forecast == pytest.approx(sum(cost * share for cost, share in left), abs=0.01)
    if pace.level is None:
        assert pace.forecast <= budget - spent + 0.01
    else:
        cut = sum(min(cost, pace.level) * share for cost, share in left)
        fewest = 3.0 * sum(share for _, share in left)
        assert cut == pytest.approx(max(budget - spent, fewest), rel=1e-6, abs=0.01)


@pytest.mark.parametrize(("begin", "name", "days"), [((2026, 2, 1), "2026-02", 28), ((2026, 12, 1), "2026-12", 31)])
def test_a_month_is_one_of_utc(begin: tuple[int, int, int], name: str, days: int) -> None:
    first = datetime(*begin, tzinfo=UTC).timestamp()
    assert month_of(first) == month_of(first + days * 86400 - 0.5) == (name, first, first + days * 86400)
    assert month_of(first - 0.5)[2] == first


def test_of_a_month_that_was_not_seen_from_its_begin_the_rest_has_its_part() -> None:
    at = BEGIN + 15 * 86400
    state = State(at=at, months={"2026-06": Month(since=at)})
    assert paced(state, {"web": fleet(1)}, settings(1000.0)).budget == pytest.approx(500.0)


def test_fleets_that_all_want_too_much_share_what_there_is() -> None:
    """Of 13 an hour the fewest take 3; of the other 10 both want 20, so that each has half of what it wants beyond."""
    fleets = {"web": fleet(11), "workers": fleet(1)}
    state = State(at=BEGIN, usual=costing(100.0), fleets={"workers": FleetState(needed=6)})
    state.pace = paced(state, fleets, settings(13.0 * HOURS))
    assert state.pace.level == pytest.approx(13.0)
    web, workers = (affordable(state, name, fleets, settings(13.0 * HOURS)) for name in ("web", "workers"))
    assert web is not None
    assert workers is not None
    assert (web.units, workers.units) == (6, 3)
    assert web.units * 1.0 + workers.units * 2.0 <= 13.0


def test_what_another_fleet_does_not_want_may_be_had() -> None:
    fleets = {"web": fleet(2), "workers": fleet(1)}
    state = State(at=BEGIN, usual=costing(100.0))
    state.pace = paced(state, fleets, settings(13.0 * HOURS))
    found = affordable(state, "web", fleets, settings(13.0 * HOURS))
    assert found is not None
    assert found.units == 11


class Month30:
    """A month of web alone: demand by the hour, acts that come about at once."""

    def __init__(self, budget: float) -> None:
        self.settings = settings(budget)
        self.decider, self.memory = Decider(self.settings, UNITS), Memory()
        self.units = {"web": 1, "workers": 1}
        self.made: list[Decision] = []
        self.at = BEGIN

    def run(self, hours: int, busy: float) -> None:
        """Ten hours of each day are busy; the other ones need a unit."""
        for _ in range(int(hours * HOUR / TICK)):
            demand = busy if 8 <= self.at % 86400 / HOUR < 18 else 50.0
            fleets = {name: fleet(count) for name, count in self.units.items()}
            seen = Seen(self.at, {Key("web", "demand"): demand, Key("workers", "demand"): 10.0})
            for one in self.decider.decide(seen, fleets, self.memory):
                self.made.append(one)
                if one.action != "hold":
                    self.units[one.fleet] = one.after
            self.at += TICK

    @property
    def spent(self) -> float:
        return self.memory.state.months["2026-06"].spent


def test_a_month_is_paced_and_every_decision_says_so() -> None:
    free = Month30(1e6)
    free.run(3 * 24, 1000.0)
    budget = 0.6 * free.spent * 10
    held = Month30(budget)
    held.run(HOURS, 1000.0)
    assert held.spent <= budget * 1.01
    assert held.spent >= budget * 0.9, "what may be spent is"
    weeks = [one for one in held.made if "held by the budget" in one.reason]
    said = weeks[-1]
    assert "are spent this month and" in said.reason
    assert "are forecast for the" in said.reason
    figures = {name: value for name, value in said.inputs.items() if name.startswith("budget.")}
    assert set(figures) == {"budget.month", "budget.spent", "budget.forecast", "budget.hours_left", "budget.per_hour"}
    assert figures["budget.month"] == budget

    # The last week has as much by day as the third: the money was not gone before the month's end.
    def by_day(first: int, last: int) -> int:
        inside = [one.after for one in held.made if one.fleet == "web" and one.action != "hold"
                  and BEGIN + first * 86400 <= one.at < BEGIN + last * 86400]  # fmt: skip
        return max(inside)

    assert by_day(23, 30) >= by_day(16, 23) - 1
    assert by_day(23, 30) > 1


def test_what_is_held_back_is_still_expected_of_the_rest() -> None:
    """Else a month that is cut would look as if it needed no more than it gets."""
    held = Month30(2600.0)
    held.run(14 * 24, 1000.0)
    pace = held.memory.state.pace
    assert pace.level is not None
    assert pace.forecast > pace.budget - pace.spent


def test_the_fewest_stay_where_the_budget_does_not_even_pay_for_them() -> None:
    poor = Month30(100.0)
    poor.run(72, 1000.0)
    assert poor.units == {"web": 1, "workers": 1}
    assert any("less than the fewest, which are kept" in one.reason for one in poor.made)


def test_a_month_begins_anew_and_survives_a_restart() -> None:
    month = Month30(5000.0)
    month.at += 28 * 86400
    month.run(24, 1000.0)
    before = month.spent
    month.memory = Memory.loaded(month.memory.saved())
    assert month.spent == before > 30
    month.run(26, 1000.0)
    july = month.memory.state.months["2026-07"]
    assert july.spent < 20
    assert month.memory.state.pace.spent <= july.spent


def test_a_clock_that_was_wrong_loses_no_month() -> None:
    month = Month30(5000.0)
    month.run(48, 1000.0)
    before = month.spent
    month.at += timedelta(days=40).total_seconds()
    month.run(1, 1000.0)
    month.memory.reset_clock(BEGIN + 49 * HOUR)
    month.at = BEGIN + 49 * HOUR
    month.run(1, 1000.0)
    assert before <= month.spent <= before + 30


def test_what_is_remembered_is_bounded() -> None:
    state = State()
    for day in range(0, 2000, 3):
        state.at = BEGIN + day * 86400
        spend(state, {"web": fleet(2)}, settings(1000.0), HOUR)
    assert len(state.months) <= 4
    assert len(state.usual) <= 168
    assert len(state.spent) <= 24


def test_of_both_budgets_the_tighter_one_counts() -> None:
    fleets = {"web": fleet(2), "workers": fleet(1)}
    both = settings(13.0 * HOURS, day=100.0)
    state = State(at=BEGIN, usual=costing(100.0), spent={int(BEGIN // HOUR) - 1: 30.0})
    state.pace = paced(state, fleets, both)
    found = affordable(state, "web", fleets, both)
    assert found is not None
    # 30 are spent and 66 set aside for the fewest of the other 22 hours; workers take 2 of the 4 that are left.
    assert found.units == 2
    assert "the budget of a day pays for 2 units" in found.why
    assert set(found.inputs) == {"budget.day", "budget.spent_in_24_hours"}


def test_without_a_price_there_is_nothing_to_hold() -> None:
    free = ScalingSettings(budget_per_month=10.0)
    assert affordable(State(at=BEGIN), "web", {"web": fleet(3)}, free) is None


# --- what is spent and learned


def test_what_runs_is_added_to_its_hour_and_its_month_and_is_forgotten_of_hours_a_day_ago() -> None:
    state, hour = State(at=BEGIN + 60), int(BEGIN // HOUR)
    state.spent = {hour - 24: 9.0, hour - 23: 7.0}
    fleets = {"web": fleet(3), "workers": fleet(1)}
    spend(state, fleets, settings(0.0), 1800.0)
    assert state.spent == {hour - 23: 7.0, hour: 2.5}
    state.at = BEGIN + 1860
    spend(state, fleets, settings(0.0), 1800.0)
    assert state.spent == {hour - 23: 7.0, hour: 5.0}
    assert state.months == {"2026-06": Month(BEGIN + 60, 5.0)}
    assert state.pace == Pace(), "without a budget of a month nothing is reckoned"


def test_an_hour_of_the_week_is_expected_to_cost_what_it_lately_has_most_of_all_the_last_time() -> None:
    state = State()

    def hours(begin: float, wanted: int, seconds: float = HOUR) -> None:
        state.at = begin
        spend(state, {"web": fleet(wanted)}, settings(0.0), seconds)

    hours(BEGIN, 5)
    assert state.usual == {}, "it has not ended"
    hours(BEGIN + HOUR, 2, HOUR / 2)
    assert state.usual == {0: 5.0}
    hours(BEGIN + 2 * HOUR, 2, HOUR / 2 + 1)
    assert state.usual == {0: 5.0}, "half an hour does not tell what the hour costs"
    hours(BEGIN + 168 * HOUR, 11)
    assert state.usual == {0: 5.0, 2: 2.0}
    hours(BEGIN + 169 * HOUR, 1)
    assert state.usual == {0: 6.8, 2: 2.0}
    state.usual[1] = 0.12345
    hours(BEGIN + 170 * HOUR, 1)
    assert state.usual[1] == 0.3864


def test_the_pace_is_reckoned_once_an_hour() -> None:
    state = State(at=BEGIN + 900)
    for later, paced_at in ((0.0, 900.0), (1800.0, 900.0), (2700.0, 3600.0)):
        state.at = BEGIN + 900 + later
        spend(state, {"web": fleet(2)}, settings(1000.0), 900.0)
        assert state.pace.at == BEGIN + paced_at


def test_a_clock_that_was_set_back_by_years_has_a_month_of_its_own() -> None:
    later = {f"2027-0{number}": Month(BEGIN + number * 1e6, 5.0) for number in (1, 2, 3)}
    state = State(at=BEGIN, months=dict(later))
    spend(state, {"web": fleet(2)}, settings(1000.0), HOUR)
    assert state.months == {**later, "2026-06": Month(BEGIN, 2.0)}


# --- what is left of a month


def test_of_hours_that_were_never_seen_the_mean_of_the_others_is_expected_and_before_any_what_is_wanted_now() -> None:
    at = BEGIN + (HOURS - 2) * HOUR
    fleets = {"web": fleet(7), "workers": fleet(1)}
    assert paced(State(at=at, usual={0: 4.0, 1: 8.0}), fleets, settings(1e6)).forecast == 12.0
    assert paced(State(at=at), fleets, settings(1e6)).forecast == 18.0
    assert paced(State(at=at, usual={0: 1.0}), fleets, settings(1e6)).forecast == 6.0, "the fewest cost that"


def test_the_rest_of_an_hour_counts_as_its_share() -> None:
    """Of 3.5 hours that cost 4, 10, 20 and 30 there are 36 left: 2 + 10 + 12 + 12."""
    at = BEGIN + (HOURS - 3.5) * HOUR
    usual = {(HOURS - 4 + later) % 168: cost for later, cost in enumerate((4.0, 10.0, 20.0, 30.0))}
    months = {"2026-06": Month(BEGIN, 64.0)}
    pace = paced(State(at=at, usual=usual, months=months), {"web": fleet(1), "workers": fleet(1)}, settings(100.0))
    assert (pace.level, pace.hours, pace.forecast, pace.spent) == (12.0, 3.5, 62.0, 64.0)


def test_a_budget_that_just_lasts_holds_nothing() -> None:
    fleets = {"web": fleet(3), "workers": fleet(1)}
    assert paced(State(at=BEGIN, usual=costing(5.0)), fleets, settings(5.0 * HOURS)).level is None


def test_a_fleet_that_is_not_there_yet_takes_nothing_from_the_others() -> None:
    own = ScalingSettings(
        budget_per_month=1.0, web=FleetSettings(min=1, unit_price=0.1), workers=FleetSettings(min=1, unit_price=2.0)
    )
    state = State(at=BEGIN, pace=Pace(level=25.0, fewest=2.1))
    fleets = {"web": fleet(0), "workers": fleet(20)}
    web, workers = (affordable(state, name, fleets, own) for name in ("web", "workers"))
    assert web is not None
    assert workers is not None
    assert (web.units, workers.units) == (1, 12)
    assert web.inputs["budget.per_hour"] == 25.0


def test_less_than_the_fewest_is_said() -> None:
    state = State(at=BEGIN, pace=Pace(level=3.0, fewest=3.0, budget=9.0, spent=8.0, forecast=99.0, hours=7.0))
    found = affordable(state, "web", {"web": fleet(4), "workers": fleet(1)}, settings(9.0))
    assert found is not None
    assert found.why == (
        "held by the budget: 8.00 of 9.00 are spent this month and 99.00 are forecast for the 7 h left;"
        " at most 3.00 an hour, and that pays for 1 unit, less than the fewest, which are kept"
    )
    state.pace = Pace(level=3.1, fewest=3.0)
    more = affordable(state, "web", {"web": fleet(4), "workers": fleet(1)}, settings(9.0))
    assert more is not None
    assert more.why.endswith("pays for 1 unit")


# --- of a day


def test_of_a_day_a_fleet_has_what_the_others_and_the_fewest_of_later_hours_leave_by_its_price() -> None:
    fleets = {"web": fleet(2), "workers": fleet(1)}
    state = State(at=BEGIN + 60, spent={int(BEGIN // HOUR) - 1: 10.0})
    found = affordable(state, "workers", fleets, settings(0.0, day=99.0))
    assert found is not None
    # 10 are spent and 66 set aside; web takes 2 of the 23 that are left, and a worker costs 2.
    assert (found.units, found.inputs["budget.spent_in_24_hours"]) == (10, 76.0)
    assert found.why == (
        "held by the budget: 76.00 of 99.00 are spent or set aside for the fewest, others cost 2.00 an hour,"
        " and the budget of a day pays for 10 units"
    )
    poor = affordable(state, "workers", fleets, settings(0.0, day=50.0))
    assert poor is not None
    assert poor.units == 0


def test_where_both_budgets_pay_for_as_much_that_of_the_day_is_told() -> None:
    fleets = {"web": fleet(2), "workers": fleet(1)}
    state = State(at=BEGIN, pace=Pace(level=13.0, fewest=3.0))
    found = affordable(state, "web", fleets, settings(1.0, day=82.0))
    assert found is not None
    assert (found.units, "budget.day" in found.inputs) == (11, True)
