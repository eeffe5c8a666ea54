"""A made-up history in the directory, on both engines: put down, taken away, and real rows left as they were."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.operations.demo import record
from atomic_guide.operations.demo.figures import Durations, Recorded
from atomic_guide.operations.scaling.events import Events, Reader
from atomic_guide.operations.scaling.judging import Judging
from atomic_guide.operations.scaling.leader import Leader
from atomic_guide.operations.scaling.loop import MIND, Standing
from atomic_guide.operations.scaling.marked import Mark, demo_mark, demo_present
from atomic_guide.operations.scaling.mind import Mind
from atomic_guide.operations.scaling.model import Decision, Event, Expected, Key, Sample
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import ScalingSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_units import UNITS

UNTIL = 1_800_000_000.0
BEGIN = UNTIL - 4 * 3600
MARK = Mark(UNTIL + 60, BEGIN, UNTIL, "t-demo")
DEMAND, LATENCY, WORK = Key("web", "demand"), Key("web", "latency"), Key("costs", "tenant_work", "t-demo")
LEFT = parse_queries(
    """
-- name: samples
-- purpose: Measurements.
SELECT at FROM scaling_samples
-- name: events
-- purpose: Decisions.
SELECT id FROM scaling_events
-- name: series
-- purpose: Series of a tenant.
SELECT id FROM scaling_series WHERE part = 't-demo'
""",
    "here",
)


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def history() -> tuple[np.ndarray[Any, np.dtype[np.float64]], Recorded]:
    """Four hours of demand that doubles in the middle, and answers that take 10 ms."""
    times = BEGIN + 15 * np.arange(4 * 240, dtype=np.float64)
    demand = np.where(times < UNTIL - 7200, 1.0, 2.0)
    gauges = {DEMAND: demand, WORK: demand}
    return times, Recorded(gauges, {LATENCY: Durations(np.full(len(times), 4.0), np.full(len(times), 0.01))})


def decision() -> Decision:
    expected = Expected("web", "demand", 2.5, 300.0)
    return Decision("web-1-2", UNTIL - 7200, "web", "add_process", 1, 2, "target-tracking", "high", "it is made up",
                    {"web.demand": 2.0}, (), expected)  # fmt: skip


async def put(directory: Database, series: Series) -> None:
    times, recorded = history()
    await record.put_series(series, times, recorded, UNTIL)
    clock = ManualClock(UNTIL)
    judging = Judging(Events(directory, Leader(directory, "demo", clock), clock), series, lambda _: 0.0, UNITS)
    event = Event(decision(), "done", "auto", UNTIL - 7200, UNTIL - 7110)
    assert await record.put_events(directory, judging, [event], UNTIL) == 1
    await record.hand_over(directory, MARK, Mind(ScalingSettings(), UNITS), Standing(UNTIL))


async def test_what_is_made_up_reads_as_measured_and_its_acts_are_judged(directory: Database) -> None:
    series = Series(directory)
    await put(directory, series)
    read = await series.read(DEMAND, BEGIN, UNTIL, 3600)
    assert read.values.tolist() == [1.0, 1.0, 2.0, 2.0]
    assert await series.quantile(LATENCY, 0.5, BEGIN, UNTIL) == pytest.approx(0.01, rel=0.06)
    (kept,) = await Reader(directory).select()
    assert kept.event.verdict is not None
    assert kept.event.verdict["outcome"] == "met"
    assert await demo_mark(directory) == MARK


async def test_who_leads_begins_anew_when_it_comes_and_when_it_goes(directory: Database) -> None:
    leader = Leader(directory, "a server")
    assert await leader.campaign()
    first = leader.token
    await put(directory, Series(directory))
    assert await leader.campaign()
    second = leader.token
    assert second > first, "what it knew is loaded again"
    await record.remove(directory, MARK)
    assert await leader.campaign()
    assert leader.token > second
    saved = await Reader(directory).recall(MIND)
    assert saved is not None
    mind = Mind(ScalingSettings(), UNITS)
    mind.load(saved.encode())
    assert not mind.memory.state.outlooks


async def test_what_is_removed_is_what_was_made_up(directory: Database) -> None:
    series = Series(directory)
    await put(directory, series)
    await series.store(UNTIL + 15, [Sample(DEMAND, 0.5)])
    assert await demo_present(directory)
    removed = await record.remove(directory, MARK)
    assert removed > 1000
    assert await record.remove(directory, MARK) == 0, "again is harmless"
    assert [row["at"] for row in await directory.read(LEFT["samples"])] == [UNTIL + 15]
    assert not await directory.read(LEFT["events"])
    assert not await directory.read(LEFT["series"])
