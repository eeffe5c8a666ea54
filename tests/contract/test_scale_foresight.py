"""The schedule and the look at the time ahead, on both engines."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest

from atomic_guide.engines.data.database import Database, Transaction
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.operations.scaling.decide.outlook import Outlook
from atomic_guide.operations.scaling.hours import local_hours
from atomic_guide.operations.scaling.ics import Occurrence
from atomic_guide.operations.scaling.lookahead import Lookahead
from atomic_guide.operations.scaling.schedule import Schedule, ScheduleEntry, entries_of, spans_of
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import ScalingSettings
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

HOUR, DAY = 3600.0, 86400.0
MONDAY = datetime(2026, 3, 2, tzinfo=UTC).timestamp()
BERLIN = ZoneInfo("Europe/Berlin")
SETTINGS = ScalingSettings(time_zone="Europe/Berlin")
PUT = parse_queries(
    "-- name: put\n-- purpose: p\nINSERT INTO scaling_samples (resolution, series, at, count, sum, least, most) "
    "VALUES (3600, :series, :at, 1, :value, :value, :value)\n\n"
    "-- name: name\n-- purpose: p\nINSERT INTO scaling_series (id, component, metric, part) "
    "VALUES (1, 'web', 'demand', '')\n\n"
    "-- name: scores\n-- purpose: p\nSELECT score FROM scaling_forecasts ORDER BY made_at",
    "here",
)


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def entry(name: str, begins: float = MONDAY, ends: float = MONDAY + DAY, **more: object) -> ScheduleEntry:
    plain = {"id": name, "fleet": "", "kind": "holiday", "begins_at": begins, "ends_at": ends}
    return msgspec.convert(plain | more, ScheduleEntry)


async def record(directory: Database, begin: float, hours: int) -> None:
    """Lectures from eight to six, by the clock of Berlin, with a little chance."""
    slots = local_hours(begin, hours, BERLIN)
    busy = (slots < 120) & (slots % 24 >= 8) & (slots % 24 < 18)
    values = np.where(busy, 1000.0, 100.0) * np.random.default_rng(3).lognormal(0, 0.1, hours)
    rows = [{"series": 1, "at": begin + HOUR * hour, "value": float(value)} for hour, value in enumerate(values)]

    async def work(tx: Transaction) -> None:
        for row in rows:
            await tx.execute(PUT["put"], row)

    await directory.write(work)


async def named(directory: Database) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(PUT["name"], {})

    await directory.write(work)


# --- the schedule


async def test_entries_are_added_listed_and_removed(directory: Database) -> None:
    schedule = Schedule(directory)
    later = await schedule.add(
        entry("", MONDAY + DAY, MONDAY + 2 * DAY, kind="units", units=5, fleet="web", note="fair")
    )
    first = await schedule.add(entry("a"))
    assert len(later.id) == 8
    assert await schedule.entries(MONDAY) == [first, later]
    assert await schedule.entries(MONDAY + DAY) == [later]
    assert await schedule.remove(later.id) == 1
    with pytest.raises(NotFound, match="no entry and no calendar"):
        await schedule.remove(later.id)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (entry("a", MONDAY, MONDAY), "ends after it begins"),
        (entry("a", kind="units"), "says how many"),
        (entry("a", kind="party"), "no kind party"),
        (entry("a", MONDAY, MONDAY + 500 * DAY), "at most 400 days"),
    ],
)
async def test_what_cannot_be_is_refused(directory: Database, bad: ScheduleEntry, says: str) -> None:
    with pytest.raises(Invalid, match=says):
        await Schedule(directory).add(bad)


async def test_a_calendar_that_is_imported_again_replaces_what_it_brought(directory: Database) -> None:
    schedule = Schedule(directory)
    own = await schedule.add(entry("own", MONDAY + 9 * DAY, MONDAY + 10 * DAY))

    def occurrence(day: int, words: str) -> Occurrence:
        return Occurrence(MONDAY + day * DAY, MONDAY + (day + 1) * DAY, words, words)

    found = [occurrence(1, "Easter Holiday"), occurrence(2, "Prüfungswoche"), occurrence(3, "Semesterferien"),
             occurrence(4, "Autumn term"), occurrence(5, "Dean's birthday")]  # fmt: skip
    entries, unknown = entries_of(found, "terms.ics", None)
    assert [one.kind for one in entries] == ["holiday", "exams", "break", "term"]
    assert unknown == 1
    await schedule.take("terms.ics", entries)
    await schedule.take("terms.ics", entries[:1])
    assert await schedule.entries(MONDAY) == [entries[0], own]
    assert [span.kind for span in spans_of(await schedule.entries(MONDAY))] == ["holiday", "holiday"]
    assert await schedule.remove("terms.ics") == 1
    assert await schedule.entries(MONDAY) == [own]


# --- the time ahead


async def look(directory: Database, at: float, fleet: str = "web") -> Outlook:
    return await Lookahead(directory, Series(directory), SETTINGS)(fleet, at)


async def test_before_two_weeks_there_is_no_forecast_but_the_schedule(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 100)
    await Schedule(directory).add(entry("fair", MONDAY + 5 * DAY, MONDAY + 6 * DAY, kind="units", units=5))
    await Schedule(directory).add(
        entry("elsewhere", MONDAY + 5 * DAY, MONDAY + 6 * DAY, kind="units", units=9, fleet="workers")
    )
    found = await look(directory, MONDAY + 100 * HOUR + 5)
    assert found.p50 == []
    assert "two weeks" in found.why
    assert [one.units for one in found.entries] == [5]
    assert (await look(directory, MONDAY, "replicas/s1")).why == "its demand is not measured in units"


async def test_peaks_and_quiet_hours_are_by_the_clock_of_the_place_over_a_change_of_time(directory: Database) -> None:
    """The clocks of Berlin change on 29 March 2026."""
    await named(directory)
    await record(directory, MONDAY, 25 * 24)
    found = await look(directory, MONDAY + 25 * DAY + 60)
    assert found.begins == MONDAY + 25 * DAY - HOUR
    begins = [datetime.fromtimestamp(peak.begins, BERLIN) for peak in found.peaks]
    assert {moment.weekday() for moment in begins} <= {0, 1, 2, 3, 4}
    assert {moment.hour for moment in begins} == {8}
    assert len(begins) >= 5
    quiet = [tuple(datetime.fromtimestamp(moment, BERLIN).hour for moment in span) for span in found.quiet]
    assert set(quiet) == {(23, 6)}
    lengths = {round((ends - begin) / HOUR) for begin, ends in found.quiet}
    assert lengths == {7, 6}
    assert found.usage["reliability"] is not None
    assert found.usage["reliability"] > 0.9
    assert found.confidence is None, "one week is no share"


async def test_a_holiday_of_the_schedule_has_no_peak(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 35 * 24)
    at = MONDAY + 35 * DAY
    friday = datetime(2026, 4, 10, tzinfo=BERLIN).timestamp()
    peaks = (await look(directory, at)).peaks
    await Schedule(directory).add(entry("good-friday", friday, friday + DAY))
    without = (await look(directory, at + 60)).peaks
    assert any(friday <= peak.begins < friday + DAY for peak in peaks)
    assert not any(friday <= peak.begins < friday + DAY for peak in without)


async def test_forecasts_are_kept_and_scored_with_what_came(directory: Database) -> None:
    await named(directory)
    await record(directory, MONDAY, 30 * 24)
    at = MONDAY + 21 * DAY + 60
    first = await look(directory, at)
    assert first.usage["live_error"] is None
    await look(directory, at + HOUR)
    later = await look(directory, at + 26 * HOUR)
    scores = [row["score"] for row in await directory.read(PUT["scores"])]
    assert len(scores) == 2, "one is kept each six hours"
    assert scores[1] is None
    assert msgspec.json.decode(scores[0])["error"] < 0.15
    again = await look(directory, at + 27 * HOUR)
    for found in (later, again):
        assert found.usage["live_coverage_95"] == msgspec.json.decode(scores[0])["coverage_95"]
