"""The cache of this process as Prometheus sees it, read when it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from atomic_guide.engines.cache.layered import Cache

_COUNTERS = {
    "loads": "Values loaded because no layer had them.",
    "failures": "Loads that failed or took too long.",
    "joined": "Readers who waited for a load that another had begun.",
    "stale": "Aged values given out while they were loaded anew.",
    "negative": "Answers that something does not exist, without a load.",
    "rejected": "Values that were older than what their reader already knew of.",
    "skipped": "Calls of NATS that were left out, or had no answer in time.",
    "garbage": "What lay on NATS under a value's name and was none of ours.",
    "marks": "Changes that were heard of.",
    "cuts": "How often changes were not heard any more.",
}


class CacheMetrics(Collector):
    """A collector over the cache of one process."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        cache, counts = self._cache, self._cache.counts
        usage = cache.usage
        yield GaugeMetricFamily("atomic_guide_cache_entries", "Values in memory.", value=usage.entries)
        yield GaugeMetricFamily("atomic_guide_cache_bytes", "Bytes of values in memory.", value=usage.bytes)
        text = "Values that had to leave memory for others."
        yield CounterMetricFamily("atomic_guide_cache_evicted", text, value=usage.evicted)
        hits = CounterMetricFamily("atomic_guide_cache_hits", "Reads that a layer answered.", labels=["layer"])
        hits.add_metric(["memory"], usage.hits)
        hits.add_metric(["nats"], counts.shared_hits)
        yield hits
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"atomic_guide_cache_{name}", text, value=getattr(counts, name))
        text = "Time that loads took."
        yield CounterMetricFamily("atomic_guide_cache_load_seconds", text, value=counts.load.total)
        if cache.shared is not None:
            text = "1 while this process hears of changes elsewhere."
            yield GaugeMetricFamily("atomic_guide_cache_hears", text, value=int(cache.shared.live))
        if cache.on_nats is not None:
            text = "Bytes of values on NATS, for all processes."
            yield GaugeMetricFamily("atomic_guide_cache_shared_bytes", text, value=cache.on_nats.bytes)
