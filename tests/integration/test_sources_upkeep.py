"""The sources of what alerts look at beside the load: the cost of a day, acts and forecasts, the disk, backups."""

import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from atomic_guide.app.sources.backups import BackupsSource
from atomic_guide.app.sources.daily import DailyCost
from atomic_guide.app.sources.disk import DiskSource
from atomic_guide.app.sources.scaling import ScalingSource
from atomic_guide.course.keeping.settings import BackupSettings
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.watch import Slot
from atomic_guide.operations.scaling.leader import QUERIES
from atomic_guide.operations.scaling.loop import MIND
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from tests.engines import opened_database
from tests.postgres import Cluster

BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = datetime(2027, 1, 11, tzinfo=BERLIN).timestamp()
HOUR = 3600.0


@pytest.fixture
async def directory(tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Database]:
    async with opened_database("sqlite", tmp_path, postgres_cluster) as database:
        yield database


async def test_a_day_costs_what_its_hours_cost_and_begins_at_its_own_midnight(directory: Database) -> None:
    daily = DailyCost(Series(directory), BERLIN)
    assert await daily.add(MIDNIGHT - 15, 2.0) is None, "most of that day was not measured"
    found = [await daily.add(MIDNIGHT + 15 * tick, 2.0) for tick in range(1, 241)]
    assert found[-1] == pytest.approx(2.0)
    assert found[119] == pytest.approx(1.0)


async def test_a_process_that_begins_in_the_middle_of_a_day_reads_what_was_before(directory: Database) -> None:
    series = Series(directory)
    for tick in range(480):
        at = MIDNIGHT + 15 * tick + 7
        await series.store(
            at, [Sample(Key("costs", "hourly", "web"), 1.0), Sample(Key("costs", "hourly", "workers"), 2.0)]
        )
    daily = DailyCost(series, BERLIN)
    assert await daily.add(MIDNIGHT + 2 * HOUR + 7, 3.0) == pytest.approx(6.0, rel=0.01)


async def test_a_day_of_which_much_was_not_measured_has_no_cost(directory: Database) -> None:
    daily = DailyCost(Series(directory), BERLIN)
    for tick in range(1, 241):
        await daily.add(MIDNIGHT + 15 * tick, 2.0)
    assert await daily.add(MIDNIGHT + 2 * HOUR, 2.0) is None, "an hour is missing of two"
    late = [await daily.add(MIDNIGHT + 2 * HOUR + 15 * tick, 2.0) for tick in range(1, 2200)]
    assert late[-1] == pytest.approx(2 * (2 + 2199 * 15 / HOUR)), "what is missing counts as the rest"


async def test_acts_and_forecasts_are_told_of(directory: Database) -> None:
    source = ScalingSource(directory)
    at = MIDNIGHT + HOUR
    assert {sample.key.metric: sample.value for sample in await source.measure(at)} == {
        "leader": 1.0,
        "events_per_hour": 0.0,
    }, "no act has succeeded or failed"
    memory = Memory()
    right, wrong, unknown = (memory.state.watch(name) for name in ("web", "workers", "replicas/shard-0"))
    for watch in (right, wrong):
        watch.judged_at, watch.slots = at - 60, [Slot(at - 180)]
    right.trusted, right.why = True, ""
    wrong.why = "the last 45 min brought 9, over the 3 that was thought possible"
    assert not unknown.trusted

    async def work(tx: Transaction) -> None:
        await tx.execute(QUERIES["save_memory"], {"name": MIND, "at": at, "value": memory.saved().decode()})

    await directory.write(work)
    found = {sample.key.part: sample.value for sample in await source.measure(at)
             if sample.key.metric == "forecast_wrong"}  # fmt: skip
    assert found == {"web": 0.0, "workers": 1.0}
    stale = [sample for sample in await source.measure(at + 2 * HOUR) if sample.key.metric == "forecast_wrong"]
    assert stale == []


async def test_the_disk_is_measured_as_it_is_for_who_serves(tmp_path: Path) -> None:
    [sample] = await DiskSource(tmp_path).measure(0.0)
    usage = shutil.disk_usage(tmp_path)
    assert sample.value == pytest.approx(usage.used / (usage.used + usage.free), abs=0.01)
    # The limit of the disk says the same of it, so that two pages do not tell two figures.
    [limit] = DirectoryStore(tmp_path, AssetSettings(least_free_bytes=0)).used()
    assert limit.value / (limit.most or 0) == pytest.approx(sample.value, abs=0.001)


async def test_a_backup_is_overdue_by_its_schedule(tmp_path: Path) -> None:
    settings = BackupSettings(every_minutes=60)
    source = BackupsSource(settings, tmp_path)
    at = datetime(2027, 1, 11, 12, 0, tzinfo=UTC).timestamp()
    assert await source.measure(at) == [], "there is none yet"
    for name in ("20270111T090000Z-aaaaaa", "20270111T100000Z-bbbbbb", "20270111T110000Z-cccccc"):
        (tmp_path / "backups" / name).mkdir(parents=True)
    for name in ("20270111T090000Z-aaaaaa", "20270111T100000Z-bbbbbb"):
        (tmp_path / "backups" / name / "manifest.json").write_text("{}")
    [sample] = await source.measure(at)
    assert sample == Sample(Key("backups", "overdue"), 2.0), "one without a manifest is not whole"
    assert await BackupsSource(BackupSettings(), tmp_path).measure(at) == []
