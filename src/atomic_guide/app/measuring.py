"""What is measured of a server: this process's report, and the sampler over the reports of all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atomic_guide.app.cost_metrics import CostMetrics
from atomic_guide.app.dependencies import dependencies_telling
from atomic_guide.app.scaling_metrics import ScalingMetrics
from atomic_guide.app.sources.assets import AssetsSource
from atomic_guide.app.sources.backups import BackupsSource
from atomic_guide.app.sources.cache import CacheSource, cache_telling
from atomic_guide.app.sources.costs import CostsSource, costs_telling
from atomic_guide.app.sources.daily import DailyCost
from atomic_guide.app.sources.database import DatabaseSource, database_telling
from atomic_guide.app.sources.disk import DiskSource
from atomic_guide.app.sources.facts import Facts
from atomic_guide.app.sources.limits import LimitsSource
from atomic_guide.app.sources.queues import QueuesSource, read_backlog
from atomic_guide.app.sources.regions import RegionsSource, regions_telling
from atomic_guide.app.sources.report import Reporter
from atomic_guide.app.sources.rooms import RoomsSource, rooms_telling
from atomic_guide.app.sources.scaling import ScalingSource
from atomic_guide.app.sources.web import WebSource, web_telling
from atomic_guide.app.sources.workers import WorkersSource, jobs_telling
from atomic_guide.engines.data.opening import is_embedded
from atomic_guide.operations.limits.telling import limits_telling
from atomic_guide.operations.scaling.once import Once
from atomic_guide.operations.scaling.reports import Reports
from atomic_guide.operations.scaling.sampler import Sampler
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from atomic_guide.app.run_counts import RunCounts
    from atomic_guide.app.sources.queues import Backlog
    from atomic_guide.config import Settings
    from atomic_guide.operations.scaling.reports import Tell
    from atomic_guide.web.observe import WebMetrics
    from atomic_guide.web.tool import Tool


def made_reporter(
    tool: Tool,
    names: tuple[str, str],
    web: tuple[WebMetrics, Callable[[], bool]] | None,
    jobs: tuple[RunCounts, int | None],
) -> Reporter:
    """What reports of this process: `names` are its own and its role's.

    `web` is there where it answers requests, with whether it does yet; `jobs` are its runs and its worker's slots.
    """
    counts, slots = jobs
    tells: list[Tell] = [
        jobs_telling(tool.media.queues, counts, slots),
        database_telling(tool.shards),
        costs_telling(tool, web[0] if web is not None else None, counts),
        limits_telling(tool.bounds),
        regions_telling(tool.regions),
        cache_telling(tool.cache),
        dependencies_telling(tool),
    ]
    if web is not None:
        tells += [web_telling(web[0], tool.overload, web[1]), rooms_telling(tool.chat.rooms)]
    return Reporter(Reports(tool.shards.directory), *names, tells, tool.clock)


def made_sampler(tool: Tool, settings: Settings) -> Sampler:
    """A sampler over every component; what it has seen is in this process's metrics."""
    shards, queues = tool.shards, settings.queues
    series = Series(shards.directory, settings.scaling.series_limit)
    look = Once("the reports", Reports(shards.directory).look)

    async def read(at: float) -> Mapping[str, Backlog]:
        return await read_backlog(shards, queues.queues, at)

    backlog = Once("the jobs", read)
    terms = tool.costs.settled
    facts = Facts(shards, settings.costs.nats_nodes, servers=not is_embedded(settings.databases))
    costs = CostsSource(look, terms, facts, DailyCost(series, zone_of(settings.scaling)))
    sources = (
        WebSource(look),
        WorkersSource(look, backlog, queues, series),
        QueuesSource(look, backlog),
        RoomsSource(look),
        DatabaseSource(look, shards),
        costs,
        ScalingSource(shards.directory),
        DiskSource(Path(settings.data)),
        BackupsSource(settings.backups, Path(settings.data)),
        LimitsSource(look, series, tool.bounds.limits),
        RegionsSource(look, settings.regions),
        CacheSource(look),
        AssetsSource(tool.media.parts.spread),
    )
    sampler = Sampler(sources, series, tool.clock)
    tool.health.registry.register(ScalingMetrics(sampler, tool.clock))
    tool.health.registry.register(CostMetrics(sampler, tool.clock, costs.currency))
    return sampler
