"""Scaling's decisions and acts as Prometheus sees them. What is not known is absent, and never zero.

The counts and gauges are those of the process that leads; others show only that they do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from atomic_guide.operations.scaling.loop import TICK_SECONDS, Observer, Standing

if TYPE_CHECKING:
    from prometheus_client.core import Metric

    from atomic_guide.clock import Clock
    from atomic_guide.operations.scaling.events import Record
    from atomic_guide.operations.scaling.fleet import Fleet
    from atomic_guide.operations.scaling.model import Decision, Mode

_STALE_SECONDS = 4 * TICK_SECONDS


class ActMetrics(Observer, Collector):
    """Hears the loop of one process, and is collected from its registry."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._standing: Standing | None = None
        self._ticked_at = 0.0
        self._leader = Gauge("atomic_guide_scaling_leader", "1 in the process that leads scaling.", registry=registry)
        self._decisions = Counter(
            "atomic_guide_scaling_decisions_total",
            "Decisions that were new, by what they do.",
            ("fleet", "action", "mode"),
            registry=registry,
        )
        self._ended = Counter(
            "atomic_guide_scaling_events_total", "Events by how they ended.", ("fleet", "state"), registry=registry
        )
        registry.register(self)

    def led(self, *, leading: bool) -> None:
        """Whether this process leads."""
        self._leader.set(leading)
        if not leading:
            self._standing = None

    def ticked(self, standing: Standing, fleets: Mapping[str, Fleet]) -> None:
        """A tick is over."""
        del fleets
        self._standing, self._ticked_at = standing, self._clock.monotonic()

    def decided(self, decision: Decision, mode: Mode) -> None:
        """Something new was decided."""
        self._decisions.labels(decision.fleet, decision.action, mode).inc()

    def ended(self, record: Record) -> None:
        """An event has come to its end."""
        self._ended.labels(record.fleet, record.event.state).inc()

    def collect(self) -> Iterator[Metric]:
        """The last tick, unless it is a minute old."""
        units = GaugeMetricFamily("atomic_guide_scaling_units", "Units of a fleet.", labels=("fleet", "state"))
        used = GaugeMetricFamily(
            "atomic_guide_scaling_resource_utilization", "Of the units that are ready, 0 to 1.", labels=("fleet",)
        )
        trouble = GaugeMetricFamily(
            "atomic_guide_scaling_trouble", "1 while scaling does not know or cannot do something.",
            labels=("kind", "subject"),
        )  # fmt: skip
        rate = GaugeMetricFamily(
            "atomic_guide_scaling_success_rate",
            "Acts of the last 24 hours that did what they should; absent without any.",
        )
        hourly = GaugeMetricFamily("atomic_guide_scaling_events_per_hour", "Acts that were begun in the last hour.")
        standing = self._standing
        if standing is not None and self._clock.monotonic() - self._ticked_at <= _STALE_SECONDS:
            for name, fleet in standing.fleets.items():
                units.add_metric((name, "ready"), fleet.ready)
                units.add_metric((name, "starting"), fleet.starting)
                if fleet.utilisation is not None:
                    used.add_metric((name,), fleet.utilisation)
            for one in standing.troubles:
                trouble.add_metric((one.kind, one.subject), 1)
            if standing.recent is not None:
                hourly.add_metric((), standing.recent.events_per_hour)
                if standing.recent.success.rate is not None:
                    rate.add_metric((), standing.recent.success.rate)
        yield from (units, used, trouble, rate, hourly)
