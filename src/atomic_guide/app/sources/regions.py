"""`regions`: where the installation stands in the world, as its processes tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from atomic_guide.operations.scaling.metric import Metric
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.reports import Told, named

if TYPE_CHECKING:
    from atomic_guide.operations.scaling.once import Once
    from atomic_guide.operations.scaling.reports import Look, Tell
    from atomic_guide.regions.here import Here
    from atomic_guide.regions.settings import RegionsSettings

REGIONS = "regions"

METRICS = (
    Metric(REGIONS, "away", "share", "Processes elsewhere that find this region away, as a share of them.", "region"),
    Metric(REGIONS, "drained", "switch", "1 while an operator has drained this region.", "region"),
    Metric(REGIONS, "failovers", "requests/s", "Requests sent on, because a nearer region is away, to this one.",
           "region"),
    Metric(REGIONS, "refused", "requests/s", "Requests that no region which may answer them could."),
)  # fmt: skip


def regions_telling(here: Here) -> Tell:
    """What a process tells of the regions; nothing where none is declared."""

    def tell() -> Told:
        if here.own is None:
            return Told()
        failovers: dict[str, float] = dict.fromkeys((one.name for one in here.settings.declared), 0.0)
        refused = 0
        for (region, reason), count in here.chosen.items():
            if reason == "failover":
                failovers[region] = failovers.get(region, 0.0) + count
            refused += 0 if region else count
        counters = {"regions.refused": float(refused)}
        counters |= {named("regions.failovers", region): count for region, count in failovers.items()}
        gauges = {named("regions.away", name): float(not one.well) for name, one in here.board.standings.items()}
        gauges |= {
            named("regions.drained", one.name): float(one.name in here.drained) for one in here.settings.declared
        }
        return Told(counters, gauges)

    return tell


class RegionsSource:
    """Over the processes of all regions."""

    name = REGIONS
    metrics = METRICS

    def __init__(self, reports: Once[Look], settings: RegionsSettings) -> None:
        self._reports = reports
        self._settings = settings

    async def measure(self, at: float) -> list[Sample]:
        """The figures of a tick; none where no region is declared."""
        if not self._settings.declared:
            return []
        look = await self._reports.at(at)
        found = [Sample(Key(REGIONS, "refused"), look.rate("regions.refused") or 0.0)]
        for region in self._settings.declared:
            for metric in ("away", "drained"):
                said = look.gauges(named(f"regions.{metric}", region.name))
                if said:
                    found.append(Sample(Key(REGIONS, metric, region.name), sum(said) / len(said)))
            rate = look.rate(named("regions.failovers", region.name)) or 0.0
            found.append(Sample(Key(REGIONS, "failovers", region.name), rate))
        return found
