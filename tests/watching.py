"""Events of lectures for tests: bodies as pages send them, lectures to send them about, a worker that counts them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from atomic_guide.clock import Clock, SystemClock, iso
from atomic_guide.course.watching.counting import handlers
from atomic_guide.course.watching.settings import EventSettings
from atomic_guide.course.watching.taking import QUEUE, Events, Sender
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Job, Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.engines.queues.worker import Observer, Worker
from tests.keeping import put

KEY = CourseKey.of("t1", "course-1")
LECTURE = "v0123456789abcdef"
QUEUES = QueueSettings(lease_seconds=0.4, heartbeat_seconds=0.1, poll_seconds=0.05, handover_seconds=0.0)

_numbers = itertools.count(1)


class Noting(Observer):
    """Keeps how runs of jobs end."""

    def __init__(self, ended: list[str]) -> None:
        self._ended = ended

    def ended(self, job: Job, outcome: str, seconds: float) -> None:
        """A run has ended."""
        self._ended.append(outcome)


def event(kind: str, at: float, identity: str = "", **data: Any) -> dict[str, Any]:
    """An event with an id of its own, unless one is given; `start` stands for `from`, which Python keeps to itself."""
    if "start" in data:
        data["from"] = data.pop("start")
    return {"id": identity or f"e{next(_numbers)}", "type": kind, "at": iso(at), "data": data}


def watched(at: float, start: int, to: int, identity: str = "", video: str = LECTURE) -> dict[str, Any]:
    """Seconds of a lecture that were played."""
    return event("watched", at, identity, video=video, start=start, to=to)


def body(*events: dict[str, Any]) -> bytes:
    """The body of a call."""
    return msgspec.json.encode({"events": list(events)})


def sender(user: str, *, learner: bool = True, key: CourseKey = KEY) -> Sender:
    """Who sends."""
    return Sender(key, user, learner)


async def add_lecture(shards: Shards, key: CourseKey = KEY, video: str = LECTURE, duration: float | None = 300) -> None:
    """A lecture that is ready."""
    text = {"steps": "[]", "renditions": "[]", "captions": "[]", "chapters": "[]"}
    row = {"id": video, "title": "Waves", "filename": "w.mp4", "uploader": "t", "status": "ready", "duration": duration}
    await put(shards, key, "videos", **row, **text, progress=1.0, size=5, derived=0, poster=False, created_at=1.0)


def taking(shards: Shards, clock: Clock | None = None, **settings: Any) -> Events:
    """What takes events; fewer than a batch are counted after a tenth of a second."""
    chosen = EventSettings(**{"wait_seconds": 0.1, **settings})
    clock = clock or SystemClock()
    return Events(shards, clock, Queues(shards, clock, QUEUES), chosen)


@contextlib.asynccontextmanager
async def counting(events: Events, shards: Shards, clock: Clock | None = None) -> AsyncIterator[list[str]]:
    """A worker that counts; how its jobs ended."""
    clock = clock or SystemClock()
    ended: list[str] = []
    worker = Worker(shards, {QUEUE: handlers(events)}, clock=clock, settings=QUEUES, observer=Noting(ended))
    running = asyncio.create_task(worker.run())
    try:
        yield ended
    finally:
        worker.stop()
        await asyncio.wait_for(running, 20)


WAITING = Query(
    "waiting",
    "Whether events of a course wait, or a job for them is asked for.",
    {
        None: "SELECT taken - counted AS waiting, asked_at FROM event_streams"
        " WHERE bucket = :bucket AND tenant = :tenant AND course = :course"
    },
)


async def all_counted(shards: Shards, key: CourseKey = KEY, seconds: float = 30) -> None:
    """Wait until every event of a course is counted and no job is asked for."""
    async with asyncio.timeout(seconds):
        while True:
            row = await shards.of(key).one(WAITING, key.columns)
            if row is not None and not row["waiting"] and not row["asked_at"]:
                return
            await asyncio.sleep(0.02)
