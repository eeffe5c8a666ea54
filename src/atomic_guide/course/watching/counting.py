"""Adding events up: a batch's effect on the figures and the mark that it is counted are one transaction.

A job that is run again, after a crash or beside another one of the same course, goes on after the mark; so each event
has its effect exactly once. Jobs of one course take turns at the row of the course in `event_streams`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.course.watching.event import AHEAD_SECONDS, Event
from atomic_guide.course.watching.taking import KIND, QUERIES, Counts, Events, Stream, lock_stream
from atomic_guide.course.watching.tally import Progress, Sent, Tally
from atomic_guide.engines.queues.handlers import Unmourned

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.watching.settings import EventSettings
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.lease import Lease

_DAY = 86400.0
_HOUR = 3600.0

_PRUNED = 2000
"""Events that one transaction forgets: about 20 ms of a shard's writer."""

_PRUNES = 50
"""Transactions of one turn of forgetting in each shard: 100,000 events a minute, more than a shard takes in."""


class Batch(NamedTuple):
    """How many events were counted, and how many are left, at most; seconds that they say were watched."""

    counted: int
    left: int
    watched: float = 0.0


class CountEvents(Unmourned):
    """Counts a course's events until none is left.

    Of a dead letter: it says why events could not be counted; they are tried again after a while (`Events.tend`).
    """

    def __init__(self, settings: EventSettings, counts: Counts) -> None:
        self._limit = settings.batch
        self._counts = counts

    async def run(self, lease: Lease) -> None:
        """Count batch after batch, each in a transaction of its own."""
        key = lease.job.key

        async def work(tx: Transaction) -> Batch:
            return await count_batch(tx, key, self._limit)

        left = 1
        while left:
            batch = await lease.write(work)
            self._counts.counted += batch.counted
            self._counts.watched += batch.watched
            left = batch.left


async def count_batch(tx: Transaction, key: CourseKey, limit: int) -> Batch:
    """Count the next events of a course."""
    stream = await lock_stream(tx, key)
    if not stream.waiting and not stream.asked_at:
        return Batch(0, 0)
    params = {**key.columns, "counted": stream.counted, "limit": limit}
    rows = await tx.read(QUERIES["next_events"], params)
    watched = 0.0
    if rows:
        tally = await _tallied(tx, key, rows)
        watched = float(sum(one.watched for one in tally.sums.values()))
        await _store(tx, key, tally)
    # Numbers after the last row are those of repeated events, or of somebody who was erased meanwhile.
    counted = rows[-1]["number"] if len(rows) == limit else stream.taken
    await _note(tx, key, stream._replace(counted=counted))
    return Batch(len(rows), stream.taken - counted, watched)


async def _note(tx: Transaction, key: CourseKey, stream: Stream) -> None:
    if not stream.waiting:
        stream = stream._replace(asked_at=0.0, hurried=0)
    values = {"counted": stream.counted, "asked_at": stream.asked_at, "hurried": stream.hurried}
    await tx.execute(QUERIES["note_counted"], {**key.columns, **values})


async def _tallied(tx: Transaction, key: CourseKey, rows: list[Row]) -> Tally:
    sent = [_sent(row) for row in rows]
    videos = sorted({one.event.video for one in sent} - {""})
    found = await tx.read_each(QUERIES["find_lecture"], [{**key.columns, "video": video} for video in videos])
    durations = {row["id"]: row["duration"] for lectures in found for row in lectures}
    pairs = sorted({(one.user, one.event.video) for one in sent if one.event.video in durations})
    known = await tx.read_each(
        QUERIES["find_progress"], [{**key.columns, "user": user, "video": video} for user, video in pairs]
    )
    progress = [Progress(**{name: row[name] for name in Progress.__struct_fields__}) for each in known for row in each]
    tally = Tally(durations, progress)
    for one in sent:
        tally.add(one)
    return tally


def _sent(row: Row) -> Sent:
    event = Event(row["id"], row["type"], row["at"], row["video"], row["position"], row["until"], row["lang"])
    return Sent(row["user"], bool(row["learner"]), event)


async def _store(tx: Transaction, key: CourseKey, tally: Tally) -> None:
    place = key.columns
    await tx.execute_many(
        QUERIES["add_activity"],
        [{**place, "user": user, **msgspec.structs.asdict(seen)} for user, seen in sorted(tally.activity.items())],
    )
    if tally.progress:
        rows = [{**place, **msgspec.structs.asdict(one)} for one in tally.progress.values()]
        await tx.execute_many(QUERIES["put_progress"], rows)
    if tally.sums:
        sums = [{**place, "video": video, **msgspec.structs.asdict(one)} for video, one in sorted(tally.sums.items())]
        await tx.execute_many(QUERIES["add_figures"], sums)
    await _store_curves(tx, place, tally)


async def _store_curves(tx: Transaction, place: dict[str, Any], tally: Tally) -> None:
    blocks = sorted(tally.blocks)
    if not blocks:
        return
    asked = [{**place, "video": video, "block": block} for video, block in blocks]
    rows = []
    for block, params, found in zip(blocks, asked, await tx.read_each(QUERIES["find_block"], asked), strict=True):
        more = tally.blocks[block]
        rows.append(
            {
                **params,
                "viewers": _raised(found[0]["viewers"] if found else "[]", more.viewers),
                "plays": _raised(found[0]["plays"] if found else "[]", more.plays),
            }
        )
    await tx.execute_many(QUERIES["put_block"], rows)


def _raised(kept: str, more: list[int]) -> str:
    """Counts as they are kept, raised by others."""
    before = msgspec.json.decode(kept, type=list[int]) or [0] * len(more)
    return msgspec.json.encode([one + other for one, other in zip(before, more, strict=True)]).decode()


def handlers(events: Events) -> dict[str, Handler]:
    """What runs the jobs about events."""
    return {KIND: CountEvents(events.settings, events.counts)}


async def prune_events(shards: Shards, clock: Clock, settings: EventSettings) -> None:
    """Forget events that were counted and can come no second time; for a root task."""
    # Accepted events are at most AHEAD_SECONDS younger than their own time says.
    before = clock.now() - settings.keep_days * _DAY - AHEAD_SECONDS - _HOUR
    params = {"before": before, "limit": _PRUNED}

    async def work(tx: Transaction) -> int:
        return await tx.execute(QUERIES["drop_counted"], params)

    for shard in shards.all():
        for _ in range(_PRUNES):
            if await shard.write(work) < _PRUNED:
                break
