"""What operators look at and act through, apart from what the course needs: one desk for each part of the console."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from atomic_guide.app.alerting import made_desk
from atomic_guide.app.caching import made_desk as made_cache_desk
from atomic_guide.app.capacity import made_capacity
from atomic_guide.app.jobs import made_desk as made_queue_desk
from atomic_guide.app.jobs import made_letters
from atomic_guide.app.simulating import made_simulator
from atomic_guide.clock import SystemClock
from atomic_guide.config import Settings
from atomic_guide.course.analytics.performance import Performance
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.data.shards import Shards
from atomic_guide.operations.alerts.desk import Desk as AlertDesk
from atomic_guide.operations.caching.desk import Desk as CacheDesk
from atomic_guide.operations.capacity.capacity import Capacity
from atomic_guide.operations.costs.assembly import Costs, build_costs
from atomic_guide.operations.jobs.desk import Desk as QueueDesk
from atomic_guide.operations.jobs.letters import Letters
from atomic_guide.operations.placement.desk import Desk as PlacementDesk
from atomic_guide.operations.scaling.foresight import Foresight
from atomic_guide.operations.scaling.model import WEB, WORKERS
from atomic_guide.operations.scaling.overview import Forecasts, Overview
from atomic_guide.operations.scaling.simulator.runs import Simulator
from atomic_guide.operations.scaling.wishes import Wishes
from atomic_guide.web.wanted import Wanted


class Desks(TypedDict):
    """The desks, by the names that a `Tool` has them under."""

    placement: PlacementDesk
    remembered: CacheDesk
    queues: QueueDesk
    letters: Letters
    alerts: AlertDesk
    wanted: Wanted
    costs: Costs
    capacity: Capacity
    overview: Overview
    foresight: Foresight
    simulator: Simulator


def made_desks(
    settings: Settings,
    shards: Shards,
    cache: Cache,
    clock: SystemClock,
    performance: Performance,
    wake: Callable[[str], None],
) -> Desks:
    """The desks over open engines; `wake` tells workers of a queue that there is something to do."""
    foresight = Foresight(shards.directory, settings.scaling)
    slots = float(settings.queues.slots)
    return Desks(
        placement=PlacementDesk(shards, clock, settings.databases),
        remembered=made_cache_desk(cache, performance, shards, clock),
        queues=made_queue_desk(settings, shards, wake),
        letters=made_letters(settings, shards, wake),
        alerts=made_desk(settings, shards.directory, clock),
        wanted=Wanted(Wishes(shards.directory, clock), clock, settings.kubernetes),
        costs=build_costs(shards, clock, settings.scaling, settings.costs, settings.assets.cool_class),
        capacity=made_capacity(settings, shards),
        overview=Overview(shards.directory, clock, Forecasts(foresight.hours, {WEB: 1.0, WORKERS: slots})),
        foresight=foresight,
        simulator=made_simulator(settings, shards, clock),
    )
