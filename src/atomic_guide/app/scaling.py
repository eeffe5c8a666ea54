"""Scaling of a server: its sampler, its targets and the loop between them, put together for the supervisor.

Every supervisor runs the loop, and one of them leads. What can be scaled is what this server can change: its own
processes, replicas beside primaries of its computer, or what Kubernetes runs for it.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import structlog

from atomic_guide.app.act_metrics import ActMetrics
from atomic_guide.app.alerting import Alerting, built_alerting
from atomic_guide.app.measuring import made_sampler
from atomic_guide.app.sources.declared import UNITS
from atomic_guide.app.targets.assembly import kubernetes_targets
from atomic_guide.app.targets.processes import Bounds, process_targets
from atomic_guide.app.targets.shards import ShardFleet
from atomic_guide.app.units import WEB_UNIT
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.errors import GuideError
from atomic_guide.operations.scaling.acting import Acting
from atomic_guide.operations.scaling.chores import Chores
from atomic_guide.operations.scaling.controls import Controls
from atomic_guide.operations.scaling.events import Events
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.gate import Gate
from atomic_guide.operations.scaling.judging import Judging
from atomic_guide.operations.scaling.kubernetes import replicas_of
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.lookahead import Lookahead
from atomic_guide.operations.scaling.loop import Loop, Observer, Parts, Standing
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import WEB, WORKERS, Target
from atomic_guide.operations.scaling.nights import Nights
from atomic_guide.operations.scaling.wishes import Wishes

if TYPE_CHECKING:
    from atomic_guide.app.processes import Scaled
    from atomic_guide.config import Settings
    from atomic_guide.operations.costs.assembly import Costs
    from atomic_guide.web.tool import Tool

_log = structlog.get_logger(__name__)

_CHORES_SECONDS = 5.0
_CHORES_LIMIT = 120.0
_ACCOUNT_SECONDS = 60.0


class Scaling(NamedTuple):
    """The loop of a server with what it stands on."""

    loop: Loop
    leader: Leader
    chores: Chores
    costs: Costs
    alerting: Alerting | None

    def root_tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What runs until the end."""
        beside = self.alerting.root_tasks() if self.alerting is not None else []
        return [self.leader.keep(), self.loop.run(), self._tend(), self._account(), *beside]

    async def end(self) -> None:
        """Let go of the lead, so that another one has it at once."""
        if self.alerting is not None:
            await self.alerting.end()
        await self.leader.step_down()

    async def _account(self) -> None:
        """Close the days of costs, while this process leads."""
        while True:
            await asyncio.sleep(_ACCOUNT_SECONDS)
            if not self.leader.leading:
                continue
            try:
                async with asyncio.timeout(_CHORES_LIMIT):
                    await self.costs.tend()
            except (GuideError, TimeoutError) as error:
                _log.warning("costs were not counted; it is tried again", error=str(error))
            except Exception:  # noqa: BLE001 - as above
                _log.exception("counting costs failed")

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(_CHORES_SECONDS)
            try:
                async with asyncio.timeout(_CHORES_LIMIT):
                    await self.chores.tend()
            except (GuideError, TimeoutError) as error:
                _log.warning("what is done between ticks was not; it is tried again", error=str(error))
            except Exception:  # noqa: BLE001 - a defect there must not end the server
                _log.exception("what is done between ticks failed")


class _Told(Observer):
    """Lets the chores know what runs."""

    def __init__(self, chores: Chores) -> None:
        self._chores = chores

    def ticked(self, standing: Standing, fleets: Mapping[str, Fleet]) -> None:
        """A tick is over."""
        del standing
        self._chores.fleets = fleets

    def led(self, *, leading: bool) -> None:
        """Whether this process leads."""
        if not leading:
            self._chores.fleets = {}


class Own(NamedTuple):
    """A server as its supervisor was started: its role, its port, the options by which its settings are found."""

    role: str
    port: int
    arguments: tuple[str, ...]


@asynccontextmanager
async def built_scaling(settings: Settings, tool: Tool, scaled: Scaled, server: Own) -> AsyncIterator[Scaling]:
    """The scaling of a supervisor; its targets are closed at the end."""
    directory, clock, own = tool.shards.directory, tool.clock, settings.scaling
    async with AsyncExitStack() as stack:
        targets = await _targets(settings, tool, scaled, server, stack)
        leader = Leader(directory, f"{socket.gethostname()}:{server.port}", clock)
        events = Events(directory, leader, clock)
        acting = Acting(events, targets, leader, clock, own.acts)
        gate = Gate(events, acting, own.acts, clock, lambda fleet: own.fleet(fleet).mode)
        mind = Mind(own, UNITS)
        sampler = made_sampler(tool, settings)
        ahead = Lookahead(directory, sampler.series, own)
        chores = Chores(mind, sampler.series, Nights(directory), ahead, clock)
        judging = Judging(events, sampler.series, lambda fleet: own.fleet(fleet).unit_price, UNITS)
        parts = Parts(sampler, mind, targets, events, acting, Controls(directory), leader, judging)
        metrics = ActMetrics(tool.health.registry, clock)
        alerting = built_alerting(settings, tool, sampler, leader)
        loop = Loop(parts, gate, clock, _Told(chores), metrics)
        yield Scaling(loop, leader, chores, tool.costs, alerting)


async def _targets(
    settings: Settings, tool: Tool, scaled: Scaled, server: Own, stack: AsyncExitStack
) -> Mapping[str, Target]:
    """What this server can change, by fleet."""
    own = settings.scaling
    slots = float(settings.queues.slots)
    found: dict[str, Target] = {}
    if settings.kubernetes.on:
        bounds = {
            # What is possible; the fewest that are wanted are the decider's, and operators may lower them.
            WEB: Bounds(min(own.web.min, 1), own.web.max, WEB_UNIT),
            WORKERS: Bounds(min(own.workers.min, 1), own.workers.max, slots),
            **{replicas_of(cluster): Bounds(0, own.replicas.max, 1.0) for cluster in settings.kubernetes.clusters},
        }
        wishes = Wishes(tool.shards.directory, tool.clock)
        targets = await stack.enter_async_context(kubernetes_targets(settings.kubernetes, bounds, wishes))
        found = {target.fleet: target for target in targets}
    elif server.role == "all":
        # The supervisor answers and runs jobs itself: it is the first of both.
        web = Bounds(1, max(own.web.max, 1), WEB_UNIT)
        workers = Bounds(1, max(own.workers.max, 1), slots)
        found = {target.fleet: target for target in process_targets(scaled, web, workers)}
    for target in [*await _standbys(settings, tool, stack), _shards(settings, tool, server, stack)]:
        found[target.fleet] = target
    return found


def _shards(settings: Settings, tool: Tool, server: Own, stack: AsyncExitStack) -> Target:
    """The shards of the default zone."""
    bounds = settings.scaling.shards.min, settings.scaling.shards.max
    declared = [one.name for one in settings.databases.servers if one.zone == DEFAULT_ZONE]
    target = ShardFleet(tool.shards, Path(settings.data), server.arguments, bounds, declared)
    stack.push_async_callback(target.close)
    return target


async def _standbys(settings: Settings, tool: Tool, stack: AsyncExitStack) -> list[Target]:
    """The replicas of shards whose primaries stand beside this server, where PostgreSQL's programs are named."""
    databases = settings.databases
    if databases.standbys.programs is None or databases.directory is None:
        return []
    from atomic_guide.app.targets.standbys import Recipe, Standbys  # noqa: PLC0415 - the driver takes 60 ms to import
    from atomic_guide.engines.data.settings import is_beside  # noqa: PLC0415 - as above
    from atomic_guide.engines.data.standby import installation  # noqa: PLC0415 - as above

    place = installation(databases.standbys, Path(settings.data))
    found: list[Target] = []
    for server in databases.servers:
        replicas = tool.shards.named(server.name).replicas
        if replicas is None or not is_beside(server.url):
            continue
        recipe = Recipe(server.url, place, databases.postgresql)
        standbys = Standbys(tool.shards.directory, replicas, recipe, tool.clock, settings.scaling.replicas.max)
        await standbys.open()
        stack.push_async_callback(standbys.close)
        found.append(standbys)
    return found
