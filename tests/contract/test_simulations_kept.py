"""Simulations as all processes of an installation know them: listed, found again, called off; on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from atomic_guide.clock import SystemClock, iso
from atomic_guide.engines.data.database import Engine
from atomic_guide.errors import Conflict, NotFound
from atomic_guide.operations.scaling.simulate import Terms
from atomic_guide.operations.scaling.simulator.asked import Asked, TraceAsked
from atomic_guide.operations.scaling.simulator.history import MOST, History
from atomic_guide.operations.scaling.simulator.runs import Simulator
from atomic_guide.operations.scaling.simulator.settings import SimulatorSettings
from atomic_guide.operations.scaling.simulator.telling import Simulation
from atomic_guide.operations.scaling.trace import Trace
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

QUICK = Asked(TraceAsked(csv="timestamp,value\n0,1\n60,2\n120,3\n"), ["hpa-60"], points=10)
LONG = Asked(TraceAsked(name="flash-crowd"), ["default", "hpa-60", "guide-schedule"], tick=1, wait=0)
"""Some seconds of work."""


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def process(directory: Engine) -> Simulator:
    async def record(fleet: str, days: float) -> Trace:
        raise AssertionError((fleet, days))

    async def usual() -> dict[str, Terms]:
        return {}

    return Simulator(SimulatorSettings(), SystemClock(), record, History(directory), usual)


async def test_what_came_out_is_found_by_another_process_and_what_runs_is_called_off_there(directory: Engine) -> None:
    here, there = process(directory), process(directory)
    try:
        done = await here.begin(QUICK, "Ada")
        assert (done.state, done.names, done.who) == ("done", ["hpa-60"], "Ada")
        begun = await here.begin(LONG, "Ada")
        assert (await there.find(begun.id, 0)).state == "running"
        ended = await there.cancel(begun.id, "Ben")
        assert (ended.state, ended.error) == ("cancelled", "it was called off by Ben")
        assert here.running == 0
        found = await there.find(done.id, 0)
        assert (found.trace, found.policies) == (done.trace, done.policies)
        for one in (here, there):
            runs = await one.last()
            assert [(run.id, run.state, run.policies) for run in runs] == [
                (begun.id, "cancelled", []),
                (done.id, "done", []),
            ]
            assert runs[1].demand is not None
            assert runs[1].demand.kind == "csv"
            with pytest.raises(Conflict, match="ended already"):
                await one.cancel(done.id, "Ben")
            with pytest.raises(NotFound):
                await one.cancel("none", "Ben")
    finally:
        await here.close()


async def test_the_last_ones_are_kept_and_one_whose_process_died_has_failed(directory: Engine) -> None:
    history, now = History(directory), SystemClock().now()
    first = Simulation(id="r0", state="running", progress=0.5, step="", started_at=iso(now), seconds=1.0)
    for number in range(MOST + 2):
        told = msgspec.structs.replace(first, id=f"r{number}", started_at=iso(now + number))
        await history.put(told, now - 1)
    runs = await process(directory).last()
    assert [run.id for run in runs] == [f"r{number}" for number in range(MOST + 1, 1, -1)]
    assert {(run.state, run.error) for run in runs} == {("failed", "its process has ended; run it again")}
