"""Wake-ups between processes; `bench/_queues_nats.py` keeps NATS away for a minute."""

import statistics
from pathlib import Path

import pytest

from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queue_wakes import POLL_SECONDS, pair


@pytest.mark.parametrize("engine", ENGINES)
async def test_nats_wakes_a_worker_and_polling_covers_its_loss(
    engine: str, tmp_path: Path, postgres_cluster: Cluster
) -> None:
    async with opened_shards(engine, tmp_path / "data", postgres_cluster) as shards, pair(shards, tmp_path) as both:
        await both.run_one()
        woken = [await both.run_one() for _ in range(9)]
        assert statistics.median(woken) < POLL_SECONDS / 4
        await both.nats.stop()
        away = [await both.run_one() for _ in range(3)]
        assert max(away) < 5 * POLL_SECONDS
        assert statistics.median(away) > statistics.median(woken)
        await both.nats.start()
        await both.run_one()
