"""`costs`: what the fleets cost, what for, and what is got for it.

Prices are `scaling.web.unit_price` and `scaling.workers.unit_price`; there are no figures of a fleet without one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.app.sources.queues import WORKER
from atomic_guide.app.sources.web import READY
from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import WEB, WORKERS, Key, Sample
from atomic_guide.operations.scaling.reports import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from atomic_guide.app.sources.daily import DailyCost
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look

COSTS = "costs"

METRICS = (
    Metric(COSTS, "hourly", "money/h", "Processes that are ready, times the price of one.", "fleet"),
    Metric(COSTS, "daily", "money", "What the day has cost so far, from midnight by scaling.time_zone."),
    Metric(COSTS, "feature", "money/h", "Its part of that, by its share of the work; `idle` without any.", "feature"),
    Metric(COSTS, "efficiency", "1/money", "Requests (web) or jobs (workers) done for each unit of money.", "fleet"),
)

_IDLE = "idle"
_HOUR = 3600.0


def split(cost: float, work: Mapping[str, float]) -> dict[str, float]:
    """A cost by what it was spent on: each has its share of the work, and with it of the time that nothing ran."""
    whole = sum(work.values())
    return {name: cost * part / whole for name, part in work.items()} if whole else {_IDLE: cost}


class CostsSource:
    """Over both fleets of processes; a process that answers and runs jobs is a unit of both."""

    name = COSTS
    metrics = METRICS

    def __init__(self, reports: Once[Look], prices: Mapping[str, float], daily: DailyCost | None = None) -> None:
        self._reports = reports
        self._prices = {fleet: price for fleet, price in prices.items() if price}
        self._daily = daily

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick; none without prices. Raises `Unavailable` where a process is silent."""
        if not self._prices:
            return []
        look = await self._reports.at(at)
        samples: list[Sample] = []
        features: dict[str, float] = {}
        for fleet, gauge, what, done in (
            (WEB, READY, "web.work", "web.requests"),
            (WORKERS, WORKER, "workers.busy", "workers.jobs"),
        ):
            if fleet not in self._prices or not look.gauges(gauge):
                continue
            look.whole(gauge)
            cost = len(look.gauges(gauge)) * self._prices[fleet]
            work = {part: look.rate(named(what, part)) or 0.0 for part in look.parts(what)}
            for name, share in split(cost, work).items():
                features[name] = features.get(name, 0.0) + share
            amount = sum(look.rate(name) or 0.0 for name in (done, *(named(done, part) for part in look.parts(done))))
            samples.append(Sample(Key(COSTS, "hourly", fleet), cost))
            samples.append(Sample(Key(COSTS, "efficiency", fleet), amount * _HOUR / cost))
        hourly = [sample.value for sample in samples if sample.key.metric == "hourly"]
        if self._daily is not None and hourly and (daily := await self._daily.add(at, sum(hourly))) is not None:
            samples.append(Sample(Key(COSTS, "daily"), daily))
        return samples + [Sample(Key(COSTS, "feature", name), cost) for name, cost in features.items()]
