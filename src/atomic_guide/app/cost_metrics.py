"""Costs as Prometheus sees them, with the currency as a label: what is paid in an hour, and what a day has cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.operations.costs.measured import COSTS, DAILY
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.reports import STALE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.sampler import Sampler


class CostMetrics(Collector):
    """A collector over the last tick of a sampler; nothing where that is 45 s ago, or another process samples."""

    def __init__(self, sampler: Sampler, clock: Clock, currency: str) -> None:
        self._sampler = sampler
        self._clock = clock
        self._currency = currency

    def collect(self) -> Iterator[Metric]:
        """The figures of the last tick."""
        daily = GaugeMetricFamily(
            "atomic_guide_daily_cost", "What the day has cost so far; absent where too little of it is measured.",
            labels=("cost_currency",),
        )  # fmt: skip
        hourly = GaugeMetricFamily(
            "atomic_guide_hourly_cost", "What is paid in an hour at the pace of now.", labels=("cost_currency", "part")
        )
        seen = self._sampler.last
        if seen is not None and abs(self._clock.now() - seen.at) <= STALE_SECONDS:
            if (day := seen.values.get(Key(COSTS, DAILY))) is not None:
                daily.add_metric((self._currency,), day)
            for key, value in sorted(seen.values.items()):
                if key[:2] == (COSTS, "hourly"):
                    hourly.add_metric((self._currency, key.part), value)
        yield daily
        yield hourly
