"""`cache`: what is remembered, over all processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import CACHE, Key, Sample
from atomic_guide.operations.scaling.reports import Spread, Told, named

if TYPE_CHECKING:
    from atomic_guide.engines.cache.layered import Cache
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell

METRICS = (
    Metric(CACHE, "hits", "reads/s", "Reads that a layer answered: memory, or nats.", "layer"),
    Metric(CACHE, "hit_share", "share", "Of all reads, those that a layer answered; no data while nothing is read."),
    Metric(CACHE, "loads", "loads/s", "Values loaded because no layer had them."),
    Metric(CACHE, "load", "s", "How long loads took.", kind="durations"),
    Metric(CACHE, "stale", "reads/s", "Aged values given out while they were loaded anew."),
    Metric(CACHE, "negative", "reads/s", "Answers that something does not exist, without a load."),
    Metric(CACHE, "skipped", "calls/s", "Calls of NATS that were left out, or had no answer in time."),
    Metric(CACHE, "garbage", "values/s", "What lay on NATS under a value's name and was none of ours."),
    Metric(CACHE, "evicted", "values/s", "Values that had to leave memory for others."),
    Metric(CACHE, "memory", "bytes", "Bytes of values in the process that remembers most."),
    Metric(CACHE, "shared", "bytes", "Bytes of values on NATS; no data while it is away."),
    Metric(
        CACHE,
        "lag",
        "s",
        "From asking NATS for its last change until that is heard; each second.",
        kind="durations",
    ),
    Metric(CACHE, "unheard", "processes", "Processes that do not hear of changes elsewhere, and remember shortly."),
)

_RATES = ("loads", "stale", "negative", "skipped", "garbage", "evicted")
_LAYERS = ("memory", "nats")
_BYTES = "cache.bytes"


def cache_telling(cache: Cache) -> Tell:
    """What a process tells of its cache."""

    def tell() -> Told:
        counts, usage = cache.counts, cache.usage
        counters = {f"cache.{name}": float(getattr(counts, name)) for name in _RATES if name != "evicted"}
        counters["cache.evicted"] = float(usage.evicted)
        for layer, hits in zip(_LAYERS, (usage.hits, counts.shared_hits), strict=True):
            counters[named("cache.hits", layer)] = float(hits)
        gauges = {_BYTES: float(usage.bytes)}
        if cache.shared is not None:
            gauges["cache.unheard"] = float(not cache.shared.live)
        if cache.on_nats is not None:
            gauges["cache.shared"] = float(cache.on_nats.bytes)
        spreads = {name: Spread(one.total, dict(one.counts)) for name, one in
                   (("cache.load", counts.load), ("cache.lag", counts.lag))}  # fmt: skip
        return Told(counters, gauges, spreads)

    return tell


class CacheSource:
    """Over all processes."""

    name = CACHE
    metrics = METRICS

    def __init__(self, reports: Once[Look]) -> None:
        self._reports = reports

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick. Raises `Unavailable` where a process is silent."""
        look = await self._reports.at(at)
        look.whole(_BYTES)
        rates = {name: look.rate(f"cache.{name}") or 0.0 for name in _RATES}
        hits = {layer: look.rate(named("cache.hits", layer)) or 0.0 for layer in _LAYERS}
        found = {**rates, "memory": max(look.gauges(_BYTES)), "unheard": sum(look.gauges("cache.unheard"))}
        if reads := sum(hits.values()) + rates["loads"]:
            found["hit_share"] = sum(hits.values()) / reads
        if shared := look.gauges("cache.shared"):
            found["shared"] = max(shared)
        samples = [Sample(Key(CACHE, name), value) for name, value in found.items()]
        samples += [Sample(Key(CACHE, "hits", layer), rate) for layer, rate in hits.items()]
        spreads = {name: look.histogram(f"cache.{name}") for name in ("load", "lag")}
        return samples + [Sample(Key(CACHE, name), one.total, one.counts) for name, one in spreads.items()]
