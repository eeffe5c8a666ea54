"""What deciding remembers: over a restart, after failures, and when the clock is set back."""

import msgspec
import pytest

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.decide.memory import Asked, FleetState, Hour, Memory, Pace, State
from atomic_guide.operations.scaling.decide.tracking import policy_of
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.decide.windows import Window
from atomic_guide.operations.scaling.model import Decision, Event
from atomic_guide.operations.scaling.model import State as Outcome
from atomic_guide.operations.scaling.settings import ScalingSettings

AT = 10_000.0
MADE = Decision("web-1", AT, "web", "add_process", 2, 5, "backlog", "high", "12,000 wait")


def told(outcome: Outcome, state: FleetState, *, ended: float | None = AT + 60, error: str = "") -> FleetState:
    """What is remembered of the fleet after a decision has come to this."""
    memory = Memory(State(at=AT + 90, fleets={"web": state}))
    memory.hear(Event(MADE, outcome, "auto", AT, ended, error))
    return memory.state.fleets["web"]


def asked(name: str = "web-1") -> FleetState:
    return FleetState(asked=Asked(name, AT, 2, 5), counted=2, counting_since=AT, failures=0)


@pytest.mark.parametrize("outcome", ["failed", "rolled_back", "refused", "expired"])
def test_what_has_failed_is_left_alone_for_ten_minutes(outcome: Outcome) -> None:
    state = told(outcome, asked(), error="quota exceeded")
    assert (state.failures, state.refused_until) == (1, AT + 60 + 600)
    assert state.refused_why == f"add_process to 5 {outcome}: quota exceeded"
    assert (state.asked, state.counted) == (None, None)


def test_each_failure_in_a_row_doubles_the_wait_up_to_a_day() -> None:
    state, waits = asked(), []
    for _ in range(10):
        state = told("failed", state, ended=None)
        waits.append(state.refused_until - (AT + 90))
    assert waits == [600, 1200, 2400, 4800, 9600, 19_200, 38_400, 76_800, 86_400, 86_400]
    assert state.refused_why == "add_process to 5 failed"


def test_success_ends_the_row_and_what_it_has_made_counts() -> None:
    state = asked()
    state.failures = 3
    state = told("done", state)
    assert (state.failures, state.asked, state.counted, state.counting_since) == (0, None, 5, None)
    other = told("done", asked("web-2"))
    assert other.asked is not None, "another decision is still under way"
    assert other.counted == 5


@pytest.mark.parametrize("outcome", ["shadowed", "awaiting", "acting"])
def test_what_has_not_ended_changes_nothing(outcome: Outcome) -> None:
    assert told(outcome, asked()) == asked()


def test_of_a_fleet_that_was_not_known_it_is_remembered_too() -> None:
    memory = Memory()
    memory.hear(Event(MADE, "failed", "auto", AT, AT))
    assert memory.state.fleet("web").failures == 1
    assert memory.state.watch("web") is memory.state.watches["web"]
    assert memory.state.watch("web") == Watch()


def test_a_memory_that_cannot_be_read_is_refused_with_the_remedy() -> None:
    with pytest.raises(Invalid, match=r"the memory of scaling cannot be read \(.+\); it begins anew without it") as bad:
        Memory.loaded(b"{")
    assert isinstance(bad.value.__cause__, msgspec.DecodeError)
    with pytest.raises(Invalid, match="the memory of scaling is of version 7, not 1; it begins anew"):
        Memory.loaded(b'{"version": 7}')


def test_a_memory_that_was_saved_is_the_same_again() -> None:
    memory = Memory(State(at=AT, fleets={"web": asked()}, spent={3: 1.5}))
    policy_of("web", memory, ScalingSettings()).pinned = 3
    again = Memory.loaded(memory.saved())
    assert again.state == memory.state
    assert again.state.tuned["web"].pinned == 3
    assert again.policies == {}
    assert Memory.loaded(memory.saved().decode()).state == memory.state


def test_when_the_clock_is_set_back_nothing_that_is_remembered_lies_after_it() -> None:
    late = FleetState(
        asked=Asked("a", AT + 50, 2, 5, carried=True), grown_at=AT + 1, changed_at=AT + 2,
        wanted=[(AT - 5, 1), (AT + 5, 2)], refused_until=AT + 9000, held_at=AT + 3,
    )  # fmt: skip
    early = FleetState(
        asked=Asked("b", AT - 50, 2, 5), grown_at=AT - 1, changed_at=AT - 2, wanted=[(AT - 5, 1)],
        refused_until=AT + 599, held_at=AT - 3,
    )  # fmt: skip
    state = State(
        at=AT + 100, fleets={"web": late, "workers": early, "shards": FleetState()},
        watches={"web": Watch(trusted=True)},
        windows={"a/": Window([AT, AT + 1], [1.0, 2.0], [{}, {}])}, hour=Hour(2, 3.0, 4.0), pace=Pace(at=AT),
        spent={2: 1.0, 3: 2.0, 0: 5.0}, usual={3: 1.0},
    )  # fmt: skip
    Memory(state).reset_clock(AT)
    assert state.fleets["web"] == FleetState(
        asked=Asked("a", AT, 2, 5, carried=True), grown_at=AT, changed_at=AT, wanted=[(AT - 5, 1), (AT, 2)],
        refused_until=AT + 600, held_at=AT,
    )  # fmt: skip
    assert state.fleets["workers"] == FleetState(
        asked=Asked("b", AT - 50, 2, 5), grown_at=AT - 1, changed_at=AT - 2, wanted=[(AT - 5, 1)],
        refused_until=AT + 599, held_at=AT - 3,
    )  # fmt: skip
    assert state.fleets["shards"] == FleetState()
    assert state.windows["a/"].times == [AT]
    assert (state.watches, state.hour, state.pace) == ({}, Hour(), Pace())
    assert state.spent == {2: 1.0, 0: 5.0}
    assert state.usual == {3: 1.0}
    hour = State(spent={2: 1.0, 3: 1.0})
    Memory(hour).reset_clock(7200.0)
    assert hour.spent == {2: 1.0}
