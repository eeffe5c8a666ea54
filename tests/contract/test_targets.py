"""What every target in Kubernetes does alike: a Deployment, a Cluster's replicas, and a Deployment that KEDA scales.

Each begins with two units that are ready.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

from atomic_guide.errors import Invalid, Unavailable
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.kubernetes import ClusterSettings, DeploymentSettings
from atomic_guide.operations.scaling.model import Target
from tests.fakes.kubernetes import Failure, documents
from tests.kubernetes_fleets import BOUNDS, SHARD, WORKER, WORKERS_BY_KEDA, WORKERS_BY_SCALE, World, world


class Subject(NamedTuple):
    """A target, and what is behind it."""

    kind: str
    here: World
    target: Target

    async def asked(self) -> int:
        """How many units the target has asked for."""
        wish = await self.here.wishes.of(self.target.fleet)
        if self.kind == "keda" and wish is not None:
            return wish.units
        if self.kind == "cluster":
            return self.here.cluster.count("clusters", SHARD) - 1
        return self.here.cluster.count("deployments", WORKER)

    async def come(self, ready: int) -> Fleet:
        """What was asked for is set, so many units of it are ready; how the target sees that."""
        if self.kind == "cluster":
            self.here.cluster.cluster(SHARD, await self.asked() + 1, ready + 1)
        else:
            self.here.cluster.deployment(WORKER, await self.asked(), ready)
        return await self.target.look()


@pytest.fixture(params=["deployment", "cluster", "keda"])
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    kind = str(request.param)
    async with world(tmp_path) as here:
        here.cluster.deployment(WORKER, 2)
        here.cluster.cluster(SHARD, 3)
        if kind == "keda":
            [shipped] = [one for one in documents("scaledobject.yaml") if one["kind"] == "ScaledObject"]
            here.cluster.put("scaledobjects", WORKER, shipped["spec"])
        settings = msgspec.structs.replace(
            here.settings,
            workers={"deployment": WORKERS_BY_SCALE, "keda": WORKERS_BY_KEDA}.get(kind, DeploymentSettings()),
            clusters=(ClusterSettings("shard-1", SHARD),) if kind == "cluster" else (),
        )
        async with here._replace(settings=settings).targets() as targets:
            [target] = targets.values()
            yield Subject(kind, here, target)
        assert here.cluster.problems == []


async def test_it_tells_what_is_ready_and_what_may_be(subject: Subject) -> None:
    bounds = BOUNDS[subject.target.fleet]
    assert await subject.target.look() == Fleet(2, 0, bounds.least, bounds.most, bounds.unit)


async def test_units_that_were_asked_for_start_and_become_ready(subject: Subject) -> None:
    await subject.target.scale(4, "one")
    fleet = await subject.target.look()
    assert (fleet.ready, fleet.starting) == (2, 2)
    fleet = await subject.come(3)
    assert (fleet.ready, fleet.starting) == (3, 1)
    fleet = await subject.come(4)
    assert (fleet.ready, fleet.starting) == (4, 0)


async def test_units_that_are_taken_away_are_gone_when_that_is_done(subject: Subject) -> None:
    await subject.target.scale(1, "one")
    fleet = await subject.come(1)
    assert (fleet.ready, fleet.starting) == (1, 0)


async def test_the_same_key_is_the_same_act(subject: Subject) -> None:
    await subject.target.scale(3, "one")
    await subject.target.scale(4, "two")
    await subject.come(4)
    await subject.target.scale(4, "two")
    assert await subject.asked() == 4


async def test_what_was_taken_back_does_not_go_forward(subject: Subject) -> None:
    await subject.target.scale(4, "one")
    await subject.target.scale(2, "one/back")
    await subject.target.scale(4, "one")
    assert await subject.asked() == 2


@pytest.mark.parametrize("desired", [-1, 1000])
async def test_a_number_out_of_the_bounds_changes_nothing(subject: Subject, desired: int) -> None:
    with pytest.raises(Invalid, match="out of the bounds of the fleet"):
        await subject.target.scale(desired, "one")
    assert await subject.asked() == 2


async def test_what_cannot_be_told_is_no_number(subject: Subject) -> None:
    resource = "clusters" if subject.kind == "cluster" else "deployments"
    subject.here.cluster.failures[f"get {resource}"] = [Failure(503, {"Retry-After": "60"})]
    with pytest.raises(Unavailable, match="answered 503"):
        await subject.target.look()
    assert (await subject.target.look()).ready == 2
