"""What is made of the counts of a load test: figures, points, verdicts."""

import importlib.util
from typing import Any

import pytest

from atomic_guide.durations import bucket_of
from atomic_guide.errors import Invalid
from atomic_guide.operations.loadtest import judging, running, slo
from atomic_guide.operations.loadtest.counts import Cell, Second, Totals
from atomic_guide.operations.loadtest.plan import Plan, make_plan
from atomic_guide.operations.loadtest.report import make_report
from atomic_guide.operations.loadtest.running import Heard
from atomic_guide.operations.loadtest.settings import LoadtestSettings
from atomic_guide.operations.loadtest.spec import Spec, merged
from atomic_guide.operations.loadtest.watching import Observed, Used
from atomic_guide.operations.loadtest.wording import short

RAMP, HOLD = 0, 1


def plan_of(**load: object) -> Plan:
    given: dict[str, dict[str, Any]] = {
        "load": {"rps": 100.0, "duration": 12, "ramp": 2, **load},
        "mix": {"message": 3.0, "launch": 1.0},
    }
    return make_plan(merged(Spec(), given), "http://localhost", LoadtestSettings())


def cell(
    stage: int, name: str, done: int, seconds: float, failed: dict[str, int] | None = None, waited: float = 0.0
) -> Cell:
    buckets = {bucket_of(seconds): done} if done else {}
    timeouts = (failed or {}).get("timeout", 0)
    if timeouts:
        buckets[bucket_of(waited)] = buckets.get(bucket_of(waited), 0) + timeouts
    return Cell(stage, name, done, failed or {}, buckets, done * seconds + timeouts * waited)


def second(
    number: int, cells: list[Cell], *, part: int = 0, cpu: float = 0.2, late: float = 0.001, dropped: int = 0
) -> Second:
    count = sum(one.done for one in cells if "/" not in one.name and one.name != "delivery")
    stage = cells[0].stage if cells else HOLD
    lag = {bucket_of(late): max(1, count)}
    return Second(
        part=part, second=number, cells=cells, due={stage: count + dropped},
        dropped={stage: dropped} if dropped else {}, late={stage: lag}, in_flight=1, sockets=0, cpu=cpu,
        span=1.0,
    )  # fmt: skip


def totals_of(*seconds: Second) -> Totals:
    totals = Totals()
    for one in seconds:
        totals.add(one)
    return totals


def judged(totals: Totals, plan: Plan, objectives: str, broken: tuple[str, ...] = ()) -> judging.Verdict:
    tester = judging.told_of_tester(totals, plan, judging.holds(plan), 1)
    return judging.verdict(slo.parse(objectives, plan.mix), totals, plan, tester, broken)


def test_only_what_arrived_in_the_hold_is_judged() -> None:
    totals = totals_of(second(2, [cell(RAMP, "message", 10, 3.0)]), second(3, [cell(HOLD, "message", 990, 0.01)]))
    found = judged(totals, plan_of(), "p99=100ms,errors=1%,throughput=99")
    assert (found.result, found.exit_code) == ("met", 0)
    assert [one.measured for one in found.objectives] == [pytest.approx(0.01, rel=0.05), 0.0, 99.0]


def test_an_objective_that_is_not_kept_is_missed() -> None:
    totals = totals_of(second(3, [cell(HOLD, "message", 95, 0.01, {"http_503": 5}), cell(HOLD, "launch", 10, 0.5)]))
    found = judged(totals, plan_of(), "errors=1%,launch:p50=100ms,message:p50=100ms")
    assert (found.result, found.exit_code) == ("missed", 1)
    assert found.reasons == ["errors=1%: 4.55%, MISSED", "launch:p50=100ms: 489ms, MISSED"]


def test_an_answer_that_was_given_up_counts_with_the_time_it_was_waited_for() -> None:
    totals = totals_of(second(3, [cell(HOLD, "message", 95, 0.01, {"timeout": 5}, waited=10.0)]))
    found = judged(totals, plan_of(), "p99=1s")
    assert found.objectives[0].measured == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (second(3, [cell(HOLD, "message", 100, 0.01)], dropped=3), "3 of 103 arrivals were not begun"),
        (second(3, [cell(HOLD, "message", 100, 0.01)], late=0.2), "began more than"),
        (second(3, [cell(HOLD, "message", 100, 0.01)], cpu=0.97), "97% of a core"),
    ],
)
def test_where_the_tester_is_the_limit_the_test_is_invalid_and_says_so(told: Second, why: str) -> None:
    found = judged(totals_of(told), plan_of(), "p99=1s")
    assert (found.result, found.exit_code, found.tester_is_limit) == ("invalid", 3, True)
    assert found.reasons[0].startswith("the tester is the limit: ")
    assert why in found.reasons[0]


def test_one_busy_tester_of_several_is_enough() -> None:
    cells = [cell(HOLD, "message", 100, 0.01)]
    totals = totals_of(second(3, cells, part=0, cpu=0.1), second(3, cells, part=1, cpu=0.95))
    assert judging.told_of_tester(totals, plan_of(), [HOLD], 2).cpu == pytest.approx(0.95)


def test_a_test_that_was_cut_short_or_sent_nothing_is_invalid() -> None:
    totals = totals_of(second(3, [cell(HOLD, "message", 100, 0.01)]))
    assert judged(totals, plan_of(), "p99=1s", ("it was ended before its time",)).result == "invalid"
    assert judged(Totals(), plan_of(), "p99=1s").reasons == ["nothing came to an end while the rate was held"]


def test_a_point_for_each_step_has_the_concurrency_of_littles_law() -> None:
    plan = plan_of(rps=None, steps=(50.0, 100.0), duration=20, ramp=1, settle=1)
    stages = judging.holds(plan)
    assert stages == [2, 5]
    totals = totals_of(
        second(5, [cell(2, "message", 400, 0.02), cell(2, "launch/init", 400, 9.0)]),
        second(15, [cell(5, "message", 800, 0.05, {"http_503": 8})]),
    )
    first, last = judging.points(totals, plan, 1, [0.25, None])
    assert (first.rate, first.throughput, first.seconds, first.utilisation, first.errors) == (50, 50, 8, 0.25, 0)
    assert first.concurrency == pytest.approx(50 * 0.02)
    assert last.throughput == 100
    assert last.concurrency == pytest.approx(100 * 0.05)
    assert last.errors == pytest.approx(8 / 808)
    assert last.p95 == pytest.approx(0.05, rel=0.05)
    assert (first.valid, last.valid, last.utilisation) == (True, True, None)


def test_a_report_adds_testers_up_and_tells_requests_from_arrivals() -> None:
    plan = plan_of()
    heard = Heard(began_at=1_700_000_000.0)
    steps = [cell(HOLD, f"launch/{name}", 5, 0.01) for name in ("init", "launch", "session")]
    for part in (0, 1):
        heard.totals.add(second(3, [cell(HOLD, "message", 50, 0.01), cell(HOLD, "launch", 5, 0.03), *steps], part=part))
    seen = Observed(cpus=2, processes=1, used=[Used(1.0, 0.1), Used(4.0, 0.5), Used(8.0, 0.7)])
    report = make_report(("id", "run", "tenant"), plan, slo.parse("p95=1s", plan.mix), heard, seen, 2)
    assert report.steady.all.count == 110
    assert report.steady.requests == (100 + 30) / 10
    assert report.max_throughput == 110
    assert report.usage.cores == pytest.approx(0.6)
    assert report.usage.utilisation_most == pytest.approx(0.35)
    assert report.timeline[0].tester_cores == 0.2
    text = short(report)
    assert "2 processes" in text
    assert text.endswith("verdict: MET")


def test_without_the_extra_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(Invalid, match=r"gevent and locust are not installed: .*pip install 'atomic-guide\[loadtest\]'"):
        running.check_installed()
