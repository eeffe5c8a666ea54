"""Deciding and acting together: the shipped mind, the loop and a target, over hours that pass by the tick."""

import itertools
import math
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Engine
from atomic_guide.operations.scaling.events import Wanted
from atomic_guide.operations.scaling.leader import LEASE_SECONDS
from atomic_guide.operations.scaling.loop import Loop
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import Key, Sample, Seen
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from tests.engines import opened_database
from tests.postgres import Cluster
from tests.scaling_acts import Controller, RecordingTarget, TwoClocks
from tests.scaling_units import UNITS

DEMAND, UTILISATION = Key("workers", "demand"), Key("workers", "utilisation")
SETTINGS = ScalingSettings(workers=FleetSettings(mode="auto", min=1, max=10, start_delay_seconds=30.0), quiet_hours="")


@pytest.fixture
async def directory(tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database("sqlite", tmp_path, postgres_cluster) as opened:
        yield opened


class Server:
    """A controller with the shipped mind, in a world where demand is what a test says."""

    def __init__(self, directory: Engine, clock: TwoClocks, target: RecordingTarget, name: str = "one") -> None:
        self.clock = clock
        self.target = target
        self.controller = Controller(directory, clock, target, name=name)
        self.mind = Mind(SETTINGS, UNITS)
        parts = self.controller.loop._parts._replace(mind=self.mind)
        self.loop = Loop(parts, self.controller.gate, clock)
        self.counts: list[int] = []

    async def live(self, seconds: int, demand: Callable[[float], float | None]) -> None:
        """Ticks and beats for so long. Units are ready at the tick after they were asked for."""
        began = self.clock.steady
        while self.clock.steady < began + seconds:
            value = demand(self.clock.steady - began)
            values = {} if value is None else {DEMAND: value, UTILISATION: min(value / self.target.ready, 1.0)}
            missing = {"workers": "no answer within 5 s"} if value is None else {}
            self.controller.sampler.make = lambda at, v=values, m=missing: Seen(at, v, m)  # type: ignore[misc]
            samples = [Sample(key, measured) for key, measured in values.items()]
            await self.controller.series.store(self.clock.now(), samples)
            await self.controller.leader.campaign()
            await self.loop.tick()
            self.target.finish()
            for _ in range(3):
                self.clock.advance(5)
                await self.controller.leader.campaign()
                await self.loop.beat()
            self.counts.append(self.target.ready)


@pytest.mark.timeout(180)
async def test_units_follow_a_burst_up_and_down_and_the_acts_are_judged(directory: Engine) -> None:
    clock, target = TwoClocks(), RecordingTarget(ready=1, at_once=False)
    server = Server(directory, clock, target)
    await server.live(600, lambda _: 0.5)
    assert target.ready == 1
    await server.live(1800, lambda _: 5.0)
    assert target.ready >= 5
    await server.live(5400, lambda _: 0.5)
    assert target.ready <= 2, "what is not needed goes"
    events = await server.controller.events.select(Wanted(), 1000)
    acts = [record for record in events if record.event.state == "done"]
    assert acts
    assert {record.event.state for record in events} <= {"done", "refused"}
    up = next(record for record in reversed(acts) if record.event.decision.after > record.event.decision.before)
    assert up.event.verdict is not None
    assert up.event.verdict["success"], up.event.verdict
    assert up.event.decision.inputs
    assert up.event.decision.rejected
    recent = await server.controller.judging.recent(clock.now())
    assert recent.success.rate == 1.0
    assert len(acts) < 20
    assert len({key for _, key in target.calls}) == len(target.calls), "each act is asked for once"


@pytest.mark.timeout(180)
async def test_metrics_lost_for_half_an_hour_take_nothing_away(directory: Engine) -> None:
    clock, target = TwoClocks(), RecordingTarget(ready=1, at_once=False)
    server = Server(directory, clock, target)
    await server.live(1200, lambda _: 5.0)
    units = target.ready
    assert units >= 5
    server.counts.clear()
    await server.live(1800, lambda _: None)
    assert set(server.counts) == {units}
    [held] = [record for record in await server.controller.events.select(Wanted(), 1000)
              if record.event.decision.action == "hold" and "not measured" in record.event.decision.reason]  # fmt: skip
    assert held.event.state == "refused"


@pytest.mark.timeout(180)
async def test_a_new_leader_does_not_begin_again(directory: Engine) -> None:
    clock, target = TwoClocks(), RecordingTarget(ready=1, at_once=False)
    old = Server(directory, clock, target, "old")
    await old.live(1200, lambda _: 5.0)
    before = list(target.done)
    new = Server(directory, clock, target, "new")
    await new.controller.leader.campaign()
    clock.advance(LEASE_SECONDS + 1)
    await new.live(600, lambda _: 5.0)
    assert target.done == before, "it knows what the old one knew, and nothing has changed"


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_demand_that_swings_makes_no_flaps(directory: Engine) -> None:
    clock, target = TwoClocks(), RecordingTarget(ready=1, at_once=False)
    server = Server(directory, clock, target)
    await server.live(5 * 3600, lambda at: 3.0 + 2.0 * math.sin(2 * math.pi * at / (4 * 3600)))
    steps = [
        (tick, after - before)
        for tick, (before, after) in enumerate(itertools.pairwise(server.counts))
        if after != before
    ]
    turns = [later - tick for (tick, one), (later, two) in itertools.pairwise(steps) if one * two < 0]
    assert turns, "it goes up and down with the demand"
    assert min(turns) > 40, "no change of direction within ten minutes"
