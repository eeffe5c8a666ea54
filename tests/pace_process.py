"""A worker process of a queue with a rate, which tells when each job starts: `python -m tests.pace_process`.

Orders come on stdin. Each line on stdout is a moment of the machine's monotonic clock, in seconds: the first is when it
begins to work, each further one when a job starts.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.engines.queues.settings import QueueRules
from atomic_guide.engines.queues.worker import Worker
from tests.moving import open_again
from tests.queueing import declaring

if TYPE_CHECKING:
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.queues.jobs import Job
    from atomic_guide.engines.queues.lease import Lease

RATE = 40.0
"""Jobs a second."""

SETTINGS = declaring(poll_seconds=0.1, paced=QueueRules(per_second=RATE))


class Orders(msgspec.Struct):
    """Where the databases are."""

    folder: str
    addresses: list[str]


class Tell:
    """A job that tells when it starts."""

    async def run(self, lease: Lease) -> None:
        """Tell it."""
        told()

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """It shows as missing."""

    async def buried(self, job: Job, reason: str) -> None:
        """As above."""


def told() -> None:
    """Tell this moment."""
    sys.stdout.write(f"{time.monotonic()}\n")
    sys.stdout.flush()


async def main(orders: Orders) -> None:
    """Work until it is killed or asked to end."""
    shards = await open_again(Path(orders.folder), orders.addresses)
    worker = Worker(shards, {"paced": {"tell": Tell()}}, clock=SystemClock(), settings=SETTINGS)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
    told()
    await worker.run()
    await shards.close()


if __name__ == "__main__":
    asyncio.run(main(msgspec.json.decode(sys.stdin.buffer.read(), type=Orders)))
