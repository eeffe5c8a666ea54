"""Taking scores in: rows in batches, each batch one durable unit of work, bad rows rejected alone.

What makes a repetition harmless is the row, not the request. A row with an `id` is stored once in its course. A row
without one is known by (user, activity, at): the same score again is a duplicate, another score or maximum for the
same moment corrects the stored one and counts as accepted. So a transfer that broke off may be sent again whole, and
an error that ends one part way says in its details how far it came.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager

import msgspec

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.analytics.columns import Columns, Read, from_rows
from atomic_guide.course.analytics.forms import read_json
from atomic_guide.course.analytics.limits import STREAM_BYTES
from atomic_guide.course.analytics.readers import Reader, reader
from atomic_guide.course.analytics.scores import Rejected
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.analytics.store import Storing
from atomic_guide.course.notifications.feed import Posts, Silent
from atomic_guide.course.notifications.scores import ScoreNews
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.shards import Shards

BATCH = 2500
"""Rows of the JSON form in one unit of work."""

PART = 128 * 1024
"""Bytes that are read and stored at once: some 2,500 rows, which are 2 ms of a thread and 10 ms of a file's writer, so
that chat messages of the shard wait no longer."""

REJECTED_SHOWN = 1000
"""Rejected rows that an answer lists; the count covers all."""


Changed = Callable[[CourseKey, int, Collection[str]], None]
"""Told of each stored batch: the course, the version that it made of the gradebook, and whose scores it holds."""


class Taking(msgspec.Struct):
    """What became of the rows: each is accepted, a duplicate, or rejected."""

    accepted: int = 0
    duplicates: int = 0
    rejected: list[Rejected] = []
    rejected_count: int = 0

    def count(self, read: Read, changed: int) -> None:
        """Count rows that were read, of which so many are new or corrected."""
        self.accepted += changed
        self.duplicates += read.columns.rows - changed
        self.rejected_count += len(read.rejected)
        self.rejected += read.rejected[: max(0, REJECTED_SHOWN - len(self.rejected))]


class Scores:
    """Takes the scores of courses."""

    def __init__(
        self,
        shards: Shards,
        clock: Clock,
        settings: AnalyticsSettings,
        changed: Changed | None = None,
        posts: Posts | None = None,
    ) -> None:
        self._shards = shards
        self._clock = clock
        self._changed = changed
        self._posts = posts or Silent()
        self.settings = settings

    async def take_json(self, key: CourseKey, body: bytes) -> Taking:
        """Take the JSON form. Raises `Invalid` where the body as a whole cannot be read."""
        read = await asyncio.to_thread(lambda: from_rows(read_json(body, self._clock.now())))
        taking, storing = Taking(), self._storing(key, _activities(read.columns))
        with _telling_how_far(taking):
            for start in range(0, max(1, read.columns.rows), BATCH):
                part = read.columns.part(start, start + BATCH)
                await self._store(storing, Read(part, [] if start else read.rejected), taking)
        return taking

    async def take_csv(self, key: CourseKey, pieces: AsyncIterator[bytes]) -> Taking:
        """Take CSV as it comes in. Raises `Invalid` for an unusable header, `TooLarge` at the limit."""
        return await self._take(key, reader("csv", self._clock.now()), pieces)

    async def take_ndjson(self, key: CourseKey, pieces: AsyncIterator[bytes]) -> Taking:
        """Take one JSON object a line as they come in. Raises `TooLarge` at the limit."""
        return await self._take(key, reader("ndjson", self._clock.now()), pieces)

    async def _take(self, key: CourseKey, form: Reader, pieces: AsyncIterator[bytes]) -> Taking:
        taking, storing = Taking(), self._storing(key)
        with _telling_how_far(taking):
            async for part in self._parts(pieces):
                await self._store(storing, await asyncio.to_thread(form.feed, part), taking)
            await self._store(storing, await asyncio.to_thread(form.finish), taking)
        return taking

    async def _store(self, storing: Storing, read: Read, taking: Taking) -> None:
        changed = 0
        if read.columns.rows:
            changed, version, _ = await storing.store(read.columns, self._clock.now())
            if version is not None and self._changed is not None:
                self._changed(storing.key, version, set(read.columns.user))
        taking.count(read, changed)

    def _storing(self, key: CourseKey, activities: dict[str, str] | None = None) -> Storing:
        # A transfer that is sent again whole changes nothing, and so tells nothing: any name will do.
        news = ScoreNews(self._posts, key, secrets.token_hex(8), activities)
        return Storing(self._shards.of(key), key, news)

    async def _parts(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The body in parts of one size: a network hands over less, a thread should not be woken for it."""
        held, size = bytearray(), 0
        async for piece in pieces:
            size += len(piece)
            if size > self.settings.stream_bytes:
                STREAM_BYTES.note(size)
                refusal = errors.TooLarge(f"the body is over {self.settings.stream_bytes} bytes; send it in parts")
                raise STREAM_BYTES.over(refusal)
            held += piece
            while len(held) >= PART:
                yield bytes(held[:PART])
                del held[:PART]
        STREAM_BYTES.note(size)
        yield bytes(held)


def _activities(columns: Columns) -> dict[str, str]:
    """What the scores of each student are of, where that is one activity."""
    found: dict[str, str] = {}
    for user, activity in zip(columns.user, columns.activity, strict=True):
        found[user] = activity if found.get(user, activity) == activity else ""
    return found


@contextmanager
def _telling_how_far(taking: Taking) -> Iterator[None]:
    """Let an error that ends a transfer part way say what is stored."""
    try:
        yield
    except errors.GuideError as error:
        # A new error: works that fail in one commit share theirs, and the others are no business of this sender.
        how_far = {"accepted": taking.accepted, "duplicates": taking.duplicates, "repeatable": True}
        raise type(error)(error.message, details={**error.details, **how_far}, retry_after=error.retry_after) from error
