"""Every directory keeps one wish for a fleet, under the key of the act that made it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.engines.data.database import Database
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.wishes import Wish, Wishes
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster


@pytest.fixture(params=ENGINES)
async def directory(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Database]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as database:
        yield database


@pytest.fixture
def wishes(directory: Database) -> Wishes:
    return Wishes(directory, ManualClock(1000.0))


async def test_a_fleet_has_none_at_first(wishes: Wishes) -> None:
    assert await wishes.of("web") is None


async def test_the_same_key_leaves_the_wish_as_it_is(wishes: Wishes) -> None:
    await wishes.make("web", "event-1", 5, before=3)
    await wishes.settle("web", "event-1")
    await wishes.make("web", "event-1", 9, before=5)
    assert await wishes.of("web") == Wish("event-1", 5, 3, True, 1000.0)  # noqa: FBT003 - a row


async def test_a_newer_act_takes_its_place_and_the_older_one_learns_of_it(wishes: Wishes) -> None:
    await wishes.make("web", "event-1", 5, before=3)
    assert await wishes.found("web", "event-1", 4)
    await wishes.make("web", "event-2", 7, before=4)
    assert not await wishes.found("web", "event-1", 4)
    await wishes.settle("web", "event-1")
    assert await wishes.of("web") == Wish("event-2", 7, 4, False, 1000.0)  # noqa: FBT003 - a row


async def test_an_act_that_was_taken_back_is_not_wished_again(wishes: Wishes) -> None:
    assert await wishes.make("web", "event-1", 5, before=3)
    assert await wishes.make("web", "event-1/back", 3, before=5)
    assert not await wishes.make("web", "event-1", 5, before=3)
    assert not await wishes.found("web", "event-1", 3)
    assert await wishes.make("web", "event-2", 5, before=3)


async def test_fleets_are_apart(wishes: Wishes) -> None:
    await wishes.make("web", "event-1", 5, before=3, done=True)
    await wishes.make("workers", "event-2", 8, before=8)
    web, workers = await wishes.of("web"), await wishes.of("workers")
    assert (web and web.units, workers and workers.units) == (5, 8)


async def test_the_newest_measurement_of_a_fleet_is_known(wishes: Wishes, directory: Database) -> None:
    assert await wishes.measured_at("web") is None
    series = Series(directory)
    for at in (3015.0, 3000.0):
        await series.store(at, [Sample(Key("web", "demand"), 2.0), Sample(Key("web", "demand", "one"), 2.0)])
    await series.store(4000.0, [Sample(Key("workers", "demand"), 2.0), Sample(Key("web", "in_flight"), 3.0)])
    assert await wishes.measured_at("web") == 3015.0
