"""No-op jobs on Celery with Redis: acknowledged after the job, no results, nothing sent between workers."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import os

from celery import Celery
from queue_marks import Marks, enqueued

app = Celery("queue_celery", broker=os.environ["BENCH_STORE"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    task_serializer="json",
    worker_prefetch_multiplier=200,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
)
marks = Marks()


@app.task(name="noop", autoretry_for=(Exception,), max_retries=3)
def noop() -> None:
    """Do nothing."""
    marks.hit()


def publish(count: int) -> None:
    """One message after the other over one producer: there is no call for many."""
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(count):
            noop.apply_async(producer=producer)


def enqueue() -> None:
    """Publish what is asked for."""
    enqueued(publish)
