"""No-op jobs on dramatiq with Redis: its usual middleware with retries, acknowledged after the job."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from queue_marks import Marks, enqueued

broker = RedisBroker(url=os.environ["BENCH_STORE"])
dramatiq.set_broker(broker)
marks = Marks()


@dramatiq.actor(max_retries=3)
def noop() -> None:
    """Do nothing."""
    marks.hit()


def publish(count: int) -> None:
    """One message after the other: there is no call for many."""
    for _ in range(count):
        noop.send()


def enqueue() -> None:
    """Publish what is asked for."""
    enqueued(publish)
