"""What is left of jobs whose processes are killed; `bench/_queues_chaos.py` does the same over 100,000."""

import random
from pathlib import Path

import pytest

from tests.chaos import chaos
from tests.chaos_server import EVENTS
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster


@pytest.mark.timeout(400)
@pytest.mark.parametrize("engine", ENGINES)
async def test_every_effect_is_there_once_whatever_is_killed(
    engine: str, tmp_path: Path, postgres_cluster: Cluster
) -> None:
    async with (
        opened_shards(engine, tmp_path / "data", postgres_cluster) as shards,
        chaos(shards, tmp_path, jobs=3000, batch=50, calls=400) as run,
    ):
        found = await run.run(kills=8, limit=180, dice=random.Random(engine))
    assert (found.missing, found.repeated, found.left) == (0, 0, {})
    assert (found.mails_missing, found.message_ids) == (0, 60)
    assert (found.poison_attempts, found.poison_effects) == (4, 1)
    assert found.events == 400 * EVENTS
    assert found.kills.total() == 8
    assert found.kills["serve"]
