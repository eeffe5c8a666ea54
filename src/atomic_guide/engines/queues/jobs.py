"""What a job is, and how one is published: in the transaction, and so the shard, of the row it is about.

Neither can exist without the other, and a bucket that moves takes its jobs and leases along. Wake-ups are a
courtesy: a worker that misses one finds the job when it polls.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.scatter import scatter
from atomic_guide.engines.data.session import current_session

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.settings import QueueSettings

QUERIES = load_queries(__package__)


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job to publish. `priority`: higher runs first. `unique_key`: one live job at most carries it in a course."""

    queue: str
    kind: str
    subject: str
    payload: dict[str, Any] = {}
    priority: float = 0.0
    delay: float = 0.0
    unique_key: str | None = None


class Job(msgspec.Struct, frozen=True):
    """A claimed job. `token` is the fence: it grows with every claim. `bookmark` is what its publisher had seen."""

    key: CourseKey
    id: str
    kind: str
    subject: str
    payload: dict[str, Any]
    attempts: int
    max_attempts: int
    token: int
    created_at: float
    bookmark: str | None

    @classmethod
    def of(cls, row: Row) -> Job:
        """A job from its row."""
        return cls(
            key=CourseKey(row["tenant"], row["course"], row["bucket"]),
            id=row["id"],
            kind=row["kind"],
            subject=row["subject"],
            payload=msgspec.json.decode(row["payload"]),
            attempts=row["attempts"],
            max_attempts=row["max_attempts"],
            token=row["token"],
            created_at=row["created_at"],
            bookmark=row["bookmark"],
        )

    @property
    def last_attempt(self) -> bool:
        """Whether a failure now makes it a dead letter."""
        return self.attempts >= self.max_attempts


class Queues:
    """Where the product publishes jobs and asks about them."""

    def __init__(self, shards: Shards, clock: Clock, settings: QueueSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._settings = settings
        self._wakers: list[Callable[[str], None]] = []

    async def publish(self, tx: Transaction, key: CourseKey, job: NewJob) -> str | None:
        """Write a job inside the caller's unit of work; its id, or None where its unique key is held by a live job.

        Call `wake` once the work is committed. Raises `ConfigurationError` for a queue that is not declared.
        """
        now = self._clock.now()
        session = current_session()
        row = {
            **key.columns,
            "id": f"j{secrets.token_hex(8)}",
            "queue": job.queue,
            "kind": job.kind,
            "subject": job.subject,
            "payload": msgspec.json.encode(job.payload).decode(),
            "priority": job.priority,
            "max_attempts": self._settings.rules(job.queue).max_attempts,
            "run_after": now + job.delay,
            "created_at": now,
            "unique_key": job.unique_key,
            "bookmark": session.promise() if session is not None else None,
        }
        return str(row["id"]) if await tx.execute(QUERIES["add_job"], row) else None

    async def cancel(self, tx: Transaction, key: CourseKey, subject: str) -> int:
        """Call off a subject's live jobs inside a unit of work; how many."""
        params = {**key.columns, "subject": subject, "now": self._clock.now()}
        return await tx.execute(QUERIES["cancel_jobs"], params)

    async def forget(self, tx: Transaction, key: CourseKey, subject: str) -> None:
        """Drop a subject's ended jobs, dead letters too, inside the unit of work that erases the subject."""
        await tx.execute(QUERIES["forget_subject"], {**key.columns, "subject": subject})

    async def replay(self, tx: Transaction, key: CourseKey, subject: str, kind: str) -> int:
        """Give a subject's dead letters of a kind their attempts back, inside a unit of work; how many."""
        params = {**key.columns, "subject": subject, "kind": kind, "now": self._clock.now()}
        return await tx.execute(QUERIES["replay_subject"], params)

    async def position(self, key: CourseKey, subject: str) -> int | None:
        """How many jobs of the shards that answer are claimed before the subject's queued one; None where none is."""
        row = await self._shards.of(key).one(QUERIES["find_waiting"], {**key.columns, "subject": subject})
        if row is None:
            return None
        params = {name: row[name] for name in ("queue", "priority", "created_at", "id")}
        found = await scatter(self._shards.all(), QUERIES["count_ahead"], params, short=True)
        return sum(int(count["ahead"]) for _, count in found.rows)

    def on_wake(self, waker: Callable[[str], None]) -> None:
        """Have `waker(queue)` called after jobs were published: a worker of this process, or a bus to others."""
        self._wakers.append(waker)

    def wake(self, queue: str) -> None:
        """Tell the workers that a queue has something to do; losing this costs one poll interval."""
        for waker in self._wakers:
            waker(queue)
