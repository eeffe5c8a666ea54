"""Any interleaving of writes, bookmarked reads, moves and crashes, on files and on servers that lag and die."""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from bench._bars import Bars
from tests.interleaving import Step, World, drawn, open_private
from tests.postgres import fresh_cluster

KINDS = ["write", "post", "read", "read", "move", "resume", "burst"]
RUNS_ON_FILES, RUNS_ON_SERVERS, STEPS = 300, 60, 16


async def measure(bars: Bars) -> None:
    """Runs of random steps."""
    seed = int(time.time())
    bars.show("seed of the first run", str(seed))
    await on_files(bars, seed)
    await on_servers(bars, seed)


async def on_files(bars: Bars, seed: int) -> None:
    """Two SQLite shards."""
    counts: Counter[str] = Counter()
    for run in range(bars.size(RUNS_ON_FILES)):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)

            async def opened(folder: Path = folder) -> Shards:
                shards = await open_embedded(folder, DataSettings(shards=2))
                shards.patience = 0.2
                return shards

            counts += await counted(World(opened), drawn(random.Random(seed + run), KINDS, STEPS), seed + run)
    told(bars, "files", counts)


async def on_servers(bars: Bars, seed: int) -> None:
    """Two PostgreSQL shards, each with a replica."""
    counts: Counter[str] = Counter()
    with fresh_cluster((("eu",), ("eu",))) as cluster:
        for run in range(bars.size(RUNS_ON_SERVERS)):
            async with open_private(cluster) as opened:
                steps = drawn(random.Random(seed + run), [*KINDS, "kill", "stall", "go"], STEPS)
                counts += await counted(World(opened, cluster.shards), steps, seed + run)
    told(bars, "servers", counts)


async def counted(world: World, steps: list[Step], seed: int) -> Counter[str]:
    """What happened in one run; a broken promise is shown with the seed that shows it again."""
    try:
        await world.run(steps)
    except AssertionError as error:
        print(f"  seed {seed}: {error}")
        world.counts["broken"] += 1
    return world.counts


def told(bars: Bars, where: str, counts: Counter[str]) -> None:
    """What happened in the runs."""
    deaths = sum(times for kind, times in counts.items() if kind.startswith("died"))
    for kind in ("write", "post", "read", "move", "burst", "kill"):
        bars.show(f"{where}: {kind}", counts[kind])
    bars.show(f"{where}: movers that died", deaths)
    bars.most(f"{where}: promises broken", counts["broken"], 0)
