"""Plans: monotone in growth, honest beyond the evidence, the same for the same question."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atomic_guide.clock import from_iso
from atomic_guide.errors import Invalid
from atomic_guide.operations.capacity import peaks
from atomic_guide.operations.capacity.capacity import Unit, plan_of_trace
from atomic_guide.operations.capacity.component import Component, Price, Table, Today, What
from atomic_guide.operations.capacity.gather import slots_table, variation
from atomic_guide.operations.capacity.picture import draw
from atomic_guide.operations.capacity.plan import months_of
from atomic_guide.operations.capacity.planner import Asked, Plan, make_plan, normal, read_horizon
from atomic_guide.operations.capacity.record import inflow, load_of
from atomic_guide.operations.capacity.settings import CapacitySettings, LeadSettings
from atomic_guide.operations.capacity.spread import Series, Spread
from atomic_guide.operations.capacity.telling import quantity, told
from atomic_guide.operations.scaling.calendar import Span, kinds_of
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.trace import Trace
from tests.recorded import DAY, slots, week

AT = from_iso("2026-11-27T12:00:00Z")
SETTINGS = CapacitySettings()
Z = normal(0.95)


class Prices:
    """A hundred for a unit and a tenth for a gigabyte."""

    def month(self, what: What) -> Price | None:
        return Price(0.1 if what == "storage" else 100.0, "EUR", "the test")


WEB = Component(
    name="web", what="processes", unit="cores", driver="users", need=Spread.between(1.8, 2.0, 2.4),
    size=Spread.between(0.7, 0.8, 0.9), units=2, ceiling=4, least=1, kind="add_process", evidence=20.0, history=400.0,
    billed="web",
)  # fmt: skip
STORAGE = Component(
    name="storage", what="lectures", unit="bytes", driver="lectures", need=Spread.exactly(5e11),
    size=Spread.exactly(1e12), units=1, ceiling=1, kind="add_storage", history=200.0,
    inflow=Spread.between(1e9, 1.5e9, 2e9), billed="storage",
)  # fmt: skip


@pytest.mark.parametrize(("users", "said"), [(9.0, False), (10.0, True)])
def test_what_each_user_needs_is_said_where_there_are_ten(users: float, *, said: bool) -> None:
    plan = make_plan(Today([WEB], {}, {"users": users}), Asked("2x/year", 3, AT), SETTINGS, Prices())
    (web,) = plan.components
    assert (web.per_driver is not None) is said
    if web.per_driver is not None:
        assert web.per_driver.middle == pytest.approx(web.need_now.middle / users)
    assert (" a user" in told(plan)) is said


def planned(growth: str, *components: Component, months: int = 12, own: CapacitySettings = SETTINGS) -> Plan:
    today = Today(list(components or (WEB, STORAGE)), {"nats": "not measured"}, {"users": 1000.0, "lectures": 200.0})
    return make_plan(today, Asked(growth, months, AT), own, Prices())


def day(text: str | None) -> float:
    return date.fromisoformat(text).toordinal() if text is not None else math.inf


def test_a_plan_says_what_runs_out_first_and_what_to_do_by_when() -> None:
    plan = planned("2x/year")
    web = plan.components[0]
    assert plan.first is not None
    assert plan.first.component == "web"
    assert web.capacity is not None
    assert web.capacity.middle == pytest.approx(3.2)
    assert web.capacity_now is not None
    assert web.capacity_now.middle == pytest.approx(1.6)
    # 2.0 doubling in a year passes 3.2 after log2(1.6) of it.
    assert day(web.runs_out.middle) == pytest.approx(day("2026-11-27") + 365.25 * math.log2(1.6), abs=20)
    assert day(web.runs_out.low) < day(web.runs_out.middle) < day(web.runs_out.high)
    act = plan.actions[0]
    assert (act.action, act.component, act.lead_days) == ("add_process", "web", 7.0)
    assert day(act.begin_by) == day(web.runs_out.low) - 7
    assert not act.overdue


def test_what_hardly_ever_runs_out_is_not_first() -> None:
    plan = planned("1.2x/year", WEB._replace(need=Spread.between(1.0, 2.0, 2.4)))
    assert 0 < plan.components[0].runs_out.chance < 0.05
    assert plan.first is None
    assert plan.actions == []
    assert "Nothing that is measured runs out" in told(plan)


def test_what_bounds_allow_is_missing_and_nothing_to_order() -> None:
    peak = Spread.between(1.4, 1.5, 1.6)
    shadow = WEB._replace(units=1, need=peak, mode="shadow")
    plan = planned("1x/year", shadow)
    assert (plan.components[0].short, plan.components[0].mode) == (1, "shadow")
    assert (plan.first, plan.actions) == (None, []), "four processes bear it, and need no order"
    assert "at its peak web takes 2 of at most 4, and 1 runs: scaling adds them once its mode is auto" in told(plan)
    alone = planned("1x/year", shadow._replace(mode="auto"))
    assert (alone.components[0].short, "at its peak" in told(alone)) == (0, False)
    over = planned("1x/year", shadow._replace(need=Spread.between(4.9, 5.0, 5.1)))
    assert over.components[0].short == 3
    assert over.actions[0].overdue, "what the bounds do not allow has to be had first"


def test_a_lead_time_that_is_over_is_told() -> None:
    own = CapacitySettings(lead_days=LeadSettings(add_process=300))
    act = planned("2x/year", own=own).actions[0]
    assert act.overdue
    assert day(act.begin_by) < day("2026-11-27")
    assert "now" in told(planned("2x/year", own=own))


@given(st.floats(1.0, 4.0), st.floats(1.05, 3.0))
@settings(max_examples=25)
def test_more_growth_is_never_later_nor_cheaper(factor: float, more: float) -> None:
    less, greater = (planned(f"{one:.3f}x/year", months=9) for one in (factor, factor * more))
    for one, other in zip(less.components, greater.components, strict=True):
        assert other.runs_out.chance >= one.runs_out.chance
        for end in ("low", "middle", "high"):
            assert day(getattr(other.runs_out, end)) <= day(getattr(one.runs_out, end))
        for before, after in zip(one.months, other.months, strict=True):
            if before.need is not None and after.need is not None:
                assert after.need.low >= before.need.low
                assert after.need.high >= before.need.high
    assert less.cost is not None
    assert greater.cost is not None
    for cheap, dear in zip(less.cost.months, greater.cost.months, strict=True):
        if cheap is not None and dear is not None:
            assert (dear.low, dear.middle, dear.high) >= (cheap.low, cheap.middle, cheap.high)


def test_doubled_growth_is_another_plan() -> None:
    once, twice = planned("2x/year"), planned("4x/year")
    assert day(twice.components[0].runs_out.middle) < day(once.components[0].runs_out.middle)
    assert day(twice.actions[0].begin_by) < day(once.actions[0].begin_by)
    assert once.cost is not None
    assert twice.cost is not None
    last = [cost.months[-1] for cost in (once.cost, twice.cost)]
    assert last[0] is not None
    assert last[1] is not None
    assert last[1].middle > last[0].middle


def test_the_same_question_has_the_same_answer_and_another_component_changes_none() -> None:
    assert planned("2x/year") == planned("2x/year")
    assert planned("2x/year", WEB).components[0] == planned("2x/year", STORAGE, WEB).components[1]


def test_only_the_driver_that_grows_moves_what_it_drives() -> None:
    still, moved = planned("lectures=3x/year"), planned("users=3x/year")
    assert still.components[0].runs_out.chance == 0
    assert moved.components[0].runs_out.chance == 1
    stored = [plan.components[1].months[-1].need for plan in (moved, still)]
    assert stored[0] is not None
    assert stored[1] is not None
    assert stored[0].middle < stored[1].middle


def test_a_need_is_told_for_each_of_what_drives_it() -> None:
    web, storage = planned("2x/year").components
    assert web.per_driver is not None
    assert web.per_driver.middle == pytest.approx(web.need_now.middle / 1000)
    assert storage.per_driver is not None
    assert storage.per_driver.middle == pytest.approx(5e11 / 200)
    assert "2.5 GB a lecture" in told(planned("2x/year"))


def test_growth_in_numbers_is_by_what_there_is() -> None:
    plan = planned("+1000 users/year")
    assert plan.components[0].months[-1].need is not None
    assert plan.components[0].months[-1].need.middle == pytest.approx(4.0, rel=0.03)
    with pytest.raises(Invalid, match="how many there are today is not known"):
        planned("+10 courses/month", WEB._replace(driver="courses"))


def test_what_is_kept_grows_by_what_comes_in() -> None:
    plan = planned("+0%/year", STORAGE)
    need = plan.components[0].months[-1].need
    assert need is not None
    assert need.middle == pytest.approx(5e11 + 365 * 1.5e9, rel=0.01)
    assert plan.cost is not None
    assert plan.cost.months[-1] is not None
    assert plan.cost.months[-1].middle == pytest.approx(0.1 * need.middle / 1e9)
    assert day(plan.components[0].runs_out.middle) == pytest.approx(day("2026-11-27") + 5e11 / 1.5e9, abs=6)


def test_beyond_the_evidence_nothing_is_said() -> None:
    web = planned("4x/year", WEB._replace(evidence=1.0, proof="load-test {figure} cores")).components[0]
    assert "no evidence beyond" in web.unsupported
    assert "load-test" in web.unsupported
    # 2.0 grows to 2.5 times 1.0 in log4(1.25) of a year.
    assert day(web.supported_until) == pytest.approx(day("2026-11-27") + 365.25 * math.log(1.25, 4), abs=3)
    assert all(month.need is None and month.cost is None for month in web.months[3:])
    assert web.runs_out.high is None
    tested = planned("4x/year", WEB._replace(evidence=8.0)).components[0]
    assert day(tested.supported_until) > day(web.supported_until)


def test_a_short_record_is_carried_on_for_a_short_time() -> None:
    plan = planned("2x/year", WEB._replace(history=14.0), months=24)
    assert plan.components[0].supported_until == "2027-05-28"
    assert "14 days were measured" in plan.components[0].unsupported
    short = WEB._replace(history=14.0)
    both = make_plan(Today([short, short._replace(name="other")], {}, {}), Asked("2x/year", 12, AT), SETTINGS, Prices())
    assert told(both).count("14 days were measured") == 1
    assert f"{short.name}, other: 14 days were measured" in told(both)


def costs_of(one: Component, growth: str = "1x/year") -> list[float]:
    plan = make_plan(Today([one], {}, {}), Asked(growth, 6, AT), SETTINGS, Prices())
    assert plan.cost is not None
    return [month.middle for month in plan.cost.months if month is not None]


def test_a_month_costs_the_mean_and_not_its_peak_all_along() -> None:
    assert set(costs_of(WEB)) == {300.0}, "the peak's units, where nothing else is known"
    assert set(costs_of(WEB._replace(paid=1.25))) == {125.0}
    grown = costs_of(WEB._replace(paid=1.25), "4x/year")
    assert grown == sorted(grown)
    assert 1.5 < grown[-1] / 125.0 < 2.5
    assert set(costs_of(WEB._replace(paid=0.0))) == {0.0}


def test_of_reads_only_replicas_are_paid_for() -> None:
    reads = WEB._replace(name="reads", kind="add_read_replica", billed="replicas", least=0, others=1)
    assert set(costs_of(reads)) == {200.0}
    assert set(costs_of(reads._replace(need=Spread.exactly(0.1)))) == {0.0}


def test_a_cost_lacks_what_has_no_price() -> None:
    class Free(Prices):
        def month(self, what: What) -> Price | None:
            return None if what == "storage" else super().month(what)

    today = Today([WEB, STORAGE], {}, {})
    plan = make_plan(today, Asked("2x/year", 12, AT), SETTINGS, Free())
    assert plan.cost is not None
    assert plan.cost.unpriced == ["storage"]
    assert plan.components[1].months[0].cost is None
    assert "storage, which have no price" in told(plan)


def test_sensitivity_names_the_widest_swing_first_and_leaves_out_what_is_sure() -> None:
    plan = planned("1.2x..6x/year")
    assert (plan.sensitivity[0].component, plan.sensitivity[0].input) == ("web", "growth")
    sure = planned("2x..2x/year", WEB._replace(need=Spread.exactly(2.0)))
    assert {swing.input for swing in sure.sensitivity} == {"what a unit bears"}


def test_nothing_to_plan_is_refused_with_what_is_missing() -> None:
    with pytest.raises(Invalid, match="nothing to plan from yet: web: not on record; or give demand as --trace"):
        make_plan(Today([], {"web": "not on record"}, {}), Asked("2x/year", 12, AT), SETTINGS, Prices())


def test_where_nothing_may_be_planned_the_plan_says_why() -> None:
    asked = Asked("2x/year", 12, AT, or_nothing=True)
    plan = make_plan(Today([], {"web": "not on record"}, {}), asked, SETTINGS, Prices())
    assert (plan.first, plan.components, plan.actions) == (None, [], [])
    assert plan.missing == {"web": "not on record"}


@pytest.mark.parametrize(("text", "months"), [("12m", 12), ("1m", 1), ("2y", 24), (" 36m ", 36)])
def test_horizons(text: str, months: int) -> None:
    assert read_horizon(text, 36) == months


@pytest.mark.parametrize("text", ["", "0m", "37m", "4y", "12", "12h", "-3m", "1e3m", "٣m"])
def test_horizons_that_are_none(text: str) -> None:
    with pytest.raises(Invalid, match="is no horizon of 1 to 36 months"):
        read_horizon(text, 36)


@given(st.floats(0, 4e9), st.integers(1, 36))
def test_months_cover_every_day_of_the_horizon_once(at: float, months: int) -> None:
    calendar = months_of(at, months)
    assert calendar.spans[0][0] == 0
    for (_, end), (begin, _) in zip(calendar.spans, calendar.spans[1:], strict=False):
        assert begin == end
    days = calendar.spans[-1][1]
    assert 30.4 * months - 4 <= days <= 30.5 * months + 4
    assert len(set(calendar.labels)) == len(calendar.labels)


def test_the_text_fits_a_page_and_the_picture_is_one() -> None:
    plan = planned("4x/year", WEB._replace(evidence=3.0), STORAGE)
    text = told(plan)
    assert text.splitlines()[2].startswith("web runs out first: ")
    assert "more web processes for web" in text
    assert "nats: not measured" in text
    picture = draw(plan)
    root = ET.fromstring(picture)  # noqa: S314 - our own
    assert root.tag.endswith("svg")
    assert "no evidence" in picture
    assert picture.count('fill="url(#unknown)"') == 2, "the legend, and the time that web has no evidence of"
    numbers = [float(one) for one in re.findall(r"[ML ](-?\d+\.\d) ", picture)]
    assert all(math.isfinite(one) for one in numbers)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1234.5, "", "1,230"), (0.01234, "", "0.0123"), (100, "", "100"), (2.5e12, "bytes", "2.5 TB"), (0, "", "0"),
        (999.6, "", "1,000"), (0.456, "share", "46%"), (0.0456, "share", "4.6%"), (3, "cores", "3 cores"),
        (1e300, "", "1e+300"), (-2.345e-9, "", "-2.35e-09"), (9.99e14, "", "999,000,000,000,000"),
    ],
)  # fmt: skip
def test_quantities_have_three_digits(value: float, unit: str, text: str) -> None:
    assert quantity(value, unit) == text


# --- what is needed now, from a record ----------------------------------------------------------------------


def kinds(count: int, spans: tuple[Span, ...] = ()) -> peaks.Numbers:
    return kinds_of(spans, AT - count * DAY, count * 24)[12::24]


def loaded(values: Series, days: int, spans: tuple[Span, ...] = ()) -> peaks.Days:
    times = slots(AT, days)
    return peaks.days_of(times, values, AT, kinds(days, spans))


def test_a_peak_is_over_most_weeks_and_more_weeks_make_it_surer() -> None:
    widths = []
    for days in (14, 28, 56):
        found = peaks.peak(loaded(week(slots(AT, days), 10.0, noise=0.1), days), Z)
        assert found is not None
        low, middle, high = found.need.interval
        assert 10 < middle < 20
        widths.append(high / low)
    assert widths[0] > widths[1] > widths[2]


def test_levels_are_passed_as_seldom_as_asked() -> None:
    draw_from = np.random.default_rng(4)
    held = []
    for _ in range(200):
        highs = np.exp(0.2 * draw_from.standard_normal(9))
        found = peaks.peak(peaks.Days(AT, np.repeat(highs[:8], 7), np.zeros(56, dtype=np.int64), 1.0), Z)
        assert found is not None
        held.append([highs[8] <= one for one in found.need.interval])
    shares = np.mean(held, axis=0)
    assert shares[1] == pytest.approx(0.95, abs=0.04)
    assert shares[0] < shares[1] < shares[2]


def test_too_little_is_no_peak() -> None:
    times = slots(AT, 28)
    sparse = np.where((times // DAY) % 7 < 2, week(times, 5.0), np.nan)
    assert peaks.peak(loaded(sparse, 28), Z) is None
    assert peaks.peak(loaded(week(slots(AT, 13), 5.0), 13), Z) is None
    assert load_of(times, np.full(len(times), np.nan), AT, kinds(28), Z) is None


def test_nothing_asked_for_is_no_need() -> None:
    found = peaks.peak(loaded(np.zeros(len(slots(AT, 28))), 28), Z)
    assert found is not None
    assert found.need.interval == (0, 0, 0)


def test_a_break_is_learned_and_lowers_the_time_ahead() -> None:
    times = slots(AT, 84)
    break_begins = AT - 35 * DAY
    spans = (
        Span("term", AT - 84 * DAY, break_begins), Span("break", break_begins, AT - 14 * DAY),
        Span("term", AT - 14 * DAY, AT + 20 * DAY), Span("break", AT + 20 * DAY, AT + 60 * DAY),
    )  # fmt: skip
    inside = (times >= break_begins) & (times < AT - 14 * DAY)
    values = week(times, 10.0) * np.where(inside, 0.3, 1.0)
    found = load_of(times, values, AT, kinds(84, spans), Z)
    assert found is not None
    assert found.peak.need.quantile(0.5) > 9, "weeks of the break are left out of the peak"
    ahead = kinds_of(spans, AT, 60 * 24)[12::24]
    season = peaks.season(ahead, found.effects)
    assert season[:20] == pytest.approx(1.0)
    assert 0.25 < season[40] < 0.45


def test_a_trend_is_found_and_its_interval_holds_it() -> None:
    days = 140
    times = slots(AT, days)
    grown = week(times, 10.0) * np.exp(0.003 * (times - AT) / DAY)
    found = peaks.trend(loaded(grown, days))
    assert found is not None
    low, middle, high = found.interval
    assert low < 0.003 < high
    assert middle == pytest.approx(0.003, rel=0.2)
    assert peaks.trend(loaded(week(slots(AT, 42), 1.0), 42)) is None


def test_gaps_are_told() -> None:
    times = slots(AT, 56)
    values = np.where((times // DAY) % 7 == 1, np.nan, week(times, 5.0))
    assert loaded(values, 56).measured == pytest.approx(6 / 7, abs=0.02)


def test_what_comes_in_is_by_whole_weeks() -> None:
    daily: Series = 100 + 3.0 * np.arange(50, dtype=np.float64)
    found = inflow(daily)
    assert found is not None
    assert found.interval == pytest.approx((3, 3, 3))
    assert inflow(daily[:14]) is None
    shrinks = inflow(daily[::-1])
    assert shrinks is not None
    assert shrinks.interval == (0, 0, 0), "what shrinks is not carried on below what there is"


def test_slots_grow_with_what_is_busy_and_with_how_runs_vary() -> None:
    spread = Histogram()
    for seconds in (1.0, 1.0, 1.0, 97.0):
        spread.add(seconds)
    mean = spread.mean
    assert mean is not None
    assert variation(spread.counts, mean) == pytest.approx(2.76, rel=0.1)
    even, odd = (slots_table(8.0, 25.0, varying, SETTINGS) for varying in (0.0, 2.76))
    assert (np.diff(even.needed) >= 0).all()
    assert (odd.needed >= even.needed).all()
    assert odd.needed.sum() > even.needed.sum()


def test_a_table_turns_what_is_offered_into_what_is_needed() -> None:
    table = Table(np.array([0.0, 1.0, 10.0]), np.array([0.0, 3.0, 12.0]))
    component = WEB._replace(need=Spread.exactly(10.0), table=table, evidence=1000.0)
    plan = planned("2x/year", component)
    assert plan.components[0].need_now.middle == 12
    last = plan.components[0].months[-1].need
    assert last is not None
    assert last.middle == pytest.approx(24, abs=1)


# --- a trace alone ------------------------------------------------------------------------------------------


def trace(days: int, peak: float = 1000.0) -> Trace:
    times = slots(AT, days)
    return Trace(float(times[0]), 900.0, week(times, peak))


def test_a_trace_needs_no_server() -> None:
    unit = Unit(100.0, 12, 20, 0.5)
    plan = plan_of_trace(trace(56), unit, Asked("2x/year", 12, 0.0), SETTINGS)
    assert plan.made_at.startswith("2026-11-27")
    assert plan.first is not None
    assert plan.cost is not None
    assert plan.cost.currency == "EUR"
    doubled = plan_of_trace(trace(56), unit, Asked("4x/year", 12, 0.0), SETTINGS)
    assert day(doubled.components[0].runs_out.low) < day(plan.components[0].runs_out.low)


def test_a_trace_has_its_own_growth_where_it_is_long_enough() -> None:
    plan = plan_of_trace(trace(120), Unit(100.0, 15, 15), Asked("measured", 12, 0.0), SETTINGS)
    assert plan.components[0].growth_measured
    assert plan.components[0].supported_until == "2027-03-27"
    with pytest.raises(Invalid, match="at least 8 usual weeks"):
        plan_of_trace(trace(50), Unit(100.0, 15, 15), Asked("measured", 12, 0.0), SETTINGS)


@pytest.mark.parametrize("days", [1, 13])
def test_a_short_trace_is_refused(days: int) -> None:
    with pytest.raises(Invalid, match="at least two weeks"):
        plan_of_trace(trace(days), Unit(1.0, 1, 1), Asked("2x/year", 12, 0.0), SETTINGS)


def test_values_of_fifteen_seconds_are_averaged_over_quarters_of_an_hour() -> None:
    coarse = trace(21)
    fine = Trace(coarse.start, 15.0, np.repeat(coarse.values, 60) * np.tile([0.5, 1.5], len(coarse.values) * 30))
    found = [plan_of_trace(one, Unit(100.0, 12, 15), Asked("2x/year", 3, 0.0), SETTINGS) for one in (coarse, fine)]
    assert found[0].components[0].need_now.middle == pytest.approx(found[1].components[0].need_now.middle)
