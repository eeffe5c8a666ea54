"""What came of a load test: figures, objectives, and whether the tester itself was the limit. Pure.

A test is `met` or `missed` by its objectives, judged over the holds only. It is `invalid`, whatever the figures, where
it did not send what it was to send: then they are figures of something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from atomic_guide.operations.loadtest import slo
from atomic_guide.operations.loadtest.counts import Total, Totals
from atomic_guide.operations.loadtest.plan import Plan
from atomic_guide.operations.loadtest.slo import DELIVERY, OVERALL, Objective, Outcome
from atomic_guide.operations.scaling.histogram import Histogram

Result = Literal["met", "missed", "invalid"]

EXIT = {"met": 0, "missed": 1, "invalid": 3}
"""Exit codes; 2 is wrong usage."""

_OWN_SHARE = 0.1
"""Of a p99, what the tester itself may have added without being the limit: as much as its histogram may be wrong."""

BUSY = 0.9
"""Cores of one tester: a single thread that is busier than that adds waits of its own to every answer."""

QUANTILES = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """One thing over a time. Latencies are in seconds, wrong by 4.8% at most (histograms); the mean is exact."""

    count: int
    """Those that succeeded."""
    failed: int
    errors: dict[str, int]
    error_rate: float | None
    throughput: float
    """Those that succeeded, a second."""
    mean: float | None
    p50: float | None
    p75: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    p99_9: float | None
    most: float | None


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A held rate, as capacity planning reads it."""

    rate: float
    """Arrivals a second, as declared."""
    throughput: float
    """Arrivals that succeeded, a second."""
    concurrency: float
    """Arrivals in flight on average, by Little's law: the sum of their latencies over the time."""
    p95: float | None
    utilisation: float | None
    """Cores that the target's web processes used, over the cores of its machine; None where it was not seen."""
    seconds: float
    errors: float | None
    """Which share failed."""
    valid: bool
    """Whether the tester kept to its times in it."""


class TesterTold(msgspec.Struct, frozen=True, kw_only=True):
    """What the testers used, and how well they kept their times, over the holds."""

    testers: int
    cpu: float
    """Cores of the busiest one, on average."""
    cpu_most: float
    """In its busiest second."""
    lag_p50: float | None
    lag_p99: float | None
    lag_most: float | None
    due: int
    dropped: int
    limit: list[str]
    """Why the tester was the limit; empty where it was not."""


class Verdict(msgspec.Struct, frozen=True):
    """How a test ended."""

    result: Result
    exit_code: int
    reasons: list[str]
    tester_is_limit: bool
    objectives: list[Outcome]


def summary(total: Total, seconds: float) -> Summary:
    """The figures of a sum over a time."""
    latency = total.latency
    return Summary(
        count=total.done, failed=total.errors, errors=dict(sorted(total.failed.items())),
        error_rate=total.error_rate, throughput=total.done / seconds if seconds > 0 else 0.0,
        mean=latency.mean, most=latency.most,
        **{name: latency.quantile(share) for name, share in QUANTILES.items()},
    )  # fmt: skip


def holds(plan: Plan) -> list[int]:
    """The numbers of the stages that are judged."""
    return [number for number, stage in enumerate(plan.profile.stages) if stage.kind == "hold"]


def overall(totals: Totals, plan: Plan, stages: Iterable[int]) -> Total:
    """All scenarios together; steps of scenarios and deliveries are no arrivals."""
    found = Total()
    stages = list(stages)
    for name in plan.mix:
        found.merge(totals.of(name, stages))
    return found


def told_of_tester(totals: Totals, plan: Plan, stages: Sequence[int], testers: int) -> TesterTold:
    """How the testers did over some stages."""
    busy, most = _cpu(totals, plan, stages)
    late = Histogram.merged(totals.late[stage] for stage in stages if stage in totals.late)
    due = sum(totals.due.get(stage, 0) for stage in stages)
    dropped = sum(totals.dropped.get(stage, 0) for stage in stages)
    p99 = late.quantile(0.99)
    slowest = overall(totals, plan, stages).latency.quantile(0.99) or 0.0
    limit = []
    if dropped:
        limit.append(f"{dropped} of {due} arrivals were not begun, since as many as may be ({plan.in_flight}) were in"
                     " flight: raise limits.in_flight, or add testers with --workers")  # fmt: skip
    if p99 is not None and p99 > max(plan.late, slowest * _OWN_SHARE):
        limit.append(f"one in a hundred arrivals began more than {slo.duration(p99)} late, where"
                     f" {slo.duration(plan.late)} are let be: add testers with --workers, or give them a machine of"
                     " their own")  # fmt: skip
    if busy > BUSY:
        limit.append(f"a tester used {busy * 100:.0f}% of a core, and has one thread: add testers with --workers")
    return TesterTold(
        testers=testers, cpu=busy, cpu_most=most, lag_p50=late.quantile(0.5), lag_p99=p99, lag_most=late.most, due=due,
        dropped=dropped, limit=limit,
    )  # fmt: skip


def _cpu(totals: Totals, plan: Plan, stages: Sequence[int]) -> tuple[float, float]:
    """Cores of the busiest tester over some stages, on average and in a second."""
    begins = plan.profile.begins()
    spans = [(begins[stage], begins[stage] + plan.profile.stages[stage].seconds) for stage in stages]
    spent: dict[int, list[tuple[float, float]]] = {}
    for second, told in totals.seconds.items():
        if any(begin < second <= end + 0.5 for begin, end in spans):
            for one in told:
                if one.span > 0:
                    spent.setdefault(one.part, []).append((one.cpu, one.span))
    means = [sum(cpu for cpu, _ in mine) / sum(span for _, span in mine) for mine in spent.values()]
    # A short span at the end of a test says nothing.
    each = [cpu / span for mine in spent.values() for cpu, span in mine if span > 0.5]  # noqa: PLR2004 - half a second
    return max(means, default=0.0), max(each, default=0.0)


def measured(objective: Objective, totals: Totals, plan: Plan) -> float | None:
    """What an objective bounds, over the holds."""
    stages = holds(plan)
    seconds = sum(plan.profile.stages[stage].seconds for stage in stages)
    everything = objective.about == OVERALL
    total = overall(totals, plan, stages) if everything else totals.of(objective.about, stages)
    if objective.metric == "latency":
        return total.latency.quantile(objective.quantile)
    if objective.metric == "mean":
        return total.latency.mean
    if objective.metric == "throughput":
        return total.done / seconds if seconds and objective.about != DELIVERY else None
    return total.error_rate


def verdict(
    objectives: Sequence[Objective], totals: Totals, plan: Plan, tester: TesterTold, broken: Sequence[str]
) -> Verdict:
    """How a test ended; `broken` is what else makes it invalid."""
    outcomes = [slo.judge(objective, measured(objective, totals, plan)) for objective in objectives]
    reasons = [f"the tester is the limit: {why}" for why in tester.limit] + list(broken)
    if not overall(totals, plan, holds(plan)).tried:
        reasons.append("nothing came to an end while the rate was held")
    if reasons:
        return Verdict("invalid", EXIT["invalid"], reasons, bool(tester.limit), outcomes)
    missed = [outcome.text for outcome in outcomes if not outcome.met]
    result: Result = "missed" if missed else "met"
    return Verdict(result, EXIT[result], missed, tester_is_limit=False, objectives=outcomes)


def points(totals: Totals, plan: Plan, testers: int, utilisation: Sequence[float | None]) -> list[Point]:
    """A point for each hold; `utilisation` is the target's in each of them."""
    found = []
    for place, stage in enumerate(holds(plan)):
        held = plan.profile.stages[stage]
        total = overall(totals, plan, [stage])
        found.append(
            Point(
                rate=held.last, throughput=total.done / held.seconds,
                concurrency=total.latency.total / held.seconds, p95=total.latency.quantile(0.95),
                utilisation=utilisation[place], seconds=held.seconds, errors=total.error_rate,
                valid=not told_of_tester(totals, plan, [stage], testers).limit,
            )
        )  # fmt: skip
    return found
