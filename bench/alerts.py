"""Alerts against a real Prometheus: `python3 dev.py bench alerts [--hours 24] [--zone Europe/Berlin]`.

A day of measurements with gaps and restarts is written in OpenMetrics, put into blocks by promtool and queried from a
real Prometheus; every shipped rule and conditions with every operator are compared at every tick and for every series:
true, false, unknown. Then which alerts are pending, firing and over at every tick is compared with promtool's own
evaluation of the exported rules, and an evaluation is timed, beside the same conditions in Python's `eval`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

from atomic_guide.operations.alerts.check import checked
from atomic_guide.operations.alerts.compile import compiled
from atomic_guide.operations.alerts.evaluation import Alerts, evaluated
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.alerts.settings import RuleSettings
from atomic_guide.operations.alerts.sights import Sights
from atomic_guide.operations.alerts.state import Moment
from bench._bars import Bars
from tests.alert_day import OWN, Day, compared, made_day, programs, prometheus, write_openmetrics
from tests.alert_states import compared_states
from tests.alerting import Series

CONDITIONS = tuple(RuleSettings(name=f"own-{number}", condition=text) for number, text in enumerate(OWN))
SPEEDS = {
    "queues_oldest > 300": 0.4,
    "daily_cost > previous_day_cost * 1.5": 0.4,
    "web_errors > 0.05 and web_throughput > 0.2": 0.4,
    "not (web_errors * 100 > 5 and web_latency_p95 - 0.5 > web_demand or web_in_flight > 9)": 0.8,
}
"""Conditions with the most that one evaluation may take, in microseconds."""


def agreement(bars: Bars, day: Day) -> None:
    """Every rule, tick and series, here and in Prometheus."""
    judged = rules_of(CONDITIONS).enabled
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        count = write_openmetrics(day, folder / "day.om")
        bars.show("samples", count, f"of {len(day.samples)} series, written in {time.perf_counter() - began:.0f} s")
        with prometheus(folder, folder / "day.om") as client:
            began = time.perf_counter()
            found = {rule.name: compared(rule, day, client) for rule in judged}
            took = time.perf_counter() - began
            bars.show("ticks", len(day.ticks), f"compared for {len(judged)} rules in {took:.0f} s")
    for rule in judged:
        one = found[rule.name]
        print(f"  {rule.name:28} {one.verdicts:8,} verdicts: {one.true:7,} true {one.false:8,} false"
              f" {one.unknown:7,} unknown, {len(one.differ)} differ")  # fmt: skip
    differ = [each for one in found.values() for each in one.differ]
    for each in differ[:10]:
        print(f"  DIFFERS: {each[:300]}")
    verdicts = sum(one.verdicts for one in found.values())
    bars.show("verdicts", verdicts)
    bars.least("verdicts that are the same as in Prometheus", 100 * (1 - len(differ) / verdicts), 100, "%")


def states(bars: Bars, day: Day) -> None:
    """Pending, firing and over, by promtool's own evaluation of the exported rules; without those of earlier days."""
    judged = [
        rule for rule in rules_of(CONDITIONS).enabled if all(one.when == "now" for one in rule.condition.selectors)
    ]
    begin, end = day.ticks[0], day.ticks[-1]
    series: dict[Series, list[float | None]] = {}
    for key, points in day.samples:
        known = dict(points)
        series[key] = [known.get(at) for at in range(begin, end + 1, 15)]
    with tempfile.TemporaryDirectory() as name:
        began = time.perf_counter()
        found = compared_states(judged, series, Path(name), 1800)
        took = time.perf_counter() - began
    bars.show("states of alerts", found.compared, f"at {len(found.ticks):,} ticks, compared in {took:.0f} s")
    if found.said:
        print(found.said)
    bars.most("ticks at which promtool finds other alerts", float(bool(found.said)), 0)


def speed(bars: Bars, day: Day) -> None:
    """One condition, then all rules at a tick."""
    for text, most in SPEEDS.items():
        condition = checked(text)
        holds = compiled(condition)
        values = [1.0 + number for number in range(len(condition.selectors))]
        names = {name.name: values[place] for place, name in enumerate(condition.reads)}
        code = compile(re.sub(r"\{[^}]*\}", "", text), "condition", "eval")
        ours, python = _seconds(partial(holds, values)), _seconds(partial(eval, code, {}, names))
        bars.most(f"{text[:44]} ({python / ours:.1f} times as fast as eval)", ours, most, "us")
    judged = rules_of(CONDITIONS).enabled
    sights = Sights(day.traces, day.traces, day.zone)
    alerts: Alerts = {}
    ticks = day.ticks[:500]
    began = time.process_time()
    for at in ticks:
        alerts = evaluated(judged, sights.at(at), alerts, Moment(at)).alerts
    bars.most(f"a tick of {len(judged)} rules over {len(day.samples)} series",
              (time.process_time() - began) / len(ticks) * 1000, 10, "ms")  # fmt: skip


def _seconds(call: Callable[[], object]) -> float:
    """Microseconds of CPU that one call takes, at best."""
    return min(timeit.repeat(call, timer=time.process_time, number=100_000, repeat=5)) * 10


def main() -> None:
    """Compare and measure; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24.0, help="how much of a day is replayed")
    parser.add_argument("--zone", default="Europe/Berlin", help="whose days are compared")
    parser.add_argument("--begin", default="2026-10-25T00:00", help="when; the day with 25 hours, if not given")
    chosen = parser.parse_args()
    if programs() is None:
        parser.error("prometheus and promtool are not installed (on Debian: apt install prometheus)")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, Python {sys.version.split()[0]}")
    zone = ZoneInfo(chosen.zone)
    begin = int(datetime.fromisoformat(chosen.begin).replace(tzinfo=zone).timestamp())
    day = made_day(begin, chosen.hours, zone)
    bars = Bars()
    agreement(bars, day)
    states(bars, day)
    speed(bars, day)
    sys.exit(bars.conclude())


if __name__ == "__main__":
    main()
