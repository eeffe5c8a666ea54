"""What a month will have cost: honest intervals, and none from too little."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pytest

from atomic_guide.operations.costs.month import DayTotal, MonthForecast, forecast_month

FIRST = dt.date(2026, 3, 2)


def days(costs: list[float], first: dt.date = FIRST, share: float = 1.0) -> list[DayTotal]:
    return [
        DayTotal(first + dt.timedelta(days=number), Decimal(repr(round(float(cost) * share, 6))), share)
        for number, cost in enumerate(costs)
    ]


def expected(found: MonthForecast) -> float:
    assert found.expected is not None
    return float(found.expected)


def test_even_days_make_an_even_month_without_width() -> None:
    found = forecast_month(days([10.0] * 40), dt.date(2026, 4, 11), 0.5, None)
    # Ten days of April are measured; today, half over, has not cost anything yet.
    assert found.to_date == Decimal("100.00")
    assert (found.expected, found.low, found.high) == (Decimal("295.00"), Decimal("295.00"), Decimal("295.00"))
    assert found.days == 40


def test_weekends_count_as_weekends() -> None:
    week = [20.0] * 5 + [2.0] * 2
    # The last two days of May 2026 are a weekend.
    found = forecast_month(days(week * 13)[: (dt.date(2026, 5, 30) - FIRST).days], dt.date(2026, 5, 30), 0.0, None)
    measured = float(found.to_date)
    assert expected(found) - measured == pytest.approx(2 * (8 * 2.0 + (20 * 5 + 4) / 7) / 9, rel=0.05)


def test_a_short_record_has_no_interval_and_says_so() -> None:
    found = forecast_month(days([10.0] * 3), FIRST + dt.timedelta(days=3), 0.0, Decimal(12))
    assert (found.low, found.high) == (None, None)
    # Three days at ten, and 27 at the pace of now.
    assert found.expected == Decimal(30) + 27 * 12
    assert "3 whole days are measured, of which 7 are needed" in found.why
    assert forecast_month([], FIRST, 0.5, None).expected is None


def test_half_measured_days_are_not_learned_from_and_nearly_whole_ones_are_made_whole() -> None:
    found = forecast_month(days([10.0] * 20, share=0.95), dt.date(2026, 3, 22), 0.0, None)
    assert expected(found) == pytest.approx(20 * 9.5 + 10 * 10.0)
    half = forecast_month(days([10.0] * 20, share=0.5), dt.date(2026, 3, 22), 0.0, Decimal(10))
    assert (half.days, half.low) == (0, None)


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    held = 0
    trials = 400
    for _ in range(trials):
        level, noise = random.uniform(5, 50), random.uniform(0.02, 0.3)
        profile = level * np.array([1.0, 1.1, 1.0, 0.9, 0.8, 0.3, 0.3])
        first = dt.date(2026, 3, 2)
        start = int(random.integers(10, 75))
        truth = [
            max(profile[(first + dt.timedelta(days=number)).weekday()] * (1 + noise * random.standard_normal()), 0.0)
            for number in range(120)
        ]
        today = first + dt.timedelta(days=start)
        found = forecast_month(days(truth[:start], first), today, 0.0, None)
        month = [
            cost
            for number, cost in enumerate(truth)
            if (day := first + dt.timedelta(days=number)).month == today.month and day.year == today.year
        ]
        assert found.low is not None
        assert found.high is not None
        held += float(found.low) <= sum(month) <= float(found.high)
    assert 0.85 <= held / trials <= 0.99
