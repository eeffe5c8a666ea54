"""What was measured at the last tick, as Prometheus sees it. What was not measured is absent, and never zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.operations.scaling.reports import STALE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.sampler import Sampler


class ScalingMetrics(Collector):
    """A collector over the last tick of a sampler; nothing where that is 45 s ago, or another process samples."""

    def __init__(self, sampler: Sampler, clock: Clock) -> None:
        self._sampler = sampler
        self._clock = clock

    def collect(self) -> Iterator[Metric]:
        """The figures of the last tick."""
        labels = ("component", "metric", "part")
        values = GaugeMetricFamily(
            "atomic_guide_scaling_measurement", "A measurement, see docs/metrics.md.", labels=labels
        )
        missing = GaugeMetricFamily(
            "atomic_guide_scaling_missing",
            "1 where a source could not be measured, in whole or part.",
            labels=("source",),
        )
        seen = self._sampler.last
        if seen is not None and abs(self._clock.now() - seen.at) <= STALE_SECONDS:
            for key, value in sorted(seen.values.items()):
                values.add_metric(key, value)
            for source in (*(source.name for source in self._sampler.sources), "series"):
                missing.add_metric((source,), float(source in seen.missing))
        yield values
        yield missing
