"""No-op jobs on procrastinate: retries on, ended jobs deleted at once, enqueued in batches."""

# mypy: disable-error-code="import-not-found, import-untyped, untyped-decorator"

from __future__ import annotations

import asyncio
import os

from procrastinate import App, PsycopgConnector
from queue_marks import Marks, enqueued

BATCH = 1000
CONCURRENCY = 16

app = App(connector=PsycopgConnector(conninfo=os.environ["BENCH_STORE"], max_size=CONCURRENCY + 4))
marks = Marks()


@app.task(name="noop", retry=3)
async def noop() -> None:
    """Do nothing."""
    marks.hit()


async def publish(count: int) -> None:
    """Many with a call."""
    async with app.open_async():
        for start in range(0, count, BATCH):
            await noop.batch_defer_async(*({} for _ in range(start, min(start + BATCH, count))))


async def _work() -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=CONCURRENCY, delete_jobs="always")


async def _prepare() -> None:
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


def work() -> None:
    """Run jobs until the process is ended."""
    asyncio.run(_work())


def prepare() -> None:
    """Make the tables."""
    asyncio.run(_prepare())


def enqueue() -> None:
    """Publish what is asked for."""
    enqueued(lambda count: asyncio.run(publish(count)))
