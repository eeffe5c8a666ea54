"""The ledger and the report of costs over recorded series, on both engines."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.errors import Invalid
from atomic_guide.operations.costs.assembly import Costs
from atomic_guide.operations.costs.days import Days
from atomic_guide.operations.costs.settings import CostSettings
from atomic_guide.operations.costs.terms import Terms, made_terms
from atomic_guide.operations.costs.usage import read_usage
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.settings import FleetSettings, ScalingSettings
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

BEGIN = dt.datetime(2026, 11, 2, tzinfo=dt.UTC).timestamp()
HOUR, DAY = 3600.0, 86_400.0
DROP = Query("drop", "All that was measured.", {None: "DELETE FROM scaling_samples"})


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def priced_terms(price: float = 1.0, currency: str = "EUR") -> Terms:
    scaling = ScalingSettings(web=FleetSettings(unit_price=price))
    return made_terms(scaling, CostSettings(currency=currency, region="campus"))


async def record(series: Series, at: float, units: float = 2.0) -> None:
    """A quarter of an hour of a small server: two tenants, two features."""
    values = {
        Key("costs", "units", "web"): units,
        Key("web", "work", "chat"): 0.3,
        Key("web", "work", "video"): 0.1,
        Key("costs", "tenant_work", "t1"): 0.1,
        Key("costs", "tenant_work", "others"): 0.3,
        Key("costs", "launches"): 0.01,
        Key("costs", "messages"): 0.1,
        Key("costs", "lecture_seconds"): 2.0,
        Key("costs", "database_bytes"): 1e6,
    }
    await series.store(at, [Sample(key, value) for key, value in values.items()])


async def recorded(shards: Shards, days: float, first: float = BEGIN) -> Series:
    series = Series(shards.directory)
    await record(series, first)
    await asyncio.gather(*(record(series, first + number * 900) for number in range(1, round(days * 96))))
    return series


async def test_days_are_closed_once_with_the_prices_of_then(shards: Shards) -> None:
    series = await recorded(shards, 2.5)
    now = BEGIN + 2.5 * DAY
    assert await Days(shards.directory, series, priced_terms()).close(now) == 2
    assert await Days(shards.directory, series, priced_terms()).close(now) == 0
    dearer = Days(shards.directory, series, priced_terms(price=3.0))
    first, second = await dearer.read(dt.date(2026, 11, 1))
    assert (first.day, first.total, first.hours) == ("2026-11-02", Decimal("48.000000"), Decimal(24))
    assert first.features == {"chat": Decimal(36), "video": Decimal(12)}
    assert first.tenants == {"t1": Decimal(12), "others": Decimal(36)}
    assert first.regions == {"campus": Decimal(48)}
    assert (first.counts.launches, first.counts.messages) == (864, 8640)
    assert first.counts.lecture_hours == Decimal(48)
    assert second.total == first.total
    today, _ = await dearer.today(now)
    assert (today.total, today.hours) == (Decimal(72), Decimal(12))


async def remove_record(tx: Transaction) -> None:
    await tx.execute(DROP)


async def test_days_whose_record_is_removed_while_they_are_read_are_not_closed(shards: Shards) -> None:
    class Removing(Series):
        """The record goes as soon as the last of it has been read."""

        async def read(self, *args: Any, **kwargs: Any) -> Any:
            found = await super().read(*args, **kwargs)
            await shards.directory.write(remove_record)
            return found

    await recorded(shards, 2.5)
    now = BEGIN + 2.5 * DAY
    assert await Days(shards.directory, Removing(shards.directory), priced_terms()).close(now) == 0
    assert await Days(shards.directory, Series(shards.directory), priced_terms()).read(dt.date(2026, 11, 1)) == []


async def test_days_before_the_first_measurement_hold_nothing_up(shards: Shards) -> None:
    series = await recorded(shards, 1.5)
    days = Days(shards.directory, series, priced_terms())
    assert await days.close(BEGIN + 1.5 * DAY) == 1
    # It was off for longer than a record is kept, and measures again.
    later = BEGIN + 500 * DAY
    await shards.directory.write(remove_record)
    await recorded(shards, 1.5, later)
    assert await days.close(later + 1.5 * DAY) == 1
    assert [day.day for day in await days.read(dt.date(2026, 11, 1))] == ["2028-03-16"]


async def test_of_few_nothing_is_said_for_each(shards: Shards) -> None:
    await record(Series(shards.directory), BEGIN)
    costs = Costs(shards, ManualClock(BEGIN + 900), priced_terms())
    units = (await costs.report(1)).unit_costs
    assert (units.launches, units.launch) == (9, None)
    assert units.messages == 90
    assert units.message is not None


async def test_what_was_not_measured_is_unknown_and_not_free(shards: Shards) -> None:
    series = await recorded(shards, 0.25)
    await record(series, BEGIN + DAY)
    now = BEGIN + 1.5 * DAY
    costs = Costs(shards, ManualClock(now), priced_terms())
    await costs.tend()
    report = await costs.report(2)
    assert [(day.total, day.hours) for day in report.days] == [
        (Decimal(12), Decimal(6)),
        (Decimal("0.50"), Decimal("0.25")),
    ]
    assert report.missing[0].startswith("29.8 h on 2 days were not measured")
    assert report.month.low is None


async def test_a_report_says_what_is_paid_for_what_and_what_the_month_comes_to(shards: Shards) -> None:
    await recorded(shards, 10.5)
    now = BEGIN + 10.5 * DAY
    costs = Costs(shards, ManualClock(now), priced_terms())
    await costs.tend()
    report = await costs.report(30)
    assert report.now is not None
    assert (report.now.hour, report.now.day) == (Decimal(2), Decimal(48))
    assert report.total == Decimal("504.00")
    assert sum(report.features.values()) == sum(report.tenants.values()) == Decimal(504)
    assert report.month.to_date == Decimal("504.00")
    # Half of the 12th and 18 more days of November at 48.
    assert report.month.expected == Decimal(504) + Decimal("18.5") * 48
    assert report.unit_costs.launch == (Decimal(504) / 9072).quantize(Decimal("0.000001"))
    assert report.unit_costs.message == (Decimal(504) * 3 / 4 / 90720).quantize(Decimal("0.000001"))
    assert report.unit_costs.lecture_hour == Decimal("0.250000")
    assert report.missing == ["without a price, and so not in here: database.storage"]
    # As JSON, and back: nothing is lost.
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
    with pytest.raises(Invalid, match="a report is over 1 to 400 days, not 0"):
        await costs.report(0)


async def test_days_in_another_currency_are_left_out_and_named(shards: Shards) -> None:
    series = await recorded(shards, 1.5)
    now = BEGIN + 1.5 * DAY
    await Days(shards.directory, series, priced_terms(currency="USD")).close(now)
    report = await Costs(shards, ManualClock(now), priced_terms()).report(30)
    assert report.total == Decimal("24.00")
    assert "days that were priced in USD are not in here" in report.missing


async def test_without_prices_a_report_says_how_to_get_some(shards: Shards) -> None:
    await recorded(shards, 0.1)
    costs = Costs(shards, ManualClock(BEGIN + HOUR), made_terms(ScalingSettings(), CostSettings()))
    report = await costs.report()
    assert "name a list with the setting costs.prices" in report.why
    assert (report.now, report.total) == (None, Decimal("0.00"))


async def test_a_price_list_that_is_old_is_said_to_be(shards: Shards) -> None:
    await recorded(shards, 0.1)
    terms = made_terms(ScalingSettings(), CostSettings(prices="own-hardware"))
    for days, said in ((30, False), (500, True)):
        now = dt.datetime(2026, 11, 1, tzinfo=dt.UTC).timestamp() + days * DAY
        report = await Costs(shards, ManualClock(now), terms).report(1)
        assert any("500 days old" in text for text in report.missing) == said


async def test_usage_is_a_mean_over_what_was_measured(shards: Shards) -> None:
    series = Series(shards.directory)
    await record(series, BEGIN, units=1.0)
    await record(series, BEGIN + 1800, units=3.0)
    usage = await read_usage(series, BEGIN, BEGIN + HOUR)
    assert (usage.hours, usage.span, usage.units) == (Decimal("0.50"), Decimal("1.00"), {"web": 2.0})
    assert (await read_usage(series, BEGIN + DAY, BEGIN + 2 * DAY)).hours == 0
