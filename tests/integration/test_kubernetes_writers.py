"""One writer for each object: what else sets the replicas of a fleet is refused at start, and while running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.app.targets.writers import WANTED_PATH
from atomic_guide.errors import ConfigurationError, Conflict
from atomic_guide.operations.scaling.kubernetes import ClusterSettings, DeploymentSettings
from tests.fakes.kubernetes import documents
from tests.kubernetes_fleets import SHARD, WEB, WORKER, WORKERS_BY_KEDA, World, world

OWNER = {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "name": WORKER, "uid": "uid-1", "controller": True}


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made
        assert made.cluster.problems == []


def autoscaler(here: World, name: str = "by-cpu", target: str = WORKER, kind: str = "Deployment", **of: Any) -> None:
    reference = {"apiVersion": of.pop("group", "apps/v1"), "kind": kind, "name": target}
    spec = {"scaleTargetRef": reference, "maxReplicas": 9}
    here.cluster.put("horizontalpodautoscalers", name, spec, **of)


def scaled_object(here: World, change: Callable[[dict[str, Any]], object] = lambda _spec: None) -> None:
    """The ScaledObject that we ship, and the autoscaler that KEDA makes for it."""
    [shipped] = [one for one in documents("scaledobject.yaml") if one["kind"] == "ScaledObject"]
    spec = deepcopy(shipped["spec"])
    change(spec)
    here.cluster.put("scaledobjects", WORKER, spec)
    autoscaler(here, f"keda-hpa-{WORKER}", metadata={"ownerReferences": [OWNER]})


async def start(here: World, **changes: Any) -> None:
    async with here.targets(**changes):
        pass


async def test_an_autoscaler_of_the_same_deployment_refuses_the_start(here: World) -> None:
    autoscaler(here)
    with pytest.raises(
        ConfigurationError, match=f"{WORKER} .workers. is also scaled by the HorizontalPodAutoscaler by-c"
    ):
        await start(here)


async def test_a_scaled_object_of_the_same_deployment_refuses_the_start_and_says_what_to_set(here: World) -> None:
    here.cluster.put(
        "scaledobjects", "mine", {"scaleTargetRef": {"name": WORKER}, "triggers": [{"type": "cron", "metadata": {}}]}
    )
    with pytest.raises(ConfigurationError, match=r"ScaledObject mine: .*kubernetes.workers.writer = keda"):
        await start(here)


async def test_an_autoscaler_of_a_cluster_refuses_the_start(here: World) -> None:
    here.cluster.cluster(SHARD, 3)
    autoscaler(here, target=SHARD, kind="Cluster", group="postgresql.cnpg.io/v1")
    with pytest.raises(ConfigurationError, match=rf"Cluster {SHARD} \(replicas/shard-1\) is also scaled"):
        await start(here, clusters=(ClusterSettings("shard-1", SHARD),))


async def test_autoscalers_of_others_are_none_of_our_business(here: World) -> None:
    autoscaler(here, "other", target="other")
    autoscaler(here, "same-name", target=WORKER, kind="StatefulSet")
    autoscaler(here, "same-kind", target=WORKER, group="apps.example.org/v1")
    await start(here)


async def test_a_cluster_without_keda_is_no_trouble(here: World) -> None:
    here.cluster.absent = {"scaledobjects"}
    await start(here)


async def test_every_page_of_a_long_list_is_read(here: World) -> None:
    here.cluster.page = 2
    for number in range(6):
        autoscaler(here, f"a-{number}", target=f"other-{number}")
    autoscaler(here, "z-last")
    with pytest.raises(ConfigurationError, match="z-last"):
        await start(here)


async def test_each_fleet_is_told_of(here: World) -> None:
    here.cluster.deployment(WEB, 2)
    autoscaler(here, "one")
    autoscaler(here, "two", target=WEB)
    with pytest.raises(ConfigurationError, match=r"two.*; .*one"):
        await start(here, web=DeploymentSettings(WEB))


async def test_the_scaled_object_that_we_ship_is_right(here: World) -> None:
    scaled_object(here)
    await start(here, workers=WORKERS_BY_KEDA)


async def test_keda_that_does_not_scale_the_deployment_refuses_the_start(here: World) -> None:
    with pytest.raises(ConfigurationError, match="needs exactly one ScaledObject in its namespace, there is none"):
        await start(here, workers=WORKERS_BY_KEDA)


async def test_an_autoscaler_beside_that_of_keda_refuses_the_start(here: World) -> None:
    scaled_object(here)
    autoscaler(here)
    with pytest.raises(ConfigurationError, match="also scaled by the HorizontalPodAutoscaler by-cpu"):
        await start(here, workers=WORKERS_BY_KEDA)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda spec: spec["triggers"].append({"type": "cpu", "metadata": {"value": "60"}}), "must have one trigger"),
        (lambda spec: spec["triggers"][0].update(type="prometheus"), f"must read {WANTED_PATH}workers"),
        (lambda spec: spec["triggers"][0]["metadata"].update(url=f"http://x{WANTED_PATH}web"), f"{WANTED_PATH}workers"),
        (lambda spec: spec["triggers"][0]["metadata"].update(targetValue="2"), "targetValue must be '1'"),
        (lambda spec: spec["triggers"][0]["metadata"].pop("valueLocation"), "valueLocation must be 'value'"),
        (lambda spec: spec["triggers"][0].update(metricType="Value"), "metricType must be AverageValue"),
        (lambda spec: spec.update(minReplicaCount=3), "keeps 3 to 20 replicas, the fleet has 0 to 20"),
        (lambda spec: spec.update(maxReplicaCount=5), "must not be narrower than scaling.workers.min and .max"),
    ],
)
async def test_a_scaled_object_that_does_not_let_our_number_through_refuses_the_start(
    here: World, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    scaled_object(here, change)
    with pytest.raises(ConfigurationError, match=said):
        await start(here, workers=WORKERS_BY_KEDA)


async def test_an_autoscaler_that_comes_later_stops_us_until_it_is_gone(here: World) -> None:
    async with here.targets(check_seconds=1.0) as targets:
        await targets["workers"].scale(5, "event-1")
        autoscaler(here)
        await asyncio.sleep(1.5)
        with pytest.raises(Conflict, match="also scaled by the HorizontalPodAutoscaler by-cpu"):
            await targets["workers"].scale(6, "event-2")
        assert (await targets["workers"].look()).ready == 4
        del here.cluster.objects["horizontalpodautoscalers", "by-cpu"]
        await asyncio.sleep(1.5)
        await targets["workers"].scale(6, "event-3")
    assert here.cluster.count("deployments", WORKER) == 6
