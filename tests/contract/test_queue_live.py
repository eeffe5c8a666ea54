"""A live session's job under a backlog, and the bound on the lowest class; `bench/_queues_live.py` does more of it."""

from pathlib import Path

import pytest

from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queue_order import AGEING_SECONDS, CONCURRENCY, lowest_wait, place_of_live


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_live_job_is_among_the_next_to_start(engine: str, tmp_path: Path, postgres_cluster: Cluster) -> None:
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        live = await place_of_live(shards, 1000)
    # While it is published and claimed, others start: as many as slots come free meanwhile.
    assert live.before <= 6 * CONCURRENCY
    assert live.seconds < 2


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_lowest_class_waits_no_longer_than_its_bound(
    engine: str, tmp_path: Path, postgres_cluster: Cluster
) -> None:
    async with opened_shards(engine, tmp_path, postgres_cluster) as shards:
        waited = await lowest_wait(shards)
    # It is overtaken by what comes less than the bound after it, which then has to be run.
    assert waited < 3 * AGEING_SECONDS
