"""Regions as Prometheus sees them, read when it asks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from atomic_guide.regions.here import Here


class RegionMetrics(Collector):
    """A collector over what this process knows of the regions; nothing where none is declared."""

    def __init__(self, here: Here) -> None:
        self._here = here

    def collect(self) -> Iterator[Metric]:
        """The figures of now."""
        here = self._here
        if here.own is None:
            return
        well = GaugeMetricFamily("atomic_guide_region_well", "1 while visits are sent there.", labels=("region",))
        drained = GaugeMetricFamily("atomic_guide_region_drained", "1 while it is drained.", labels=("region",))
        probe = GaugeMetricFamily("atomic_guide_region_probe_seconds", "The last probe of it.", labels=("region",))
        for name, standing in here.board.standings.items():
            well.add_metric((name,), float(name not in here.away))
            probe.add_metric((name,), standing.ms / 1000)
        for region in here.settings.declared:
            drained.add_metric((region.name,), float(region.name in here.drained))
        yield from (well, drained, probe)
        chosen = CounterMetricFamily(
            "atomic_guide_region_choices",
            "Requests by the region that answers them (none: nobody can), and why.",
            labels=("region", "reason"),
        )
        for (name, reason), count in here.chosen.items():
            chosen.add_metric((name or "none", reason), count)
        yield chosen
        seen = CounterMetricFamily(
            "atomic_guide_region_logins",
            "Logins by the region nearest to them, and by what told their country.",
            labels=("region", "by"),
        )
        for (name, by), count in here.seen.items():
            seen.add_metric((name, by), count)
        yield seen
