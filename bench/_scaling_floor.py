"""What the forecast's floor does to the default policy: for each trace, from the day on that there is a forecast.

The forecast is made anew each hour from the hours before, as the server makes it, and watched as the server watches it
(decide/watch.py): while it is not trusted there is no floor. What is wanted is the more of policy and floor.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.decide.watch import Watch
from atomic_guide.operations.scaling.fleet import Choice, Fleet, Policy
from atomic_guide.operations.scaling.forecast import HOUR, LEAST_HOURS, forecast
from atomic_guide.operations.scaling.policies.named import make_policy
from atomic_guide.operations.scaling.settings import ScalingSettings
from atomic_guide.operations.scaling.simulate import Run, Score, Terms, replay, score
from atomic_guide.operations.scaling.trace import Series, Trace

AHEAD = ScalingSettings().forecast_ahead_seconds
HORIZON = 26


class Floored:
    """The default policy with a floor by a quantile of the forecast; without one it only watches."""

    def __init__(self, terms: Terms, quantile: str) -> None:
        self._inner: Policy = make_policy("default", terms)
        self._quantile = quantile
        self._terms = terms
        self._watch = Watch()
        self._outlook = Outlook(0.0, why="there are not two weeks of demand")
        self._hours: list[float] = []
        self._ticks: list[float] = []
        self._hour: float | None = None
        self.trusted = self.raised = self.asked = 0

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:
        """The more of both."""
        self._note(at - self._terms.tick, demand)
        self._watch.see(at, demand, self._outlook)
        choice = self._inner.decide(at, demand, fleet)
        self.asked += bool(self._outlook.p50)
        if not self._watch.trusted or self._quantile == "off":
            return choice
        self.trusted += 1
        most = self._outlook.most(at, at + self._terms.delay + AHEAD, upper=self._quantile == "p95")
        floor = math.ceil(most / fleet.unit) if most is not None else 0
        self.raised += floor > choice.units
        return Choice(floor, "the forecast's floor") if floor > choice.units else choice

    def _note(self, at: float, demand: float | None) -> None:
        hour = at // HOUR * HOUR
        if self._hour is not None and hour != self._hour:
            known = [value for value in self._ticks if not math.isnan(value)]
            self._hours.append(float(np.mean(known)) if known else math.nan)
            self._ticks = []
            if np.count_nonzero(~np.isnan(self._hours)) > LEAST_HOURS:
                self._foresee(hour)
        self._hour = hour
        self._ticks.append(math.nan if demand is None else demand)

    def _foresee(self, hour: float) -> None:
        values = np.array(self._hours)
        found = forecast(Trace(hour - len(values) * HOUR, HOUR, values), HORIZON)
        self._outlook = Outlook(hour, found.start, found.p50.tolist(), found.p95.tolist())


class Row(NamedTuple):
    """How the policy did with a floor, and in which share of the time the forecast was trusted and asked for more."""

    score: Score
    trusted: float
    raised: float


def floors(traces: dict[str, tuple[float, Series]], terms: Terms) -> dict[str, list[Score]]:
    """Print a table for each trace, by its begin and its demand, and the means; the scores by the kind of floor."""
    totals: dict[str, list[Score]] = {}
    first = math.ceil((LEAST_HOURS + 1) * HOUR / terms.tick)
    print("\nthe default with a floor by the forecast, from the fifteenth day on")
    print(f"  {'trace':34} {'floor':6} {'minutes/day':>12} {'cost':>7} {'events':>7} {'flaps':>6} trusted raised")
    for title, (start, demand) in traces.items():
        if len(demand) <= 2 * first - first // 2:
            print(f"  {title:34} too short")
            continue
        for kind in ("off", "p50", "p95"):
            one = _row(start, demand, first, terms, kind)
            totals.setdefault(kind, []).append(one.score)
            _line(title, kind, one)
    for kind, scores in totals.items():
        means = np.array([one[1:5] for one in scores], dtype=float).mean(axis=0).tolist()
        print(f"  {'mean of all':34} {kind:6} {means[0]:12.2f} {means[1]:7.2f} {means[2]:7.1f} {means[3]:6.2f}")
    return totals


def _row(start: float, demand: Series, first: int, terms: Terms, kind: str) -> Row:
    policy = Floored(terms, kind)
    run = replay(policy, start, demand, terms)
    late = Run(run.ready[first:], run.desired[first:], {})
    whole = max(policy.asked, 1)
    return Row(score(late, demand[first:], terms), policy.trusted / whole, policy.raised / whole)


def _line(title: str, kind: str, one: Row) -> None:
    found = one.score
    cost = found.cost_ratio if found.cost_ratio is not None else math.nan
    print(f"  {title:34} {kind:6} {found.violation_minutes_per_day:12.2f} {cost:7.2f} {found.events_per_day:7.1f}"
          f" {found.flaps_per_day:6.2f} {one.trusted:7.0%} {one.raised:6.0%}", flush=True)  # fmt: skip
