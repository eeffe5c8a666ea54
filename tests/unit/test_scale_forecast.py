"""The forecast on demand whose truth is known."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.calendar import Span
from atomic_guide.operations.scaling.forecast import HOUR, WEEK, backtest, forecast, hourly
from atomic_guide.operations.scaling.hours import local_hours
from atomic_guide.operations.scaling.trace import Series, Trace

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def term(begin: float, hours: int, zone: ZoneInfo | None = None, noise: float = 0.1) -> Trace:
    """Lectures from eight to six on working days, by the clock of a zone."""
    slots = local_hours(begin, hours, zone)
    busy = (slots < 120) & (slots % 24 >= 8) & (slots % 24 < 18)
    values = np.where(busy, 1000.0, 100.0) * np.random.default_rng(3).lognormal(0, noise, hours)
    return Trace(begin, HOUR, np.asarray(values))


def error(found: Series, truth: Series) -> float:
    return float(np.abs(found - truth).mean() / truth.mean())


def test_a_weekly_pattern_is_found_and_its_quantile_holds() -> None:
    trace = term(at("2026-01-05"), 8 * WEEK)
    found = forecast(Trace(trace.start, HOUR, trace.values[: 7 * WEEK]), WEEK)
    truth = trace.values[7 * WEEK :]
    assert found.start == trace.start + 7 * WEEK * HOUR
    assert error(found.p50, truth) < 0.12
    assert 0.9 <= (truth <= found.p95).mean() <= 1.0
    assert (found.p95 >= found.p50).all()


def test_lectures_stay_at_eight_when_the_clocks_change() -> None:
    """They do on 29 March 2026; in UTC everything is an hour earlier from then on."""
    trace = term(at("2026-02-16"), 7 * WEEK, BERLIN)
    past = Trace(trace.start, HOUR, trace.values[: 6 * WEEK])
    truth = trace.values[6 * WEEK :]
    aware, unaware = (error(forecast(past, WEEK, zone).p50, truth) for zone in (BERLIN, None))
    assert aware < 0.12
    assert unaware > 1.4 * aware


def test_a_new_level_is_followed_within_days() -> None:
    trace = term(at("2026-01-05"), 6 * WEEK)
    trace.values[5 * WEEK :] *= 0.3  # the term break
    past = Trace(trace.start, HOUR, trace.values[: 5 * WEEK + 72])
    truth = trace.values[5 * WEEK + 72 :][:48]
    # Three days after a drop to 0.3 it expects less than half; the weekly profile still remembers the term.
    assert forecast(past, 48).p50.sum() < 0.5 * truth.sum() / 0.3


def test_missing_hours_are_not_zero() -> None:
    trace = term(at("2026-01-05"), 6 * WEEK)
    truth = trace.values[5 * WEEK :].copy()
    trace.values[3 * WEEK + 10 : 3 * WEEK + 100] = np.nan
    found = forecast(Trace(trace.start, HOUR, trace.values[: 5 * WEEK]), WEEK)
    assert error(found.p50, truth) < 0.15


def test_too_little_is_said_to_be_too_little() -> None:
    with pytest.raises(Invalid, match="14 days"):
        forecast(term(at("2026-01-05"), 2 * WEEK - 1), 24)
    assert len(forecast(term(at("2026-01-05"), 2 * WEEK), 24).p50) == 24
    assert backtest(term(at("2026-01-05"), 2 * WEEK)).origins == 0


def test_the_back_test_uses_nothing_that_came_later() -> None:
    trace = term(at("2026-01-05"), 8 * WEEK)
    tested = backtest(trace)
    changed = Trace(trace.start, HOUR, trace.values.copy())
    changed.values[-WEEK:] *= 5
    assert tested.origins == 5
    assert tested.mase is not None
    assert tested.mase < 1
    assert backtest(changed).mase != tested.mase
    assert backtest(Trace(trace.start, HOUR, changed.values[:-WEEK])) == backtest(
        Trace(trace.start, HOUR, trace.values[:-WEEK])
    )


def test_the_back_test_is_what_each_origin_would_have_found() -> None:
    trace = term(at("2026-01-05"), 6 * WEEK, noise=0.4)
    errors, naive, losses, kept = [], [], [], []
    for week in (5, 4, 3):
        past, actual = trace.values[: week * WEEK], trace.values[week * WEEK : (week + 1) * WEEK]
        found = forecast(Trace(trace.start, HOUR, past), WEEK)
        errors += np.abs(actual - found.p50).tolist()
        month = past[-30 * 24 :]
        naive += [abs(month[hour] - month[hour - WEEK]) for hour in range(WEEK, len(month))]
        over = actual - found.p95
        kept += (over <= 0).tolist()
        losses += [max(0.95 * one, -0.05 * one) / actual.mean() for one in over]
    tested = backtest(trace)
    assert tested.origins == 3
    assert tested.mase == pytest.approx(np.mean(errors) / np.mean(naive))
    assert tested.pinball_95 == pytest.approx(100 * np.mean(losses))
    assert tested.coverage_95 == pytest.approx(np.mean(kept))
    assert backtest(trace, most=1) == backtest(trace, WEEK, 1)
    assert backtest(trace, most=1).origins == 1
    assert backtest(Trace(trace.start, HOUR, np.full(6 * WEEK, 7.0))).mase is None


def test_an_origin_with_too_little_before_or_nothing_after_it_is_passed_over() -> None:
    trace = term(at("2026-01-05"), 13 * WEEK)
    trace.values[5 * WEEK : 9 * WEEK] = np.nan
    # Before weeks 9 and 10 too little is known, in weeks 5 to 8 nothing: 12, 11, 4 and 3 are left.
    assert backtest(trace, most=12).origins == 4


def test_of_a_new_level_half_lasts_and_half_fades_within_days() -> None:
    values = np.full(30 * 24, 100.0)
    values[-72:] = 200.0
    found = np.log1p(forecast(Trace(at("2026-01-06"), HOUR, values), 10 * WEEK).p50)
    # The first hour of the days that have been at the new level: their own mean p, and what is left of the difference.
    means = []
    for ahead in (96 + 12, 96 + 12 + WEEK, 96 + 12 + 9 * WEEK):
        left = 0.5 + 0.5 * 0.5 ** ((ahead + 1) / (8 * 24))
        means.append((found[ahead] - np.log1p(200.0) * left) / (1 - left))
    assert means == pytest.approx([means[0]] * 3, rel=0.02)
    assert np.log1p(100.0) < means[0] < np.log1p(200.0)


def test_coarser_values_count_for_each_hour_whose_middle_they_hold() -> None:
    late = hourly(Trace(1.5 * HOUR, 2 * HOUR, np.array([1.0, 2.0, 3.0])))
    assert late.start == HOUR
    assert np.array_equal(late.values, [1, 1, 2, 2, 3, 3, np.nan], equal_nan=True)
    later = hourly(Trace(1.75 * HOUR, 2 * HOUR, np.array([1.0, 2.0])))
    assert np.array_equal(later.values, [np.nan, 1, 1, 2, 2], equal_nan=True)
    same = hourly(Trace(5 * HOUR, HOUR, np.array([4.0, np.nan, 6.0])))
    assert same.start == 5 * HOUR
    assert np.array_equal(same.values, [4, np.nan, 6], equal_nan=True)
    fine = hourly(Trace(3 * HOUR + 1800, 900.0, np.array([1.0, 3.0, 5.0])))
    assert fine.start == 3 * HOUR
    assert np.array_equal(fine.values, [2, 5], equal_nan=True)


def test_hours_are_those_of_the_clock() -> None:
    trace = Trace(1800.0, 900.0, np.array([1.0, 3.0, 5.0, 7.0, np.nan, np.nan]))
    found = hourly(trace)
    assert (found.start, found.step) == (0.0, HOUR)
    assert np.array_equal(found.values, [2.0, 6.0], equal_nan=True)
    assert local_hours(at("2026-01-05"), 3).tolist() == [0, 1, 2]
    assert local_hours(at("2026-03-29"), 3, BERLIN).tolist() == [145, 147, 148]


# --- kinds of days


def spoiled(trace: Trace, spans: list[Span], shares: dict[str, float]) -> Trace:
    """The trace with less, or more, in the spans; holidays are Sundays."""
    values = trace.values.copy()
    for span in spans:
        first, last = (round((moment - trace.start) / HOUR) for moment in (span.begins, span.ends))
        if span.kind == "holiday":
            values[first:last] = 100.0
        else:
            values[first:last] *= shares[span.kind]
    return Trace(trace.start, HOUR, values)


def test_a_holiday_is_a_sunday_though_none_was_seen_before() -> None:
    trace = term(at("2026-02-02"), 14 * WEEK)
    friday = Span("holiday", at("2026-05-01"), at("2026-05-02"))
    truth = spoiled(trace, [friday], {})
    origin = round((at("2026-04-27") - trace.start) / HOUR)
    past = Trace(trace.start, HOUR, truth.values[:origin])
    told, untold = (forecast(past, WEEK, None, spans).p50 for spans in ([friday], []))
    actual = truth.values[origin : origin + WEEK]
    day = slice(4 * 24, 5 * 24)
    assert error(told[day], actual[day]) < 0.3
    assert error(untold[day], actual[day]) > 2
    assert error(told[: 4 * 24], actual[: 4 * 24]) < 0.12


def test_a_holiday_of_the_past_does_not_spoil_the_weeks_after_it() -> None:
    trace = term(at("2026-02-02"), 14 * WEEK)
    friday = Span("holiday", at("2026-05-01"), at("2026-05-02"))
    past = spoiled(Trace(trace.start, HOUR, trace.values[: 13 * WEEK]), [friday], {})
    fridays = slice(4 * 24, 5 * 24)
    truth = trace.values[13 * WEEK : 14 * WEEK][fridays]
    told, untold = (forecast(past, WEEK, None, spans).p50[fridays] for spans in ([friday], []))
    assert error(told, truth) < 0.15
    assert error(untold, truth) > 2 * error(told, truth)


def test_a_break_and_exam_weeks_are_known_from_those_of_the_last_year() -> None:
    trace = term(at("2025-02-03"), 56 * WEEK)
    seen = [
        Span("exams", at("2025-06-30"), at("2025-07-14")),
        Span("break", at("2025-07-14"), at("2025-09-22")),
    ]
    ahead = [Span("break", at("2026-02-16"), at("2026-03-16")), Span("exams", at("2026-02-09"), at("2026-02-16"))]
    truth = spoiled(trace, [*seen, *ahead], {"exams": 1.8, "break": 0.2})
    origin = round((at("2026-02-09") - trace.start) / HOUR)
    past = Trace(trace.start, HOUR, truth.values[:origin])
    actual = truth.values[origin : origin + 2 * WEEK]
    told, untold = (forecast(past, 2 * WEEK, None, spans).p50 for spans in ([*seen, *ahead], []))
    assert error(told[:WEEK], actual[:WEEK]) < 0.15
    assert error(told[WEEK:], actual[WEEK:]) < 0.25
    assert error(untold[:WEEK], actual[:WEEK]) > 0.4
    assert error(untold[WEEK:], actual[WEEK:]) > 3


def test_the_first_break_is_followed_from_within_itself() -> None:
    trace = term(at("2026-01-05"), 10 * WEEK)
    pause = Span("break", at("2026-02-16"), at("2026-03-16"))
    truth = spoiled(trace, [pause], {"break": 0.3})
    origin = round((at("2026-02-18") - trace.start) / HOUR)
    found = forecast(Trace(trace.start, HOUR, truth.values[:origin]), 96, None, [pause])
    assert error(found.p50, truth.values[origin : origin + 96]) < 0.25


def test_many_holidays_leave_enough_to_learn_from() -> None:
    trace = term(at("2025-01-06"), 57 * WEEK)
    spans = [
        Span("holiday", at("2025-01-06") + 86400 * day, at("2025-01-07") + 86400 * day) for day in range(0, 390, 9)
    ]
    told, plain = forecast(trace, WEEK, None, spans), forecast(trace, WEEK)
    assert np.isfinite(told.p95).all()
    assert error(told.p50[:24], plain.p50[:24]) < 0.3
