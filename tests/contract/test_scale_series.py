"""The record of what was measured, on both engines."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atomic_guide.engines.data.database import Database
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.histogram import Histogram
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import LEVELS, Series, Slots, level_of
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster

BEGIN = 1_800_000_000.0
DEMAND, LATENCY = Key("workers", "demand"), Key("web", "latency")
DAY = 86_400
KEPT = parse_queries(
    "-- name: n\n-- purpose: p\nSELECT resolution, count(*) AS rows FROM scaling_samples GROUP BY resolution", "here"
)["n"]


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


def durations(*values: float) -> Sample:
    made = Histogram()
    for value in values:
        made.add(value)
    return Sample(LATENCY, made.total, made.counts)


async def test_what_was_stored_is_read_and_what_was_not_measured_is_no_number(directory: Database) -> None:
    series = Series(directory)
    for tick in (0, 1, 3):
        await series.store(BEGIN + 15 * tick + 7, [Sample(DEMAND, tick + 0.5), Sample(Key("web", "demand"), 9.0)])
    times, values, most, step = await Series(directory).read(DEMAND, BEGIN, BEGIN + 75)
    assert step == 15
    assert times.tolist() == [BEGIN + 15 * slot for slot in range(5)]
    assert values[[0, 1, 3]].tolist() == most[[0, 1, 3]].tolist() == [0.5, 1.5, 3.5]
    assert np.isnan(values[[2, 4]]).all()
    joined = await series.read(DEMAND, BEGIN, BEGIN + 60, 60)
    assert joined.values.tolist() == [pytest.approx((0.5 + 1.5 + 3.5) / 3)]
    assert joined.most.tolist() == [3.5]
    assert await series.keys() == [Key("web", "demand"), DEMAND]
    assert await series.latest(DEMAND, BEGIN + 60) == 3.5
    assert await series.latest(DEMAND, BEGIN + 200) is None
    assert await series.latest(Key("web", "nothing"), BEGIN) is None
    assert np.isnan((await series.read(Key("web", "nothing"), BEGIN, BEGIN + 60)).values).all()
    assert await series.mean(DEMAND, BEGIN + 15, BEGIN + 60) == pytest.approx(2.5)
    assert await series.mean(DEMAND, BEGIN + 60, BEGIN + 90) is None


async def test_two_samples_of_one_slot_are_joined(directory: Database) -> None:
    series = Series(directory)
    await series.store(BEGIN + 1, [Sample(DEMAND, 2.0), durations(0.1, 0.2)])
    await series.store(BEGIN + 14, [Sample(DEMAND, 4.0), durations(3.0)])
    assert (await series.read(DEMAND, BEGIN, BEGIN + 15)).values.tolist() == [3.0]
    found = await series.histogram(LATENCY, BEGIN, BEGIN + 15)
    assert found.count == 3
    assert found.mean == pytest.approx(1.1)
    assert await series.quantile(LATENCY, 0.5, BEGIN, BEGIN + 15) == pytest.approx(0.2, rel=0.05)
    assert await series.quantile(LATENCY, 0.5, BEGIN + 15, BEGIN + 30) is None


async def test_nothing_is_stored_for_durations_of_which_there_were_none(directory: Database) -> None:
    series = Series(directory)
    await series.store(BEGIN, [Sample(LATENCY, 0.0, {})])
    assert np.isnan((await series.read(LATENCY, BEGIN, BEGIN + 15)).values).all()


async def test_two_processes_number_the_same_new_series_alike(directory: Database) -> None:
    first, second = Series(directory), Series(directory)
    await asyncio.gather(first.store(BEGIN, [Sample(DEMAND, 1.0)]), second.store(BEGIN + 15, [Sample(DEMAND, 2.0)]))
    assert (await first.read(DEMAND, BEGIN, BEGIN + 30)).values.tolist() == [1.0, 2.0]


async def test_thinning_keeps_sums_counts_extremes_and_durations(directory: Database) -> None:
    series, now = Series(directory), BEGIN + 500 * DAY
    ages = [1, 3, 10, 13, 16, 100, 119, 130, 390]
    for age in ages:
        for tick in range(8):
            samples = [Sample(DEMAND, float(age + tick)), durations(0.01 * (tick + 1), 1.0)]
            await series.store(now - age * DAY + 15 * tick, samples)
    begin, end = now - 400 * DAY, now
    whole = await series.histogram(LATENCY, begin, end)
    mean = await series.mean(DEMAND, begin, end)
    assert await series.thin(now, batches=2) > 0
    assert await series.histogram(LATENCY, begin, end) == whole
    while await asyncio.wait_for(series.thin(now), 30):
        pass
    assert (await series.histogram(LATENCY, begin, end)).counts == whole.counts
    assert (await series.histogram(LATENCY, begin, end)).total == pytest.approx(whole.total)
    assert await series.mean(DEMAND, begin, end) == pytest.approx(mean)
    by_hour = await series.read(DEMAND, begin, end, 3600)
    assert np.nansum(by_hour.values) == pytest.approx(sum(age + 3.5 for age in ages))
    assert np.nanmax(by_hour.most) == 397
    kept = await directory.read(KEPT, {})
    assert {row["resolution"]: row["rows"] for row in kept} == {15: 16, 60: 12, 900: 6, 3600: 4}
    fine = await series.read(DEMAND, now - 100 * DAY, now - 100 * DAY + 900, 15)
    assert fine.values.tolist() == [103.5] * 60
    assert await series.thin(now + 30 * DAY) > 0
    assert np.isnan((await series.read(DEMAND, now - 391 * DAY, now - 389 * DAY)).values).all()


async def test_two_that_thin_at_the_same_time_join_each_row_once(directory: Database) -> None:
    first, second, now = Series(directory), Series(directory), BEGIN + 10 * DAY
    for tick in range(40):
        await first.store(BEGIN + 15 * tick, [durations(0.1)])
    done = await asyncio.gather(first.thin(now), second.thin(now))
    assert sum(done) == 40
    assert (await first.histogram(LATENCY, BEGIN, now)).count == 40


async def test_an_answer_is_bounded(directory: Database) -> None:
    with pytest.raises(Invalid, match="coarser resolution"):
        await Series(directory).read(DEMAND, BEGIN, BEGIN + 400 * DAY, 15)
    assert len((await Series(directory).read(DEMAND, BEGIN, BEGIN + 400 * DAY)).values) == 400 * 24


def test_the_finest_level_that_reaches_back_is_chosen() -> None:
    assert [level_of(days * DAY).resolution for days in (0.1, 2, 3, 14, 15, 120, 121, 400, 500)] == [
        15, 15, 60, 60, 900, 900, 3600, 3600, 3600,
    ]  # fmt: skip
    assert all(coarse.resolution % fine.resolution == 0 for fine, coarse in pairwise(LEVELS))


async def test_a_past_that_is_filled_in_reads_as_one_that_was_measured(directory: Database) -> None:
    series = Series(directory)
    await series.store(BEGIN, [Sample(DEMAND, 9.0)])
    begins = np.array([BEGIN - 1800, BEGIN - 900])
    gauges = Slots(begins, np.full(2, 60.0), np.array([60.0, 180.0]), np.array([0.5, 2.0]), np.array([2.0, 4.0]))
    spread = durations(0.1, 0.1, 3.0)
    counts = spread.histogram or {}
    times = Slots(begins[:1], np.array([3.0]), np.array([spread.value]), np.array([0.1]), np.array([3.0]), [counts])
    for _ in range(2):
        # Again is harmless: rows take the place of those of the same slot.
        await series.fill(900, {DEMAND: gauges, LATENCY: times})
    read = await Series(directory).read(DEMAND, BEGIN - 1800, BEGIN + 900, 900)
    assert read.values.tolist() == [1.0, 3.0, 9.0]
    assert read.most.tolist() == [2.0, 4.0, 9.0]
    fine = await series.read(DEMAND, BEGIN - 900, BEGIN - 870, 15)
    assert fine.values.tolist() == [3.0, 3.0], "a coarser row holds for all its slots"
    assert await series.quantile(LATENCY, 0.5, BEGIN - 1800, BEGIN) == pytest.approx(0.1, rel=0.05)
