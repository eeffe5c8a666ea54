"""How far a wish may go: fewest and most, what the budget pays for, steps, windows, cool-downs, each cut in words."""

import pytest

from atomic_guide.operations.scaling.decide.bounds import Cut, cooling, fewest, steadied, stepped, within
from atomic_guide.operations.scaling.decide.budget import Money
from atomic_guide.operations.scaling.decide.memory import FleetState
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.settings import FleetSettings

OWN = FleetSettings(min=5, max=20, up_most=4, down_share=0.5)
WINDOWS = FleetSettings(up_window_seconds=60.0, down_window_seconds=120.0)


def test_fewest_are_half_in_quiet_hours_and_never_below_what_the_target_allows() -> None:
    fleet = Fleet(9, 0, 1, 20, 100.0)
    assert fewest(fleet, OWN, quiet=False) == 5
    assert fewest(fleet, OWN, quiet=True) == 3
    assert fewest(fleet._replace(least=4), OWN, quiet=True) == 4
    assert fewest(fleet._replace(least=7), OWN, quiet=False) == 7


@pytest.mark.parametrize(
    ("wanted", "pays", "cut"),
    [
        (8, None, Cut(8)),
        (8, 8, Cut(8)),
        (8, 20, Cut(8)),
        (10, None, Cut(10)),
        (11, None, Cut(10, ("at most 10 units are allowed",), capped=True)),
        (12, 7, Cut(7, ("at most 10 units are allowed", "dear"), capped=True)),
        (8, 6, Cut(6, ("dear",))),
        (8, 1, Cut(3, ("dear",))),
        (3, 1, Cut(3)),
        (2, 1, Cut(3, ("at least 3 units are kept",))),
        (2, None, Cut(3, ("at least 3 units are kept",))),
    ],
)
def test_a_wish_stays_within_fewest_and_most_and_the_budget_does_not_go_below_the_fewest(
    wanted: int, pays: int | None, cut: Cut
) -> None:
    assert within(wanted, 3, 10, None if pays is None else Money(pays, "dear", {})) == cut


def test_one_unit_is_said_as_one() -> None:
    assert within(2, 0, 1, None) == Cut(1, ("at most 1 unit is allowed",), capped=True)
    assert within(0, 1, 5, None) == Cut(1, ("at least 1 unit is kept",))
    assert stepped(3, 1, FleetSettings(up_most=1)) == Cut(2, ("at most 1 unit is added at once",))
    state = FleetState(wanted=[(1000.0, 1)])
    assert steadied(0, 3, state, 1060.0, WINDOWS) == Cut(1, ("1 unit was wanted in the last 120 s",))


@pytest.mark.parametrize(
    ("wanted", "standing", "cut"),
    [
        (6, 2, Cut(6)),
        (7, 2, Cut(6, ("at most 4 units are added at once",))),
        (12, 6, Cut(12)),
        (13, 6, Cut(12, ("at most 6 units are added at once",))),
        (5, 5, Cut(5)),
        (3, 5, Cut(3)),
        (2, 5, Cut(3, ("at most 2 units are taken away at once",))),
        (0, 1, Cut(0)),
        (0, 2, Cut(1, ("at most 1 unit is taken away at once",))),
    ],
)
def test_a_step_adds_some_or_the_double_and_takes_away_a_share_but_at_least_one(
    wanted: int, standing: int, cut: Cut
) -> None:
    assert stepped(wanted, standing, OWN) == cut


def test_more_counts_when_it_has_been_wanted_for_the_window_and_then_the_least_of_it() -> None:
    state = FleetState()
    found = [steadied(wanted, 4, state, 1000.0 + 15 * tick, WINDOWS) for tick, wanted in enumerate([4, 9, 7, 8, 8, 8])]
    assert [cut.units for cut in found] == [4, 4, 4, 4, 4, 7]
    assert found[1].why == ("more has not been wanted for 60 s yet",)
    assert steadied(8, 4, state, 1105.0, WINDOWS) == Cut(8)


def test_fewer_counts_when_no_more_was_wanted_in_the_window() -> None:
    state = FleetState()
    times = [(0.0, 9), (60.0, 6), (120.0, 3), (179.0, 3), (180.0, 3), (239.0, 3), (240.0, 3)]
    found = [steadied(wanted, 9, state, 1000.0 + at, WINDOWS) for at, wanted in times]
    assert found[0] == Cut(9)
    assert found[1] == Cut(9, ("9 units were wanted in the last 120 s",))
    assert found[2] == Cut(9, ("9 units were wanted in the last 120 s",))
    assert found[4] == Cut(6, ("6 units were wanted in the last 120 s",))
    assert found[5] == Cut(6, ("6 units were wanted in the last 120 s",))
    assert found[6] == Cut(3)


def test_nothing_is_cut_from_as_many_as_there_are() -> None:
    for before in (2, 9):
        state = FleetState(wanted=[(1000.0, before)])
        assert steadied(4, 4, state, 1001.0, WINDOWS) == Cut(4)


def test_what_is_wanted_without_a_window_counts_at_once() -> None:
    state, none = FleetState(), FleetSettings(up_window_seconds=0.0, down_window_seconds=0.0)
    assert [steadied(wanted, 4, state, 1000.0 + wanted, none) for wanted in (4, 9, 2)] == [Cut(4), Cut(9), Cut(2)]


def test_of_what_was_wanted_only_what_a_window_can_hold_is_kept() -> None:
    state = FleetState()
    for tick in range(400):
        steadied(tick % 2, 5, state, 1000.0 + tick, FleetSettings(down_window_seconds=86_400.0))
    assert len(state.wanted) == 240
    assert state.wanted[-1] == (1399.0, 1)
    steadied(1, 5, state, 1400.0, FleetSettings(down_window_seconds=86_400.0))
    assert state.wanted[-1] == (1399.0, 1), "the same again is the same change"
    steadied(3, 5, state, 2000.0, WINDOWS)
    assert state.wanted == [(1399.0, 1), (2000.0, 3)], "the one from before the window was wanted into it"


def test_nothing_is_taken_away_soon_after_a_step_up() -> None:
    own = FleetSettings(down_cool_down_seconds=300.0)
    assert cooling(3, 4, FleetState(), 1000.0, own) == ""
    grown = FleetState(grown_at=900.0)
    assert cooling(3, 4, grown, 1000.0, own) == "a step up was 100 s ago; nothing is taken away for 200 s more"
    assert cooling(3, 4, grown, 1199.5, own) != ""
    assert cooling(3, 4, grown, 1200.0, own) == ""
    assert cooling(4, 4, grown, 1000.0, own) == ""
    assert cooling(5, 4, grown, 1000.0, own) == ""
