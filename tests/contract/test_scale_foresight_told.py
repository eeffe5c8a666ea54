"""What operators are told of the time ahead, on both engines: forecasts beside what came, trust, the schedule."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from atomic_guide.clock import from_iso
from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.errors import NotFound
from atomic_guide.operations.scaling.decide.memory import Memory
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.foresight import Foresight
from atomic_guide.operations.scaling.leader import QUERIES
from atomic_guide.operations.scaling.loop import MIND
from atomic_guide.operations.scaling.schedule import Schedule
from atomic_guide.operations.scaling.showing import stamp
from tests.contract.test_scale_foresight import DAY, HOUR, MONDAY, SETTINGS, entry, look, named, record
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

AT = MONDAY + 21 * DAY + 60


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


async def remember(directory: Database, outlook: Outlook) -> None:
    """As the leader leaves it for the next one."""
    memory = Memory()
    memory.state.outlooks["web"] = outlook
    memory.state.watch("web").trusted = True

    async def work(tx: Transaction) -> None:
        await tx.execute(
            QUERIES["save_memory"], {"name": MIND, "at": outlook.made_at, "value": memory.saved().decode()}
        )

    await directory.write(work)


async def test_before_two_weeks_it_says_how_much_is_still_missing(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 100)
    found = await Foresight(directory, SETTINGS).forecast("web", "demand", 7, MONDAY + 100 * HOUR)
    assert (found.hours, found.needed_hours) == (100, 336)
    assert "two weeks" in found.why
    assert (found.ahead, found.peaks, found.made_at) == ([], [], None)
    assert not found.trust.trusted
    assert [hour.p50 for hour in found.past] == [None] * len(found.past)
    assert sum(hour.measured is not None for hour in found.past) == 100


async def test_what_came_stands_beside_what_the_newest_forecast_before_it_had_said(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 23 * 24)
    first = await look(directory, AT)
    second = await look(directory, AT + 12 * HOUR)
    now = AT + 36 * HOUR
    await remember(directory, await look(directory, now))
    found = await Foresight(directory, SETTINGS).forecast("web", "demand", 7, now)
    assert found.why == ""
    hours = {from_iso(hour.timestamp): hour for hour in found.past}
    begin = MONDAY + 21 * DAY
    assert hours[begin - HOUR].p50 is None, "no forecast was kept that early"
    assert [hours[begin + n * HOUR].p50 for n in range(12)] == pytest.approx(first.p50[1:13])
    assert [hours[begin + n * HOUR].p95 for n in range(12, 20)] == pytest.approx(second.p95[1:9])
    assert hours[begin + 3 * HOUR].measured is not None
    assert max(hours) == now // HOUR * HOUR - HOUR, "only hours that have passed"
    assert found.trust.trusted
    assert found.trust.live_error is not None
    assert found.trust.mase is None, "a back-test needs four weeks"
    assert len(found.scores) == 2, "the day of both has passed"
    ahead = [from_iso(hour.timestamp) for hour in found.ahead]
    assert ahead[0] == now // HOUR * HOUR
    assert len(ahead) == 7 * 24 + 1 - int(now % HOUR == 0)
    assert all(hour.p95 >= hour.p50 for hour in found.ahead)
    assert len(found.peaks) >= 4
    lean = await Foresight(directory, SETTINGS).hours("web", begin - HOUR, now + 6 * HOUR, now)
    told = {hour.timestamp: (hour.p50, hour.p95) for hour in found.past if hour.p50 is not None}
    told |= {hour.timestamp: (hour.p50, hour.p95) for hour in found.ahead}
    assert [one.begins for one in lean] == [begin + n * HOUR for n in range(42 + 1)]
    assert [(one.p50, one.p95) for one in lean] == [told[stamp(one.begins)] for one in lean]


async def test_of_what_is_not_forecast_it_says_what_is(directory: Database) -> None:
    foresight = Foresight(directory, SETTINGS)
    for component, metric in (("shards", "demand"), ("web", "latency")):
        with pytest.raises(NotFound, match="demand of web and demand of workers"):
            await foresight.forecast(component, metric, 7, AT)


async def test_the_schedule_of_the_next_week_has_entries_quiet_hours_and_peaks(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 21 * 24)
    schedule = Schedule(directory)
    fair = await schedule.add(entry("", AT + DAY, AT + DAY + HOUR, kind="units", units=5, fleet="web", note="fair"))
    await schedule.add(entry("far", AT + 8 * DAY, AT + 9 * DAY))
    await schedule.add(entry("past", AT - 2 * DAY, AT - DAY))
    await remember(directory, await look(directory, AT))
    found = await Foresight(directory, SETTINGS).schedule(AT)
    assert [(one.id, one.units, one.note) for one in found.entries] == [(fair.id, 5, "fair")]
    assert from_iso(found.entries[0].begins_at) == AT + DAY
    assert 7 <= len(found.quiet) <= 8
    assert set(found.peaks) == {"web"}
    assert found.time_zone == "Europe/Berlin"
    assert all(way.setting or way.command.startswith("atomic-guide scale schedule ") for way in found.change)
    assert msgspec.json.encode(found)
