"""Taking events in: at least once from whoever sends them, each id stored once for its course and person.

A course's events are numbered in the order in which they come in, under a lock of the course's row in `event_streams`.
That row also says whether a job is asked for that will count them: it is published in the transaction of the events,
so that neither is without the other.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from atomic_guide import errors
from atomic_guide.clock import iso
from atomic_guide.course.watching.event import Event, Refused, read_events
from atomic_guide.course.watching.limits import BACKLOG
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.jobs import Queues

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.watching.settings import EventSettings
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__)
QUEUE = "analytics"
KIND = "events"

ASKED_SECONDS = 120.0
"""After this a job that was asked for and has not come is asked for again: it may be a dead letter, or dropped."""

_OVERDUE = 200
"""Courses of a shard that one turn asks again for; with so many, workers are what is missing."""


class Taken(msgspec.Struct, frozen=True):
    """What became of the events of a call. `now` is the server's time, for senders whose clock is wrong."""

    accepted: int
    duplicates: int
    rejected: list[Refused]
    now: str


class Sender(NamedTuple):
    """Who sends events."""

    key: CourseKey
    user: str
    learner: bool


class Stream(NamedTuple):
    """How far the events of a course are taken and counted, and which jobs are asked for."""

    taken: int
    counted: int
    asked_at: float
    hurried: int

    @property
    def waiting(self) -> int:
        """Events that are not counted yet, at most: some numbers stand for repeated ones."""
        return self.taken - self.counted


class Counts(msgspec.Struct):
    """Events that this process took or counted since it started, by what became of them."""

    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    counted: int = 0
    watched: float = 0.0
    """Seconds of lectures that learners have played, of the events that were counted."""


class Events:
    """Takes the events of an installation."""

    def __init__(self, shards: Shards, clock: Clock, queues: Queues, settings: EventSettings) -> None:
        self._shards = shards
        self._clock = clock
        self._queues = queues
        self.settings = settings
        self.counts = Counts()

    async def take(self, sender: Sender, body: bytes) -> Taken:
        """Store the events of a JSON body; all that are accepted are on disk when this returns.

        Raises `Invalid` for another form, `RateLimited` where too many of the course wait to be counted.
        """
        now = self._clock.now()
        events, refused = read_events(body, now, self.settings.keep_days)
        added = 0
        if events:
            added = await self._shards.of(sender.key).write(lambda tx: self._store(tx, sender, events, now))
            self._queues.wake(QUEUE)
        self.counts.accepted += added
        self.counts.duplicate += len(events) - added
        self.counts.rejected += len(refused)
        return Taken(added, len(events) - added, refused, iso(now))

    async def _store(self, tx: Transaction, sender: Sender, events: list[Event], now: float) -> int:
        stream = await lock_stream(tx, sender.key)
        if stream.waiting + len(events) > self.settings.backlog:
            message = f"{stream.waiting} events of this course wait to be counted; send these again later"
            raise BACKLOG.over(errors.RateLimited(message, retry_after=self.settings.retry_seconds))
        added = await tx.execute_columns(
            QUERIES["add_events"],
            {
                "number": list(range(stream.taken + 1, stream.taken + len(events) + 1)),
                "id": [event.id for event in events],
                "type": [event.type for event in events],
                "at": [event.at for event in events],
                "video": [event.video for event in events],
                "position": [event.start for event in events],
                "until": [event.end for event in events],
                "lang": [event.lang for event in events],
            },
            {**sender.key.columns, "user": sender.user, "learner": int(sender.learner), "now": now},
        )
        if added:
            await self._ask(tx, sender.key, stream._replace(taken=stream.taken + len(events)), now)
        return added

    async def tend(self) -> None:
        """Ask again for jobs that have not come, so that no event waits for the next one; for a root task."""
        before = self._clock.now() - ASKED_SECONDS
        for shard in self._shards.all():
            for row in await shard.read(QUERIES["overdue_streams"], {"before": before, "limit": _OVERDUE}):
                key = CourseKey(row["tenant"], row["course"], row["bucket"])
                await self._shards.of(key).write(partial(self._ask_again, key=key))
        self._queues.wake(QUEUE)

    async def _ask_again(self, tx: Transaction, key: CourseKey) -> None:
        stream = await lock_stream(tx, key)
        if stream.waiting:
            await self._ask(tx, key, stream, self._clock.now())

    async def _ask(self, tx: Transaction, key: CourseKey, stream: Stream, now: float) -> None:
        """Note how far events are taken, and see to it that they are counted: soon, or at once where they are many."""
        if not stream.asked_at or stream.asked_at < now - ASKED_SECONDS:
            await self._queues.publish(tx, key, _job(self.settings.wait_seconds))
            stream = stream._replace(asked_at=now, hurried=0)
        if stream.waiting >= self.settings.batch and not stream.hurried:
            await self._queues.publish(tx, key, _job(0.0))
            stream = stream._replace(hurried=1)
        await tx.execute(QUERIES["note_taken"], {**key.columns, **stream._asdict()})


def _job(delay: float) -> NewJob:
    return NewJob(queue=QUEUE, kind=KIND, subject=KIND, delay=delay)


async def lock_stream(tx: Transaction, key: CourseKey) -> Stream:
    """How far a course's events are taken and counted, which nobody else changes until the commit."""
    rows = await tx.read(QUERIES["lock_stream"], key.columns)
    if not rows:
        await tx.execute(QUERIES["add_stream"], key.columns)
        rows = await tx.read(QUERIES["lock_stream"], key.columns)
    row = rows[0]
    return Stream(row["taken"], row["counted"], row["asked_at"], row["hurried"])
