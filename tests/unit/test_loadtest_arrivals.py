"""When arrivals of a load test are due."""

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.operations.loadtest.arrivals import Profile, moments, staircase, steady


def constant(profile: Profile, phase: float = 0.0) -> list[tuple[float, int]]:
    return list(moments(profile, lambda: 1.0, phase))


def test_a_constant_rate_is_even() -> None:
    due = [at for at, _ in constant(steady(10, 2, 0))]
    assert due == pytest.approx([0.1 * number for number in range(1, 20)], abs=1e-9)


def test_a_ramp_rises_evenly_to_the_rate_and_counts_into_the_whole_time() -> None:
    profile = steady(200, 600, 120)
    assert profile.seconds == 600
    assert profile.expected == pytest.approx(120 * 100 + 480 * 200)
    assert [profile.rate(at) for at in (0, 60, 120, 599, 600)] == pytest.approx([0, 100, 200, 200, 0])
    half = sum(1 for at, _ in constant(profile) if at <= 60)
    # The integral of a rate that rises to 100/s within a minute.
    assert half == pytest.approx(3000, abs=1)


def test_what_is_judged_is_the_hold() -> None:
    profile = steady(50, 10, 4)
    stages = {profile.stages[stage].kind for at, stage in constant(profile) if at > 4.001}
    assert stages == {"hold"}


def test_a_staircase_reaches_settles_and_holds_each_rate() -> None:
    profile = staircase([50, 100], 40, 4, 2)
    assert [(stage.kind, stage.step, stage.seconds, stage.first, stage.last) for stage in profile.stages] == [
        ("ramp", 0, 4, 0, 50), ("settle", 0, 2, 50, 50), ("hold", 0, 14, 50, 50),
        ("ramp", 1, 4, 50, 100), ("settle", 1, 2, 100, 100), ("hold", 1, 14, 100, 100),
    ]  # fmt: skip


def test_poisson_arrivals_have_the_rate_and_the_spread_of_the_distribution() -> None:
    chance = random.Random(7)
    counts = [0] * 400
    for at, _ in moments(steady(50, 400, 0), lambda: chance.expovariate(1.0)):
        counts[int(at)] += 1
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / (len(counts) - 1)
    # Of a Poisson process both are the rate; the bounds are four standard errors wide.
    assert mean == pytest.approx(50, abs=4 * (50 / 400) ** 0.5)
    assert variance == pytest.approx(50, rel=4 * (2 / 399) ** 0.5)


def test_testers_of_a_constant_pattern_take_turns() -> None:
    profile = steady(10, 3, 0).split(2)
    both = sorted(at for part in (0, 1) for at, _ in constant(profile, part / 2))
    gaps = [later - earlier for earlier, later in itertools.pairwise(both)]
    assert gaps == pytest.approx([0.1] * len(gaps), abs=1e-9)


@given(
    rates=st.lists(st.floats(0.5, 500), min_size=1, max_size=4),
    seconds=st.floats(5, 100),
    shares=st.tuples(st.floats(0, 0.4), st.floats(0, 0.4)),
)
def test_arrivals_come_in_order_each_in_its_stage_and_as_many_as_the_rate_says(
    rates: list[float], seconds: float, shares: tuple[float, float]
) -> None:
    each = seconds / len(rates)
    profile = staircase(rates, seconds, each * shares[0], each * shares[1])
    due = constant(profile)
    begins = profile.begins()
    assert [at for at, _ in due] == sorted(at for at, _ in due)
    assert abs(len(due) - profile.expected) <= 1 + 1e-6 * profile.expected
    for at, stage in due:
        assert begins[stage] - 1e-6 <= at <= begins[stage] + profile.stages[stage].seconds + 1e-6
