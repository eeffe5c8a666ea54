"""Standings of any size are exact, stay so through every change, and are small."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_guide.course.analytics import figures, standings
from atomic_guide.course.analytics.standings import Standing, Standings, numbers_of

# Many equal means, means that differ in the last bits, and any others.
means = st.sampled_from([0.0, 0.5, 0.1 + 0.2, 0.3, 1 / 3, 2 / 3, 0.7, 14 / 20, 1.0]) | st.floats(0, 1)


def of(course: dict[str, float]) -> Standings:
    parts = [(numbers_of(course), np.array(list(course.values())))] if course else []
    return Standings.of(parts)


def assert_exact(found: Standings, course: dict[str, float]) -> None:
    """The same as all means at once give, to the last bit."""
    values = np.array(list(course.values()))
    assert len(found) == len(course)
    assert found.tenths() == figures.histogram(values)
    if not course:
        return
    assert found.mean() == pytest.approx(float(values.mean()), rel=1e-14)
    assert found.percentiles() == figures.percentiles(values)
    ranks, percentiles = figures.ranks(values)
    for user, mean, rank, percentile in zip(course, values.tolist(), ranks.tolist(), percentiles.tolist(), strict=True):
        assert found.standing(user) == Standing(mean, rank, percentile if percentile >= 0 else None)


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 40).map(str), means), st.data())
def test_standings_stay_exact_through_every_change(course: dict[str, float], data: st.DataObject) -> None:
    found = of(course)
    for _ in range(4):
        changed = data.draw(st.dictionaries(st.integers(0, 40).map(str), st.none() | means, max_size=12))
        scored = {user: mean for user, mean in changed.items() if mean is not None}
        found.change(list(changed), list(scored), np.array(list(scored.values()), np.float64))
        course = {user: mean for user, mean in {**course, **changed}.items() if mean is not None}
        assert_exact(found, course)


def test_bins_split_as_a_course_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standings, "_BIN_MEANS", 4)
    chance, found, course = random.Random(3), Standings(), dict[str, float]()
    for number in range(300):
        mean = round(chance.random(), 2)
        found.change([f"u{number}"], [f"u{number}"], np.array([mean]))
        course[f"u{number}"] = mean
    assert_exact(found, course)


def test_a_mean_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"0\.25 is not in the histogram"):
        of({"a": 0.5}).histogram.change([0.25], [])


def test_who_has_no_score_stands_nowhere() -> None:
    found = of({"a": 0.5})
    assert found.standing("b") is None
    assert "a" in found
    assert "b" not in found
    assert found.standing("a") == Standing(0.5, 1, None)


@pytest.mark.parametrize("kind", ["spread", "rounded", "all equal"])
def test_a_student_takes_at_most_thirty_bytes(kind: str) -> None:
    count = 200_000
    chance = np.random.default_rng(7)
    values: Any = {
        "spread": chance.random(count),
        "rounded": np.round(chance.random(count), 2),
        "all equal": np.ones(count),
    }[kind]
    users = [f"student-{number}" for number in range(count)]
    found = Standings.of([(numbers_of(users), values)])
    # Ten thousand more come in, and as many change.
    for start in range(0, 10_000, 1000):
        more = [f"late-{number}" for number in range(start, start + 1000)]
        found.change(more, more, chance.random(1000))
        again = users[start : start + 1000]
        found.change(again, again, chance.random(1000))
    assert len(found) == count + 10_000
    assert found.size / len(found) < 30


def test_more_students_than_any_bound_and_each_comes_out_as_it_went_in() -> None:
    exact = [0.1, 16777217 / 2**53, 1 / 3]
    course = {f"u{number}": exact[number % 3] for number in range(70_000)}
    found = of(course)
    for user in ("u0", "u1", "u2", "u69999"):
        standing = found.standing(user)
        assert standing is not None
        assert standing.mean == course[user]
