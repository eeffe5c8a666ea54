"""The simulator: what it counts, and that no policy sees ahead."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_guide.operations.scaling import candidates
from atomic_guide.operations.scaling.fleet import Choice, Fleet
from atomic_guide.operations.scaling.policies.named import NAMES, make_policy
from atomic_guide.operations.scaling.policies.peers import Hpa
from atomic_guide.operations.scaling.policies.tuned import Tuned
from atomic_guide.operations.scaling.simulate import Run, Terms, Units, changes, replay, score
from atomic_guide.operations.scaling.trace import Series

TERMS = Terms()
DAY = 5760


class Script:
    """Wants what it was told to."""

    def __init__(self, wanted: list[int]) -> None:
        self.wanted = iter(wanted)
        self.seen: list[float | None] = []

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        del at, fleet
        self.seen.append(demand)
        return Choice(next(self.wanted), "said so")


def day(shape: str, seed: int = 1, days: int = 1) -> Series:
    """Demand of some days in ticks of 15 s, about 20 units of 100."""
    at = np.arange(days * DAY) / DAY
    noise = np.random.default_rng(seed).normal(1, 0.03, len(at))
    match shape:
        case "sine":
            base = 2000 + 1500 * np.sin(2 * np.pi * at)
        case "step":
            base = np.where(at % 1 < 0.5, 800.0, 3200.0)
        case "ramp":
            base = 500 + 3500 * (at % 1)
        case "flash":
            base = np.where((at % 1 > 0.4) & (at % 1 < 0.45), 4500.0, 700.0)
        case "weekend":
            base = np.where(at % 7 < 5, 2000 + 1500 * np.sin(2 * np.pi * at), 400.0)
        case _:
            raise AssertionError(shape)
    return np.asarray(base * noise)


def test_starting_units_are_paid_and_serve_after_the_delay_and_leave_first() -> None:
    run = replay(Script([4, 4, 3, 3, 3, 3, 3, 3, 2]), 0, np.full(10, 150.0), TERMS)
    assert run.desired.tolist() == [2, 4, 4, 3, 3, 3, 3, 3, 3, 2]
    assert run.ready.tolist() == [2, 2, 2, 2, 2, 2, 2, 3, 3, 2]


def test_a_minute_is_violated_by_any_of_its_ticks_and_cost_is_paid_over_needed() -> None:
    demand = np.array([150.0, 350, 150, 150, 150, 150, 150, 150])
    run = Run(np.full(8, 2), np.full(8, 3), {})
    found = score(run, demand, TERMS)
    assert found.violation_minutes == 1
    assert found.violation_minutes_per_day == pytest.approx(720)
    assert found.cost_ratio == pytest.approx(24 / 18)
    assert found.peak == 3


def test_what_is_not_known_is_neither_violated_nor_paid_nor_seen_as_zero() -> None:
    demand = np.array([150.0, np.nan, 150.0, 150.0])
    script = Script([2, 2, 2])
    found = score(replay(script, 0, demand, TERMS), demand, TERMS)
    assert found.cost_ratio == 1.0
    assert script.seen == [150.0, None, 150.0]
    assert score(Run(np.array([2]), np.array([2]), {}), np.array([np.nan]), TERMS).cost_ratio is None


def test_a_flap_is_a_change_of_direction_within_ten_minutes() -> None:
    assert changes(np.array([2, 3] + [3] * 39 + [2]), 15) == (2, 1)
    assert changes(np.array([2, 3] + [3] * 40 + [2]), 15) == (2, 0)
    assert changes(np.array([2, 3, 4, 5]), 15) == (3, 0)


@pytest.mark.parametrize("name", NAMES)
def test_no_policy_sees_what_comes_after(name: str) -> None:
    one, other = day("sine"), day("sine")
    other[3000:] = 9000.0
    runs = [replay(make_policy(name, TERMS), 0, demand, TERMS) for demand in (one, other)]
    assert runs[0].desired[:3001].tolist() == runs[1].desired[:3001].tolist()
    assert runs[0].desired[-1] != runs[1].desired[-1]


@pytest.mark.parametrize("name", NAMES)
def test_half_an_hour_without_metrics_changes_nothing_that_the_metrics_would_not(name: str) -> None:
    """Nothing is taken away or added while nothing is measured, unless the clock alone says so."""
    demand = day("sine")
    demand[2000:2120] = np.nan
    run = replay(make_policy(name, TERMS), 0, demand, TERMS)
    if name != "guide-schedule":
        assert set(run.desired[2001:2121].tolist()) == {run.desired[2000]}


@pytest.mark.parametrize("shape", ["sine", "step", "ramp", "flash", "weekend"])
def test_the_default_flaps_at_most_five_times_a_day(shape: str) -> None:
    demand = day(shape, days=8)
    found = score(replay(Tuned(15, 90, count=150), 0, demand, TERMS), demand, TERMS)
    assert found.flaps_per_day <= 5
    assert found.violation_minutes_per_day <= 10
    assert found.cost_ratio is not None
    assert found.cost_ratio <= 2


def test_the_price_of_a_minute_moves_the_choice_along_the_frontier() -> None:
    chance = np.random.default_rng(5)
    demand = day("sine", days=4) * np.repeat(chance.lognormal(0, 0.3, 4 * DAY // 4), 4)
    policy = Tuned(15, 90, count=150)
    replay(policy, 0, demand, TERMS)
    points = policy.frontier()
    assert [point.minutes_per_day for point in points] == sorted((p.minutes_per_day for p in points), reverse=True)
    assert [point.cost_ratio for point in points] == sorted(point.cost_ratio for point in points)
    assert points[0].minutes_per_day > points[-1].minutes_per_day


def test_what_runs_is_what_was_replayed_at_night() -> None:
    """The policy's plain numbers and the arrays of the night say the same, tick for tick."""
    demand = np.round(day("sine", days=1))
    pace = candidates.pace(15, 90)
    for number in range(0, 60, 7):
        policy = Tuned(15, 90, count=60, alone=False)
        policy.chosen = number
        policy._read_chosen()
        known = candidates.means(demand, 1, pace)
        wanted = candidates.play(policy.grid.one(number), known, pace, 100.0, (2, 200))[:, 0]
        units = Units(int(wanted[0]), TERMS)
        own = []
        for tick, value in enumerate(demand[:-1]):
            units.advance(tick)
            units.set(policy.decide(15.0 * tick, float(value), units.fleet()).units, tick)
            own.append(units.desired)
        differing = np.count_nonzero(np.array(own) != wanted)
        assert differing <= len(own) * 0.002, number


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3000), min_size=8, max_size=200), st.integers(0, 10))
def test_arrays_score_as_the_simulator_does(demand: list[int], delay: int) -> None:
    values = np.array(demand, dtype=float)
    terms = Terms(delay=15.0 * delay)
    run = replay(Hpa(0.6), 0, values, terms)
    found = score(run, values, terms)
    pace = candidates.pace(15, 15.0 * delay)
    outcome = candidates.judge(run.desired[:, None].astype(np.int32), values, pace, 100.0)
    assert outcome.minutes[0] == found.violation_minutes
    assert outcome.paid[0] == run.desired.sum()
    assert (outcome.events[0], outcome.flaps[0]) == changes(run.desired, 15)


@pytest.mark.parametrize("later", [0, 3])
def test_a_night_replays_the_whole_day_also_where_it_comes_some_ticks_later(later: int) -> None:
    policy = Tuned(15, 90, count=20, alone=False)
    fleet = Fleet(20, 0, 2, 200, 100.0)
    for tick, value in enumerate(day("sine", days=2)[: DAY + 1 + later]):
        policy.decide(15.0 * tick, float(value), fleet)
    assert policy.due
    night = policy.study(fleet)
    assert night.days == pytest.approx(1 + later / DAY)
    assert night.needed == pytest.approx(DAY * 20.5, rel=0.1)
    assert not policy.due


@pytest.mark.parametrize("start", [0.0, 15.0, 1_760_000_025.0])
def test_a_night_counts_minutes_by_the_clock(start: float) -> None:
    """A spike of a minute of the clock each two hours is one minute over capacity; in other minutes it would be two."""
    moments = start + 15 * np.arange(2 * DAY + 4)
    demand = np.where(moments // 60 % 120 == 60, 4000.0, 500.0)
    policy = Tuned(15, 90, count=60, alone=False)
    fleet = Fleet(20, 0, 2, 200, 100.0)
    nights = []
    for moment, value in zip(moments.tolist(), demand.tolist(), strict=True):
        # What is told at a tick has been measured in the one before it.
        policy.decide(moment + 15, value, fleet)
        if policy.due:
            nights.append(policy.study(fleet))
    assert [night.minutes for night in nights] == [[12.0] * 61] * 2


def test_in_its_first_day_a_flap_lengthens_the_time_until_it_lets_go_also_over_a_restart() -> None:
    policy = Tuned(15, 90, count=5, alone=False)
    units = Units(2, TERMS)
    fewer: list[int] = []
    for tick in range(DAY // 2):
        units.advance(tick)
        # Half an hour busy, 25 minutes not: to let go after 20 is five minutes too early.
        choice = policy.decide(15.0 * tick, 3000.0 if tick % 220 < 120 else 300.0, units.fleet())
        if choice.units < units.desired:
            fewer.append(tick)
        units.set(choice.units, tick)
        if tick == DAY // 4:
            other = Tuned(15, 90, count=5, alone=False)
            other.resume(policy.state())
            assert other.state().down == policy.state().down == 60
    assert fewer
    assert max(fewer) < 220, "from the second lecture on it holds to the next"
