"""Workers of another process than the publisher's, woken by NATS while it is there and polling while it is not."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Observer
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.wakes import join_wakes
from atomic_guide.engines.queues.worker import Worker
from tests.moving import beside
from tests.queueing import declaring

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.lease import Lease

POLL_SECONDS = 1.0
SETTINGS = declaring(q=QueueRules(), poll_seconds=POLL_SECONDS)
_KEY = CourseKey.of("tenant", "wakes")
_LIMIT_SECONDS = 30.0


class Nothing:
    """Does nothing."""

    async def run(self, lease: Lease) -> None:
        """Nothing."""

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """No job fails here."""

    async def buried(self, job: Job, reason: str) -> None:
        """No job fails here."""


class Seen(Observer):
    """When each subject's job started."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self._news = asyncio.Event()

    def started(self, job: Job, waited: float) -> None:
        """A job starts."""
        self.at[job.subject] = time.monotonic()
        self._news.set()

    async def until(self, subject: str) -> float:
        """Wait for the start of a subject's job; its moment."""
        async with asyncio.timeout(_LIMIT_SECONDS):
            while subject not in self.at:
                self._news.clear()
                await self._news.wait()
        return self.at[subject]


class Pair:
    """A publisher and a worker that know of each other by NATS and the database only."""

    def __init__(self, shards: Shards, queues: Queues, nats: NatsServer, connection: Connection, seen: Seen) -> None:
        self._shards = shards
        self._queues = queues
        self._seen = seen
        self._number = 0
        self.nats = nats
        self.connection = connection

    async def run_one(self) -> float:
        """Publish a job; the seconds from when it is stored until it starts."""
        self._number += 1
        subject = f"s{self._number}"

        async def work(tx: Transaction) -> None:
            await self._queues.publish(tx, _KEY, NewJob(queue="q", kind="k", subject=subject))

        await self._shards.of(_KEY).write(work)
        stored = time.monotonic()
        self._queues.wake("q")
        return await self._seen.until(subject) - stored


@asynccontextmanager
async def pair(shards: Shards, folder: Path) -> AsyncIterator[Pair]:
    """Both over their own views of the same databases, whose files are in `folder / "data"`."""
    async with AsyncExitStack() as stack:
        nats = NatsServer(folder, NatsSettings())
        await nats.start()
        stack.push_async_callback(nats.stop)
        own, seen, sides = await stack.enter_async_context(beside(shards, folder / "data")), Seen(), []
        for view in (shards, own):
            connection = Connection(folder, NatsSettings())
            await connection.open()
            stack.push_async_callback(connection.close)
            queues = Queues(view, SystemClock(), SETTINGS)
            await join_wakes(queues, connection)
            sides.append((queues, connection))
        worker = Worker(own, {"q": {"k": Nothing()}}, clock=SystemClock(), settings=SETTINGS, observer=seen)
        sides[1][0].on_wake(worker.wake)
        task = asyncio.create_task(worker.run())
        try:
            yield Pair(shards, sides[0][0], nats, sides[0][1], seen)
        finally:
            worker.stop()
            await asyncio.wait_for(task, 20)
