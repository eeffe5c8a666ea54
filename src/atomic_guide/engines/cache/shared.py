"""What the processes of an installation share: values on NATS, and the word that something has changed.

Two streams in the form of NATS's key-value buckets, both in the server's memory: a cache may vanish. In `guide-cache`
are the values; in `guide-marks` the last change of each mark, and its sequence numbers are the order of changes. Each
value carries the number that its process had heard of before it began to load (`seen`); it holds while no mark of its
own has a greater one. So a value that was loaded before a change is never taken for one loaded after it, whoever stores
it and whenever. An order that began anew, because NATS lost it, makes every value of the one before worthless.

Where an installation has regions, each has a bucket of values of its own, which NATS keeps in the cluster that its
processes are connected to; the words of changes, which are digests, are heard in all.

Each process also asks NATS each second for the number of the last change, and waits until it has heard of that: so it
knows that it hears of changes, and how late. Where it does not, it counts as cut off, listens anew, and forgets
everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from atomic_guide.engines.cache.keys import EVERYTHING
from atomic_guide.engines.cache.sealed import Garbage, Sealer, Stored
from atomic_guide.engines.nats.bucket import Bounds, Bucket, Held
from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from atomic_guide.engines.cache.counts import Counts
    from atomic_guide.engines.cache.settings import CacheSettings
    from atomic_guide.engines.nats.connection import Connection

_log = structlog.get_logger(__name__)

VALUES, MARKS = "guide-cache", "guide-marks"

_GET_SECONDS = 0.25
"""A read of NATS that takes longer is slower than most databases."""

_PUT_SECONDS = 2.0
_MARK_SECONDS = 1.0
_REST_SECONDS = 0.5
_MARKS_MOST = 100_000
_MARK_SPARE = 120.0
"""A mark outlives the values that it may end: their lifetime, and the longest load before it."""

ASK_SECONDS = 1.0
SILENT_SECONDS = 3.0
"""How long a process waits for an answer, and for a change that NATS has, before it counts as cut off; both come within
a millisecond or two."""

_LOCK = ".loads"
_CANCELLATIONS, _CANCEL_SECONDS = 10, 0.3


class Cut(Protocol):
    """Is told that NATS has gone, or is back."""

    def __call__(self, *, away: bool) -> None:
        """It happened just now."""


class Reached(NamedTuple):
    """How far a process has heard of changes: when their order began, and the number of the last one."""

    since: int
    number: int


class Shared:
    """The shared layer of one process.

    `changed(mark)` is called for each word of a change, `cut(away=)` when NATS goes and when it is back; then nothing
    from before may be believed.
    """

    def __init__(
        self,
        connection: Connection,
        settings: CacheSettings,
        sealer: Sealer,
        counts: Counts,
        told: tuple[Callable[[str], None], Cut],
        regions: Sequence[str] = (),
    ) -> None:
        """`regions` are the names of all, this process's own first."""
        self._connection = connection
        self._sealer = sealer
        self._counts = counts
        self._changed, self._cut = told
        bounds = Bounds(settings.shared_seconds, bytes=settings.shared_bytes)
        names = [f"{VALUES}-{region}" for region in regions] or [VALUES]
        self._values, *self._elsewhere = (Bucket(connection, name, bounds) for name in names)
        self._marks = Bucket(connection, MARKS, Bounds(settings.shared_seconds + _MARK_SPARE, _MARKS_MOST))
        self._live = False
        self._known: dict[str, int] = {}
        self._floor = 0
        self._seen = 0
        self._reached = Reached(0, 0)
        self._owed: set[str] = set()
        self._moved = asyncio.Event()
        self._telling: asyncio.Task[bool] | None = None
        self._heard = asyncio.Event()
        self._lost = False
        connection.watch(self._on_connection)

    @property
    def live(self) -> bool:
        """Whether changes are heard of."""
        return self._live

    @property
    def seen(self) -> int:
        """What is known to have changed: to be read before a load begins."""
        return self._seen

    @property
    def reached(self) -> Reached:
        """Up to where every change has been heard and acted upon."""
        return self._reached

    async def run(self) -> None:
        """Listen while NATS is there, until cancelled."""
        listening = asyncio.create_task(self._run())
        try:
            await asyncio.wait([listening])
            listening.result()
        finally:
            await _ended(listening)

    async def _run(self) -> None:
        self._moved.set()
        while True:
            await self._moved.wait()
            self._moved.clear()
            if not self._connection.connected:
                continue
            try:
                await self._listen()
            except Unavailable as error:
                _log.warning("the shared cache is away", error=error.message)
            finally:
                self._end()
            await asyncio.sleep(_REST_SECONDS)
            self._moved.set()

    async def get(self, key: str) -> Stored | None:
        """A value that still holds; None where there is none, and where NATS does not say."""
        if not self._live:
            self._counts.skipped += 1
            return None
        try:
            data = await self._values.get(key, _GET_SECONDS)
            stored = self._sealer.open(key, data) if data is not None else None
        except Unavailable:
            self._lost = True
            self._counts.skipped += 1
            return None
        except Garbage:
            self._counts.garbage += 1
            return None
        if stored is None or not self.holds(stored):
            self._counts.shared_misses += 1
            return None
        self._counts.shared_hits += 1
        return stored

    async def lying(self, key: str) -> Stored | None:
        """What lies under a name, whether it still holds or not; counts nothing. Raises `Unavailable`."""
        data = await self._values.get(key, _PUT_SECONDS)
        with contextlib.suppress(Garbage):
            return self._sealer.open(key, data) if data is not None else None
        return None

    async def put(self, key: str, stored: Stored) -> bool:
        """Keep a value; whether NATS took it."""
        data = self._sealer.close(key, stored)
        if not self._live or len(data) > self._values.most:
            self._counts.skipped += 1
            return False
        try:
            await self._values.put(key, data, _PUT_SECONDS)
        except Unavailable:
            self._lost = True
            self._counts.skipped += 1
            return False
        self._counts.puts += 1
        return True

    async def lock(self, key: str, seconds: float) -> bool:
        """Be the one process that loads a value, for so long at most; True as well where NATS cannot say."""
        if not self._live:
            return True
        try:
            return await self._values.claim(key + _LOCK, _GET_SECONDS, seconds)
        except Unavailable:
            return True

    async def unlock(self, key: str) -> None:
        """Let others load again; without this the lock ends by itself."""
        with contextlib.suppress(Unavailable):
            await self._values.forget(key + _LOCK)

    async def remove(self, pattern: str) -> None:
        """Remove values by what their names begin with, in every region. Raises `Unavailable`."""
        await self._values.forget(pattern)
        for bucket in self._elsewhere:
            bucket.join()
            await bucket.forget(pattern)

    async def count(self, pattern: str) -> int:
        """How many values have a name that begins so. Raises `Unavailable`."""
        return await self._values.count(pattern)

    async def held(self) -> Held:
        """How much there is on NATS. Raises `Unavailable`."""
        return await self._values.held()

    async def mark(self, marks: Iterable[str]) -> Reached | None:
        """Say that things have changed; who has heard so far has heard of it. None where it could not be said now.

        Then it is said once NATS is back.
        """
        waiting = set(marks)
        self._owed |= waiting
        if not self._live or not await self._say(sorted(waiting)):
            return None
        return Reached(self._reached.since, self._seen)

    def holds(self, stored: Stored) -> bool:
        """Whether nothing has changed since a value was loaded, as far as has been heard."""
        if stored.since != self._reached.since or stored.seen < self._floor:
            return False
        known = self._known
        return known.get(EVERYTHING, 0) <= stored.seen and all(
            known.get(mark, 0) <= stored.seen for mark in stored.marks
        )

    async def _say(self, marks: Sequence[str]) -> bool:
        try:
            numbers = await asyncio.gather(*(self._marks.put(mark, b"", _MARK_SECONDS) for mark in marks))
        except Unavailable:
            self._counts.skipped += 1
            return False
        for mark, number in zip(marks, numbers, strict=True):
            self._note(mark, number)
            self._owed.discard(mark)
        return True

    async def _listen(self) -> None:
        await self._values.open()
        span = await self._marks.open()
        self._known.clear()
        # Marks that have left the stream may have ended what was loaded before them.
        self._floor = max(span.first - 1, 0)
        self._seen = span.last
        self._reached = Reached(span.since, span.last)
        following = asyncio.create_task(self._marks.follow(self._hear, self._begin))
        try:
            await self._keep_hearing(following)
        finally:
            await _ended(following)

    async def _keep_hearing(self, following: asyncio.Task[None]) -> None:
        """See to it that changes are heard. Raises `Unavailable` where they are not."""
        while not following.done():
            if self._live:
                await self._catch_up()
            if self._lost:
                # Values may have lost their stream, while that of changes is there.
                self._lost = False
                await self._values.open()
            await asyncio.wait([following], timeout=ASK_SECONDS if self._live else 0.01)
        following.result()

    async def _catch_up(self) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(SILENT_SECONDS):
                span = await self._marks.span()
                while self._reached.since == span.since and self._reached.number < span.last:
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            raise Unavailable(f"a change that NATS has was not heard within {SILENT_SECONDS:g} s") from None
        if self._reached.since != span.since:
            raise Unavailable("NATS has lost the order of changes, and begun anew")
        self._counts.lag.add(time.monotonic() - began)

    def _begin(self) -> None:
        self._live = True
        self._cut(away=False)
        if self._owed:
            self._telling = asyncio.create_task(self._say(sorted(self._owed)))

    def _end(self) -> None:
        if self._live:
            self._live = False
            self._counts.cuts += 1
            self._cut(away=True)

    def _on_connection(self, connected: bool) -> None:  # noqa: FBT001 - a callback of the connection
        if not connected:
            self._end()
        self._moved.set()

    def _hear(self, mark: str, number: int) -> None:
        """A word on the stream, in its order."""
        self._note(mark, number)
        if number > self._reached.number:
            self._reached = Reached(self._reached.since, number)
            self._heard.set()

    def _note(self, mark: str, number: int) -> None:
        """A change, as heard or as acknowledged, whichever comes first."""
        self._seen = max(self._seen, number)
        if self._known.get(mark, 0) >= number:
            return
        if len(self._known) >= 2 * _MARKS_MOST:
            self._floor = self._seen
            self._known.clear()
        self._known[mark] = number
        self._counts.marks += 1
        self._changed(mark)


async def _ended(task: asyncio.Task[None]) -> None:
    """End a task; again and again, since NATS's client swallows a cancellation in the middle of a write."""
    for _ in range(_CANCELLATIONS):
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=_CANCEL_SECONDS)
        if done:
            break
    if task.done() and not task.cancelled():
        task.exception()
