"""A hit in memory: nanoseconds beside a bare get of cachebox and three libraries, in turns in one process.

Each holds the same thousand values with a lifetime of five minutes. The libraries are installed into an environment of
their own and imported from there. cashews and aiocache are asynchronous, so is our `get`; our quick way is not.
"""

from __future__ import annotations

import asyncio
import importlib
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import cachebox

from atomic_guide.clock import SystemClock
from atomic_guide.engines.cache.layered import Cache
from atomic_guide.engines.cache.settings import CacheSettings
from bench._bars import Bars
from bench._peers import Missing, environment

KEYS = [("bench", "tenant", f"course-{number}") for number in range(1000)]
ROUNDS = 9
CALLS = 200_000
BARE_MOST = 2.5
PEER_LEAST = 5.0
PEERS = ("cashews==7.6.0", "aiocache==0.12.3", "cachetools==8.0.2")

Round = Callable[[int], Awaitable[float]]
"""Reads so often; the seconds that took."""


async def measure(bars: Bars) -> None:
    """All in turn, nine rounds."""
    calls = bars.size(CALLS, 10_000)
    async with ours() as (hit, get):
        found: dict[str, Round] = {"cachebox, bare": bare(), "hit": hit, "get": get}
        found |= await peers(bars)
        taken: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(ROUNDS):
            for name, one in found.items():
                few = calls // 20 if name in {"cashews", "aiocache"} else calls
                taken[name].append(await one(few) / few * 1e9)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, median in medians.items():
        bars.show(f"a hit, {name}", median, f"ns  ({min(taken[name]):.0f} to {max(taken[name]):.0f})")
    bars.most("hit to a bare get of cachebox", medians["hit"] / medians["cachebox, bare"], BARE_MOST, "times")
    for name in ("cashews", "aiocache", "cachetools TTLCache"):
        if name in medians:
            bars.least(f"{name} to hit", medians[name] / medians["hit"], PEER_LEAST, "times")
            bars.show(f"{name} to get", medians[name] / medians["get"], "times")
        else:
            bars.least(f"{name} to hit", 0.0, PEER_LEAST, "times (it is missing)")


@asynccontextmanager
async def ours() -> AsyncIterator[tuple[Round, Round]]:
    """The quick way and the usual one."""
    cache = Cache(CacheSettings(), SystemClock())
    space = cache.space("bench", str)

    async def load() -> str:
        return "a value"

    for key in KEYS:
        for _ in range(2):
            await space.get(key, load)
    key = KEYS[500]

    async def hit(calls: int) -> float:
        ask, began = space.hit, time.perf_counter()
        for _ in range(calls):
            ask(key)
        return time.perf_counter() - began

    async def get(calls: int) -> float:
        ask, began = space.get, time.perf_counter()
        for _ in range(calls):
            await ask(key, load)
        return time.perf_counter() - began

    running = asyncio.create_task(cache.run())
    yield hit, get
    running.cancel()


def bare() -> Round:
    """The library under ours by itself."""
    cache: Any = cachebox.LRUCache(0)
    for key in KEYS:
        cache.insert(key, "a value")
    return _plain(cache.get)


def _plain(ask: Callable[[Any], Any]) -> Round:
    async def read(calls: int) -> float:
        key, began = KEYS[500], time.perf_counter()
        for _ in range(calls):
            ask(key)
        return time.perf_counter() - began

    return read


def _awaited(ask: Callable[[str], Awaitable[Any]]) -> Round:
    async def read(calls: int) -> float:
        key, began = "/".join(KEYS[500]), time.perf_counter()
        for _ in range(calls):
            await ask(key)
        return time.perf_counter() - began

    return read


async def peers(bars: Bars) -> dict[str, Round]:
    """The three libraries, where they can be had."""
    try:
        place = environment("cache", PEERS)
    except Missing as error:
        bars.show("the libraries are not shown", str(error))
        return {}
    sys.path.append(str(next((place / "lib").glob("python3*")) / "site-packages"))
    simple = importlib.import_module("aiocache").SimpleMemoryCache()
    timed = importlib.import_module("cachetools").TTLCache(10_000, 300)
    cashews = importlib.import_module("cashews").cache
    cashews.setup("mem://", size=10_000)
    await cashews.init()
    for key in KEYS:
        await simple.set("/".join(key), "a value", ttl=300)
        await cashews.set("/".join(key), "a value", expire=300)
        timed[key] = "a value"
    return {
        "cachetools TTLCache": _plain(timed.get),
        "aiocache": _awaited(simple.get),
        "cashews": _awaited(cashews.get),
    }
