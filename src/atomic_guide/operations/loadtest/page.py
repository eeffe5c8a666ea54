"""The report as a page: one file that loads nothing and runs nothing, and whose own policy forbids it to."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from atomic_guide.clock import from_iso
from atomic_guide.operations.loadtest.judging import Summary
from atomic_guide.operations.loadtest.picture import Line, Over, picture, spectrum
from atomic_guide.operations.loadtest.plan import described
from atomic_guide.operations.loadtest.report import Report
from atomic_guide.operations.loadtest.slo import duration

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_POLICY = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_TIMES = ("mean", "p50", "p75", "p90", "p95", "p99", "p99_9", "most")
_SAYS = {
    "met": "every objective was met",
    "missed": "an objective was missed",
    "invalid": "the figures are not of what was to be tested",
}


def draw_page(report: Report) -> str:
    """An HTML document."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{_POLICY}'">
<title>Load test {escape(report.id)}: {report.verdict.result}</title>
<style>{_STYLE}</style>
</head>
<body>
{"".join(_parts(report))}
</body>
</html>
"""


def _parts(report: Report) -> Iterable[str]:
    verdict, steady = report.verdict, report.steady
    partial = "" if report.complete else " (partial: ended early)"
    yield f"<h1>Load test of {escape(report.target)}</h1>"
    yield f'<p class="dim">{escape(report.id)}, began {escape(report.started_at)}{partial}</p>'
    yield f'<p><span class="verdict {verdict.result}">{verdict.result}</span> {_SAYS[verdict.result]}</p>'
    yield "".join(f"<p>{escape(reason)}</p>" for reason in verdict.reasons if verdict.result == "invalid")
    yield (
        f"<p>{steady.all.throughput:.1f} arrivals and {steady.requests:.1f} requests a second over {steady.seconds:g} s"
        f" at the declared rate; {report.max_throughput:.1f} arrivals in the best second.</p>"
    )
    yield _objectives(report)
    yield "<h2>Over time</h2>" + "".join(_pictures(report))
    yield "<h2>While the rate was held</h2>" + _table(_heads(), _rows(report))
    if report.histograms:
        often = sorted(report.histograms.items(), key=lambda one: -sum(count for _, count in one[1]))
        yield spectrum("Latency by percentile", dict(often))
    if any(one.errors for one in _counted(report)):
        yield "<h2>Errors</h2>" + _errors(report)
    if len(report.points) > 1:
        yield "<h2>Steps</h2>" + _points(report)
    yield "<h2>Tester and target</h2>" + _machines(report)
    if report.scaling:
        yield "<h2>Scaling</h2>" + _scaling(report)
    if report.notes:
        yield "<h2>Notes</h2>" + "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    yield "<h2>Plan</h2>" + "".join(f"<p>{escape(line)}</p>" for line in described(report.plan))


def _objectives(report: Report) -> str:
    rows = [(one.objective, one.text.rpartition(": ")[2], one) for one in report.verdict.objectives]
    return _table(
        ("objective", "bound", "measured", ""),
        [(name, one.text.partition("=")[2].partition(":")[0], said.rpartition(", ")[0], "met" if one.met else "missed")
         for name, said, one in rows],
    )  # fmt: skip


def _pictures(report: Report) -> Iterable[str]:
    moments = report.timeline
    if not moments:
        return
    profile = report.plan.profile
    whole = max(1.0, float(moments[-1].second))
    spans = zip(profile.begins(), profile.stages, strict=True)
    began = from_iso(report.started_at)
    marks = [(from_iso(event["at"]) - began, f"{event['fleet']} {event['before']} to {event['after']}")
             for event in report.scaling if event["before"] != event["after"]]  # fmt: skip
    over = Over(
        [one.second for one in moments],
        whole,
        [(begin, begin + stage.seconds) for begin, stage in spans if stage.kind != "hold" and begin < whole],
        marks,
    )

    def line(name: str, kind: str, field: str) -> Line:
        return Line(name, kind, [getattr(one, field) for one in moments])

    yield picture("Arrivals a second", "", [line("due", "a", "rate"), line("done", "b", "throughput")], over)
    latencies = [line("p50", "b", "p50"), line("p95", "c", "p95"), line("p99", "d", "p99")]
    yield picture("Latency from when an arrival was due", "s", latencies, over, logarithmic=True)
    yield picture("In flight, and failed a second", "", [line("in flight", "a", "in_flight"),
                  line("failed", "d", "failed")], over)  # fmt: skip
    cores = [line("target", "a", "target_cores"), line("tester, the busiest", "c", "tester_cores")]
    yield picture("Cores used", "", cores, over)
    if any(one.sockets for one in moments):
        sockets = [line("open", "a", "sockets"), line("messages delivered a second", "e", "delivered")]
        yield picture("Sockets", "", sockets, over)


def _heads() -> tuple[str, ...]:
    return ("", "count", "failed", "a second", *(name.replace("_", ".") for name in _TIMES))


def _rows(report: Report) -> Iterable[Sequence[str]]:
    steady = report.steady
    yield _row("all", steady.all)
    for name, one in steady.scenarios.items():
        yield _row(name, one)
        yield from (_row(step, part) for step, part in steady.steps.items() if step.startswith(f"{name}/"))
    yield from (_row(step, part) for step, part in steady.steps.items() if "/" not in step)
    if steady.delivery.count or steady.delivery.failed:
        yield _row("delivery", steady.delivery)


def _row(name: str, one: Summary) -> Sequence[str]:
    counts = (f"{one.count:,}", f"{one.failed:,}", f"{one.throughput:,.1f}")
    return (name, *counts, *(duration(getattr(one, field)) for field in _TIMES))


def _counted(report: Report) -> list[Summary]:
    steady = report.steady
    return [*steady.scenarios.values(), *steady.steps.values(), steady.delivery]


def _errors(report: Report) -> str:
    steady = report.steady
    named = {**steady.scenarios, **steady.steps, "delivery": steady.delivery}
    rows = [
        (name, kind, f"{count:,}", f"{count / max(1, one.count + one.failed) * 100:.3g}%")
        for name, one in named.items()
        for kind, count in one.errors.items()
    ]
    return _table(("", "class", "count", "share"), rows)


def _points(report: Report) -> str:
    heads = ("rate", "done a second", "in flight", "p95", "errors", "target used", "")
    rows = [
        (f"{one.rate:g}/s", f"{one.throughput:.1f}", f"{one.concurrency:.2f}", duration(one.p95),
         f"{(one.errors or 0) * 100:.2g}%", "-" if one.utilisation is None else f"{one.utilisation * 100:.0f}%",
         "" if one.valid else "the tester was the limit")
        for one in report.points
    ]  # fmt: skip
    return _table(heads, rows)


def _machines(report: Report) -> str:
    tester, usage = report.tester, report.usage
    seen = "not seen" if usage.cores is None else (
        f"{usage.cores:.2f} of {usage.cpus} cores on average, {usage.cores_most or 0:.2f} at most,"
        f" {usage.processes} web processes seen"
    )  # fmt: skip
    late = ("p50", "p99", "most")
    rows = [
        ("testers", f"{tester.testers}; the busiest {tester.cpu:.2f} cores on average, {tester.cpu_most:.2f} at most"),
        ("arrivals begun late", ", ".join(f"{name} {duration(getattr(tester, f'lag_{name}'))}" for name in late)),
        ("not begun", f"{tester.dropped:,} of {tester.due:,} that were due"),
        ("target", seen),
        ("fleets ready", "; ".join(f"at {at:g} s {', '.join(f'{name} {count}' for name, count in ready.items())}"
                                   for at, ready in report.ready) or "not seen"),
    ]  # fmt: skip
    lines = "".join(f'<tr><td>{escape(name)}</td><td class="text">{escape(text)}</td></tr>' for name, text in rows)
    return f'<div class="scroll"><table><tbody>{lines}</tbody></table></div>'


def _scaling(report: Report) -> str:
    rows = [
        (event["at"], event["fleet"], f"{event['before']} to {event['after']}", event["state"], event["reason"])
        for event in reversed(report.scaling)
    ]
    return _table(("decided", "fleet", "units", "state", "why"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a row whose name has a slash is a step of the one before it."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    lines = []
    for row in rows:
        step = ' class="step"' if "/" in row[0] and len(row) > len(_TIMES) else ""
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in row)
        lines.append(f"<tr{step}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'
