"""The last minutes of a series: what stays in a window, when it says something, and what."""

from collections.abc import Mapping

import pytest

from atomic_guide.operations.scaling.decide.windows import Window

LENGTH, TICK = 300.0, 15.0


def most(counts: Mapping[int, int], share: float) -> float:
    """A stand-in for a histogram's quantile that tells what it was asked."""
    return 1000 * max(counts) + sum(counts.values()) + share


def filled(seconds: float, tick: float = TICK, length: float = LENGTH) -> Window:
    """A tick's number each, the last at `seconds`."""
    window = Window()
    for number in range(int(seconds / tick) + 1):
        window.add(number * tick, length, float(number))
    return window


def test_what_is_older_than_the_window_is_forgotten_but_for_one_point() -> None:
    assert filled(300).times == [tick * TICK for tick in range(21)]
    window = filled(315)
    assert window.times[:2] == [15.0, 30.0]
    assert window.times[-1] == 315.0
    assert len(window.times) == len(window.values) == len(window.counts) == 21
    assert window.values[0] == 1.0


def test_of_a_long_window_several_ticks_share_a_point_and_its_value_is_the_last() -> None:
    window = Window()
    for tick in range(5):
        window.add(tick * TICK, 3600.0, float(tick), {7: 2, tick: 1})
    # A sixtieth of an hour is a minute.
    assert window.times == [0.0, 60.0]
    assert window.values == [3.0, 4.0]
    assert window.counts == [{7: 8, 0: 1, 1: 1, 2: 1, 3: 1}, {7: 2, 4: 1}]
    window.add(75.0, 3600.0, 9.0)
    assert (window.values, window.counts[1]) == ([3.0, 9.0], {7: 2, 4: 1})


def test_a_window_keeps_its_own_counts() -> None:
    window, counts = Window(), {3: 1}
    window.add(0.0, 3600.0, 1.0, counts)
    window.add(1.0, 3600.0, 1.0, counts)
    assert counts == {3: 1}


def test_of_a_clock_that_is_set_back_what_comes_later_is_forgotten() -> None:
    window = filled(300)
    window.back(60.0)
    assert (window.times, window.values) == ([0.0, 15.0, 30.0, 45.0, 60.0], [0.0, 1.0, 2.0, 3.0, 4.0])
    assert len(window.counts) == 5


@pytest.mark.parametrize(
    ("seconds", "says"), [(0, False), (270, False), (277, False), (285, True), (300, True), (900, True)]
)
def test_a_window_says_something_when_it_has_been_measured_for_its_length(seconds: float, says: bool) -> None:  # noqa: FBT001
    window = Window()
    begin = 900.0 - seconds
    at = begin
    while at <= 900.0:
        window.add(at, LENGTH, 1.0)
        at += TICK
    assert window.full(900.0, LENGTH, TICK) is says


def test_a_fifth_of_the_points_may_be_missing() -> None:
    for kept, says in ((21, True), (16, True), (15, False)):
        window = Window(times=[tick * TICK for tick in range(21)][:1] + [300.0] * (kept - 1))
        assert window.full(300.0, LENGTH, TICK) is says
    late = Window(times=[-1.0] + [tick * TICK for tick in range(5, 21)])
    assert late.full(300.0, LENGTH, TICK) is True
    assert Window().full(300.0, LENGTH, TICK) is False
    ahead = Window(times=[0.0, *[301.0] * 20])
    assert ahead.full(300.0, LENGTH, TICK) is False, "what comes later is not inside"


def test_points_of_a_long_window_are_as_far_apart_as_it_stores_them() -> None:
    hour = Window(times=[number * 60.0 for number in range(61)])
    assert hour.full(3600.0, 3600.0, TICK) is True
    assert Window(times=hour.times[:1] + hour.times[-46:]).full(3600.0, 3600.0, TICK) is False
    assert Window(times=hour.times[:1] + hour.times[-47:]).full(3600.0, 3600.0, TICK) is True
    assert Window(times=[90.0, *hour.times[2:]]).full(3600.0, 3600.0, TICK) is True
    assert Window(times=[91.0, *hour.times[2:]]).full(3600.0, 3600.0, TICK) is False


def test_without_a_length_the_present_tick_is_enough() -> None:
    assert Window(times=[5.0]).full(5.0, 0.0, TICK) is True
    assert Window(times=[4.0]).full(5.0, 0.0, TICK) is False
    assert Window().full(5.0, 0.0, TICK) is False


def test_a_quantile_is_that_of_the_values_since_a_moment() -> None:
    window = Window(times=[0.0, 1.0, 2.0, 3.0, 4.0], values=[99.0, 7.0, 3.0, 5.0, 1.0], counts=[{}] * 5)
    assert window.quantile(0.0, 1.0, most) == 1.0
    assert window.quantile(0.5, 1.0, most) == 5.0
    assert window.quantile(0.74, 1.0, most) == 5.0
    assert window.quantile(0.75, 1.0, most) == 7.0
    assert window.quantile(1.0, 1.0, most) == 7.0
    assert window.quantile(1.0, 0.0, most) == 99.0
    assert window.quantile(0.5, 4.5, most) is None


def test_counted_durations_are_merged_and_go_before_the_values() -> None:
    window = Window(times=[0.0, 1.0, 2.0], values=[1.0, 2.0, 3.0], counts=[{9: 50}, {2: 1, 3: 4}, {3: 2}])
    assert window.quantile(0.5, 1.0, most) == 3007.5
    assert window.quantile(0.5, 0.0, most) == 9057.5
