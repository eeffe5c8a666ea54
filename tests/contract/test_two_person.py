"""What takes two operators, on both engines: the first is noted, the second one has it done, and nobody is both."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.shards import Shards
from atomic_guide.operations.operators.approvals import Voter
from atomic_guide.operations.regions.controls import Controls as Regions
from atomic_guide.operations.regions.controls import Event
from atomic_guide.operations.scaling import audit, telling
from atomic_guide.operations.scaling.controls import Controls
from atomic_guide.regions.settings import RegionSettings, RegionsSettings
from tests.contract.test_cost_changes import saving
from tests.contract.test_scaling_acts import led, state
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.scaling_acts import Controller, RecordingTarget, TwoClocks, decision


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


def person(shards: Shards, name: str, needed: int = 2) -> Controls:
    return Controls(shards.directory, f"Name of {name}", Voter(name, needed))


async def waiting(shards: Shards) -> tuple[Controller, RecordingTarget]:
    clock, target = TwoClocks(), RecordingTarget()
    one = await led(Controller(shards.directory, clock, target, mode="approve"))
    await one.decide(decision(at=clock.now()))
    return one, target


async def test_the_second_operator_lets_a_decision_act(shards: Shards) -> None:
    one, target = await waiting(shards)
    for _ in range(2):
        first = await telling.tell(shards.directory, await person(shards, "ada").approve("d1"), 2)
        assert (first.approved, [vote.by for vote in first.approvals], first.needed) == (False, ["Name of ada"], 2)
    await one.loop.beat()
    assert target.calls == []
    second = await telling.tell(shards.directory, await person(shards, "ben").approve("d1"), 2)
    assert (second.approved, [vote.by for vote in second.approvals]) == (True, ["Name of ada", "Name of ben"])
    await one.loop.beat()
    await one.loop.beat()
    assert (await state(one)).event.state == "done"
    noted = [(entry.who, entry.what) for entry in await audit.entries(shards.directory)]
    assert noted.count(("Name of ada", "agreed")) == 2
    assert noted.count(("Name of ben", "approved")) == 1


async def test_one_operator_may_refuse_what_another_agreed_to(shards: Shards) -> None:
    one, target = await waiting(shards)
    await person(shards, "ada").approve("d1")
    await person(shards, "ben").refuse("d1", "not now")
    await one.loop.beat()
    assert (await state(one)).event.state == "refused"
    assert target.calls == []


async def test_two_at_the_same_moment_are_two(shards: Shards) -> None:
    await waiting(shards)
    await asyncio.gather(*(person(shards, name).approve("d1") for name in ("ada", "ben")))
    assert (await person(shards, "ada").approve("d1")).step == "approved"


async def test_without_the_setting_one_is_enough(shards: Shards) -> None:
    await waiting(shards)
    told = await telling.tell(shards.directory, await person(shards, "ada", 1).approve("d1"), 1)
    assert (told.approved, told.approvals, told.needed) == (True, [], 1)


async def test_a_change_of_cost_takes_two_as_well(shards: Shards) -> None:
    costs, _clock = await saving(shards)

    async def apply(name: str) -> tuple[bool, list[str]]:
        done = await costs.apply("web-fewest-1", name, approved=True, voter=Voter(name, 2))
        return done.applied, [vote.by for vote in done.approvals]

    assert await apply("ada") == (False, ["ada"])
    assert await apply("ada") == (False, ["ada"])
    assert await costs.changes() == []
    assert (await apply("ben"))[0]
    assert [change.who for change in await costs.changes()] == ["ben"]
    # Taken back, it takes two again.
    assert await costs.rollback("web-fewest-1", "ada")
    assert await apply("ben") == (False, ["ben"])


async def test_a_region_is_drained_once_two_have_asked_for_it(shards: Shards) -> None:
    settings = RegionsSettings(declared=(RegionSettings("eu-north", (59.3, 18.1)),))
    regions = Regions(shards.directory, settings)

    async def drain(name: str, needed: int = 2) -> bool | None:
        event = Event(time.time(), "eu-north", "drained", who=f"Name of {name}", why="new machines")
        return await regions.drain("eu-north", event, Voter(name, needed))

    assert [await drain("ada"), await drain("ada")] == [None, None]
    assert [vote.by for vote in (await regions.agreed(2))["eu-north"]] == ["Name of ada"]
    assert await regions.drains() == []
    assert await drain("ben") is True
    assert [one.who for one in await regions.drains()] == ["Name of ben"]
    assert await regions.agreed(2) == {}
    assert await regions.undrain("eu-north", Event(time.time(), "eu-north", "undrained"))
    assert await drain("ada") is None, "they have to agree anew"
    assert await drain("cyd", 1) is True
