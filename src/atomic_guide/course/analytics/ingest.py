"""Taking scores in: rows in batches, each batch one durable unit of work, bad rows rejected alone.

What makes a repetition harmless is the row, not the request. A row with an `id` is stored once in its course. A row
without one is known by (user, activity, at): the same score again is a duplicate, another score or maximum for the
same moment corrects the stored one and counts as accepted. So a transfer that broke off may be sent again whole, and
an error that ends one part way says in its details how far it came.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.analytics.forms import CsvForm, Form, NdjsonForm, Taken, read_json
from atomic_guide.course.analytics.scores import Rejected, Score
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.data.shards import Shards

QUERIES = load_queries(__package__)

BATCH = 1000
"""Rows in one unit of work: 10 ms of the writer's time, so that chat messages of the shard wait no longer."""

PART = 64 * 1024
"""Bytes that are read into rows at once: some 1,000 rows, 5 ms of a thread."""

REJECTED_SHOWN = 1000
"""Rejected rows that an answer lists; the count covers all."""


class Taking(msgspec.Struct):
    """What became of the rows: each is accepted, a duplicate, or rejected."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = []
    rejected_count: int = 0


class Scores:
    """Takes the scores of courses."""

    def __init__(self, shards: Shards, clock: Clock, settings: AnalyticsSettings) -> None:
        self._shards = shards
        self._clock = clock
        self.settings = settings

    async def take_json(self, key: CourseKey, body: bytes) -> Taking:
        """Take the JSON form. Raises `Invalid` where the body as a whole cannot be read."""
        rows = await asyncio.to_thread(read_json, body, self._clock.now())
        taking = Taking()
        with _telling_how_far(taking):
            await self._store(key, _count_rejected(rows, taking), taking)
        return taking

    async def take_csv(self, key: CourseKey, pieces: AsyncIterator[bytes]) -> Taking:
        """Take CSV as it comes in. Raises `Invalid` for an unusable header, `TooLarge` at the limit."""
        return await self._take(key, CsvForm(self._clock.now()), pieces)

    async def take_ndjson(self, key: CourseKey, pieces: AsyncIterator[bytes]) -> Taking:
        """Take one JSON object a line as they come in. Raises `TooLarge` at the limit."""
        return await self._take(key, NdjsonForm(self._clock.now()), pieces)

    async def _take(self, key: CourseKey, form: Form, pieces: AsyncIterator[bytes]) -> Taking:
        taking, waiting = Taking(), list[Score]()
        with _telling_how_far(taking):
            async for part in self._parts(pieces):
                waiting += _count_rejected(await asyncio.to_thread(form.feed, part), taking)
                if len(waiting) >= BATCH:
                    await self._store(key, waiting, taking)
                    waiting.clear()
            waiting += _count_rejected(await asyncio.to_thread(form.finish), taking)
            await self._store(key, waiting, taking)
        return taking

    async def _parts(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body in parts of one size: a network hands over less, a thread should not be woken for it."""
        held, size = bytearray(), 0
        async for piece in pieces:
            size += len(piece)
            if size > self.settings.stream_bytes:
                raise errors.TooLarge(f"the body is over {self.settings.stream_bytes} bytes; send it in parts")
            held += piece
            while len(held) >= PART:
                yield bytes(held[:PART])
                del held[:PART]
        yield bytes(held)

    async def _store(self, key: CourseKey, scores: list[Score], taking: Taking) -> None:
        database = self._shards.of(key)
        for start in range(0, len(scores), BATCH):
            batch = scores[start : start + BATCH]
            changed = await database.write(_Batch(key, batch, self._clock.now()).store)
            taking.accepted += changed
            taking.duplicates += len(batch) - changed


@contextmanager
def _telling_how_far(taking: Taking) -> Iterator[None]:
    """Let an error that ends a transfer part way say what is stored."""
    try:
        yield
    except errors.GuideError as error:
        # A new error: works that fail in one commit share theirs, and the others are no business of this sender.
        how_far = {"accepted": taking.accepted, "duplicates": taking.duplicates, "repeatable": True}
        raise type(error)(error.message, details={**error.details, **how_far}, retry_after=error.retry_after) from error


def _count_rejected(rows: Taken, taking: Taking) -> list[Score]:
    """Note the rejected rows; returns the scores of the others."""
    scores: list[Score] = []
    for row in rows:
        if not isinstance(row, Rejected):
            scores.append(row[1])
            continue
        taking.rejected_count += 1
        if len(taking.rejected) < REJECTED_SHOWN:
            taking.rejected.append(row)
    return scores


class _Batch(msgspec.Struct, frozen=True):
    """Scores to be stored together."""

    key: CourseKey
    scores: list[Score]
    now: float

    async def store(self, tx: Transaction) -> int:
        """Store them; returns how many were new or corrected."""
        place, changed = self.key.columns, 0
        for score in self.scores:
            row = {
                **place,
                "user": score.user,
                "activity": score.activity,
                "at": score.at,
                "score": score.score,
                "maximum": score.maximum,
            }
            if score.id:
                changed += await tx.execute(QUERIES["add_identified_score"], {**row, "id": score.id})
            else:
                changed += await tx.execute(QUERIES["add_score"], row)
        if changed:
            await tx.execute(QUERIES["bump_gradebook"], {**place, "now": self.now})
        return changed
