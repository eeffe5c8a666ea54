"""A key-value bucket of NATS, in the server's memory: what may vanish at any moment, with an order of its changes.

A stream in the form that NATS's own tools know (`nats kv`). When it is full the oldest keys leave. Every call has a
time limit and raises `Unavailable` where NATS does not answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from nats.errors import Error as NatsError
from nats.js import api
from nats.js.errors import APIError, NotFoundError

from atomic_guide import tracing
from atomic_guide.errors import Unavailable

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.js import JetStreamContext

    from atomic_guide.engines.nats.connection import Connection

_OPEN_SECONDS = 5.0
_SURROUNDS = 4096
_LOOK_SECONDS = 1.0
"""How soon a follower sees that its connection has gone."""

_EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_WRONG_SEQUENCE = 10071


class Bounds(NamedTuple):
    """How long keys live in seconds, how many there may be and of how many bytes; -1 is no limit."""

    seconds: float
    most: int = -1
    bytes: int = -1


class Span(NamedTuple):
    """The numbers of the oldest change that is still there and of the newest; those before the oldest are forgotten.

    `since` tells one order of changes from another: when it began, in microseconds since the epoch.
    """

    first: int
    last: int
    since: int


class Held(NamedTuple):
    """What a bucket holds: keys, and their bytes as the server counts them."""

    keys: int
    bytes: int


class Bucket:
    """One bucket, as one process sees it. Keys are letters, digits, `-`, `_` and dots between them."""

    def __init__(self, connection: Connection, name: str, bounds: Bounds) -> None:
        self._connection = connection
        self._name = name
        self._bounds = bounds
        self._opened: tuple[Client, JetStreamContext] | None = None

    async def open(self) -> Span:
        """Make it on the server that is connected, or bring it to its bounds."""
        client = self._connection.client
        if client is None:
            raise Unavailable("NATS is away")
        stream = client.jetstream(timeout=_OPEN_SECONDS)
        config = api.StreamConfig(
            name=self._stream,
            subjects=[self._subject(">")],
            max_msgs_per_subject=1,
            max_age=self._bounds.seconds,
            max_msgs=self._bounds.most,
            max_bytes=self._bounds.bytes,
            storage=api.StorageType.MEMORY,
            discard=api.DiscardPolicy.OLD,
            allow_direct=True,
            allow_rollup_hdrs=True,
            allow_msg_ttl=True,
        )
        with _told():
            try:
                info = await stream.add_stream(config)
            except APIError:
                info = await stream.update_stream(config)
        self._opened = client, stream
        return _span(info)

    def join(self) -> None:
        """Use it where it has been made, and only then: what is removed from one that is not there is gone already."""
        client = self._connection.client
        if client is None:
            raise Unavailable("NATS is away")
        self._opened = client, client.jetstream(timeout=_OPEN_SECONDS)

    async def span(self) -> Span:
        """Which changes there are now."""
        with _told():
            return _span(await self._live().stream_info(self._stream))

    async def held(self) -> Held:
        """How much there is."""
        with _told():
            state = (await self._live().stream_info(self._stream)).state
        return Held(state.messages, state.bytes)

    async def count(self, pattern: str) -> int:
        """How many keys begin alike, by a pattern that ends in `>`; those of a claim count, too."""
        with _told():
            info = await self._live().stream_info(self._stream, subjects_filter=self._subject(pattern))
        return len(info.state.subjects or {})

    async def get(self, key: str, limit: float) -> bytes | None:
        """What a key has, None where there is none; from any server of a cluster."""
        with self._asking("get"):
            try:
                async with asyncio.timeout(limit):
                    message = await self._live().get_msg(self._stream, subject=self._subject(key), direct=True)
            except NotFoundError:
                return None
        return message.data or b""

    async def put(self, key: str, data: bytes, limit: float) -> int:
        """Set a key; the number of this change, greater than those of all before it."""
        with self._asking("put"):
            return (await self._live().publish(self._subject(key), data, timeout=limit)).seq

    @property
    def most(self) -> int:
        """Most bytes that the server takes as a value, with something to spare for what surrounds it."""
        client = self._connection.client
        return client.max_payload - _SURROUNDS if client is not None else 0

    async def claim(self, key: str, limit: float, seconds: float) -> bool:
        """Set a key that nobody has set, for so many seconds (one at least); False where somebody has."""
        with self._asking("claim"):
            try:
                await self._live().publish(
                    self._subject(key), b"", timeout=limit, headers={_EXPECTED: "0"}, msg_ttl=max(1.0, seconds)
                )
            except APIError as error:
                if error.err_code != _WRONG_SEQUENCE:
                    raise
                return False
        return True

    async def forget(self, key: str) -> None:
        """Remove a key, so that it can be claimed again; or all that begin alike, by a pattern that ends in `.>`."""
        with self._asking("forget"), contextlib.suppress(NotFoundError):
            await self._live().purge_stream(self._stream, subject=self._subject(key))

    async def follow(self, heard: Callable[[str, int], None], ready: Callable[[], None]) -> None:
        """Call `heard(key, number)` for each key that is there, then `ready()`, then at each change.

        Returns when the connection that it was opened on is gone.
        """
        if self._opened is None:
            raise Unavailable(f"the bucket {self._name} is not open")
        client, stream = self._opened
        with _told():
            watcher: Any = await (await stream.key_value(self._name)).watch(">")
            try:
                async with asyncio.timeout(_OPEN_SECONDS):
                    while (entry := await watcher.updates(_OPEN_SECONDS)) is not None:
                        heard(entry.key, entry.revision)
                ready()
                while self._connection.client is client:
                    with contextlib.suppress(TimeoutError, NatsError):
                        if (entry := await watcher.updates(_LOOK_SECONDS)) is not None:
                            heard(entry.key, entry.revision)
            finally:
                with contextlib.suppress(NatsError, OSError, TimeoutError):
                    await watcher.stop()

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        with tracing.within(f"NATS {what}", "client", messaging__destination__name=self._name), _told():
            yield

    @property
    def _stream(self) -> str:
        return f"KV_{self._name}"

    def _subject(self, key: str) -> str:
        return f"$KV.{self._name}.{key}"

    def _live(self) -> JetStreamContext:
        if self._opened is None or self._connection.client is not self._opened[0]:
            raise Unavailable("NATS is away")
        return self._opened[1]


def _span(info: api.StreamInfo) -> Span:
    since = round(info.created.timestamp() * 1e6) if info.created is not None else 0
    return Span(info.state.first_seq, info.state.last_seq, since)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError, TimeoutError) as error:
        raise Unavailable(f"NATS does not answer: {error!r}") from error
