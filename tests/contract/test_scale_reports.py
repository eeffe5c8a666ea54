"""The reports of processes, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Database
from atomic_guide.operations.scaling.once import Once
from atomic_guide.operations.scaling.reports import Report, Reports, Spread
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

BEGIN = 1_800_000_000.0


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def told(process: str, up: float, answers: int) -> Report:
    spread = Spread(0.1 * answers, {-24: answers})
    return Report(
        process, "web", "1", BEGIN + up, up, {"web.requests": answers}, {"web.ready": 1}, {"web.answers": spread}
    )


async def test_the_reports_of_all_processes_are_merged(directory: Database) -> None:
    writing, reading = Reports(directory), Reports(directory)
    await reading.look(BEGIN)
    for process, answers in (("a", 10), ("b", 20)):
        await writing.write(told(process, 15, answers))
    first = await reading.look(BEGIN + 15)
    assert first.histogram("web.answers").count == 30
    for process, answers in (("a", 10), ("b", 50)):
        await writing.write(told(process, 30, answers))
    shared = Once("the reports", reading.look)
    second = await shared.at(BEGIN + 30)
    assert await shared.at(BEGIN + 30) is second
    assert second.rate("web.requests") == pytest.approx(2)
    assert second.histogram("web.answers").counts == {-24: 30}
    await writing.remove("a")
    assert [report.process for report in (await reading.look(BEGIN + 31)).reports] == ["b"]


async def test_the_row_of_a_process_that_is_gone_is_pruned(directory: Database) -> None:
    reports = Reports(directory)
    await reports.write(told("a", 15, 1))
    assert (await reports.look(BEGIN + 15 + 60)).late == ("a",)
    assert (await reports.look(BEGIN + 15 + 121)).late == ()
    look = await Reports(directory).look(BEGIN + 15)
    assert (look.reports, look.late) == ((), ())
