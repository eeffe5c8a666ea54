"""The formulas, on numbers that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from atomic_guide.course.analytics import figures
from atomic_guide.course.analytics.attempts import Gathered
from atomic_guide.course.analytics.performance import Report, Student, make_report
from atomic_guide.course.analytics.settings import RuleSettings

DAY = 86400.0
START = 1_760_000_000.0
RULES = RuleSettings()


def rows(scores: dict[str, list[float | None]], maximum: float = 100.0) -> list[dict[str, object]]:
    """Attempts of students in exercises E1, E2, ... a week apart; None is not handed in."""
    return [
        {"user": user, "activity": f"E{number}", "at": START + number * 7 * DAY, "share": score / maximum}
        for user, marks in sorted(scores.items())
        for number, score in enumerate(marks, 1)
        if score is not None
    ]


def made(attempts: list[dict[str, object]], now: float, names: dict[str, str] | None = None) -> Report:
    gathered = Gathered()
    gathered.add(attempts)
    return make_report(gathered, names or {}, RULES, now, None)


def report(scores: dict[str, list[float | None]], days_after: float = 1.0) -> Report:
    last = max(len(marks) for marks in scores.values())
    return made(rows(scores), START + last * 7 * DAY + days_after * DAY)


def row(found: Report, user: str) -> Student:
    return next(student for student in found.students if student.user == user)


def test_a_mean_is_over_what_was_handed_in() -> None:
    found = report({"a": [64, 67, 72, 70, 77, None, 83, 85], "b": [50] * 8})
    assert row(found, "a").mean == pytest.approx(0.74)
    assert row(found, "a").last == [0.72, 0.70, 0.77, None, 0.83, 0.85]
    assert found.course is not None
    assert found.course.mean == pytest.approx(0.62)
    assert found.course.count == 2


def test_the_trend_is_the_change_over_four_exercises() -> None:
    found = report({"a": [64, 67, 72, 70, 77, None, 83, 85], "b": [80, 60], "c": [80]})
    assert row(found, "a").trend == pytest.approx(0.13)
    assert row(found, "b").trend == pytest.approx(-0.20)
    assert row(found, "c").trend is None


def test_the_latest_attempt_counts() -> None:
    attempts: list[dict[str, object]] = [
        {"user": "a", "activity": "E1", "at": START, "share": 0.9},
        {"user": "a", "activity": "E1", "at": START + DAY, "share": 0.4},
    ]
    assert made(attempts, START + 2 * DAY).students[0].mean == 0.4


def test_ranks_are_shared_and_percentiles_count_ties_half() -> None:
    rank, percentile = figures.ranks(np.array([0.9, 0.7, 0.7, 0.5, 0.3]))
    assert rank.tolist() == [1, 2, 2, 4, 5]
    # Of four others: 4 lower; 2 lower and 1 equal; the same; 1 lower; none.
    assert percentile.tolist() == [100, 63, 63, 25, 0]


def test_means_that_differ_by_the_order_of_their_sum_are_equal() -> None:
    rank, percentile = figures.ranks(np.array([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1]))
    assert rank.tolist() == [1, 1]
    assert percentile.tolist() == [50, 50]


def test_nobody_has_a_percentile_alone() -> None:
    assert report({"a": [50]}).students[0].percentile is None


def test_percentiles_interpolate() -> None:
    assert figures.percentiles(np.array([0.2, 0.4, 0.6, 0.8, 1.0])) == pytest.approx([0.28, 0.4, 0.6, 0.8, 0.92])


def test_a_tenth_begins_at_its_lower_edge() -> None:
    counts = figures.histogram(np.array([0.0, 14 / 20, 0.3, 0.1 + 0.2, 0.99, 1.0]))
    assert counts == [1, 0, 0, 2, 0, 0, 0, 1, 0, 2]


def test_quartiles_of_an_activity() -> None:
    found = report({"a": [10], "b": [20], "c": [40], "d": [80]})
    assert found.activities is not None
    first = found.activities[0]
    assert first.count == 4
    assert [first.q1, first.median, first.q3] == pytest.approx([0.175, 0.3, 0.5])


def test_activities_stand_in_order_of_their_middle_hand_in() -> None:
    late = [
        {"user": user, "activity": name, "at": START + day * DAY, "share": 0.5}
        for user, name, day in [
            ("a", "A second", 14),
            ("a", "B first", 7),
            ("b", "A second", 14),
            ("b", "B first", 60),
            ("c", "A second", 15),
            ("c", "B first", 7),
        ]
    ]
    found = made(late, START + 61 * DAY)
    assert [activity.activity for activity in found.activities or []] == ["B first", "A second"]


@pytest.mark.parametrize(
    ("marks", "why"),
    [
        ([40, 52, 45, 40, 48, 49], ["below 50% in 4 of the last 5"]),
        ([90, 49, 45, 44, 40, 34], ["below 50% in each of the last 5", "fell 15 points since E2"]),
        ([40, 40, 50, 50, 40, 40], []),
        ([80, 70, 70, 70, 65], ["fell 15 points since E1"]),
        ([80, 70, 70, 70, 66], []),
        ([90, 70], []),
    ],
)
def test_each_rule_says_why(marks: list[float | None], why: list[str]) -> None:
    student = row(report({"a": marks, "b": [60] * len(marks)}), "a")
    assert student.why == why
    assert student.at_risk == bool(why)


def test_who_hands_nothing_in_for_three_weeks_is_at_risk_only_where_others_did() -> None:
    scores: dict[str, list[float | None]] = {
        "a": [70, 70, 70, None, None],
        "b": [70] * 5,
        "c": [None, None, 70, 70, 70],
    }
    assert row(report(scores, days_after=6), "a").why == []
    assert row(report(scores, days_after=7), "a").why == ["no hand-in for 3 weeks"]
    holidays = report(scores, days_after=50)
    assert row(holidays, "a").why == ["no hand-in for 9 weeks"]
    assert not row(holidays, "b").at_risk
    assert not row(holidays, "c").at_risk


def test_a_course_without_scores_has_no_mean() -> None:
    found = made([], START, {"a": "A"})
    assert found.course is not None
    assert (found.course.count, found.course.mean, found.course.members) == (0, None, 1)
    assert found.students == []


marks = st.lists(st.none() | st.floats(0, 100), min_size=1, max_size=12).filter(any)


@given(st.dictionaries(st.sampled_from("abcdefghij"), marks, min_size=1))
def test_figures_agree_with_a_plain_reckoning(scores: dict[str, list[float | None]]) -> None:
    found = report(scores)
    means = {}
    for user, given_marks in scores.items():
        shares = [mark / 100 for mark in given_marks if mark is not None]
        means[user] = sum(shares) / len(shares)
        assert row(found, user).mean == pytest.approx(means[user])
    assert found.course is not None
    assert found.course.mean == pytest.approx(sum(means.values()) / len(means))
    assert sum(part.count for part in found.course.histogram) == len(scores)
    for student in found.students:
        assert student.rank == 1 + sum(round(mean, 9) > round(means[student.user], 9) for mean in means.values())
    for activity in found.activities or []:
        number = int(activity.activity[1:]) - 1
        shares = [m[number] / 100 for m in scores.values() if number < len(m) and m[number] is not None]  # type: ignore[operator]
        assert activity.count == len(shares)
        assert activity.median == pytest.approx(float(np.median(shares)))
