"""Events of lectures as Prometheus sees them: what came in and was counted here, what waits anywhere and since when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.course.watching.taking import QUERIES
from atomic_guide.engines.data.scatter import scatter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from atomic_guide.clock import Clock
    from atomic_guide.course.watching.taking import Events
    from atomic_guide.engines.data.shards import Shards


class EventMetrics(Collector):
    """The counts of one process, and what waits in all shards."""

    def __init__(self, events: Events) -> None:
        self._counts = events.counts
        self._waiting = 0
        self._lag = 0.0

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        counts = self._counts
        events = CounterMetricFamily("atomic_guide_events", "Events by what became of them.", labels=["outcome"])
        for outcome in ("accepted", "duplicate", "rejected", "counted"):
            events.add_metric([outcome], getattr(counts, outcome))
        yield events
        yield GaugeMetricFamily("atomic_guide_events_waiting", "Events that are not counted yet.", self._waiting)
        yield GaugeMetricFamily(
            "atomic_guide_events_lag_seconds", "Since when the longest waiting ones are to be counted.", self._lag
        )

    async def look(self, shards: Shards, clock: Clock) -> None:
        """Measure what waits; for a root task. While a shard does not tell, the last whole measure stays."""
        found = await scatter(shards.all(), QUERIES["measure_streams"], {}, short=True)
        if not found.missing:
            self._waiting = sum(int(row["waiting"]) for _, row in found.rows)
            asked = [row["asked_at"] for _, row in found.rows if row["asked_at"] is not None]
            self._lag = max(0.0, clock.now() - min(asked)) if asked else 0.0
