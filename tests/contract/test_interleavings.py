"""Any interleaving of writes, reads with bookmarks, moves and crashes reads its own writes and never a row twice."""

import asyncio
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from tests.engines import installed
from tests.interleaving import COURSES, ROUTERS, SESSIONS, STEPS, Step, World, drawn, open_private
from tests.postgres import Cluster, fresh_cluster

KINDS = ["write", "post", "read", "read", "move", "resume", "burst"]
steps = st.lists(
    st.builds(
        Step,
        kind=st.sampled_from(KINDS),
        session=st.integers(0, SESSIONS - 1),
        router=st.integers(0, ROUTERS - 1),
        course=st.integers(0, len(COURSES) - 1),
        dies_at=st.none() | st.sampled_from(STEPS),
    ),
    min_size=3,
    max_size=14,
)


@pytest.mark.timeout(180)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps)
def test_on_files(steps: list[Step]) -> None:
    async def run(folder: Path) -> None:
        async def opened() -> Shards:
            shards = await open_embedded(installed(folder, 2), DataSettings(shards=2))
            shards.patience = 0.2
            return shards

        await World(opened).run(steps)

    with tempfile.TemporaryDirectory() as name:
        asyncio.run(run(Path(name)))


@pytest.fixture(scope="module")
def private() -> Iterator[Cluster]:
    with fresh_cluster((("eu",), ("eu",))) as cluster:
        yield cluster


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(4))
def test_on_servers_that_lag_and_die(private: Cluster, seed: int) -> None:
    async def run() -> None:
        async with open_private(private) as opened:
            chance = random.Random(seed)
            await World(opened, private.shards).run(drawn(chance, [*KINDS, "kill", "stall", "go"], 12))

    asyncio.run(run())
