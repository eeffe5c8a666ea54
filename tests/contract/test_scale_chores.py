"""What is done for deciding between ticks, on both engines: demand recalled, days replayed and kept, the time ahead."""

import math
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Database
from atomic_guide.operations.scaling.chores import Chores
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import WORKERS, Key, Sample, Seen
from atomic_guide.operations.scaling.nights import KEPT_DAYS, Nights
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import ScalingSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_units import UNITS

BEGIN = 1_800_000_000.0
DEMAND = Key(WORKERS, "demand")
FLEETS = {WORKERS: Fleet(1, 0, 1, 4, 2.0)}
TICK = 300.0
DAY_TICKS = 288
SETTINGS = ScalingSettings(tick_seconds=TICK)


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


class Asked:
    """Looks ahead, and notes for whom and when."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    async def __call__(self, fleet: str, at: float) -> Outlook:
        self.calls.append((fleet, at))
        return Outlook(at)


def demand_at(tick: int) -> float:
    return 2.0 + math.sin(tick / 40)


def tick(mind: Mind, number: int) -> None:
    mind.decide(Seen(BEGIN + TICK * number, {DEMAND: demand_at(number)}), FLEETS, {}, {})


async def test_a_day_is_replayed_kept_and_known_to_the_next_leader(directory: Database) -> None:
    clock, series, nights, ahead = ManualClock(BEGIN), Series(directory), Nights(directory), Asked()
    mind = Mind(SETTINGS, UNITS)
    chores = Chores(mind, series, nights, ahead, clock)
    await chores.tend()
    assert ahead.calls == [], "nothing is done before this process leads"
    chores.fleets = FLEETS
    for number in range(DAY_TICKS + 1):
        await series.store(BEGIN + TICK * number + 7, [Sample(DEMAND, demand_at(number))])
        tick(mind, number)
        if number == 0:
            await chores.tend()
    clock.advance(TICK * DAY_TICKS)
    await chores.tend()
    (night,) = await nights.last(WORKERS, 30)
    assert night.days == pytest.approx(1, rel=0.01)
    assert len(night.paid) == len(night.minutes) > 100
    (shown,) = await nights.shown(WORKERS, 30)
    tick(mind, DAY_TICKS + 1)  # The choice is taken over at the next tick.
    assert shown.chosen == night.chosen == mind.memory.policies[WORKERS].chosen
    assert shown.constants["margin"] > 1
    assert [point.price for point in shown.frontier] == sorted(point.price for point in shown.frontier)

    # Another process takes over: the memory by value, the demand from the record, the nights from their table.
    other = Mind(SETTINGS, UNITS)
    other.load(mind.save())
    successor = Chores(other, series, nights, ahead, clock)
    successor.fleets = FLEETS
    tick(other, DAY_TICKS + 1)
    await successor.tend()
    assert other.frontier(WORKERS) == mind.frontier(WORKERS)
    assert other.memory.policies[WORKERS].chosen == night.chosen


async def test_the_time_ahead_is_looked_at_once_an_hour_and_after_a_clock_was_set_back(directory: Database) -> None:
    clock, ahead = ManualClock(BEGIN), Asked()
    mind = Mind(SETTINGS, UNITS)
    chores = Chores(mind, Series(directory), Nights(directory), ahead, clock)
    chores.fleets = FLEETS
    for _ in range(9):
        await chores.tend()
        clock.advance(900)
    assert ahead.calls == [(WORKERS, BEGIN), (WORKERS, BEGIN + 3600), (WORKERS, BEGIN + 7200)]
    assert mind.memory.state.outlooks[WORKERS].made_at == BEGIN + 7200
    clock.advance(-86_400)
    await chores.tend()
    assert ahead.calls[-1] == (WORKERS, clock.now())


async def test_old_nights_are_forgotten_and_a_repeated_day_takes_the_place_of_the_first(directory: Database) -> None:
    nights, mind = Nights(directory), Mind(SETTINGS, UNITS)
    for number in range(DAY_TICKS + 1):
        tick(mind, number)
    night = mind.study(FLEETS)[WORKERS]
    for day in (0, 1, 1, KEPT_DAYS + 1):
        await nights.put(WORKERS, BEGIN + day * 86_400, night, {"margin": float(day)}, [])
    assert [shown.constants["margin"] for shown in await nights.shown(WORKERS, 99)] == [KEPT_DAYS + 1, 1]
    assert await nights.last("web", 30) == []
