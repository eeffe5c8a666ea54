"""Which queue gets the next slot of a process."""

import random

from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.engines.queues.slots import Demand, next_queue, room

DEMANDS = st.lists(
    st.builds(
        Demand,
        weight=st.floats(0.1, 10),
        concurrency=st.integers(1, 40),
        running=st.just(0),
        ready=st.integers(0, 100),
    ),
    min_size=1,
    max_size=6,
)


def filled(slots: int, demands: list[Demand]) -> list[Demand]:
    """The queues after every slot that may be given is given."""
    while (which := next_queue(slots, demands)) is not None:
        one = demands[which]
        demands = [*demands]
        demands[which] = one._replace(running=one.running + 1, ready=one.ready - 1)
    return demands


@given(DEMANDS, st.integers(6, 64))
def test_no_limit_is_passed_and_every_queue_with_jobs_runs(demands: list[Demand], slots: int) -> None:
    after = filled(slots, demands)
    assert sum(one.running for one in after) <= slots
    for before, one in zip(demands, after, strict=True):
        assert one.running <= one.concurrency
        assert (one.running > 0) == (before.ready > 0)


def test_scarce_slots_are_shared_by_weight() -> None:
    demands = [Demand(1, 100, 0, 1000), Demand(3, 100, 0, 1000)]
    assert [one.running for one in filled(40, demands)] == [10, 30]


def test_the_share_of_a_queue_without_jobs_is_used_but_for_one_slot() -> None:
    after = filled(40, [Demand(1, 100, 0, 1000), Demand(3, 100, 0, 0)])
    assert [one.running for one in after] == [39, 0]
    assert room(40, after, 0) == 0
    assert room(40, after, 1) == 1


def test_a_queue_of_long_jobs_gives_way_as_its_jobs_end() -> None:
    """All slots but one are taken by long jobs; as they end one by one, both come to their shares."""
    dice = random.Random(4)
    demands = filled(20, [Demand(1, 100, 0, 10_000), Demand(1, 100, 0, 0)])
    demands[1] = demands[1]._replace(ready=10_000)
    for _ in range(400):
        running = [number for number, one in enumerate(demands) for _ in range(one.running)]
        which = dice.choice(running)
        demands[which] = demands[which]._replace(running=demands[which].running - 1)
        demands = filled(20, demands)
    assert abs(demands[0].running - demands[1].running) <= 1


def test_a_queue_never_passes_its_concurrency() -> None:
    assert [one.running for one in filled(40, [Demand(9, 2, 0, 50), Demand(1, 100, 0, 5)])] == [2, 5]


def test_room_is_what_its_concurrency_and_the_slots_leave_but_one_for_each_idle_queue() -> None:
    def demand(running: int, concurrency: int = 9) -> Demand:
        return Demand(1.0, concurrency, running, 5)

    assert room(8, [demand(0)], 0) == 8
    assert room(8, [demand(3)], 0) == 5
    assert room(8, [demand(3, 4)], 0) == 1
    assert room(8, [demand(2), demand(3)], 0) == 3
    assert room(8, [demand(2), demand(0)], 0) == 5
    assert room(8, [demand(2), demand(0), demand(0)], 0) == 4
    assert room(2, [demand(0), demand(0), demand(0)], 1) == 1, "its own first slot is not kept from it"
    assert room(2, [demand(1), demand(1), demand(0)], 2) == 0
    assert room(2, [demand(3), demand(0)], 0) == 0, "more run than may, after a change of settings"
    assert room(8, [demand(6, 4)], 0) == 0


def test_the_queue_that_is_furthest_below_its_share_goes_next_and_the_first_of_equals() -> None:
    assert next_queue(9, [Demand(1.0, 9, 1, 5), Demand(2.0, 9, 1, 5)]) == 1
    assert next_queue(9, [Demand(1.0, 9, 1, 5), Demand(2.0, 9, 3, 5)]) == 0
    assert next_queue(9, [Demand(1.0, 9, 1, 5), Demand(1.0, 9, 1, 5)]) == 0
    assert next_queue(9, [Demand(1.0, 9, 1, 0), Demand(1.0, 9, 3, 5)]) == 1, "one without jobs is passed over"
    assert next_queue(9, [Demand(1.0, 1, 1, 5), Demand(1.0, 9, 3, 5)]) == 1, "and one that is full"
    assert next_queue(9, [Demand(1.0, 9, 1, 0)]) is None
    assert next_queue(0, [Demand(1.0, 9, 0, 1)]) is None
