"""What the processes of an installation share: values on NATS, and the word that something has changed.

Two streams in the form of NATS's key-value buckets, both in the server's memory: a cache may vanish. In `guide-cache`
are the values; in `guide-marks` the last change of each mark, and its sequence numbers are the order of changes. Each
value carries the number that its process had heard of before it began to load (`seen`); it holds while no mark of its
own has a greater one. So a value that was loaded before a change is never taken for one loaded after it, whoever stores
it and whenever.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec
import structlog

from atomic_guide.engines.nats.bucket import Bounds, Bucket
from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
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

_LOCK = ".loads"


class Cut(Protocol):
    """Is told that NATS has gone, or is back."""

    def __call__(self, *, away: bool) -> None:
        """It happened just now."""


class Stored(msgspec.Struct, frozen=True, array_like=True):
    """A value as it is kept: until when (epoch seconds), what was heard of before it was loaded, its marks."""

    ends: float
    seen: int
    marks: tuple[str, ...]
    value: bytes


class Counts(NamedTuple):
    """Calls of the shared layer since the start: found, not found, without an answer; changes that were heard."""

    hits: int = 0
    misses: int = 0
    failures: int = 0
    marks: int = 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stored)


class Shared:
    """The shared layer of one process.

    `changed(mark)` is called for each word of a change, `cut(away=)` when NATS goes and when it is back; then nothing
    from before may be believed.
    """

    def __init__(
        self, connection: Connection, settings: CacheSettings, changed: Callable[[str], None], cut: Cut
    ) -> None:
        self._connection = connection
        self._changed = changed
        self._cut = cut
        self._values = Bucket(connection, VALUES, Bounds(settings.shared_seconds, bytes=settings.shared_bytes))
        self._marks = Bucket(connection, MARKS, Bounds(settings.shared_seconds + _MARK_SPARE, _MARKS_MOST))
        self._live = False
        self._known: dict[str, int] = {}
        self._floor = 0
        self._heard = 0
        self._owed: set[str] = set()
        self._moved = asyncio.Event()
        self._telling: asyncio.Task[bool] | None = None
        self.counts = Counts()
        connection.watch(self._on_connection)

    @property
    def live(self) -> bool:
        """Whether changes are heard of."""
        return self._live

    @property
    def seen(self) -> int:
        """What has been heard of: to be read before a load begins."""
        return self._heard

    async def run(self) -> None:
        """Listen while NATS is there, until cancelled."""
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
            return None
        try:
            data = await self._values.get(key, _GET_SECONDS)
            stored = _decoder.decode(data) if data is not None else None
        except (Unavailable, msgspec.DecodeError):
            self._count(failures=1)
            return None
        if stored is None or not self.holds(stored.seen, stored.marks):
            self._count(misses=1)
            return None
        self._count(hits=1)
        return stored

    async def put(self, key: str, stored: Stored) -> bool:
        """Keep a value; whether NATS took it."""
        if not self._live:
            return False
        try:
            await self._values.put(key, _encoder.encode(stored), _PUT_SECONDS)
        except Unavailable:
            self._count(failures=1)
            return False
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

    async def mark(self, marks: Iterable[str]) -> bool:
        """Say that things have changed; False where that could not be said now. It is said once NATS is back."""
        waiting = set(marks)
        self._owed |= waiting
        return self._live and await self._say(sorted(waiting))

    def holds(self, seen: int, marks: Sequence[str]) -> bool:
        """Whether nothing has changed since a value was loaded, as far as has been heard."""
        return seen >= self._floor and all(self._known.get(mark, 0) <= seen for mark in marks)

    async def _say(self, marks: Sequence[str]) -> bool:
        try:
            numbers = await asyncio.gather(*(self._marks.put(mark, b"", _MARK_SECONDS) for mark in marks))
        except Unavailable:
            self._count(failures=1)
            return False
        for mark, number in zip(marks, numbers, strict=True):
            self._hear(mark, number)
            self._owed.discard(mark)
        return True

    async def _listen(self) -> None:
        await self._values.open()
        span = await self._marks.open()
        self._known.clear()
        # Marks that have left the stream may have ended what was loaded before them.
        self._floor = max(span.first - 1, 0)
        self._heard = span.last
        await self._marks.follow(self._hear, self._begin)

    def _begin(self) -> None:
        self._live = True
        self._cut(away=False)
        if self._owed:
            self._telling = asyncio.create_task(self._say(sorted(self._owed)))

    def _end(self) -> None:
        if self._live:
            self._live = False
            self._cut(away=True)

    def _on_connection(self, connected: bool) -> None:  # noqa: FBT001 - a callback of the connection
        if not connected:
            self._end()
        self._moved.set()

    def _hear(self, mark: str, number: int) -> None:
        if self._known.get(mark, 0) >= number:
            return
        if len(self._known) >= 2 * _MARKS_MOST:
            self._floor = self._heard
            self._known.clear()
        self._known[mark] = number
        self._heard = max(self._heard, number)
        self._count(marks=1)
        self._changed(mark)

    def _count(self, *, hits: int = 0, misses: int = 0, failures: int = 0, marks: int = 0) -> None:
        before = self.counts
        self.counts = Counts(
            before.hits + hits, before.misses + misses, before.failures + failures, before.marks + marks
        )
