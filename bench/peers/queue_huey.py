"""No-op jobs on huey, with Redis or a SQLite file: retries on, no results; a job is taken off when it is begun."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import os

from huey import RedisHuey, SqliteHuey
from queue_marks import Marks, enqueued

store = os.environ["BENCH_STORE"]
if store.startswith("redis:"):
    huey = RedisHuey("bench", url=store, results=False)
else:
    huey = SqliteHuey("bench", filename=store, fsync=True, results=False)
marks = Marks()


@huey.task(retries=3)
def noop() -> None:
    """Do nothing."""
    marks.hit()


def publish(count: int) -> None:
    """One message after the other: there is no call for many."""
    for _ in range(count):
        noop()


def enqueue() -> None:
    """Publish what is asked for."""
    enqueued(publish)
