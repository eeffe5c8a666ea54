"""A live session's job under a backlog of 10,000, and the wait of the lowest class under a stream of better ones.

Jobs take 20 ms and one process runs four at a time. The live job must be among the next to start. The bound on the
lowest class is `ageing_seconds`, here two seconds in place of four hours, with a stream that takes all the capacity:
what comes within the bound overtakes it and is run first. With more than can be run, everything waits longer.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench._bars import Bars
from tests.engines import ENGINES, opened_shards
from tests.postgres import shared_cluster
from tests.queue_order import AGEING_SECONDS, CONCURRENCY, lowest_wait, place_of_live

BACKLOG = 10_000


async def measure(bars: Bars) -> None:
    """On each engine."""
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as name:
            async with opened_shards(engine, Path(name), shared_cluster()) as shards:
                live = await place_of_live(shards, bars.size(BACKLOG, 500))
        bars.most(f"{engine}: jobs that start before the live one", live.before, 2 * CONCURRENCY)
        bars.show(f"{engine}: from its publishing to its start", live.seconds * 1000, "ms")
        with tempfile.TemporaryDirectory() as name:
            async with opened_shards(engine, Path(name), shared_cluster()) as shards:
                waited = await lowest_wait(shards)
        bars.most(f"{engine}: wait of the lowest class, bound {AGEING_SECONDS:g} s", waited, AGEING_SECONDS + 1.0, "s")
