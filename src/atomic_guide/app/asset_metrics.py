"""Copies in other stores as Prometheus sees them: what this process asked of each store, and what it found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atomic_guide.course.video.spread.parts import SpreadParts


class AssetMetrics(Collector):
    """A collector over the declared stores; how many copies there are in which state is measured as `assets`."""

    def __init__(self, parts: SpreadParts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        calls = CounterMetricFamily(
            "atomic_guide_store_calls",
            "Calls of a store: ok, missing, failed, or refused while it is left alone.",
            labels=("store", "operation", "outcome"),
        )
        passed = CounterMetricFamily(
            "atomic_guide_store_bytes", "Bytes that were sent to a store, or read.", labels=("store", "direction")
        )
        alone = GaugeMetricFamily("atomic_guide_store_left_alone", "1 while a store is not asked.", labels=("store",))
        for name, remote in self._parts.remotes.items():
            for (operation, outcome), number in sorted(remote.calls.items()):
                calls.add_metric((name, operation, outcome), number)
            passed.add_metric((name, "written"), remote.written)
            passed.add_metric((name, "read"), remote.read)
            alone.add_metric((name,), float(not remote.breaker.allows()))
        found = CounterMetricFamily(
            "atomic_guide_copies_found_wrong",
            "Objects that were missing, truncated, altered or stray, and whether that was healed.",
            labels=("outcome", "result"),
        )
        for (outcome, result), number in sorted(self._parts.found.items()):
            found.add_metric((outcome, result), number)
        purged = CounterMetricFamily("atomic_guide_cdn_purges", "Purges that the CDN took.", value=self._parts.purged)
        yield from (calls, passed, alone, found, purged)
