"""Replicas and sessions as Prometheus sees them, read when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from atomic_guide.engines.data.shards import Shards

_LABELS = ("shard", "replica", "region")


class ReplicaMetrics(Collector):
    """A collector over the replicas of every shard, as this process has found them."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        healthy = GaugeMetricFamily("atomic_guide_replica_healthy", "1 while reads may go there.", labels=_LABELS)
        lag_bytes = GaugeMetricFamily("atomic_guide_replica_lag_bytes", "Log not replayed yet.", labels=_LABELS)
        lag = GaugeMetricFamily("atomic_guide_replica_lag_seconds", "For how long it has been behind.", labels=_LABELS)
        latency = GaugeMetricFamily("atomic_guide_replica_latency_seconds", "A round trip, smoothed.", labels=_LABELS)
        for report in (report for replicas in self._shards.replica_sets for report in replicas.reports()):
            labels = (report.shard, report.replica, report.region)
            healthy.add_metric(labels, float(report.healthy))
            latency.add_metric(labels, report.latency_seconds)
            if report.lag_bytes is not None:
                lag_bytes.add_metric(labels, report.lag_bytes)
            if report.lag_seconds is not None:
                lag.add_metric(labels, report.lag_seconds)
        yield from (healthy, lag_bytes, lag, latency)
        reads = CounterMetricFamily(
            "atomic_guide_session_reads",
            "Reads of sessions by the server that they went to, and why there.",
            labels=("shard", "target", "reason"),
        )
        for replicas in self._shards.replica_sets:
            for (target, reason), number in replicas.reads.items():
                reads.add_metric((replicas.name, target, reason), number)
        yield reads
        yield CounterMetricFamily(
            "atomic_guide_bookmarks_refused",
            "Bookmarks that were not ours, or whose key is gone.",
            value=self._shards.seal.refused,
        )
