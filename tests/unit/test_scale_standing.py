"""What a fleet stands at while units start, acts are under way, operators think, and counts change by themselves."""

from atomic_guide.operations.scaling.decide.memory import Asked, FleetState
from atomic_guide.operations.scaling.decide.standing import standing
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Mode
from atomic_guide.operations.scaling.settings import FleetSettings

OWN = FleetSettings(start_delay_seconds=90.0)
AT = 10_000.0


def stands(state: FleetState, ready: int, at: float = AT, *, starting: int = 0, mode: Mode = "auto") -> int:
    return standing(state, Fleet(ready, starting, 0, 50, 100.0), at, mode, OWN)


def asked(before: int = 2, after: int = 5, at: float = AT) -> FleetState:
    return FleetState(asked=Asked("id", at, before, after))


def test_what_runs_and_starts_counts() -> None:
    state = FleetState()
    assert stands(state, 2, starting=3) == 5
    assert state == FleetState(counted=5)


def test_in_shadow_what_there_would_be_counts_until_the_mode_changes() -> None:
    state = FleetState()
    assert stands(state, 3, starting=1, mode="shadow") == 4
    state.virtual = 9
    assert stands(state, 3, mode="shadow") == 9
    assert stands(state, 3) == 3
    assert state.virtual is None


def test_while_an_act_is_under_way_what_it_asks_for_counts() -> None:
    state = asked()
    assert stands(state, 2, AT + 30) == 5
    assert stands(state, 2, AT + 60, starting=3) == 5, "not there before they are ready"
    assert state.asked is not None
    assert stands(state, 5, AT + 90) == 5
    assert state.asked is None
    assert state == FleetState(counted=5)


def test_an_act_that_does_not_come_about_is_given_up_after_twice_the_time_of_a_start_and_a_minute_more() -> None:
    state = asked()
    assert stands(state, 2, AT + 300) == 5
    assert stands(state, 2, AT + 300.5) == 2
    assert state.asked is None
    assert state.counted == 2


def test_what_an_operator_has_not_agreed_to_is_not_there_but_is_not_asked_for_again_for_an_hour() -> None:
    state = asked()
    assert stands(state, 2, AT + 301, mode="approve") == 2
    assert stands(state, 3, AT + 302, mode="approve") == 5, "it has begun"
    assert stands(state, 2, AT + 3600, mode="approve") == 2
    assert state.asked is not None
    stands(state, 2, AT + 3601, mode="approve")
    assert state.asked is None


def test_a_count_that_changes_by_itself_counts_when_it_has_lasted() -> None:
    state = FleetState()
    assert stands(state, 4) == 4
    assert stands(state, 3, AT + 15) == 4
    assert state.counting_since == AT + 15
    assert stands(state, 5, AT + 100) == 4
    assert stands(state, 5, AT + 164) == 4
    assert stands(state, 5, AT + 165) == 5
    assert state == FleetState(counted=5)


def test_one_that_comes_back_begins_anew() -> None:
    state = FleetState()
    stands(state, 4)
    stands(state, 3, AT + 15)
    assert stands(state, 4, AT + 100) == 4
    assert state.counting_since is None
    assert stands(state, 3, AT + 150) == 4
    assert stands(state, 3, AT + 200) == 4


def test_what_an_act_has_made_is_no_change_by_itself() -> None:
    state = asked()
    state.counted, state.counting_since = 2, AT - 500
    stands(state, 2, AT + 15)
    assert state == FleetState(asked=Asked("id", AT, 2, 5), counted=5)
