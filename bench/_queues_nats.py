"""A worker in another process than the publisher: woken by NATS, and polling while NATS is away for a minute.

Times are from when a job is stored until it starts. Polling is once a second, as installed.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from bench._bars import Bars
from tests.engines import ENGINES, opened_shards
from tests.postgres import shared_cluster
from tests.queue_wakes import POLL_SECONDS, Pair, pair

AWAY_SECONDS = 60.0
WAKES = 100
WAKE_BOUND_MS = 50.0
_PAUSE_SECONDS = 0.05
_BACK_SECONDS = 10.0


async def measure(bars: Bars) -> None:
    """On each engine."""
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            async with (
                opened_shards(engine, folder / "data", shared_cluster()) as shards,
                pair(shards, folder) as both,
            ):
                await _measure(bars, engine, both)


async def _measure(bars: Bars, engine: str, both: Pair) -> None:
    await both.run_one()
    woken = await _run(both, bars.size(WAKES, 10))
    bars.most(f"{engine}: woken, median", statistics.median(woken) * 1000, WAKE_BOUND_MS, "ms")
    bars.show(f"{engine}: woken, the slowest of {len(woken)}", max(woken) * 1000, "ms")
    await both.nats.stop()
    until, away = time.monotonic() + AWAY_SECONDS * bars.share, []
    while time.monotonic() < until:
        away.append(await both.run_one())
    bars.most(f"{engine}: NATS away, the slowest of {len(away)} jobs", max(away), 2 * POLL_SECONDS, "s")
    bars.least(f"{engine}: wake-ups that the metrics say were dropped", both.connection.dropped, len(away))
    await both.nats.start()
    async with asyncio.timeout(_BACK_SECONDS):
        while not both.connection.connected:  # noqa: ASYNC110 - it comes back by itself
            await asyncio.sleep(_PAUSE_SECONDS)
    again = await _run(both, bars.size(WAKES, 10))
    bars.most(f"{engine}: woken again, median", statistics.median(again) * 1000, WAKE_BOUND_MS, "ms")


async def _run(both: Pair, count: int) -> list[float]:
    found = []
    for _ in range(count):
        found.append(await both.run_one())
        await asyncio.sleep(_PAUSE_SECONDS)
    return found
