"""One leader by lease: on both engines, whatever the clocks do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.database import Engine, Transaction
from atomic_guide.engines.data.queries import Query
from atomic_guide.operations.scaling.leader import LEASE_SECONDS, Deposed, Leader, look
from tests.engines import ENGINES, opened_database
from tests.postgres import Cluster
from tests.scaling_acts import TwoClocks

TOUCH = Query("touch", "A write that only the leader may make.", {None: "UPDATE scaling_leases SET beat = beat + 0"})


@pytest.fixture(params=ENGINES)
async def directory(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Engine]:
    async with opened_database(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


async def write_as(leader: Leader, directory: Engine) -> None:
    async def work(tx: Transaction) -> None:
        await leader.fence(tx)
        await tx.execute(TOUCH)

    await directory.write(work)


async def test_of_two_one_leads_and_its_token_is_the_newest(directory: Engine, clock: TwoClocks) -> None:
    one, two = Leader(directory, "one", clock), Leader(directory, "two", clock)
    assert await one.campaign()
    assert not await two.campaign()
    await write_as(one, directory)
    with pytest.raises(Deposed):
        await write_as(two, directory)
    lease = await look(directory)
    assert lease is not None
    assert (lease.owner, lease.token) == (one.owner, one.token)


async def test_of_many_that_begin_at_once_one_leads(directory: Engine, clock: TwoClocks) -> None:
    many = [Leader(directory, f"p{number}", clock) for number in range(8)]
    for _ in range(3):
        await asyncio.gather(*(one.campaign() for one in many))
        assert sum(one.leading for one in many) == 1


async def test_a_lease_that_stands_still_for_its_length_is_taken(directory: Engine, clock: TwoClocks) -> None:
    one, two = Leader(directory, "one", clock), Leader(directory, "two", clock)
    await one.campaign()
    await two.campaign()
    clock.advance(LEASE_SECONDS - 1)
    assert not await two.campaign()
    assert not one.leading, "it knows of its loss before anybody may take over"
    clock.advance(2)
    assert await two.campaign()
    assert two.token > one.token
    with pytest.raises(Deposed):
        await write_as(one, directory)
    assert not await one.campaign()


async def test_a_renewed_lease_is_never_taken(directory: Engine, clock: TwoClocks) -> None:
    one, two = Leader(directory, "one", clock), Leader(directory, "two", clock)
    await one.campaign()
    for _ in range(20):
        clock.advance(LEASE_SECONDS / 3)
        assert await one.campaign()
        assert not await two.campaign()


@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
async def test_a_time_of_day_that_jumps_changes_no_leader(directory: Engine, clock: TwoClocks, jump: float) -> None:
    one, two = Leader(directory, "one", clock), Leader(directory, "two", clock)
    await one.campaign()
    await two.campaign()
    clock.day += jump
    assert one.leading
    assert not await two.campaign()
    assert await one.campaign()
    clock.advance(LEASE_SECONDS + 1)
    assert not await two.campaign(), "the renewal was new to it"
    clock.advance(LEASE_SECONDS + 1)
    assert await two.campaign(), "a leader that is gone is followed, whatever the time of day is"


async def test_a_leader_that_steps_down_is_followed_at_once(directory: Engine, clock: TwoClocks) -> None:
    one, two = Leader(directory, "one", clock), Leader(directory, "two", clock)
    await one.campaign()
    await two.campaign()
    await one.step_down()
    assert not one.leading
    assert await two.campaign()
    await one.step_down()
    assert two.leading
    assert await two.campaign()


async def test_a_paused_leader_that_wakes_up_late_writes_nothing(directory: Engine, clock: TwoClocks) -> None:
    slow, steady = TwoClocks(), clock
    one, two = Leader(directory, "one", slow), Leader(directory, "two", steady)
    await one.campaign()
    await two.campaign()
    steady.advance(LEASE_SECONDS + 1)
    assert await two.campaign()
    # Its own clock stood still with it: it believes that it leads.
    assert one.leading
    with pytest.raises(Deposed):
        await write_as(one, directory)


async def test_a_lost_lead_cancels_what_goes_on(directory: Engine, clock: TwoClocks) -> None:
    one = Leader(directory, "one", clock, seconds=0.3)
    await one.campaign()
    cancelled = asyncio.Event()

    async def long() -> None:
        try:
            clock.advance(LEASE_SECONDS)
            await asyncio.sleep(0.01)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(Deposed):
        await asyncio.wait_for(one.while_leading(long(), 3600), 20)
    assert cancelled.is_set()


async def test_an_answer_that_was_lost_is_found_again(directory: Engine, clock: TwoClocks) -> None:
    one = Leader(directory, "one", clock)
    await one.campaign()
    one.token = 0
    assert await one.campaign()
    assert one.token > 0
