"""Our queues as the benchmarks run them: `python -m bench._queue_ours enqueue|work`, in processes of their own.

`BENCH_STORE` is a folder for SQLite files, or the addresses of a directory and a shard on PostgreSQL, with a space
between them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop
from prometheus_client import CollectorRegistry

from atomic_guide.app.job_metrics import JobMetrics
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.lease import Lease
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Worker
from bench.peers.queue_marks import Marks, enqueued

BATCH = 1000
PUBLISHERS = 8
COURSES = 64
LOOK_SECONDS = 5.0
"""How often the server's own root task counts jobs for its metrics."""


class Settings(QueueSettings, frozen=True):
    """As installed, with a queue for the benchmark."""

    bench: QueueRules = QueueRules()


@asynccontextmanager
async def opened() -> AsyncIterator[Shards]:
    """The databases of the run."""
    store = os.environ["BENCH_STORE"]
    if store.startswith("postgresql:"):
        directory, shard = store.split()
        servers = (ShardSettings(name="shard-0", url=shard),)
        shards = await open_servers(DataSettings(directory=directory, servers=servers))
    else:
        shards = await open_embedded(Path(store), DataSettings())
    try:
        yield shards
    finally:
        await shards.close()


async def publish(count: int) -> None:
    """Batches of many courses, some at a time, each one transaction of its course."""
    async with opened() as shards:
        queues = Queues(shards, SystemClock(), Settings())
        starts = iter(range(0, count, BATCH))

        async def send() -> None:
            for start in starts:
                key = CourseKey.of("bench", f"course-{start // BATCH % COURSES}")
                jobs = [
                    NewJob(queue="bench", kind="noop", subject=f"n{number}")
                    for number in range(start, min(start + BATCH, count))
                ]

                async def work(tx: Transaction, key: CourseKey = key, jobs: list[NewJob] = jobs) -> None:
                    await queues.publish_many(tx, key, jobs)

                await shards.of(key).write(work)

        await asyncio.gather(*(send() for _ in range(PUBLISHERS)))


class Noop:
    """Does nothing."""

    async def run(self, lease: Lease) -> None:
        """Do nothing."""

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """No job fails here."""

    async def buried(self, job: Job, reason: str) -> None:
        """No job fails here."""


class Counted(JobMetrics):
    """The metrics of a worker, which also tell when the first job began, and when the end of the last was committed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(registry)
        self._marks = Marks()

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        """A job has ended."""
        assert outcome == "done", outcome
        super().ended(job, outcome, seconds)
        self._marks.hit()


async def work() -> None:
    """Run jobs until SIGTERM."""
    async with opened() as shards:
        clock, metrics = SystemClock(), Counted(CollectorRegistry())
        worker = Worker(shards, {"bench": {"noop": Noop()}}, clock=clock, settings=Settings(), observer=metrics)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)

        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                await metrics.look(shards, clock)

        looking = asyncio.create_task(look())
        await worker.run()
        looking.cancel()


def main() -> None:
    """Do what the command line says."""
    # As `atomic-guide serve` does.
    sys.setswitchinterval(0.0005)
    if sys.argv[1:] == ["enqueue"]:
        enqueued(lambda count: uvloop.run(publish(count)))
    else:
        uvloop.run(work())


if __name__ == "__main__":
    main()
