"""The replicas of a CloudNativePG Cluster, and never fewer than its synchronous replication needs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.app.targets.apiserver import ApiUnavailable
from atomic_guide.errors import Invalid
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.kubernetes import ClusterSettings, DeploymentSettings
from tests.kubernetes_fleets import SHARD, World, world

FLEET = "replicas/shard-1"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        made.cluster.cluster(SHARD, 3)
        clusters = (ClusterSettings("shard-1", SHARD),)
        settings = msgspec.structs.replace(made.settings, workers=DeploymentSettings(), clusters=clusters)
        yield made._replace(settings=settings)
        assert made.cluster.problems == []


async def test_replicas_are_the_instances_beside_the_primary(here: World) -> None:
    here.cluster.cluster(SHARD, 4, ready=3)
    async with here.targets() as targets:
        assert await targets[FLEET].look() == Fleet(2, 1, 0, 4, 500.0)


async def test_one_more_replica_is_one_more_instance_through_the_scale(here: World) -> None:
    async with here.targets() as targets:
        await targets[FLEET].scale(3, "event-1")
        await targets[FLEET].scale(3, "event-1")
    assert here.cluster.count("clusters", SHARD) == 4
    assert [one.resource for one in here.cluster.writes()] == ["clusters/scale"]


@pytest.mark.parametrize(
    "spec",
    [
        {"postgresql": {"synchronous": {"method": "any", "number": 1}}},
        {"minSyncReplicas": 1, "maxSyncReplicas": 1},
        {"maxSyncReplicas": 1},
    ],
    ids=["synchronous", "minSyncReplicas", "maxSyncReplicas"],
)
async def test_what_synchronous_replication_needs_stays(here: World, spec: dict[str, Any]) -> None:
    here.cluster.cluster(SHARD, 3, **spec)
    async with here.targets() as targets:
        assert (await targets[FLEET].look()).least == 1
        with pytest.raises(Invalid, match="cannot go to 0 replicas: 1 are needed for its synchronous replication"):
            await targets[FLEET].scale(0, "event-1")
        await targets[FLEET].scale(1, "event-2")
    assert here.cluster.count("clusters", SHARD) == 2


async def test_without_synchronous_replication_the_primary_may_be_alone(here: World) -> None:
    async with here.targets() as targets:
        await targets[FLEET].scale(0, "event-1")
    assert here.cluster.count("clusters", SHARD) == 1


async def test_a_cluster_that_changes_its_primary_is_left_alone(here: World) -> None:
    async with here.targets(timeout_seconds=0.3, act_seconds=1.0) as targets:
        status = here.cluster.objects["clusters", SHARD]["status"]
        status["targetPrimary"] = f"{SHARD}-2"
        status["phase"] = "Failing over"
        with pytest.raises(ApiUnavailable, match=r"is changing its primary \(Failing over\)"):
            await targets[FLEET].look()
        with pytest.raises(ApiUnavailable, match="left alone"):
            await targets[FLEET].scale(1, "event-1")
    assert here.cluster.writes() == []
