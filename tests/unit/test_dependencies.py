"""Every dependency is declared with its bounds, and the page lists what the code declares."""

import asyncio
import re
import time
from pathlib import Path

import pytest

from atomic_guide.app.dependencies import DECLARED, in_force, keys_of, table
from atomic_guide.config import Settings, describe
from atomic_guide.resilience import Guard, GuardSettings, Refused

ROOT = Path(__file__).parents[2]
DRIVERS = {"aiosmtplib", "asyncpg", "httpx", "imageio_ffmpeg", "nats", "obstore", "opentelemetry", "sqlite3"}
"""Those that lead out of the process; `.importlinter` lists every module that imports one."""


def test_every_module_that_leads_out_belongs_to_a_declared_dependency() -> None:
    rules = (ROOT / ".importlinter").read_text("utf-8")
    found = {
        module
        for module, driver in re.findall(r"^    (atomic_guide\S*) -> (\w+)$", rules, re.MULTILINE)
        if driver in DRIVERS
    }
    assert len(found) > 15
    claimed = {module for one in DECLARED for module in one.modules}
    assert found - claimed == set()
    assert claimed - found == set()


def test_every_setting_that_bounds_one_is_a_setting() -> None:
    keys = {row.key for row in describe()}
    for one in DECLARED:
        for text in (one.time_out, one.breaker, one.retries, one.bulkhead):
            assert text, one.name
        assert set(keys_of(one)) <= keys, one.name


def test_every_bound_is_shown_with_the_value_in_force() -> None:
    shown = {one.name: one.values for one in in_force(Settings())}
    assert shown["directory and shards, SQLite"]["databases.sqlite.busy_timeout"].endswith(" s")
    assert shown["directory and shards, PostgreSQL"]["databases.postgresql.retry_percent"] == "10 %"
    assert shown["NATS"]["nats.outbox_limit"].endswith(" messages")
    assert sum(map(len, shown.values())) > 50


def test_the_page_has_the_table_of_the_code() -> None:
    assert table() in (ROOT / "docs" / "resilience.md").read_text("utf-8")


async def test_a_breaker_opens_after_failures_in_a_row_and_is_tried_again() -> None:
    guard = Guard("it", GuardSettings(failures=3, rest_seconds=0.1))
    for _ in range(3):
        async with guard.call():
            guard.failed()
    with pytest.raises(Refused) as refused:
        async with guard.call():
            pytest.fail("it is open")
    assert (refused.value.status, refused.value.retry_after) == (503, 0.1)
    await asyncio.sleep(0.15)
    async with guard.call():
        guard.succeeded()
    assert guard.breaker.state == "closed"
    assert guard.counts["open"] == 1


async def test_a_call_has_its_time_and_counts_as_failed_after_it() -> None:
    guard = Guard("it", GuardSettings(seconds=0.05, failures=2))
    for _ in range(2):
        with pytest.raises(TimeoutError):
            async with guard.call():
                await asyncio.sleep(10)
    assert (guard.counts["timeouts"], guard.breaker.state, guard.running) == (2, "open", 0)


async def test_at_most_so_many_calls_are_under_way_and_the_next_waits_for_its_time() -> None:
    guard, ends = Guard("it", GuardSettings(most=2, wait_seconds=0.1)), asyncio.Event()

    async def call() -> None:
        async with guard.call():
            await ends.wait()

    tasks = [asyncio.create_task(call()) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Refused):
        await call()
    waiting = asyncio.create_task(call())
    await asyncio.sleep(0)
    ends.set()
    await asyncio.gather(*tasks, waiting)
    assert (guard.counts["full"], guard.counts["calls"], guard.running) == (1, 3, 0)


async def test_retries_are_a_share_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("atomic_guide.resilience._RETRY_PAUSE", (0.0, 0.0))
    guard = Guard("it", GuardSettings(retry_percent=10, failures=1000))
    retried = 0
    for _ in range(1000):
        async with guard.call():
            guard.failed()
        retried += await guard.may_retry()
    # A tenth, and those that a quiet dependency has at once.
    assert 100 <= retried <= 111
    assert guard.counts["unretried"] == 1000 - retried


def test_a_closed_breaker_costs_next_to_nothing() -> None:
    guard = Guard("it", GuardSettings())
    breaker, best = guard.breaker, 1.0
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(1000):
            breaker.allows()
            breaker.succeeded()
        best = min(best, (time.perf_counter() - began) / 1000)
    assert best < 1e-6 * 5, "a microsecond on a quiet machine is far from it"
