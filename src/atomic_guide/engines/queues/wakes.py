"""Wake-ups between processes, over NATS: a courtesy. What is lost here, polling finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atomic_guide.engines.nats.connection import Connection
    from atomic_guide.engines.queues.jobs import Queues

SUBJECT = "jobs.wake"
"""The payload is the queue's name."""


async def join_wakes(queues: Queues, connection: Connection) -> None:
    """Wake the workers of all processes when something of a queue changes in any of them."""
    asleep = False

    def hear(payload: bytes) -> None:
        nonlocal asleep
        # Passed on to the workers here, not back to the bus.
        asleep = True
        try:
            queues.wake(payload.decode("ascii", "replace"))
        finally:
            asleep = False

    def tell(queue: str) -> None:
        if not asleep:
            connection.publish(SUBJECT, queue.encode())

    await connection.subscribe(SUBJECT, hear)
    queues.on_wake(tell)
