"""Scaling's acts as Prometheus sees them: what is not known is absent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from atomic_guide.app.act_metrics import ActMetrics
from atomic_guide.operations.scaling.leader import LEASE_SECONDS
from atomic_guide.operations.scaling.model import Key, Seen
from tests.engines import opened_database
from tests.postgres import Cluster
from tests.scaling_acts import Controller, RecordingTarget, TwoClocks, decision, refusal


@pytest.fixture
def clock() -> TwoClocks:
    return TwoClocks()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def one(
    tmp_path: Path, postgres_cluster: Cluster, clock: TwoClocks, registry: CollectorRegistry
) -> AsyncIterator[Controller]:
    async with opened_database("sqlite", tmp_path, postgres_cluster) as directory:
        metrics = ActMetrics(registry, clock)
        targets = (RecordingTarget("workers"), RecordingTarget("web"))
        yield Controller(directory, clock, *targets, observers=[metrics])


def shown(registry: CollectorRegistry) -> dict[str, float]:
    lines = generate_latest(registry).decode().splitlines()
    found = {}
    for line in lines:
        name, _, value = line.rpartition(" ")
        if not line.startswith("#") and "_created" not in name:
            found[name.removeprefix("atomic_guide_scaling_")] = float(value)
    return found


async def test_without_acts_there_is_no_rate(one: Controller, registry: CollectorRegistry) -> None:
    assert shown(registry) == {"leader": 0.0}
    await one.leader.campaign()
    await one.decide()
    found = shown(registry)
    assert "success_rate" not in found
    assert 'resource_utilization{fleet="web"}' not in found
    assert found["events_per_hour"] == 0
    assert found['units{fleet="workers",state="ready"}'] == 1


async def test_decisions_events_and_troubles_are_shown(
    one: Controller, registry: CollectorRegistry, clock: TwoClocks
) -> None:
    await one.leader.campaign()
    target = one.targets["workers"]
    assert isinstance(target, RecordingTarget)
    target.refuses = refusal()
    one.sampler.make = lambda at: Seen(at, {Key("web", "utilisation"): 0.4}, {"database": "no answer"})
    await one.decide(decision(1, at=clock.now()))
    found = shown(registry)
    assert found['decisions_total{action="add_consumer",fleet="workers",mode="auto"}'] == 1
    assert found['events_total{fleet="workers",state="failed"}'] == 1
    assert found["success_rate"] == 0.0
    assert found["events_per_hour"] == 1
    assert found['resource_utilization{fleet="web"}'] == 0.4
    assert found['trouble{kind="source",subject="database"}'] == 1


async def test_what_is_old_or_of_a_lost_lead_is_absent(
    one: Controller, registry: CollectorRegistry, clock: TwoClocks
) -> None:
    await one.leader.campaign()
    await one.decide()
    assert "events_per_hour" in shown(registry)
    clock.advance(4 * LEASE_SECONDS + 1)
    assert "events_per_hour" not in shown(registry)
