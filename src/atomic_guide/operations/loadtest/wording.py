"""A load test in words, for a terminal: a second in one line, a report in thirty."""

from __future__ import annotations

from collections.abc import Iterator

from atomic_guide.operations.loadtest.arrivals import Stage
from atomic_guide.operations.loadtest.judging import Point, Summary
from atomic_guide.operations.loadtest.plan import Plan
from atomic_guide.operations.loadtest.report import Moment, Report
from atomic_guide.operations.loadtest.slo import duration

_COLUMNS = ("mean", "p50", "p90", "p95", "p99", "p99_9", "most")
_NOTES = 5


def live(one: Moment, plan: Plan) -> str:
    """A second in one line."""
    stage = stage_of(one.second, plan)
    kind = "end" if stage is None else f"{stage.kind} {stage.last:g}/s"
    target = "" if one.target_cores is None else f"  target {one.target_cores:.2f} cores"
    latency = " ".join(f"{name} {duration(getattr(one, name)):>7}" for name in ("p50", "p95", "p99"))
    return (
        f"{one.second:5d} s  {kind:12} due {one.rate:6.1f}/s  done {one.throughput:6.1f}/s  in flight"
        f" {one.in_flight:4d}  {latency}  errors {one.failed:3d}  sockets {one.sockets}"
        f"  tester {one.tester_cores:.2f}{target}"
    )


def stage_of(second: int, plan: Plan) -> Stage | None:
    """The stage that a second ends in; None after the last one."""
    stages = zip(plan.profile.begins(), plan.profile.stages, strict=True)
    return next((stage for begin, stage in stages if begin < second <= begin + stage.seconds), None)


def short(report: Report) -> str:
    """The report for a terminal."""
    steady, verdict = report.steady, report.verdict
    lines = [
        f"load test {report.id} of {report.target}{'' if report.complete else ' (partial: ended early)'}",
        _held(report),
        "",
        f"  {'':18}{'count':>9}{'failed':>8}" + "".join(f"{name.replace('_', '.'):>9}" for name in _COLUMNS),
        *_rows(report),
        "",
    ]
    errors = {name: one.errors for name, one in steady.scenarios.items() if one.errors}
    lines += [f"  errors of {name}: {_counted(kinds)}" for name, kinds in errors.items()]
    if len(report.points) > 1:
        lines += [*(_point(point) for point in report.points), ""]
    lines += [*_seen(report), *(f"  {outcome.text}" for outcome in verdict.objectives)]
    lines += [f"note: {note}" for note in report.notes[:_NOTES]]
    why = f": {'; '.join(verdict.reasons)}" if verdict.result == "invalid" else ""
    return "\n".join([*lines, f"verdict: {verdict.result.upper()}{why}"])


def _held(report: Report) -> str:
    steady = report.steady
    return (
        f"held for {steady.seconds:g} s: {steady.all.throughput:.1f} arrivals/s done, {steady.requests:.1f} requests/s"
        f" (most in a second {report.max_throughput:.1f})"
    )


def _rows(report: Report) -> Iterator[str]:
    steady = report.steady
    yield _row("all", steady.all)
    for name, one in steady.scenarios.items():
        yield _row(name, one)
        for step, figures in steady.steps.items():
            scenario, slash, part = step.partition("/")
            if slash and scenario == name:
                yield _row(f"  {part}", figures)
    for name, one in steady.steps.items():
        if "/" not in name:
            yield _row(name, one)
    if steady.delivery.count or steady.delivery.failed:
        yield _row("delivery", steady.delivery)


def _row(name: str, one: Summary) -> str:
    times = "".join(f"{duration(getattr(one, column)):>9}" for column in _COLUMNS)
    return f"  {name:18}{one.count:>9,}{one.failed:>8,}{times}"


def _seen(report: Report) -> Iterator[str]:
    tester, usage = report.tester, report.usage
    yield (
        f"tester: {_many(tester.testers, 'process', 'processes')}, {tester.cpu:.2f} cores (most {tester.cpu_most:.2f}),"
        f" began p99 {duration(tester.lag_p99)} late, {tester.dropped} of {tester.due} not begun"
    )
    if usage.cores is not None:
        processes = _many(usage.processes, "web process", "web processes")
        yield f"target: {usage.cores:.2f} of {usage.cpus} cores in {processes} (most {usage.cores_most or 0:.2f})"
    yield f"scaling: {_many(len(report.scaling), 'event', 'events')}"
    for event in reversed(report.scaling):
        yield (
            f"  {event['at']} {event['fleet']} {event['before']} to {event['after']} ({event['state']}):"
            f" {event['reason']}"
        )


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _counted(kinds: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items(), key=lambda one: -one[1]))


def _point(point: Point) -> str:
    used = "" if point.utilisation is None else f", target {point.utilisation * 100:.0f}%"
    return (
        f"  at {point.rate:g}/s: {point.throughput:.1f}/s done, {point.concurrency:.2f} in flight, p95"
        f" {duration(point.p95)}, errors {(point.errors or 0) * 100:.2g}%{used}{'' if point.valid else ', INVALID'}"
    )
