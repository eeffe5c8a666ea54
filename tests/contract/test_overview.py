"""The last 24 hours at a glance, from real series, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from atomic_guide.clock import ManualClock, from_iso
from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.operations.scaling.foresight import Foreseen
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.marked import Mark, drop_mark, put_mark
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.overview import STEP, ComponentShown, Forecasts, LastDay, Overview, between
from atomic_guide.operations.scaling.series import Series
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

REMOVING = load_queries("atomic_guide.operations.demo")
MIDNIGHT = from_iso("2027-01-15T00:00:00Z")
DAY = 86_400
FULL = {"resource-utilization-high": 0.9, "latency-high": 2.0}


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def component(today: LastDay, name: str) -> ComponentShown:
    return next(one for one in today.components if one.name == name)


def answered(*seconds: float) -> Sample:
    made = Histogram()
    for one in seconds:
        made.add(one)
    return Sample(Key("web", "latency"), made.total, made.counts)


async def test_the_last_day_is_told_in_slots_and_what_was_not_measured_is_null(directory: Database) -> None:
    series, clock = Series(directory), ManualClock(MIDNIGHT + 3 * STEP + 60)
    overview = Overview(directory, clock)
    for at, value in ((10, 0.2), (40, 0.4), (2 * STEP + 5, 0.95), (3 * STEP + 50, 0.5)):
        await series.store(MIDNIGHT + at, [Sample(Key("web", "utilisation"), value)])
    await series.store(MIDNIGHT - DAY - 50, [Sample(Key("web", "utilisation"), 0.99)])
    await series.store(MIDNIGHT + 3 * STEP + 50, [answered(*[0.1] * 19, 3.0), Sample(Key("rooms", "sockets"), 40.0)])
    web = component(await overview.look(FULL), "web")
    assert len(web.figures[0].points) == DAY / STEP + 1
    assert set(web.figures[0].points[:-4]) == {None}
    assert web.figures[0].points[-4:] == [pytest.approx(0.3), None, pytest.approx(0.95), pytest.approx(0.5)]
    assert (web.figures[0].value, web.figures[0].limit) == (0.5, 0.9)
    assert set(web.figures[1].points[:-1]) == {None}
    assert 0.09 < (web.figures[1].value or 0) < 3.2
    assert web.state == "good"
    assert [(one.name, one.value) for one in web.facts] == [("processes", None), ("sockets", 40.0)]
    assert component(await overview.look(FULL), "workers").state == "unknown"


async def test_a_figure_is_of_the_part_that_is_worst_and_over_its_limit_the_component_is_too(
    directory: Database,
) -> None:
    series, clock = Series(directory), ManualClock(MIDNIGHT + 30)
    parts = {"0": 0.3, "1": 0.97}
    await series.store(
        MIDNIGHT + 20, [Sample(Key("database", "utilisation", part), value) for part, value in parts.items()]
    )
    database = component(await Overview(directory, clock).look(FULL), "database")
    assert database.figures[0].value == 0.97
    assert database.figures[0].points[-1] == 0.97
    assert database.state == "over"


async def test_slots_that_have_ended_are_remembered_and_those_of_another_day_are_left_out(directory: Database) -> None:
    series, clock = Series(directory), ManualClock(MIDNIGHT + STEP + 100)
    overview = Overview(directory, clock)
    key = Key("web", "utilisation")
    await series.store(MIDNIGHT + 10, [Sample(key, 0.2)])
    await overview.look(FULL)
    # What is settled is not read again; what comes later is.
    await series.store(MIDNIGHT + 20, [Sample(key, 0.8)])
    clock.advance(10)
    await series.store(MIDNIGHT + STEP + 105, [Sample(key, 0.6)])
    assert component(await overview.look(FULL), "web").figures[0].points[-2:] == [0.2, 0.6]
    clock.advance(DAY)
    await series.store(MIDNIGHT + DAY + STEP + 100, [Sample(key, 0.7)])
    today = await overview.look(FULL)
    assert today.since == "2027-01-15T00:05:00.000Z"
    points = component(today, "web").figures[0].points
    assert (points[0], points[-1]) == (0.6, 0.7)
    assert set(points[1:-1]) == {None}


async def test_a_past_that_comes_or_goes_with_demo_data_is_read_anew(directory: Database) -> None:
    series, clock = Series(directory), ManualClock(MIDNIGHT + 3 * STEP)
    overview = Overview(directory, clock)

    async def points() -> list[float | None]:
        clock.advance(10)
        return component(await overview.look(FULL), "web").figures[0].points[-4:]

    mark = Mark(clock.now(), MIDNIGHT - DAY, MIDNIGHT + 2 * STEP, "demo")
    assert await points() == [None] * 4
    await directory.write(lambda tx: put_mark(tx, mark))
    assert await points() == [None] * 4, "the history is not there yet"
    await series.store(MIDNIGHT + 10, [Sample(Key("web", "utilisation"), 0.5)])
    await directory.write(lambda tx: put_mark(tx, msgspec.structs.replace(mark, whole=True)))
    assert await points() == [0.5, None, None, None]
    await directory.write(
        lambda tx: tx.execute(REMOVING["drop_samples"], {"resolution": 15, "since": 0, "until": mark.until})
    )
    await directory.write(drop_mark)
    assert await points() == [None] * 4


async def test_what_is_forecast_stands_beside_what_came_as_a_share_of_what_was_ready(directory: Database) -> None:
    series, clock = Series(directory), ManualClock(MIDNIGHT + 1800)
    asked: list[tuple[str, float]] = []

    async def foresee(component: str, since: float, until: float, at: float) -> list[Foreseen]:
        asked.append((component, at))
        assert (since, until) == (MIDNIGHT + 1800 - DAY, MIDNIGHT + 1800 + 6 * 3600)
        return [Foreseen(MIDNIGHT + n * 3600, 2.0 + n, 4.0) for n in range(-1, 4)] if component == "web" else []

    overview = Overview(directory, clock, Forecasts(foresee, {"web": 1.0, "workers": 8.0}))
    for at, processes in ((10, 2.0), (1500, 4.0)):
        await series.store(MIDNIGHT + at, [Sample(Key("web", "processes"), processes)])
    today = await overview.look(FULL)
    web, workers = component(today, "web"), component(today, "workers")
    expected = web.figures[0].expected
    assert expected is not None
    assert today.until == "2027-01-15T06:30:00.000Z"
    at_midnight = len(web.figures[0].points) - 7
    # Half of the way from the hour before, over the two that were ready then.
    assert expected.p50[at_midnight - 1] is None, "nothing was ready"
    assert expected.p50[at_midnight] == pytest.approx((1.5 + 1 / 24) / 2, abs=1e-3)
    assert expected.p50[at_midnight + 18] == pytest.approx((3.0 + 1 / 24) / 4, abs=1e-3)
    assert expected.p95[at_midnight + 18] == 1.0
    assert expected.p50[-1] is None, "the forecast ends before"
    assert {figure.expected for figure in (*web.figures[1:], *workers.figures)} == {None}
    clock.advance(5)
    await overview.look(FULL)
    assert asked == [("web", MIDNIGHT + 1800), ("workers", MIDNIGHT + 1800)], "a forecast is asked for once a minute"


def test_between_hours_that_do_not_follow_nothing_is_made_up() -> None:
    hours = [Foreseen(0, 1.0, 2.0), Foreseen(7200, 3.0, 4.0)]
    assert between(hours, 1800) == Foreseen(0, 1.0, 2.0)
    assert between(hours, 3500) == Foreseen(0, 1.0, 2.0)
    assert between(hours, 5000) is None
    assert between(hours, 7300) == Foreseen(7200, 3.0, 4.0)
    assert between([], 0) is None
