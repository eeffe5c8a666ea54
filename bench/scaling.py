"""Scaling policies and forecasts on recorded demand: `python3 dev.py bench scaling --traces DIR [--days 30]`.

Each `timestamp,value` file of DIR is scaled so that its peak is fifty units and read every 15 s, straight between its
values: a count of half an hour says nothing of steps within it. Policies are replayed with units that are ready after
90 s, forecasts from rolling origins a week apart. No constant is chosen for a trace.

Bars are judged over all traces together: the mean of minutes over capacity at the mean cost, changes, flaps; the
forecast's error, pinball loss and coverage. How the default does beside the best HPA target in hindsight (45 to 85%) is
printed for each trace: what that target costs at as many minutes, between the two next to it.

`--floor` tries the forecast's floor instead, off and by either quantile (docs/policies.md has what came of it).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from atomic_guide.operations.scaling.forecast import WEEK, backtest, forecast, hourly
from atomic_guide.operations.scaling.policies.named import NAMES, make_policy
from atomic_guide.operations.scaling.policies.peers import Hpa
from atomic_guide.operations.scaling.reading import read_trace
from atomic_guide.operations.scaling.simulate import Score, Terms, replay, score
from atomic_guide.operations.scaling.trace import Series, Trace
from bench._bars import Bars
from bench._scaling_floor import floors

PEAK_UNITS = 50
TERMS = Terms()
TARGETS = [percent / 100 for percent in range(45, 90, 5)]

# Minutes over capacity a day at a mean cost: the goals of the project, straight between them.
GOAL_COSTS, GOAL_MINUTES = (1.62, 1.79), (2.2, 1.1)


def demand_of(trace: Trace, days: float) -> Series:
    """Demand at ticks, straight between values, its peak fifty units; gaps stay unknown."""
    last = min(len(trace.values), int(days * 86400 / trace.step))
    values = trace.values[:last]
    known = ~np.isnan(values)
    at = np.arange(0, len(values) * trace.step, TERMS.tick)
    demand = np.interp(at, np.flatnonzero(known) * trace.step, values[known])
    demand[~known[np.minimum((at // trace.step).astype(int), len(values) - 1)]] = np.nan
    scaled: Series = demand / np.nanmax(demand) * PEAK_UNITS * TERMS.unit
    return scaled


def hindsight(demand: Series, minutes: float) -> float | None:
    """What the best HPA target costs at so many minutes a day; None where even the widest has more."""
    found = [score(replay(Hpa(target), 0.0, demand, TERMS), demand, TERMS) for target in TARGETS]
    points = [(one.violation_minutes_per_day, one.cost_ratio or 0.0) for one in found]
    allowed = [cost for over, cost in points if over <= minutes]
    if not allowed:
        return None
    best = min(allowed)
    for (low, dear), (high, cheap) in pairwise(points):
        if low <= minutes < high:
            best = min(best, dear + (cheap - dear) * (minutes - low) / (high - low))
    return best


def policies(bars: Bars, traces: dict[str, Trace], days: float) -> None:
    """A table for each trace, then the bars."""
    totals: dict[str, list[Score]] = {name: [] for name in NAMES}
    for title, trace in traces.items():
        demand = demand_of(trace, days)
        print(f"\n{title}: {len(demand) * TERMS.tick / 86400:.1f} days")
        print(f"  {'policy':18} {'minutes/day':>12} {'cost':>7} {'events/day':>11} {'flaps/day':>10} {'seconds':>8}")
        for name in NAMES:
            began = time.process_time()
            one = score(replay(make_policy(name, TERMS), trace.start, demand, TERMS), demand, TERMS)
            totals[name].append(one)
            _line(name, one, time.process_time() - began)
        ours = totals["default"][-1]
        beside = hindsight(demand, ours.violation_minutes_per_day)
        if beside is None or ours.cost_ratio is None:
            print("  no HPA target from 45 to 85% has as few minutes over capacity")
        else:
            print(f"  the best HPA target in hindsight costs {beside:.2f} at as many minutes:"
                  f" ours {ours.cost_ratio / beside - 1:+.0%}")  # fmt: skip
    print("\nmeans over all traces")
    means = {
        name: np.array([one[1:5] for one in found], dtype=float).mean(axis=0).tolist() for name, found in totals.items()
    }
    for name, (minutes, cost, events, flaps) in means.items():
        print(f"  {name:18} {minutes:12.2f} {cost:7.2f} {events:11.1f} {flaps:10.2f}")
    minutes, cost, events, flaps = means["default"]
    goal = float(np.interp(cost, GOAL_COSTS, GOAL_MINUTES))
    bars.most("default: mean cost", cost, GOAL_COSTS[-1], "times the least")
    bars.most("default: minutes over capacity at that cost", minutes, goal, "a day")
    bars.most("default: changes", events, 60, "a day")
    bars.most("default: flaps", flaps, 3, "a day")


def _line(name: str, one: Score, seconds: float) -> None:
    cost = one.cost_ratio if one.cost_ratio is not None else float("nan")
    print(f"  {name:18} {one.violation_minutes_per_day:12.2f} {cost:7.2f} {one.events_per_day:11.1f}"
          f" {one.flaps_per_day:10.2f} {seconds:8.1f}")  # fmt: skip


def forecasts(bars: Bars, traces: dict[str, Trace]) -> None:
    """The back-test of each trace, then the bars."""
    print(f"\nforecasts of a week\n  {'trace':36} {'mase':>6} {'pinball':>8} {'coverage':>9} {'origins':>8}")
    rows, fits = [], []
    for title, trace in traces.items():
        hours = hourly(trace)
        found = backtest(hours, most=20)
        if found.mase is None or found.pinball_95 is None or found.coverage_95 is None:
            print(f"  {title:36} too short")
            continue
        for _ in range(5):
            began = time.process_time()
            forecast(hours, WEEK)
            fits.append((time.process_time() - began) * 1000)
        rows.append((found.mase, found.pinball_95, found.coverage_95))
        print(f"  {title:36} {found.mase:6.2f} {found.pinball_95:8.2f} {found.coverage_95:9.1%} {found.origins:8}")
    mase, pinball, coverage = np.mean(rows, axis=0).tolist()
    bars.most("forecast: mean absolute scaled error", mase, 0.98)
    bars.most("forecast: pinball loss of the upper quantile", pinball, 4.3, "% of the mean")
    bars.least("forecast: hours at or under the upper quantile", coverage * 100, 93, "%")
    bars.most("forecast: hours at or under the upper quantile", coverage * 100, 97, "%")
    bars.most("forecast: CPU time of one", float(np.median(fits)), 20, "ms")


def main() -> None:
    """Read the traces and judge; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, required=True, help="folder of CSV files timestamp,value")
    parser.add_argument("--days", type=float, default=30.0, help="how much of each is replayed, from its begin")
    parser.add_argument("--floor", action="store_true", help="only what the forecast's floor does to the default")
    chosen = parser.parse_args()
    files = sorted(chosen.traces.glob("*.csv"))
    if not files:
        parser.error(f"there is no CSV file in {chosen.traces}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}, Python {sys.version.split()[0]}")
    traces = {}
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            traces[file.stem] = read_trace(lines, file.name)
    bars = Bars()
    if chosen.floor:
        floors({title: (trace.start, demand_of(trace, chosen.days)) for title, trace in traces.items()}, TERMS)
        return
    policies(bars, traces, chosen.days)
    forecasts(bars, traces)
    sys.exit(bars.conclude())


if __name__ == "__main__":
    main()
