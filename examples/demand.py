"""A forecast of demand, and policies scored on it: one of this program's own beside two of the package."""

import numpy as np

from atomic_guide.operations.scaling.fleet import Choice, Fleet
from atomic_guide.operations.scaling.forecast import backtest, forecast, hourly
from atomic_guide.operations.scaling.policies.named import make_policy
from atomic_guide.operations.scaling.simulate import Terms, learn, replay, score
from atomic_guide.operations.scaling.trace import Trace

DAY = 24 * 60
WORKDAYS = 5


class HalfFull:
    """Twice as many units as the last minute needed, and never fewer than ten minutes ago."""

    def __init__(self) -> None:
        self.lately: list[int] = []

    def decide(self, at: float, demand: float | None, fleet: Fleet) -> Choice:  # noqa: ARG002
        """Units for the next tick. A demand of None was not measured."""
        if demand is not None:
            self.lately = [*self.lately[-9:], fleet.bounded(2 * demand / fleet.unit + 1)]
        return Choice(max(self.lately, default=fleet.coming), f"the last minute needed {demand}")


def weeks(count: int) -> Trace:
    """Demand in units of work a second, by the minute: days that swell and ebb, quiet weekends, noise."""
    minutes = np.arange(count * 7 * DAY)
    daily = 1 + np.sin(2 * np.pi * (minutes % DAY / DAY - 0.3))
    weekday = np.where(minutes // DAY % 7 < WORKDAYS, 1.0, 0.3)
    noise = np.random.default_rng(1).lognormal(sigma=0.05, size=len(minutes))
    return Trace(1_767_571_200.0, 60.0, 400 * daily * weekday * noise)


def main() -> None:
    """Forecast a day, and score three policies on the last of four weeks."""
    trace = weeks(4)
    by_hour = hourly(trace)
    ahead = forecast(by_hour, horizon=24)
    print(f"tomorrow at most {ahead.p50.max():.0f} a second, with 95% certainty {ahead.p95.max():.0f}")
    tried = backtest(by_hour, horizon=24)
    print(f"errors beside those of 'as a week ago': {tried.mase:.2f}, hours within the upper: {tried.coverage_95:.0%}")

    terms = Terms(unit=100.0, delay=120.0, tick=60.0, least=1, most=50)
    demand = trace.ticks(terms.tick)
    before, week = demand[: -7 * DAY], demand[-7 * DAY :]
    begin = trace.end - 7 * DAY * 60
    for name, policy in {
        "ours": make_policy("default", terms),
        "HPA at 70%": make_policy("hpa-70", terms),
        "half full": HalfFull(),
    }.items():
        learn(policy, trace.start, before, terms)
        result = score(replay(policy, begin, week, terms), week, terms)
        print(
            f"{name}: {result.violation_minutes} minutes too few, "
            f"{result.cost_ratio:.2f} times the least cost, {result.events_per_day:.0f} changes a day"
        )


if __name__ == "__main__":
    main()
