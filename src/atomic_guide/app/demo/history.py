"""The made-up history of a demo, written with the parts of a server: demand, fleets, forecasts, decisions, alerts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from atomic_guide.app.sources.declared import UNITS
from atomic_guide.app.units import fleet_units
from atomic_guide.clock import ManualClock
from atomic_guide.operations.alerts.rules import rules_of
from atomic_guide.operations.costs.days import Days
from atomic_guide.operations.costs.terms import made_terms, terms_in_force
from atomic_guide.operations.demo import record
from atomic_guide.operations.demo.demand import DAY, Sizes, made
from atomic_guide.operations.demo.figures import Recorded, Waiting, of_tick, recorded
from atomic_guide.operations.demo.fleets import History, Ran
from atomic_guide.operations.scaling.events import Events
from atomic_guide.operations.scaling.judging import Judging
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.lookahead import Lookahead
from atomic_guide.operations.scaling.loop import Counted, Standing
from atomic_guide.operations.scaling.model import WEB, WORKERS, Key
from atomic_guide.operations.scaling.nights import Nights
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import zone_of

if TYPE_CHECKING:
    from atomic_guide.config import Settings
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.operations.scaling.decide.outlook import Outlook
    from atomic_guide.operations.scaling.marked import Mark

DECIDED_DAYS = 2.0
"""For which the decider runs: 11,520 ticks take about six seconds."""

_FORECAST_DAYS = 7
_FORECAST_EVERY = 6 * 3600.0
"""As often as a server keeps one."""

_PEAK = 0.3
"""A usual peak, of what the most units do: two of four at it; the crowd takes three, some months of growth the rest."""


class Told(msgspec.Struct, frozen=True):
    """How much was written."""

    series: int
    decisions: int
    forecasts: int
    alerts: int
    days: int


class _Writing:
    def __init__(self, settings: Settings, shards: Shards, mark: Mark) -> None:
        self.settings = settings
        self.shards = shards
        self.mark = mark
        self.series = Series(shards.directory, settings.scaling.series_limit)
        self.slots = float(settings.queues.slots)
        self.units = fleet_units(settings)
        most = {name: max(settings.scaling.fleet(name).max, 1) * self.units[name] * _PEAK for name in self.units}
        days = round((mark.until - mark.begins_at) // DAY)
        self.demand = made(mark.until, days, zone_of(settings.scaling), Sizes(most[WEB], most[WORKERS]))

    async def outlooks(self) -> dict[str, list[Outlook]]:
        """What the forecaster says every six hours of the last week, each time from what was before it."""
        demand = {Key(WEB, "demand"): self.demand.cores, Key(WORKERS, "demand"): self.demand.slots}
        await record.put_series(self.series, self.demand.times, Recorded(demand, {}), self.mark.until)
        ahead = Lookahead(self.shards.directory, self.series, self.settings.scaling)
        times = self.mark.until - _FORECAST_EVERY * np.arange(int(_FORECAST_DAYS * DAY / _FORECAST_EVERY), -1, -1)
        return {fleet: [await ahead(fleet, at) for at in times.tolist()] for fleet in self.units}

    def measure(self) -> Callable[[int, Mapping[str, int]], Mapping[Key, float]]:
        """What the decider sees of a tick."""
        waiting = Waiting(self.slots)

        def at(tick: int, ready: Mapping[str, int]) -> Mapping[Key, float]:
            waits = waiting.tick(float(self.demand.slots[tick]), ready[WORKERS])
            return of_tick(float(self.demand.cores[tick]), ready[WEB], ready[WORKERS] * self.slots, waits)

        return at

    async def put(self, history: History, ran: Ran) -> int:
        """Everything that was measured, and the nights; how many series."""
        names = [shard.name for shard in self.shards.all()]
        found = recorded(self.demand, ran.ready, self.slots, names, self.mark.tenant)
        count = await record.put_series(self.series, self.demand.times, found, self.mark.until)
        nights = Nights(self.shards.directory)
        for one in ran.nights:
            await nights.put(one.fleet, one.at, one.night, one.constants, one.frontier)
        mark = msgspec.structs.replace(self.mark, whole=True)
        await record.hand_over(self.shards.directory, mark, history.mind, self._standing(ran))
        return count

    def _standing(self, ran: Ran) -> Standing:
        fleets = {}
        for name, unit in self.units.items():
            own, ready = self.settings.scaling.fleet(name), int(ran.ready[name][-1])
            fleets[name] = Counted(ready, 0, min(own.min, 1), max(own.max, 1), unit, "shadow")
        return Standing(self.mark.until, fleets)


async def write_history(settings: Settings, shards: Shards, mark: Mark, tell: Callable[[str], None]) -> Told:
    """Write all of it; about half a minute on one core."""
    writing = _Writing(settings, shards, mark)
    tell("a made-up demand, and forecasts of it")
    outlooks = await writing.outlooks()
    history = History(writing.demand, settings.scaling, writing.units, DECIDED_DAYS, UNITS)
    ran = await asyncio.to_thread(
        history.run, writing.measure(), outlooks, lambda share: tell(f"decisions of the last days: {share:.0%}")
    )
    tell("measurements")
    series = await writing.put(history, ran)
    directory, clock = shards.directory, ManualClock(mark.until)
    events = Events(directory, Leader(directory, "demo", clock), clock)
    judging = Judging(events, writing.series, lambda fleet: settings.scaling.fleet(fleet).unit_price, UNITS)
    decisions = await record.put_events(directory, judging, ran.events, mark.until)
    tell("alerts of the last days")
    rules = rules_of(settings.alerts.rules, settings.alerts.runbooks).enabled
    alerts = await record.put_alerts(writing.series, directory, rules, zone_of(settings.scaling), mark.until)
    tell("days of costs")
    terms = await terms_in_force(directory, made_terms(settings.scaling, settings.costs))
    days = await Days(directory, writing.series, terms).close(mark.added_at)
    forecasts = sum(len(made_) for made_ in outlooks.values())
    return Told(series, decisions, forecasts, alerts, days)
