"""How soon a live session's job starts under a backlog, and how long the lowest class waits under a stream."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Observer
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.priority import Facts, PrioritySettings
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.worker import Worker
from tests.queueing import declaring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lease import Lease
    from atomic_guide.engines.queues.settings import QueueSettings

CONCURRENCY = 4
JOB_SECONDS = 0.02
AGEING_SECONDS = 2.0
_STREAM_SECONDS = 0.05
_LIMIT_SECONDS = 50.0
RULES = QueueRules(concurrency=CONCURRENCY, spacing_seconds=0.0)
AS_INSTALLED = declaring(q=RULES)
QUICKLY_AGEING = declaring(q=RULES, priority=PrioritySettings(ageing_seconds=AGEING_SECONDS))


class Start(NamedTuple):
    """How many jobs started between a job's publishing and its start, and the seconds until then."""

    before: int
    seconds: float


class Starts(Observer):
    """When which job started."""

    def __init__(self) -> None:
        self.subjects: list[str] = []
        self.moments: list[float] = []

    def started(self, job: Job, waited: float) -> None:
        """A job starts."""
        self.subjects.append(job.subject)
        self.moments.append(time.monotonic())

    async def until(self, subject: str) -> int:
        """Wait for a subject's start; its place."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            while subject not in self.subjects:  # noqa: ASYNC110 - a worker tells a list
                await asyncio.sleep(0.005)
        return self.subjects.index(subject)


class Sleep:
    """Takes a while."""

    async def run(self, lease: Lease) -> None:
        """Wait."""
        await asyncio.sleep(JOB_SECONDS)

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """No job fails here."""

    async def buried(self, job: Job, reason: str) -> None:
        """No job fails here."""


class Floor:
    """Publishes jobs of many courses, and runs them."""

    def __init__(self, shards: Shards, settings: QueueSettings) -> None:
        self._shards = shards
        self._settings = settings
        self._queues = Queues(shards, SystemClock(), settings)
        self.starts = Starts()

    async def publish(self, subject: str, count: int, facts: Facts, course: int = 0) -> None:
        """Publish jobs of a tenant of their own."""
        key = CourseKey.of(f"tenant-{course}", f"course-{course}")

        jobs = [NewJob(queue="q", kind="k", subject=subject, facts=facts)] * count

        async def work(tx: Transaction) -> None:
            await self._queues.publish_many(tx, key, jobs)

        await self._shards.of(key).write(work)
        self._queues.wake("q")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """A worker meanwhile."""
        worker = Worker(
            self._shards, {"q": {"k": Sleep()}}, clock=SystemClock(), settings=self._settings, observer=self.starts
        )
        self._queues.on_wake(worker.wake)
        task = asyncio.create_task(worker.run())
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait_for(task, 20)


async def place_of_live(shards: Shards, backlog: int) -> Start:
    """Publish a live session's job while a backlog is worked on."""
    floor = Floor(shards, AS_INSTALLED)
    for course in range(10):
        await floor.publish("plain", backlog // 10, Facts(), course)
    async with floor.working():
        await floor.starts.until("plain")
        await asyncio.sleep(1)
        began = time.monotonic()
        await floor.publish("live", 1, Facts(live=True))
        place = await floor.starts.until("live")
        moments = floor.starts.moments[: place + 1]
        return Start(sum(began < moment for moment in moments[:-1]), moments[-1] - began)


async def lowest_wait(shards: Shards) -> float:
    """How long one job of the lowest class waits while jobs of the highest come that take all the capacity there is.

    By class alone it would wait for ever.
    """
    floor = Floor(shards, QUICKLY_AGEING)
    highest = Facts(live=True, instructor=True, duration=10.0)
    each = int(CONCURRENCY * _STREAM_SECONDS / JOB_SECONDS)

    async def stream() -> None:
        while True:
            await floor.publish("best", each, highest, 1)
            await asyncio.sleep(_STREAM_SECONDS)

    await floor.publish("best", 2 * each, highest, 1)
    async with floor.working():
        await floor.starts.until("best")
        streaming = asyncio.create_task(stream())
        began = time.monotonic()
        await floor.publish("lowest", 1, Facts(), 2)
        place = await floor.starts.until("lowest")
        streaming.cancel()
        return floor.starts.moments[place] - began
