"""What a real server of two processes measures of itself, by its record."""

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.series import Series
from tests.running import RunningServer, running_server

LATENCY = Key("web", "latency")
REPORTS = parse_queries("-- name: n\n-- purpose: p\nSELECT process, report FROM scaling_reports", "here")["n"]


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not await check():  # noqa: ASYNC110 - another process tells nobody
            await asyncio.sleep(0.5)


def ask(server: RunningServer, times: int, headers: httpx.Headers) -> None:
    """Each over a connection of its own, so that both processes get some."""
    for _ in range(times):
        httpx.get(f"{server.url}/api/chat/messages", headers=headers, timeout=20).raise_for_status()


def child_of(server: RunningServer) -> int:
    running = json.loads((server.data / "processes" / "running.json").read_bytes())
    return int(next(one["pid"] for one in running["processes"] if one["name"] == "web-1"))


def scaling_figures(server: RunningServer) -> dict[str, float]:
    lines = httpx.get(f"{server.url}/metrics").text.splitlines()
    found = (re.fullmatch(r"(atomic_guide_scaling\w*\{.*\}) (\S+)", line) for line in lines)
    return {match[1]: float(match[2]) for match in found if match}


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_requests_of_two_processes_are_counted_once_each_and_a_killed_one_makes_nothing_negative(
    tmp_path: Path,
) -> None:
    with running_server(tmp_path / "data", PROCESSES_WEB="2") as server:
        database = SqliteDatabase(database_files(server.data, DataSettings())[0])
        series, began = Series(database), time.time()

        async def reported(processes: int) -> bool:
            rows = await database.read(REPORTS)
            return sum('"web.ready":1' in row["report"] for row in rows) == processes

        async def answered() -> int:
            return (await series.histogram(LATENCY, began - 60, time.time() + 60)).count

        async def demands() -> list[float]:
            values = (await series.read(Key("web", "demand"), began - 60, time.time() + 60)).values
            return [value for value in values.tolist() if value == value]  # noqa: PLR0124 - NaN differs from itself

        async def measured(more: int) -> bool:
            return len(await demands()) >= more

        try:
            await until(lambda: reported(2))
            await until(lambda: measured(1))
            headers = (await asyncio.to_thread(server.enter)).headers
            await asyncio.to_thread(ask, server, 100, headers)
            # And the session's own call. Probes are not counted, and nobody else asks.
            await until(lambda: _is(answered, 101))
            await until(lambda: _shows(server, 'component="database",metric="query_p95",part="shard-0"'))
            parts = {key.part for key in await series.keys() if (key.component, key.metric) == ("web", "work")}
            assert {"chat", "launch"} <= parts
            shown = await asyncio.to_thread(both, server)
            assert shown['atomic_guide_scaling_measurement{component="web",metric="demand",part=""}'] > 0
            assert shown['atomic_guide_scaling_measurement{component="queues",metric="backlog",part="video"}'] == 0
            assert not any('component="database",metric="lag' in name for name in shown)
            assert all(value == 0 for name, value in shown.items() if name.startswith("atomic_guide_scaling_missing"))

            os.kill(child_of(server), signal.SIGKILL)
            known, count = await answered(), len(await demands())
            await asyncio.to_thread(ask, server, 50, headers)
            await until(lambda: measured(count + 3))
            assert known <= await answered() <= known + 50
            assert min(await demands()) >= 0
            await until(lambda: reported(2))
            shown = await asyncio.to_thread(both, server)
            assert shown['atomic_guide_scaling_missing{source="web"}'] == 0
            assert all(value >= 0 for value in shown.values())
        finally:
            await database.close()
    rows = SqliteDatabase(database_files(server.data, DataSettings())[0])
    assert await rows.read(REPORTS) == []
    await rows.close()


async def _is(figure: Callable[[], Awaitable[int]], wanted: int) -> bool:
    found = await figure()
    assert found <= wanted
    return found == wanted


async def _shows(server: RunningServer, labels: str) -> bool:
    """Whether a measurement is there and above zero: that of queries is after a sample in which some were asked."""
    return (await asyncio.to_thread(both, server)).get(f"atomic_guide_scaling_measurement{{{labels}}}", 0) > 0


def both(server: RunningServer) -> dict[str, float]:
    """The figures of the process that samples, which is one of the two that answer."""
    for _ in range(100):
        if found := scaling_figures(server):
            return found
    return {}
