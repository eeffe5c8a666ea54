"""No-op jobs on taskiq with a Redis stream: retries on, acknowledged after the job."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import asyncio
import os

from queue_marks import Marks, enqueued
from taskiq import SimpleRetryMiddleware
from taskiq_redis import RedisStreamBroker

SENDERS = 16

broker = RedisStreamBroker(
    url=os.environ["BENCH_STORE"], consumer_id="0", xread_count=200, max_connection_pool_size=64
).with_middlewares(SimpleRetryMiddleware(default_retry_count=3))
marks = Marks()


@broker.task(retry_on_error=True)
async def noop() -> None:
    """Do nothing."""
    marks.hit()


async def publish(count: int) -> None:
    """From several tasks at once: there is no call for many."""
    await broker.startup()
    numbers = iter(range(count))

    async def send() -> None:
        for _ in numbers:
            await noop.kiq()

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    await broker.shutdown()


def enqueue() -> None:
    """Publish what is asked for."""
    enqueued(lambda count: asyncio.run(publish(count)))
