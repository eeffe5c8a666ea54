"""Moves of buckets and courses, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.moves import Mover, Scope
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from tests.engines import ENGINES, opened_shards
from tests.moving import fill, other, rows_on, seqs
from tests.postgres import Cluster

KEY = CourseKey.of("t1", "algebra")


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def test_a_bucket_moves(shards: Shards) -> None:
    await fill(shards, KEY, 100)
    source, target = shards.place(KEY).shard, shards.named(other(shards, KEY))
    mover = Mover(shards, "one")
    move = await mover.start(Scope(DEFAULT_ZONE, KEY.bucket), target.name)
    steps: list[str] = []
    ended = await mover.carry_out(move.id, lambda progress: steps.append(progress.step))
    assert steps[-1] == "forget"
    assert (ended.state, ended.error, ended.rows) == ("done", None, 200)
    assert shards.place(KEY) == (target, 2)
    assert await seqs(shards, KEY) == list(range(1, 101))
    assert await rows_on(source, KEY) == 0
