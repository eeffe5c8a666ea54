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
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec
import structlog
from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError, NotFoundError

if TYPE_CHECKING:
    from nats.js import JetStreamContext

    from atomic_guide.engines.cache.settings import CacheSettings
    from atomic_guide.engines.nats.connection import Connection

_log = structlog.get_logger(__name__)

VALUES, MARKS = "guide-cache", "guide-marks"

_GET_SECONDS = 0.25
"""A read of NATS that takes longer is slower than most databases."""

_PUT_SECONDS = 2.0
_MARK_SECONDS = 1.0
_OPEN_SECONDS = 5.0
_REST_SECONDS = 0.5
_MARKS_MOST = 100_000
_LOCK = ".loads"
_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_WRONG_SEQUENCE = 10071
_MARK_SPARE = 120.0
"""A mark outlives the values that it may end: their lifetime, and the longest load before it."""

_TROUBLES = (NatsError, OSError, TimeoutError)


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
    """Calls of the shared layer since the start."""

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
        self,
        connection: Connection,
        settings: CacheSettings,
        changed: Callable[[str], None],
        cut: Cut,
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._changed = changed
        self._cut = cut
        self._stream: JetStreamContext | None = None
        self._known: dict[str, int] = {}
        self._floor = 0
        self._heard = 0
        self._owed: set[str] = set()
        self._moved = asyncio.Event()
        self.counts = Counts()
        connection.watch(self._on_connection)

    @property
    def live(self) -> bool:
        """Whether changes are heard of."""
        return self._stream is not None

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
            if self._connection.client is None:
                continue
            try:
                await self._listen()
            except _TROUBLES as error:
                _log.warning("the shared cache is away", error=repr(error))
            finally:
                self._end()
            await asyncio.sleep(_REST_SECONDS)
            self._moved.set()

    async def get(self, key: str) -> Stored | None:
        """A value that still holds; None where there is none, and where NATS does not say."""
        stream = self._stream
        if stream is None:
            return None
        try:
            async with asyncio.timeout(_GET_SECONDS):
                message = await stream.get_msg(f"KV_{VALUES}", subject=f"$KV.{VALUES}.{key}", direct=True)
            stored = _decoder.decode(message.data or b"")
        except NotFoundError:
            self._count(misses=1)
            return None
        except (*_TROUBLES, msgspec.DecodeError):
            self._count(failures=1)
            return None
        holds = self.holds(stored.seen, stored.marks)
        self._count(hits=holds, misses=not holds)
        return stored if holds else None

    async def put(self, key: str, stored: Stored) -> bool:
        """Keep a value; whether NATS took it."""
        stream = self._stream
        if stream is None:
            return False
        try:
            await stream.publish(f"$KV.{VALUES}.{key}", _encoder.encode(stored), timeout=_PUT_SECONDS)
        except _TROUBLES:
            self._count(failures=1)
            return False
        return True

    async def lock(self, key: str, seconds: float) -> bool:
        """Be the one process that loads a value, for so long at most; True as well where NATS cannot say."""
        stream = self._stream
        if stream is None:
            return True
        try:
            await stream.publish(
                f"$KV.{VALUES}.{key}{_LOCK}",
                b"",
                timeout=_GET_SECONDS,
                headers={_EXPECTED: "0"},
                msg_ttl=max(1.0, seconds),
            )
        except APIError as error:
            return error.err_code != _WRONG_SEQUENCE
        except _TROUBLES:
            return True
        return True

    async def unlock(self, key: str) -> None:
        """Let others load again; without this the lock ends by itself."""
        if self._stream is not None:
            with contextlib.suppress(*_TROUBLES):
                await self._stream.purge_stream(f"KV_{VALUES}", subject=f"$KV.{VALUES}.{key}{_LOCK}")

    async def mark(self, marks: Iterable[str]) -> bool:
        """Say that things have changed; False where that could not be said now. It is said once NATS is back."""
        waiting = set(marks)
        self._owed |= waiting
        if self._stream is None:
            return False
        return await self._say(sorted(waiting))

    def holds(self, seen: int, marks: Sequence[str]) -> bool:
        """Whether nothing has changed since a value was loaded, as far as has been heard."""
        return seen >= self._floor and all(self._known.get(mark, 0) <= seen for mark in marks)

    async def _say(self, marks: Sequence[str]) -> bool:
        stream = self._stream
        if stream is None:
            return False
        try:
            found = await asyncio.gather(
                *(stream.publish(f"$KV.{MARKS}.{mark}", b"", timeout=_MARK_SECONDS) for mark in marks)
            )
        except _TROUBLES:
            self._count(failures=1)
            return False
        for mark, acknowledged in zip(marks, found, strict=True):
            self._hear(mark, acknowledged.seq)
            self._owed.discard(mark)
        return True

    async def _listen(self) -> None:
        client = self._connection.client
        if client is None:
            return
        stream = client.jetstream(timeout=_OPEN_SECONDS)
        own = self._settings
        await _opened(stream, VALUES, int(own.shared_seconds), max_bytes=own.shared_bytes)
        state = await _opened(stream, MARKS, int(own.shared_seconds + _MARK_SPARE), max_msgs=_MARKS_MOST)
        self._known.clear()
        # Marks that have left the stream may have ended what was loaded before them.
        self._floor = max(state.first_seq - 1, 0)
        self._heard = state.last_seq
        watcher: Any = await (await stream.key_value(MARKS)).watch(">")
        try:
            async with asyncio.timeout(_OPEN_SECONDS):
                while (entry := await watcher.updates(_OPEN_SECONDS)) is not None:
                    self._hear(entry.key, entry.revision)
            self._stream = stream
            self._cut(away=False)
            if self._owed:
                await self._say(sorted(self._owed))
            while self._connection.client is client:
                with contextlib.suppress(TimeoutError, NatsError):
                    if (entry := await watcher.updates(1.0)) is not None:
                        self._hear(entry.key, entry.revision)
        finally:
            with contextlib.suppress(*_TROUBLES):
                await watcher.stop()

    def _on_connection(self, connected: bool) -> None:  # noqa: FBT001 - a callback of the connection
        if not connected:
            self._end()
        self._moved.set()

    def _end(self) -> None:
        if self._stream is not None:
            self._stream = None
            self._cut(away=True)

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


async def _opened(stream: JetStreamContext, bucket: str, seconds: int, **bounds: int) -> api.StreamState:
    """Make a bucket, or bring it to its bounds; its state."""
    config = api.StreamConfig(
        name=f"KV_{bucket}",
        subjects=[f"$KV.{bucket}.>"],
        max_msgs_per_subject=1,
        max_age=seconds,
        storage=api.StorageType.MEMORY,
        discard=api.DiscardPolicy.OLD,
        allow_direct=True,
        allow_rollup_hdrs=True,
        allow_msg_ttl=True,
        **bounds,  # type: ignore[arg-type]
    )
    try:
        return (await stream.add_stream(config)).state
    except APIError:
        return (await stream.update_stream(config)).state
