"""Decisions carried out in Kubernetes by the leader of several controllers: once, whoever leads and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from atomic_guide.operations.scaling.leader import LEASE_SECONDS
from tests.fakes.kubernetes import Failure
from tests.kubernetes_fleets import WORKER, World, world
from tests.scaling_acts import SETTINGS, Controller, TwoClocks, decision

GROW = decision(1, 4, 7)


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made
        assert made.cluster.problems == []


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


@pytest.fixture
async def two(here: World, clock: TwoClocks) -> AsyncIterator[list[Controller]]:
    """Two controllers, of which the first leads."""
    async with AsyncExitStack() as stack:
        found = []
        for name in ("one", "two"):
            targets = await stack.enter_async_context(here.targets())
            found.append(Controller(here.directory, clock, *targets.values(), name=name))
        assert await found[0].leader.campaign()
        yield found


async def succeed(old: Controller, new: Controller, clock: TwoClocks) -> None:
    await new.leader.campaign()
    clock.advance(LEASE_SECONDS + 1)
    assert await new.leader.campaign()
    assert not old.leader.leading


async def state(controller: Controller) -> tuple[str, str]:
    event = (await controller.events.find("d1")).event
    return event.state, event.error


async def test_a_decision_is_done_when_the_pods_are_ready(here: World, two: list[Controller]) -> None:
    one = two[0]
    await one.decide(GROW)
    assert (await state(one))[0] == "acting"
    here.cluster.deployment(WORKER, 7, ready=5)
    await one.loop.beat()
    assert (await state(one))[0] == "acting"
    here.cluster.deployment(WORKER, 7, ready=7)
    await one.loop.beat()
    assert await state(one) == ("done", "")
    assert len(here.cluster.writes()) == 1


async def test_two_controllers_are_one_act(here: World, two: list[Controller]) -> None:
    for controller in two:
        controller.mind.next = [GROW]
    await asyncio.gather(*(controller.loop.tick() for controller in two))
    assert here.cluster.count("deployments", WORKER) == 7
    assert len(here.cluster.writes()) == 1


@pytest.mark.parametrize("done", [True, False], ids=["the replicas were set", "they were not"])
async def test_a_leader_that_dies_in_the_middle_is_followed_by_one_that_finishes(
    here: World, two: list[Controller], clock: TwoClocks, *, done: bool
) -> None:
    old, new = two
    here.cluster.failures["patch deployments/scale"] = [Failure(500, seconds=1.5, done=done)]
    acting = asyncio.create_task(old.decide(GROW))
    async with asyncio.timeout(10):
        while not here.cluster.writes():  # noqa: ASYNC110 - the fake has no event for it
            await asyncio.sleep(0.01)
    acting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await acting
    await succeed(old, new, clock)
    await new.loop.beat()
    here.cluster.touch("deployments", WORKER)
    assert here.cluster.count("deployments", WORKER) == 7
    here.cluster.objects["deployments", WORKER]["status"]["readyReplicas"] = 7
    await new.loop.beat()
    assert await state(new) == ("done", "")
    assert here.cluster.objects["deployments", WORKER]["metadata"]["generation"] == 2, "set once"


async def test_pods_that_never_come_are_taken_back_once(here: World, two: list[Controller], clock: TwoClocks) -> None:
    one = two[0]
    await one.decide(GROW)
    for _ in range(2 + int(SETTINGS.act_seconds // 20)):
        clock.advance(20)
        await one.leader.campaign()
        here.cluster.objects["deployments", WORKER]["status"]["readyReplicas"] = 4
        await one.loop.beat()
    assert await state(one) == ("rolled_back", "4 ready and 3 starting of 7 after 60 s")
    assert here.cluster.count("deployments", WORKER) == 4
    assert len(here.cluster.writes()) == 2


async def test_a_right_that_is_missing_is_the_reason_of_the_failure(here: World, two: list[Controller]) -> None:
    here.cluster.rules = [rule for rule in here.cluster.rules if "deployments/scale" not in rule["resources"]]
    await two[0].decide(GROW)
    kind, why = await state(two[0])
    assert kind == "failed"
    assert why.startswith(f"the target refused: the service account may not patch deployments/scale.apps on {WORKER}")
    here.cluster.problems.clear()


async def test_an_api_server_that_is_away_is_asked_again_under_the_same_key(here: World, two: list[Controller]) -> None:
    here.cluster.failures["patch deployments/scale"] = [Failure(429, {"Retry-After": "60"})]
    await two[0].decide(GROW)
    assert (await state(two[0]))[0] == "acting"
    await two[0].loop.beat()
    assert here.cluster.count("deployments", WORKER) == 7
    here.cluster.objects["deployments", WORKER]["status"]["readyReplicas"] = 7
    await two[0].loop.beat()
    assert await state(two[0]) == ("done", "")


async def test_somebody_who_sets_another_number_ends_the_act(here: World, two: list[Controller]) -> None:
    await two[0].decide(GROW)
    here.cluster.set_count("deployments", WORKER, 12)
    await two[0].loop.beat()
    kind, why = await state(two[0])
    assert kind == "failed"
    assert "somebody else has changed the fleet" in why
    assert here.cluster.count("deployments", WORKER) == 12
