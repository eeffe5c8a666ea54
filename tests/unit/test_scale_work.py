"""How many slots jobs need."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.scaling.work import Load, Means, slots_needed


def test_sixty_clips_of_ten_seconds_need_five_processes_of_two_at_a_time() -> None:
    # 600 s of work within 60 s is ten at a time; a process with eight slots runs two of them.
    assert slots_needed([Load(0, 600, 2)], 8) == pytest.approx(5 * 8)


def test_queues_of_short_jobs_share_the_slots() -> None:
    assert slots_needed([Load(3, 0, 16), Load(2, 60, 16)], 8) == pytest.approx(6)
    assert slots_needed([], 8) == 0


def test_what_may_not_run_asks_for_nothing() -> None:
    assert slots_needed([Load(5, 6000, 2, most=0.0), Load(1, 0, 8)], 8) == pytest.approx(1)
    assert slots_needed([Load(5, 6000, 8, most=2.0)], 8) == pytest.approx(2)


load = st.builds(Load, st.floats(0, 1e3), st.floats(0, 1e6), st.integers(1, 64), st.just(math.inf))
loads = st.lists(load, min_size=1, max_size=6)


@given(loads, st.integers(1, 64))
def test_no_queue_is_left_with_less_than_it_needs(each: list[Load], slots: int) -> None:
    processes = slots_needed(each, slots) / slots
    assert processes * slots >= sum(one.arriving + one.waiting / 60 for one in each) - 1e-6
    assert all(
        processes * min(one.concurrency, slots) >= one.arriving + one.waiting / 60 - 1e-6 * (1 + one.waiting)
        for one in each
    )


def test_means_are_over_all_kinds_and_forget() -> None:
    means = Means()
    assert means.of("video short") is None
    means.note(0, {"video short": 10, "video long": 600}, {"video short": 10, "video long": 2})
    assert means.of("video short") == 1
    assert means.of("video short", "video long") == pytest.approx(610 / 12)
    means.note(10 * 3600, {"video short": 30}, {"video short": 10})
    assert means.of("video short") == pytest.approx(3, rel=0.01)
    assert means.of("video long") == pytest.approx(300)
    # Time used by jobs that have not ended counts when they do.
    means.note(10 * 3600, {"mail send": 5}, {})
    assert means.of("mail send") is None
