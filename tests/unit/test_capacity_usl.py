"""The Universal Scalability Law: exact where points are, honest where they are not, refused where they say nothing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity.gather import told_peak
from atomic_guide.operations.capacity.spread import Spread, student
from atomic_guide.operations.capacity.usl import Law, Point, fit
from tests.synthetic import systems

LAW = Law(100.0, 0.02, 1e-4)
PLACES = (1, 4, 10, 25, 60, 99, 130)


def measured(law: Law, places: tuple[float, ...] = PLACES) -> list[Point]:
    return [Point(place, law.throughput(place)) for place in places]


@pytest.mark.parametrize(
    "law", [LAW, Law(3.0, 0.0, 1e-3), Law(1e5, 0.4, 1e-5), Law(7.0, 0.05, 0.0), Law(20.0, 0.0, 0.0)]
)
def test_points_without_noise_give_their_law_back(law: Law) -> None:
    found = fit(measured(law))
    assert found.law.rate == pytest.approx(law.rate, rel=1e-4)
    assert found.law.contention == pytest.approx(law.contention, rel=1e-3, abs=1e-5)
    assert found.law.coherency == pytest.approx(law.coherency, rel=1e-2, abs=1e-7)
    assert found.residual < 1e-4


def test_the_peak_is_where_the_law_has_it() -> None:
    peak = fit(measured(LAW)).peak()
    assert peak.middle == pytest.approx(math.sqrt(0.98 / 1e-4), rel=1e-3)
    assert peak.low < peak.middle < peak.high < 1.1 * peak.middle


def test_without_a_bend_there_is_no_evidence_for_a_peak() -> None:
    assert fit(measured(Law(10.0, 0.03, 0.0))).peak().high == math.inf


def test_a_retrograde_system_has_its_highest_throughput_before_the_last_point() -> None:
    law = Law(50.0, 0.1, 5e-3)
    found = fit(measured(law))
    low, middle, high = found.best(200.0).interval
    assert low <= law.throughput(law.peak) <= high
    assert middle > law.throughput(130)


def test_what_only_falls_is_highest_where_it_was_measured_first() -> None:
    found = fit([Point(n, 1000.0 / n) for n in (1, 2, 4, 8, 16, 32)])
    low, middle, high = found.best(80.0).interval
    assert 980 < low <= middle <= high < 1020, "nothing was measured below one in flight"
    assert told_peak(found).startswith("throughput falls from 1 in flight on")


@pytest.mark.parametrize("reach", [0.6, 1.2])
def test_intervals_hold_the_truth_nine_times_of_ten(reach: float) -> None:
    """Of 60 systems; `dev.py bench capacity` asks 200. 46 of 60 is what a true share of 0.9 misses once in 1,000."""
    peaks = here = beyond = 0
    for law, points in systems(60, reach):
        found, top = fit(points), points[-1].concurrency
        peak = found.peak()
        peaks += peak.low <= law.peak <= peak.high
        for factor, more in ((1.0, "here"), (1.5, "beyond")):
            low, _, high = found.throughput(factor * top).interval
            holds = low <= law.throughput(factor * top) <= high
            here, beyond = here + (holds and more == "here"), beyond + (holds and more == "beyond")
    assert min(peaks, here, beyond) >= 46


def test_more_noise_makes_intervals_wider() -> None:
    def width(noise: float) -> float:
        found = [
            fit(one.points).throughput(one.points[-1].concurrency).interval for one in systems(20, 1.2, noise=noise)
        ]
        return float(np.median([high / low for low, _, high in found]))

    assert width(0.01) < width(0.03) < width(0.09)


def test_more_points_make_intervals_narrower() -> None:
    def width(steps: int) -> float:
        found = [
            fit(one.points).throughput(one.points[-1].concurrency).interval for one in systems(20, 1.2, steps=steps)
        ]
        return float(np.median([high / low for low, _, high in found]))

    assert width(30) < width(7)


@given(st.floats(1e-3, 1e3), st.integers(0, 19))
def test_the_unit_of_throughput_does_not_matter(unit: float, number: int) -> None:
    points = list(systems(number + 1, 1.2))[number].points
    plain, scaled = fit(points), fit([one._replace(throughput=one.throughput * unit) for one in points])
    assert scaled.law.rate == pytest.approx(plain.law.rate * unit, rel=1e-3)
    assert scaled.throughput(50).interval == pytest.approx(
        [one * unit for one in plain.throughput(50).interval], rel=5e-3
    )


def test_a_point_of_little_weight_says_little() -> None:
    wrong = Point(60, LAW.throughput(60) * 1.25)
    heavy = fit([*measured(LAW), wrong]).law
    light = fit([*measured(LAW), wrong._replace(weight=1e-3)]).law
    assert abs(light.rate - LAW.rate) < abs(heavy.rate - LAW.rate)
    assert light.throughput(60) == pytest.approx(LAW.throughput(60), rel=5e-3)


@pytest.mark.parametrize(
    ("points", "why"),
    [
        (measured(LAW, (1, 2, 3, 4)), "4 different concurrencies are too few"),
        ([Point(10, 5.0)] * 20, "1 different concurrencies are too few"),
        (measured(LAW, (100, 101, 102, 103, 104, 105)), "no bend shows"),
        ([*measured(LAW), Point(50, math.nan)], "point 8"),
        ([*measured(LAW), Point(50, -3.0)], "point 8"),
        ([*measured(LAW), Point(0, 30.0)], "point 8"),
        ([*measured(LAW), Point(math.inf, 30.0)], "point 8"),
        ([Point(n * 1e300, 1e300) for n in range(1, 9)], "from 1e-06 to 1e\\+12"),
        ([Point(n * 1e-300, 1e-300) for n in range(1, 9)], "from 1e-06 to 1e\\+12"),
        ([Point(n, 100.0 if n % 2 else 900.0) for n in range(1, 12)], "follow no law of scaling"),
        ([Point(n, n**2.0) for n in (1, 2, 4, 8, 16, 32)], "follow no law of scaling"),
        ([], "0 different concurrencies"),
        ([Point(n % 50 + 1, 10.0) for n in range(2000)], "more than 1,000"),
    ],
)
def test_points_that_tell_no_law_are_refused_with_the_reason(points: list[Point], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        fit(points)


@pytest.mark.parametrize(
    ("degrees", "ninety_five"), [(1, 6.3138), (2, 2.9200), (3, 2.3534), (7, 1.8946), (30, 1.6973), (120, 1.6577)]
)
def test_student_agrees_with_the_tables(degrees: int, ninety_five: float) -> None:
    assert student(0.95, degrees) == pytest.approx(ninety_five, abs=1e-4)


def test_a_spread_is_its_quantiles() -> None:
    draws = np.random.default_rng(1).normal(5, 1, 100_000)
    spread = Spread.of(draws)
    assert spread.interval == pytest.approx((5 - 1.645, 5, 5 + 1.645), abs=0.03)
    assert Spread.exactly(3).interval == (3, 3, 3)
    assert Spread.between(1, 2, 5).interval == pytest.approx((1, 2, 5))
    assert float(np.mean(spread.at(np.linspace(0, 1, 1001)))) == pytest.approx(5, abs=0.05)
