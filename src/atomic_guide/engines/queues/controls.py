"""What all processes must agree on about a queue, kept in the directory: whether it is paused, and its rate.

A pause is durable. Workers look twice a second, so that one which is set from outside is kept within a second. One with
an end is over at that time by itself: nothing has to be done, and nobody has to be there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.queues.pace import Bucket, take

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Database, Transaction

QUERIES = load_queries(__package__, "controls.sql")

LOOK_SECONDS = 0.5
"""How often workers look: `atomic-guide` promises that a change is seen within a second."""

PACE_SECONDS = 0.1
"""How often a worker asks for the next jobs of a queue with a rate."""


class Pause(NamedTuple):
    """Since when a queue is paused, and until when; None until somebody resumes it."""

    since: float
    until: float | None


class Controls:
    """The controls of all queues; `paused` is as it was at the last look."""

    def __init__(self, directory: Database) -> None:
        self._directory = directory
        self.paused: dict[str, Pause] = {}

    async def look(self, now: float) -> None:
        """Read which queues are paused. Raises as reads of the directory do; then what was known stays."""
        rows = await self._directory.read(QUERIES["read_controls"], {"now": now})
        self.paused = {row["queue"]: Pause(row["paused_at"], row["resumes_at"]) for row in rows}

    async def pause(self, queue: str, now: float, until: float | None = None) -> None:
        """Start no more jobs of a queue until a time, or until it is resumed; those that run go on."""

        async def work(tx: Transaction) -> None:
            await pause_queue(tx, queue, now, until)

        await self._directory.write(work)

    async def resume(self, queue: str, now: float) -> bool:
        """Go on with a queue; whether it was paused."""

        async def work(tx: Transaction) -> bool:
            return await resume_queue(tx, queue, now)

        return await self._directory.write(work)

    async def take(self, queue: str, wanted: int, rate: float, now: float) -> int:
        """How many of the `wanted` jobs may start now, at `rate` jobs a second over all processes."""

        async def work(tx: Transaction) -> int:
            row = await tx.one(QUERIES["hold_tokens"], {"queue": queue})
            if row is None:
                await tx.execute(QUERIES["add_controls"], {"queue": queue})
                row = await tx.one(QUERIES["hold_tokens"], {"queue": queue})
            known = row is not None and row["tokens"] is not None
            bucket = Bucket(row["tokens"], row["filled_at"]) if row is not None and known else None
            granted, left = take(bucket, now, rate, wanted)
            await tx.execute(QUERIES["put_tokens"], {"queue": queue, **left._asdict()})
            return granted

        return await self._directory.write(work)


async def pause_queue(tx: Transaction, queue: str, now: float, until: float | None) -> None:
    """As `Controls.pause`, inside the caller's unit of work."""
    await tx.execute(QUERIES["pause_queue"], {"queue": queue, "now": now, "until": until})


async def resume_queue(tx: Transaction, queue: str, now: float) -> bool:
    """As `Controls.resume`, inside the caller's unit of work."""
    return bool(await tx.execute(QUERIES["resume_queue"], {"queue": queue, "now": now}))


_UNUSED_SECONDS = 1.0
"""How long a process may keep what it was allowed and did not use; after that it is lost, not saved up."""


class Allowance:
    """What a worker may start of a queue with a rate."""

    def __init__(self, controls: Controls, queue: str, rate: float) -> None:
        self._controls = controls
        self._queue = queue
        self._rate = rate
        self._left = 0
        self._since = 0.0

    async def of(self, wanted: int, clock: Clock) -> int:
        """How many of the `wanted` jobs may start now."""
        if clock.monotonic() - self._since > _UNUSED_SECONDS:
            self._left = 0
        if self._left < wanted:
            self._left += await self._controls.take(self._queue, wanted - self._left, self._rate, clock.now())
            self._since = clock.monotonic()
        return min(wanted, self._left)

    def use(self, jobs: int) -> None:
        """So many jobs will start."""
        self._left -= jobs

    @property
    def pause(self) -> float:
        """Seconds until it is worth asking again."""
        return max(PACE_SECONDS, 1 / self._rate)
