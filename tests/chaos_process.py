"""A process of the chaos test, to be killed at any moment: `python -m tests.chaos_process ROLE`, orders on stdin.

The publisher writes numbered jobs in batches, each with its mark and a notification in one transaction, and goes on
after the last mark when it is started again. A worker runs them; a job's effect is one row.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import uvloop

from atomic_guide.clock import SystemClock
from atomic_guide.course.notifications import feed, mail
from atomic_guide.course.notifications.assembly import Notifications, build_notifications
from atomic_guide.course.notifications.notice import Notice
from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.wakes import join_wakes
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.errors import GuideError, RetryLater
from tests.chaos_queries import KEYS, LAST, MARK, PEOPLE, PUT
from tests.moving import open_again
from tests.queueing import declaring

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.lease import Lease

SETTINGS = declaring(
    lease_seconds=3,
    heartbeat_seconds=0.5,
    poll_seconds=0.5,
    chaos=QueueRules(retry_first_seconds=0.05, retry_most_seconds=0.2),
    notifications=QueueRules(concurrency=8, retry_first_seconds=0.05, retry_most_seconds=0.2, max_attempts=20),
)
_AGAIN_SECONDS = 0.2


class Orders(msgspec.Struct):
    """What a process is to do: where the databases are, how many jobs, where the mail server is, what cures poison."""

    folder: str
    addresses: list[str]
    jobs: int
    batch: int
    smtp: int
    cure: str


class Count:
    """A job's effect is a row with its number, written with its end."""

    async def run(self, lease: Lease) -> None:
        """Write it."""

        async def work(tx: Transaction) -> None:
            await tx.execute(PUT, {"number": lease.job.payload["number"]})

        await lease.finish(work)

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """It shows as missing."""

    async def buried(self, job: Job, reason: str) -> None:
        """As above."""


class Poison(Count):
    """Fails until somebody has cured it."""

    def __init__(self, cure: Path) -> None:
        self._cure = cure

    async def run(self, lease: Lease) -> None:
        """Fail, or write the effect."""
        if not self._cure.exists():
            raise RetryLater("poisoned")
        await super().run(lease)


async def publish(orders: Orders, shards: Shards, queues: Queues, parts: Notifications) -> None:
    """Publish what is not published yet."""
    for first in range(0, orders.jobs, orders.batch):
        key = KEYS[first // orders.batch % len(KEYS)]
        numbers = range(first, min(first + orders.batch, orders.jobs))

        async def work(tx: Transaction, first: int = first, numbers: range = numbers) -> bool:
            # The mark is the batch's own row: a batch that is there whole is not written again.
            if await tx.one(LAST, {"first": first}) is not None:
                return False
            await tx.execute(MARK, {"first": first})
            jobs = [NewJob(queue="chaos", kind="count", subject=f"c{n}", payload={"number": n}) for n in numbers]
            await queues.publish_many(tx, KEYS[first // orders.batch % len(KEYS)], jobs)
            told = Notice(
                user=PEOPLE[first // orders.batch % len(PEOPLE)],
                kind="video.ready",
                subject=f"v{first}",
                cause=f"{first}",
                data={"title": f"Lecture {first}", "captions": True},
            )
            await parts.feed.add(tx, KEYS[first // orders.batch % len(KEYS)], [told])
            return True

        while True:
            try:
                await shards.of(key).write(work)
                break
            except GuideError:
                await asyncio.sleep(_AGAIN_SECONDS)
        queues.wake("chaos")
        queues.wake("notifications")
    await asyncio.Event().wait()


async def main(role: str, orders: Orders) -> None:
    """Do what the role is for, until it is killed or asked to end."""
    folder, clock = Path(orders.folder), SystemClock()
    async with AsyncExitStack() as stack:
        shards = await open_again(folder / "data", orders.addresses)
        stack.push_async_callback(shards.close)
        connection = Connection(folder, NatsSettings())
        await connection.open()
        stack.push_async_callback(connection.close)
        queues = Queues(shards, clock, SETTINGS)
        await join_wakes(queues, connection)
        smtp = MailSettings(sender="guide@tool.example", security="none", host="127.0.0.1", port=orders.smtp)
        settings = (NotificationSettings(), smtp)
        parts = await build_notifications(shards, clock, queues, "https://tool.test", settings)
        stack.push_async_callback(parts.mail.close)
        if role == "publish":
            await publish(orders, shards, queues, parts)
        own: dict[str, Handler] = {"count": Count(), "poison": Poison(Path(orders.cure))}
        handlers = {"chaos": own, feed.QUEUE: mail.handlers(parts.mail)}
        worker = Worker(shards, handlers, clock=clock, settings=SETTINGS)
        queues.on_wake(worker.wake)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)))
