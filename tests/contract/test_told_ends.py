"""What is told of a job once its end is committed: its lease is gone then, and nothing breaks that off."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Handler
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.errors import Permanent
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster
from tests.queueing import declaring

KEY = CourseKey.of("tenant", "course")
SETTINGS = declaring(q=QueueRules(), poll_seconds=0.05, handover_seconds=0)
LOOKS = 12
"""Wake-ups that the worker looks at its running jobs after, while a job tells of its end."""


@pytest.fixture(params=ENGINES)
async def shards(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Shards]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Telling(Handler):
    """A job that `ends` well or not, and takes its time to tell of it."""

    def __init__(self, ends: str, queues: Queues) -> None:
        self._ends = ends
        self._queues = queues
        self.told: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self, lease: Lease) -> None:
        if self._ends == "dead":
            raise Permanent("it cannot be done")

        async def nothing(tx: Transaction) -> None:
            pass

        await lease.finish(nothing)
        await self._tell("done")

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        pass

    async def buried(self, job: Job, reason: str) -> None:
        await self._tell(reason)

    async def _tell(self, what: str) -> None:
        try:
            for _ in range(LOOKS):
                self._queues.wake("q")
                await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            self.told.set_result("broken off")
            raise
        self.told.set_result(what)


@pytest.mark.parametrize(("ends", "told"), [("done", "done"), ("dead", "it cannot be done")])
async def test_it_is_told_to_the_end(shards: Shards, ends: str, told: str) -> None:
    queues = Queues(shards, SystemClock(), SETTINGS)
    telling = Telling(ends, queues)
    worker = Worker(shards, {"q": {"k": telling}}, clock=SystemClock(), settings=SETTINGS)
    queues.on_wake(worker.wake)

    async def publish(tx: Transaction) -> None:
        await queues.publish(tx, KEY, NewJob(queue="q", kind="k", subject="s"))

    await shards.of(KEY).write(publish)
    task = asyncio.create_task(worker.run())
    try:
        assert await asyncio.wait_for(telling.told, 40) == told
    finally:
        worker.stop()
        await asyncio.wait_for(task, 20)
