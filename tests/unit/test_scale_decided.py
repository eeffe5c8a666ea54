"""The decider's own part, a tick or two at a time: what it reckons with, what it bounds, what it remembers."""

from typing import Any

import msgspec
import pytest

from atomic_guide.operations.scaling.decide.decider import NOTHING, Decider, Outside, cleaned, limited
from atomic_guide.operations.scaling.decide.memory import Asked, FleetState, Memory
from atomic_guide.operations.scaling.decide.outlook import Entry, Outlook, Peak
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Decision, Key, Mode, Rejected, Seen
from atomic_guide.operations.scaling.settings import FleetSettings, RuleSettings, ScalingSettings
from tests.scaling_units import UNITS

AT, TICK, HOUR = 1_760_000_000.0, 15.0, 3600.0
DEMAND = Key("web", "demand")


def settings(mode: Mode = "auto", **more: Any) -> ScalingSettings:
    web = FleetSettings(mode=mode, min=2, max=9, up_most=9, unit_price=1.0, down_window_seconds=0.0)
    return ScalingSettings(web=web, quiet_hours="", forecast_floor="off", **more)


def decided(
    own: ScalingSettings,
    memory: Memory,
    demand: float | None,
    units: int,
    at: float = AT,
    outside: Outside = NOTHING,
) -> list[Decision]:
    """What one tick decides for a fleet of web."""
    values = {} if demand is None else {DEMAND: demand}
    seen = Seen(at, values)
    return Decider(own, UNITS).decide(seen, {"web": Fleet(units, 0, 1, 50, 100.0)}, memory, outside)


def test_the_fewest_are_kept_and_that_is_said_with_its_urgency() -> None:
    (made,) = decided(settings(), Memory(), 10.0, 1)
    assert (made.before, made.after, made.rule, made.urgency) == (1, 2, "minimum", "high")
    assert made.reason == "at least 2 units are kept"


def test_demand_is_told_in_the_measure_of_its_fleet_and_one_unit_as_one() -> None:
    (made,) = decided(settings(), Memory(), 500.0, 2)
    assert "500 cores" in made.reason
    one = msgspec.structs.replace(settings(), web=FleetSettings(mode="auto", min=1))
    (made,) = decided(one, Memory(), None, 0)
    assert made.reason == "at least 1 unit is kept"


def test_a_tick_is_decided_once_and_the_next_from_half_of_it_on() -> None:
    for later, made in ((7.4, 0), (7.5, 1)):
        memory = Memory()
        memory.state.at = AT
        assert len(decided(settings(), memory, 500.0, 2, AT + later)) == made, later


def test_windows_hold_a_wish_back_and_not_what_is_over_the_most() -> None:
    web = FleetSettings(mode="auto", min=2, max=9, up_window_seconds=60.0, down_window_seconds=300.0)
    own = msgspec.structs.replace(settings(), web=web)
    memory = Memory()
    memory.state.fleets["web"] = FleetState(wanted=[(AT - 15, 2)])
    (held,) = decided(own, memory, 500.0, 2)
    assert (held.action, held.after) == ("hold", 2)
    assert "more has not been wanted for 60 s yet" in held.reason
    memory = Memory()
    memory.state.fleets["web"] = FleetState(wanted=[(AT - 15, 12)])
    (made,) = decided(own, memory, 1200.0, 12)
    assert (made.before, made.after) == (12, 9)


@pytest.mark.parametrize(
    ("mode", "state", "asks"),
    [("auto", FleetState(asked=Asked("a", AT - TICK, 2, 4)), [5]), ("shadow", FleetState(virtual=4), [])],
    ids=["auto", "shadow"],
)
def test_a_rule_asks_for_more_than_is_under_way_and_in_shadow_for_more_than_runs(
    mode: Mode, state: FleetState, asks: list[int]
) -> None:
    """In shadow nothing relieves what it looks at."""
    rule = RuleSettings("errors", "web", "web", "errors", "add_process", above=0.05, for_seconds=0.0)
    own = settings(mode, rules=(rule,))
    own = msgspec.structs.replace(own, web=msgspec.structs.replace(own.web, start_delay_seconds=0.0))
    memory = Memory()
    memory.state.at = AT - TICK
    memory.state.fleets["web"] = state
    seen = Seen(AT, {DEMAND: 150.0, Key("web", "errors"): 0.5})
    made = Decider(own, UNITS).decide(seen, {"web": Fleet(2, 0, 1, 50, 100.0)}, memory)
    assert [one.after for one in made if one.rule == "errors"] == asks


def test_a_forecast_is_watched_by_the_demand_of_its_fleet_and_its_peak_told() -> None:
    memory = Memory()
    outlook = Outlook(
        made_at=AT,
        begins=AT - HOUR,
        p50=[100.0] * 9,
        p95=[150.0] * 9,
        peaks=[Peak(AT + 9 * HOUR, AT + 10 * HOUR, 900.0)],
    )
    memory.state.outlooks["web"] = outlook
    (held,) = decided(settings(), memory, 150.0, 2)
    assert (held.rule, held.action) == ("next-peak", "hold")
    assert "900 cores" in held.reason
    assert [slot.actual for slot in memory.state.watches["web"].slots] == [150.0]


def test_what_the_budget_holds_back_is_told_with_its_figures() -> None:
    made = decided(settings(budget_per_day=100.0), Memory(), 900.0, 2)[0]
    assert "budget" not in made.reason, "it pays for all that is wanted"
    assert not any(name.startswith("budget") for name in made.inputs)
    poor = decided(settings(budget_per_day=50.5), Memory(), 900.0, 2)[0]
    assert poor.after == 4
    assert "the budget of a day pays for 4 units" in poor.reason
    assert set(poor.inputs) >= {"budget.day", "budget.spent_in_24_hours"}


def test_what_is_over_the_most_goes_at_once_whatever_has_just_been_added() -> None:
    memory = Memory()
    memory.state.fleets["web"] = FleetState(grown_at=AT - 1)
    (made,) = decided(settings(), memory, 1200.0, 12)
    assert (made.before, made.after) == (12, 9)
    memory = Memory()
    memory.state.fleets["web"] = FleetState(grown_at=AT - 1)
    (held,) = decided(settings(), memory, 1200.0, 9)
    assert held.action == "hold"


@pytest.mark.parametrize(("mode", "needed"), [("auto", 9), ("approve", 9), ("shadow", None)])
def test_what_is_needed_is_remembered_where_something_may_be_done_about_it(mode: Mode, needed: int | None) -> None:
    memory = Memory()
    decided(settings(mode), memory, 5000.0, 3)
    assert memory.state.fleets["web"].needed == needed


def test_the_schedule_is_asked_at_the_tick_and_its_fleet() -> None:
    memory = Memory()
    memory.state.outlooks["web"] = Outlook(made_at=AT, entries=[Entry(AT + 60, AT + HOUR, 7, "exams")])
    (made,) = decided(settings(), memory, 150.0, 2)
    assert (made.after, made.rule) == (7, "schedule")
    memory = Memory()
    memory.state.outlooks["web"] = Outlook(made_at=AT, quiet=[(AT - 1, AT + 1)])
    assert [one.after for one in decided(settings(), memory, 10.0, 1) if one.action != "hold"] == []
    assert memory.state.watches["web"].why.startswith("there is no forecast for this hour")


def test_only_more_than_what_is_under_way_is_asked_for_beside_it() -> None:
    for before, after, wanted in ((2, 4, [9]), (4, 4, []), (9, 4, [])):
        memory = Memory()
        memory.state.at = AT - TICK
        memory.state.fleets["web"] = FleetState(asked=Asked("a", AT - TICK, before, after))
        made = decided(settings(), memory, 2000.0, 2)
        assert [one.after for one in made if one.action != "hold"] == wanted, (before, after)


def test_an_act_of_another_process_is_reckoned_with_until_it_has_ended() -> None:
    act = Decision("b", AT - 60, "web", "add_process", 2, 6, "backlog", "high", "12,000 wait")
    memory = Memory()
    assert decided(settings(), memory, 2000.0, 2, outside=Outside(under_way={"web": act})) == []
    assert memory.state.fleets["web"].asked == Asked("b", AT - 60, 2, 6, carried=True)
    memory.state.fleets["web"].asked = Asked("b", AT - 60, 2, 6)
    decided(settings(), memory, 2000.0, 2, AT + TICK, Outside(under_way={"web": act}))
    assert memory.state.fleets["web"].asked == Asked("b", AT - 60, 2, 6, carried=True)
    decided(settings(), memory, 550.0, 6, AT + 2 * TICK)
    assert "'b'" not in repr(memory.state.fleets["web"].asked), "it has ended"


def test_a_change_is_remembered_and_what_was_held_may_be_said_again() -> None:
    memory = Memory()
    memory.state.fleets["web"] = FleetState(held="cut/minimum", held_at=AT - 1)
    (made,) = decided(settings(), memory, 500.0, 2)
    state = memory.state.fleets["web"]
    assert (state.held, state.changed_at, state.grown_at) == ("", AT, AT)
    assert state.asked == Asked(made.id, AT, 2, made.after)


def test_what_ran_in_a_gap_is_paid_for_an_hour_at_most() -> None:
    memory = Memory()
    memory.state.at = AT - 5 * HOUR
    decided(settings(), memory, 150.0, 2)
    assert sum(month.spent for month in memory.state.months.values()) == pytest.approx(2.0)
    decided(settings(), memory, 150.0, 2, AT + 2 * TICK)
    assert sum(month.spent for month in memory.state.months.values()) == pytest.approx(2.0 + 2 * 30 / HOUR)


def test_bounds_of_operators_go_before_those_of_the_settings_and_their_most_does_not() -> None:
    own = FleetSettings(min=2, max=9)
    assert limited(own, None) is own
    found = [limited(own, limits) for limits in ((None, None), (3, 5), (None, 20), (7, 5), (0, None))]
    assert [(one.min, one.max) for one in found] == [(2, 9), (3, 5), (2, 9), (5, 5), (0, 9)]


def test_what_cannot_be_a_measurement_is_said_to_be_missing() -> None:
    bad = Key("web", "errors")
    found = cleaned(Seen(AT, {DEMAND: 0.0, bad: -1.0}, {"x": "y"}))
    assert (found.values, found.missing) == ({DEMAND: 0.0}, {"x": "y", "web.errors": "-1 cannot be a measurement"})
    fine = Seen(AT, {DEMAND: 0.0})
    assert cleaned(fine) is fine


def test_a_loss_is_told_with_its_cause() -> None:
    memory = Memory()
    (held,) = decided(settings(), memory, None, 3)
    assert held.reason == "web.demand is not measured: nothing is taken away, and 3 units stay"
    causes = Seen(AT + HOUR, {}, {"a": "hangs", "b": "refuses"})
    (held,) = Decider(settings(), UNITS).decide(causes, {"web": Fleet(3, 0, 1, 50, 100.0)}, memory)
    assert held.reason.startswith("web.demand is not measured (a: hangs; b: refuses): ")
    assert held.rejected == tuple[Rejected, ...]()
