"""The report of a load test: the JSON that is kept.

docs/load-tests.md describes each field; a change of their meaning raises `FORMAT`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from atomic_guide.clock import iso
from atomic_guide.durations import seconds_of
from atomic_guide.operations.loadtest import judging
from atomic_guide.operations.loadtest.counts import Second, Total, Totals, summed
from atomic_guide.operations.loadtest.judging import Point, Summary, TesterTold, Verdict, holds, overall, summary
from atomic_guide.operations.loadtest.plan import Plan
from atomic_guide.operations.loadtest.running import Heard
from atomic_guide.operations.loadtest.slo import DELIVERY, OVERALL, Objective
from atomic_guide.operations.loadtest.watching import Observed

FORMAT = 1


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A second of the test, over all testers. What ends in it counts, whenever it was due."""

    second: int
    rate: float
    """Arrivals that were due."""
    throughput: float
    failed: int
    in_flight: int
    sockets: int
    delivered: int
    p50: float | None
    p95: float | None
    p99: float | None
    tester_cores: float
    target_cores: float | None


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A time of the test. `requests` counts calls of HTTP, of which a launch has three."""

    seconds: float
    all: Summary
    requests: float
    scenarios: dict[str, Summary]
    steps: dict[str, Summary]
    delivery: Summary


class TargetTold(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of the target over the holds; None where it was not seen."""

    cpus: int
    processes: int
    cores: float | None
    cores_most: float | None
    utilisation: float | None
    utilisation_most: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A load test from its plan to its verdict."""

    format: int
    id: str
    run: str
    tenant: str
    target: str
    started_at: str
    seconds: float
    """How long arrivals came."""
    complete: bool
    """Whether it came to its end; False for one that was ended early."""
    verdict: Verdict
    steady: Figures
    """The holds: what is judged."""
    ramp: Figures
    """The ramps and what settles after them: what is not."""
    histograms: dict[str, list[tuple[float, int]]]
    """Latencies of the holds, of `all`, each scenario and `delivery`: seconds, and how many took about that."""
    max_throughput: float
    """Arrivals that succeeded in the best second."""
    points: list[Point]
    tester: TesterTold
    usage: TargetTold
    scaling: list[dict[str, Any]]
    ready: list[tuple[float, dict[str, int]]]
    notes: list[str]
    plan: Plan
    timeline: list[Moment]


def make_report(
    place: tuple[str, str, str], plan: Plan, objectives: list[Objective], heard: Heard, seen: Observed, testers: int
) -> Report:
    """The report; `place` is the test's id, its run at the target, and its tenant there."""
    totals, stages = heard.totals, holds(plan)
    tester = judging.told_of_tester(totals, plan, stages, testers)
    broken = [f"tester {part} was lost, and what it was to send was not sent" for part in heard.lost]
    if heard.stopped:
        broken.append("it was ended before its time")
    moments = _timeline(totals, plan, seen)
    begins = plan.profile.begins()
    spans = [(begins[stage], begins[stage] + plan.profile.stages[stage].seconds) for stage in stages]
    lasted = min(plan.profile.seconds, float(moments[-1].second if moments else 0))
    sending = lasted if heard.stopped else plan.profile.seconds
    used = [seen.cores(begin, end) for begin, end in spans]
    others = [number for number in range(len(plan.profile.stages)) if number not in stages]
    return Report(
        format=FORMAT,
        id=place[0],
        run=place[1],
        tenant=place[2],
        target=plan.target,
        started_at=iso(heard.began_at),
        seconds=lasted,
        complete=not heard.stopped and not heard.lost,
        verdict=judging.verdict(objectives, totals, plan, tester, broken),
        steady=_figures(totals, plan, stages, sending),
        ramp=_figures(totals, plan, others, sending),
        histograms=_histograms(totals, plan, stages),
        max_throughput=max((one.throughput for one in moments), default=0.0),
        points=judging.points(totals, plan, testers, [_share(cores, seen) for cores in used]),
        tester=tester,
        usage=_usage(seen, spans),
        scaling=seen.events,
        ready=seen.ready,
        notes=[*heard.faults, *([f"scaling was not seen: {seen.missing}"] if seen.missing else [])],
        plan=plan,
        timeline=moments,
    )


def _share(cores: float | None, seen: Observed) -> float | None:
    return cores / seen.cpus if cores is not None and seen.cpus else None


def _usage(seen: Observed, spans: list[tuple[float, float]]) -> TargetTold:
    within = [one.cores for one in seen.used if any(begin < one.at <= end for begin, end in spans)]
    mean = sum(within) / len(within) if within else None
    most = max(within, default=None)
    return TargetTold(
        cpus=seen.cpus, processes=seen.processes, cores=mean, cores_most=most, utilisation=_share(mean, seen),
        utilisation_most=_share(most, seen),
    )  # fmt: skip


def _figures(totals: Totals, plan: Plan, stages: list[int], sending: float) -> Figures:
    """Figures of some stages, of which the seconds count until the sending ended."""
    begins = plan.profile.begins()
    seconds = sum(max(0.0, min(plan.profile.stages[stage].seconds, sending - begins[stage])) for stage in stages)
    names = totals.names()
    steps = {name: totals.of(name, stages) for name in names if "/" in name or name in {"socket", "refresh"}}
    scenarios = {name: totals.of(name, stages) for name in plan.mix}
    stepped = {name.partition("/")[0] for name in names if "/" in name}
    calls = sum(one.tried for name, one in steps.items() if "/" in name)
    calls += sum(one.tried for name, one in scenarios.items() if name not in stepped and name != "frame")
    return Figures(
        seconds=seconds,
        all=summary(overall(totals, plan, stages), seconds),
        requests=calls / seconds if seconds else 0.0,
        scenarios={name: summary(one, seconds) for name, one in scenarios.items()},
        steps={name: summary(one, seconds) for name, one in steps.items()},
        delivery=summary(totals.of(DELIVERY, stages), seconds),
    )


def _histograms(totals: Totals, plan: Plan, stages: list[int]) -> dict[str, list[tuple[float, int]]]:
    counted = {OVERALL: overall(totals, plan, stages)}
    counted |= {name: totals.of(name, stages) for name in (*plan.mix, DELIVERY)}
    return {
        name: [(seconds_of(bucket), count) for bucket, count in sorted(total.latency.counts.items())]
        for name, total in counted.items()
        if total.latency.counts
    }


def _timeline(totals: Totals, plan: Plan, seen: Observed) -> list[Moment]:
    found = [moment(second, totals.seconds[second], plan, seen) for second in sorted(totals.seconds)]
    return [one for one in found if one.second <= plan.profile.seconds or one.throughput or one.failed]


def moment(second: int, told: list[Second], plan: Plan, seen: Observed) -> Moment:
    """One second over the testers that told of it."""
    total: Total = summed(told, plan.mix)
    # What comes after the last whole second is less than one.
    span = max(1.0, *(one.span for one in told))
    near = [one.cores for one in seen.used if second - 1 < one.at <= second + 1]
    return Moment(
        second=second,
        rate=sum(sum(one.due.values()) for one in told) / span,
        throughput=total.done / span,
        failed=total.errors,
        in_flight=sum(one.in_flight for one in told),
        sockets=sum(one.sockets for one in told),
        delivered=summed(told, [DELIVERY]).done,
        p50=total.latency.quantile(0.5),
        p95=total.latency.quantile(0.95),
        p99=total.latency.quantile(0.99),
        tester_cores=max(one.cpu / max(1.0, one.span) for one in told),
        target_cores=sum(near) / len(near) if near else None,
    )
