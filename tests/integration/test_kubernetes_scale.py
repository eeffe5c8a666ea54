"""Replicas of a Deployment are set once, at the version that was read, whatever the API server answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.app.targets.apiserver import ApiUnavailable, Clash, NotAllowed
from atomic_guide.app.targets.kubernetes import STRANGERS
from atomic_guide.errors import ConfigurationError, Conflict, Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from tests.fakes.kubernetes import Failure, certify
from tests.kubernetes_fleets import WORKER, World, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made
        assert made.cluster.problems == []


async def test_one_act_is_one_patch_of_the_scale(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
        await targets["workers"].scale(7, "event-1")
    assert here.cluster.count("deployments", WORKER) == 7
    assert [one.resource for one in here.cluster.writes()] == ["deployments/scale"]


async def test_what_is_ready_and_what_starts(here: World) -> None:
    here.cluster.deployment(WORKER, 7, ready=4)
    async with here.targets() as targets:
        assert await targets["workers"].look() == Fleet(4, 3, 0, 20, 1.0)


@pytest.mark.parametrize(
    ("ready", "status"),
    [
        (6, {"replicas": 10, "updatedReplicas": 2, "unavailableReplicas": 4}),
        (10, {"replicas": 10, "updatedReplicas": 5}),
        (0, {"replicas": 8, "updatedReplicas": 0, "unavailableReplicas": 8, "observedGeneration": 0}),
    ],
    ids=["old pods are down", "new pods are extra", "all pods are replaced at once"],
)
async def test_a_rolling_update_is_no_missing_capacity(here: World, ready: int, status: dict[str, int]) -> None:
    here.cluster.deployment(WORKER, 8, ready, **status)
    async with here.targets() as targets:
        fleet = await targets["workers"].look()
    assert (fleet.ready, fleet.coming) == (min(ready, 8), 8)


async def test_pods_that_go_are_not_counted_as_ready(here: World) -> None:
    here.cluster.deployment(WORKER, 3, ready=8)
    async with here.targets() as targets:
        fleet = await targets["workers"].look()
    assert (fleet.ready, fleet.starting) == (3, 0)


async def test_a_version_that_changes_with_the_pods_is_read_again(here: World) -> None:
    left = [None] * 3

    async def pods_change() -> None:
        if left:
            left.pop()
            here.cluster.touch("deployments", WORKER)

    here.cluster.before_write = pods_change
    async with here.targets() as targets:
        await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 6
    assert len(here.cluster.writes()) == 4


async def test_it_gives_up_where_the_version_never_stands_still(here: World) -> None:
    async def pods_change() -> None:
        here.cluster.touch("deployments", WORKER)

    here.cluster.before_write = pods_change
    async with here.targets(act_seconds=1.0) as targets:
        with pytest.raises(Clash, match="has changed since it was read"):
            await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 4
    assert len(here.cluster.writes()) < 50


async def test_a_person_who_scales_at_the_same_moment_is_borne(here: World) -> None:
    once = [9]

    async def somebody() -> None:
        if once:
            here.cluster.set_count("deployments", WORKER, once.pop())

    here.cluster.before_write = somebody
    async with here.targets() as targets:
        await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 6


async def test_a_program_that_scales_it_too_is_named_and_left_alone(here: World) -> None:
    count = 10

    async def something() -> None:
        nonlocal count
        count += 1
        here.cluster.set_count("deployments", WORKER, count)

    here.cluster.before_write = something
    async with here.targets() as targets:
        with pytest.raises(Conflict, match=f"something else sets the replicas of Deployment {WORKER}"):
            await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 10 + len(here.cluster.writes())
    assert len(here.cluster.writes()) == STRANGERS + 1


async def test_an_act_whose_answer_was_lost_is_not_done_twice(here: World) -> None:
    here.cluster.failures["patch deployments/scale"] = [Failure(500, done=True)]
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
    assert len(here.cluster.writes()) == 1
    assert here.cluster.count("deployments", WORKER) == 7


async def test_a_new_leader_finishes_what_the_old_one_began(here: World) -> None:
    await here.wishes.make("workers", "event-1", 7, before=4)
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
    assert here.cluster.count("deployments", WORKER) == 7
    wish = await here.wishes.of("workers")
    assert wish is not None
    assert wish.done


async def test_a_new_leader_does_not_undo_what_a_person_did_since(here: World) -> None:
    await here.wishes.make("workers", "event-1", 7, before=4)
    here.cluster.set_count("deployments", WORKER, 12)
    async with here.targets() as targets:
        with pytest.raises(Conflict, match="12 now, 4 were found before and 7 asked for"):
            await targets["workers"].scale(7, "event-1")
    assert here.cluster.writes() == []


async def test_an_act_that_was_done_stays_done_whatever_became_of_it(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
    here.cluster.set_count("deployments", WORKER, 2)
    async with here.targets() as successor:
        await successor["workers"].scale(7, "event-1")
    assert here.cluster.count("deployments", WORKER) == 2


async def test_an_old_leader_that_wakes_up_in_the_middle_gives_way(here: World) -> None:
    async with here.targets() as old, here.targets() as new:
        asleep = True

        async def while_it_sleeps() -> None:
            nonlocal asleep
            if asleep:
                asleep = False
                await new["workers"].scale(9, "event-2")

        here.cluster.before_write = while_it_sleeps
        with pytest.raises(Conflict, match=r"a newer act on workers has begun; this one \(event-1\) is left"):
            await old["workers"].scale(5, "event-1")
    assert here.cluster.count("deployments", WORKER) == 9


async def test_an_act_that_was_taken_back_never_goes_forward_again(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
        await targets["workers"].scale(4, "event-1/back")
        await targets["workers"].scale(7, "event-1")
    assert here.cluster.count("deployments", WORKER) == 4
    assert len(here.cluster.writes()) == 2


async def test_two_at_once_under_one_key_are_one_act(here: World) -> None:
    async with here.targets() as one, here.targets() as other:
        await asyncio.gather(one["workers"].scale(9, "event-1"), other["workers"].scale(9, "event-1"))
    assert here.cluster.count("deployments", WORKER) == 9


async def test_a_busy_api_server_is_asked_again_when_it_says_so(here: World) -> None:
    here.cluster.failures["patch deployments/scale"] = [Failure(429, {"Retry-After": "1"}), Failure(503)]
    began = asyncio.get_running_loop().time()
    async with here.targets() as targets:
        await targets["workers"].scale(6, "event-1")
    assert asyncio.get_running_loop().time() - began >= 1.0
    assert here.cluster.count("deployments", WORKER) == 6


async def test_an_api_server_that_wants_more_time_than_there_is_gets_it(here: World) -> None:
    here.cluster.failures["patch deployments/scale"] = [Failure(429, {"Retry-After": "3600"})]
    async with here.targets() as targets:
        async with asyncio.timeout(20):
            with pytest.raises(ApiUnavailable, match="answered 429") as caught:
                await targets["workers"].scale(6, "event-1")
    assert caught.value.retry_after == 3600


async def test_an_api_server_that_hangs_costs_its_time_limit(here: World) -> None:
    here.cluster.failures["get deployments"] = [Failure(500, seconds=1.5)] * 10
    async with here.targets(timeout_seconds=0.2) as targets:
        async with asyncio.timeout(10):
            with pytest.raises(ApiUnavailable, match=r"did not get deployments.apps on .* within 0.2 s"):
                await targets["workers"].look()


async def test_a_token_that_is_replaced_is_read_again(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].look()
        here.cluster.rotate()
        assert (await targets["workers"].look()).ready == 4


async def test_a_token_that_is_not_taken_names_its_file(here: World) -> None:
    async with here.targets() as targets:
        here.cluster.rotate(mount=False)
        with pytest.raises(NotAllowed, match=r"does not take the token in .*/token"):
            await targets["workers"].look()


async def test_an_authority_that_is_replaced_is_read_again(here: World, tmp_path: Path) -> None:
    async with here.targets(timeout_seconds=3.0) as targets:
        await targets["workers"].look()
        good = (tmp_path / "mounted" / "ca.crt").read_bytes()
        other = tmp_path / "other"
        other.mkdir()
        certify(other)
        (other / "ca.crt").replace(tmp_path / "mounted" / "ca.crt")
        with pytest.raises(ApiUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await targets["workers"].look()
        (tmp_path / "mounted" / "ca.crt").write_bytes(good)
        assert (await targets["workers"].look()).ready == 4


def take_right(here: World, resource: str) -> None:
    here.cluster.rules = [rule for rule in here.cluster.rules if resource not in rule["resources"]]


async def test_a_right_that_is_taken_away_is_named(here: World) -> None:
    async with here.targets() as targets:
        take_right(here, "deployments/scale")
        with pytest.raises(Conflict, match=rf"may not patch deployments/scale.apps on {WORKER} .*rbac.yaml"):
            await targets["workers"].scale(6, "event-1")
    here.cluster.problems.clear()


async def test_a_deployment_that_is_not_there_refuses_the_start(here: World) -> None:
    del here.cluster.objects["deployments", WORKER]
    with pytest.raises(ConfigurationError, match=f"there is no Deployment {WORKER} in the namespace guide"):
        async with here.targets():
            pass


@pytest.mark.parametrize(
    ("resource", "right"),
    [
        ("deployments", f"get deployments.apps on {WORKER}"),
        ("deployments/scale", f"patch deployments/scale.apps on {WORKER}"),
        ("horizontalpodautoscalers", "list horizontalpodautoscalers.autoscaling"),
        ("scaledobjects", "list scaledobjects.keda.sh"),
    ],
)
async def test_a_missing_right_refuses_the_start(here: World, resource: str, right: str) -> None:
    take_right(here, resource)
    with pytest.raises(ConfigurationError, match=f"the service account may not {right} in the namespace guide"):
        async with here.targets():
            pass
    here.cluster.problems.clear()


@pytest.mark.parametrize("status", [400, 409], ids=["a webhook takes part in no rehearsal", "somebody was quicker"])
async def test_a_rehearsal_that_proves_nothing_does_not_stop_the_start(here: World, status: int) -> None:
    here.cluster.failures["rehearse deployments/scale"] = [Failure(status)]
    async with here.targets() as targets:
        await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 6


@pytest.mark.parametrize("name", ["token", "namespace", "ca.crt"])
async def test_what_is_not_mounted_refuses_the_start(here: World, name: str) -> None:
    missing = Path(here.settings.token_file).with_name(name)
    missing.unlink()
    with pytest.raises(ConfigurationError, match=rf"setting kubernetes\.\w+: {missing} cannot be"):
        async with here.targets():
            pass


async def test_an_api_server_that_is_away_lets_the_server_start_and_nothing_be_changed(here: World) -> None:
    here.cluster.failures["list horizontalpodautoscalers"] = [Failure(503)] * 50
    async with here.targets(timeout_seconds=0.5, check_seconds=1.0) as targets:
        with pytest.raises(Conflict, match="nobody could yet look whether something else"):
            await targets["workers"].scale(6, "event-1")
        here.cluster.failures.clear()
        await asyncio.sleep(1.5)
        await targets["workers"].scale(6, "event-1")
    assert here.cluster.count("deployments", WORKER) == 6


@pytest.mark.parametrize("desired", [-1, 21])
async def test_a_number_out_of_the_bounds_is_refused(here: World, desired: int) -> None:
    async with here.targets() as targets:
        with pytest.raises(Invalid, match="out of the bounds of the fleet: from 0 to 20"):
            await targets["workers"].scale(desired, "event-1")
    assert here.cluster.writes() == []


async def test_what_the_api_server_refuses_for_good_is_not_tried_again(here: World) -> None:
    here.cluster.failures["patch deployments/scale"] = [Failure(422)]
    async with here.targets() as targets:
        with pytest.raises(Invalid, match="refuses to patch deployments/scale"):
            await targets["workers"].scale(6, "event-1")
    assert len(here.cluster.writes()) == 1


async def test_pods_that_cannot_be_made_are_told_once(here: World, capsys: pytest.CaptureFixture[str]) -> None:
    why = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: pods"}
    here.cluster.deployment(WORKER, 6, ready=4, conditions=[why])
    async with here.targets() as targets:
        for _ in range(3):
            fleet = await targets["workers"].look()
    assert (fleet.ready, fleet.starting) == (4, 2)
    assert capsys.readouterr().out.count("exceeded quota: pods") == 1


async def test_nothing_in_kubernetes_is_no_target(here: World) -> None:
    async with here.targets(workers=type(here.settings.workers)()) as targets:
        assert targets == {}
    assert here.cluster.asked == []
