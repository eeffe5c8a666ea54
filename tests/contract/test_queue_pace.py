"""The rate of a queue holds over processes, whichever of them come and go."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.pace import BURST_SECONDS
from tests.engines import ENGINES, opened_shards
from tests.moving import addresses
from tests.pace_process import RATE, SETTINGS, Orders
from tests.postgres import Cluster

ROOT = Path(__file__).parents[2]
JOBS = 600
SHARED, ALONE = 80, 80
"""Jobs that two processes start, and that one starts after the other was killed."""


class Paced:
    """A worker process: when it began, and when its jobs started."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.told: list[float] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.told.append(float(line))

    @property
    def starts(self) -> list[float]:
        """When its jobs started."""
        return self.told[1:]

    async def kill(self) -> None:
        """Without a word."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


@pytest.fixture
async def paced(shards: Shards, tmp_path: Path) -> AsyncIterator[list[Paced]]:
    """Two processes that have begun to work."""
    orders = msgspec.json.encode(Orders(str(tmp_path), addresses(shards)))
    pipes: dict[str, Any] = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    command = (sys.executable, "-m", "tests.pace_process")
    processes = [Paced(await asyncio.create_subprocess_exec(*command, cwd=ROOT, **pipes)) for _ in range(2)]
    try:
        for each in processes:
            assert each.process.stdin is not None
            each.process.stdin.write(orders)
            each.process.stdin.close()
        async with asyncio.timeout(60):
            while not all(each.told for each in processes):  # noqa: ASYNC110 - lines of two pipes
                await asyncio.sleep(0.01)
        yield processes
    finally:
        for each in processes:
            await each.kill()


async def publish(shards: Shards, count: int) -> None:
    """Jobs of some courses, over all shards."""
    queues = Queues(shards, SystemClock(), SETTINGS)
    for number in range(8):
        key = CourseKey.of("tenant", f"course-{number}")
        jobs = [NewJob(queue="paced", kind="tell", subject=f"s{each}") for each in range(count // 8)]

        async def work(tx: Transaction, key: CourseKey = key, jobs: list[NewJob] = jobs) -> None:
            await queues.publish_many(tx, key, jobs)

        await shards.of(key).write(work)


async def until_started(processes: list[Paced], count: int) -> None:
    async with asyncio.timeout(60):
        while sum(len(each.starts) for each in processes) < count:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)


@pytest.mark.timeout(200)
async def test_the_rate_of_a_queue_holds_over_processes(shards: Shards, paced: list[Paced]) -> None:
    await publish(shards, JOBS)
    await until_started(paced, SHARED)
    await paced[0].kill()
    await until_started([paced[1]], len(paced[1].starts) + ALONE)
    await paced[1].kill()
    assert all(len(each.starts) > SHARED / 8 for each in paced), "both take part"
    began = min(each.told[0] for each in paced)
    starts = sorted(start for each in paced for start in each.starts)
    assert len(starts) >= SHARED + ALONE
    for number, start in enumerate(starts, 1):
        assert number <= 1 + RATE * (start - began + BURST_SECONDS), f"{number} jobs within {start - began:.2f} s"
