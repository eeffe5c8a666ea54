"""A connection to NATS that comes back by itself.

The client's own reconnecting is switched off: it keeps to the address it was given, and it buffers what was
published meanwhile without telling. Here each attempt reads the address anew (the bundled server may return on
another port), subscriptions are made again, listeners hear of every change, and what is published while away
is dropped and counted: receivers read the database then.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as ClientSubscription
from nats.errors import Error as NatsError
from nats.errors import SlowConsumerError

from atomic_guide import tracing
from atomic_guide.engines.nats.address import NatsAddress, read_address
from atomic_guide.engines.nats.limits import INBOX, OUTBOX
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.limit import Used

_log = structlog.get_logger(__name__)

_CONNECT_TIMEOUT = 2
_FLUSH_TIMEOUT = 2
_LOOK_SECONDS = 0.005
_CLOSE_TIMEOUT = 5
_PING_SECONDS = 5
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0

Receive = Callable[[bytes], None]
Changed = Callable[[bool], None]


class Subscription:
    """Interest in a subject, kept over reconnections until `end`."""

    __slots__ = ("_connection", "live", "receive", "subject")

    def __init__(self, connection: Connection, subject: str, receive: Receive) -> None:
        self._connection = connection
        self.subject = subject
        self.receive = receive
        self.live: ClientSubscription | None = None

    async def end(self) -> None:
        """Receive nothing more."""
        await self._connection.forget(self)


class Connection:
    """A client of the server whose address is in the settings or below the data directory."""

    def __init__(self, directory: Path, settings: NatsSettings, name: str = "atomic-guide") -> None:
        self._directory = directory
        self._settings = settings
        self._name = name
        self._client: Client | None = None
        self._task: asyncio.Task[None] | None = None
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._wake = asyncio.Event()
        self._ending = False
        self._first = asyncio.Event()
        self._subscriptions: set[Subscription] = set()
        self._listeners: list[Changed] = []
        self.dropped = 0

    @property
    def connected(self) -> bool:
        """Whether publishing reaches the server."""
        return self._client is not None and self._client.is_connected

    def used(self) -> Iterator[Used]:
        """What waits to be sent, and to be read of the subject that has most."""
        yield Used(OUTBOX, len(self._outbox))
        received = (one.live.pending_bytes for one in self._subscriptions if one.live is not None)
        yield Used(INBOX, max(received, default=0))

    @property
    def client(self) -> Client | None:
        """The client while it is connected, for JetStream and key-value use."""
        return self._client if self.connected else None

    def watch(self, changed: Changed) -> None:
        """Call `changed(connected)` at each change from now on."""
        self._listeners.append(changed)

    async def open(self, wait: float = 2.0) -> None:
        """Begin to connect; returns when connected, or after `wait` seconds without an error."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._first.wait()

    async def close(self) -> None:
        """Disconnect for good; bounded."""
        self._ending = True
        self._wake.set()
        task, self._task = self._task, None
        if task is not None:
            # The client swallows a cancellation that meets it in the middle of a write; then `_ending` ends the task.
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_TIMEOUT)

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send when the loop is next free; False where it was dropped: away, or too much waits."""
        if not self.connected or len(self._outbox) >= self._settings.outbox_limit:
            self.dropped += 1
            OUTBOX.refused += self.connected
            return False
        if tracing.active():
            # The end of its subject names a course. It has no length: it is sent when the loop is next free.
            with tracing.within("NATS publish", "producer", messaging__destination__name=subject.partition(".")[0]):
                pass
        self._outbox.append((subject, payload))
        self._wake.set()
        return True

    async def flush(self, limit: float = _FLUSH_TIMEOUT) -> bool:
        """Wait until what was published has reached the server, for at most `limit` seconds; whether it has."""
        try:
            async with asyncio.timeout(limit):
                while self._outbox and self.connected:  # noqa: ASYNC110 - `_wake` is for its other end
                    await asyncio.sleep(_LOOK_SECONDS)
                if (client := self.client) is None:
                    return False
                await client.flush(_FLUSH_TIMEOUT)
        except (NatsError, OSError, TimeoutError):
            return False
        return True

    async def subscribe(self, subject: str, receive: Receive) -> Subscription:
        """Call `receive(payload)` for each message; once it returns, while connected, none is missed."""
        subscription = Subscription(self, subject, receive)
        self._subscriptions.add(subscription)
        client = self.client
        if client is not None:
            with contextlib.suppress(NatsError, TimeoutError, OSError):
                await self._subscribe(client, subscription)
                await client.flush(_FLUSH_TIMEOUT)
        return subscription

    async def forget(self, subscription: Subscription) -> None:
        """End a subscription."""
        self._subscriptions.discard(subscription)
        live, subscription.live = subscription.live, None
        if live is not None and self.connected:
            with contextlib.suppress(NatsError, OSError):
                await live.unsubscribe()

    async def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._ending:
            try:
                client, closed = await self._connect()
            except (NatsError, OSError, TimeoutError, ValueError) as error:
                _log.debug("NATS is away", error=repr(error))
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE)
                continue
            pause = _FIRST_PAUSE
            try:
                self._tell(connected=True)
                self._first.set()
                await self._send_until(client, closed)
            finally:
                self._client = None
                self._outbox.clear()
                for subscription in self._subscriptions:
                    subscription.live = None
                with contextlib.suppress(NatsError, OSError, TimeoutError):
                    async with asyncio.timeout(_FLUSH_TIMEOUT):
                        await client.close()
            if not self._ending:
                _log.warning("NATS has gone away")
                self._tell(connected=False)

    async def _connect(self) -> tuple[Client, asyncio.Event]:
        address: NatsAddress | None = read_address(self._directory, self._settings)
        if address is None:
            message = "no server has been started in this data directory"
            raise ConnectionRefusedError(message)
        closed = asyncio.Event()

        async def on_closed() -> None:
            closed.set()
            self._wake.set()

        client = Client()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT * 2):
                await client.connect(
                    address.url.split(","),
                    token=address.token,
                    name=self._name,
                    allow_reconnect=False,
                    connect_timeout=_CONNECT_TIMEOUT,
                    # Zero, because even a first refusal is waited for; bounded by the number of attempts.
                    reconnect_time_wait=0,
                    max_reconnect_attempts=1,
                    ping_interval=_PING_SECONDS,
                    max_outstanding_pings=2,
                    error_cb=_on_error,
                    disconnected_cb=on_closed,
                    closed_cb=on_closed,
                )
            for subscription in self._subscriptions:
                subscription.live = None
            # Until there are no more: while these are made, rooms open and add theirs.
            while waiting := [one for one in self._subscriptions if one.live is None]:
                for subscription in waiting:
                    await self._subscribe(client, subscription)
                await client.flush(_FLUSH_TIMEOUT)
        except BaseException:
            await client.close()
            raise
        self._client = client
        return client, closed

    async def _subscribe(self, client: Client, subscription: Subscription) -> None:
        async def on_message(message: Msg) -> None:
            subscription.receive(message.data)

        subscription.live = await client.subscribe(
            subscription.subject, cb=on_message, pending_bytes_limit=self._settings.inbox_bytes
        )

    async def _send_until(self, client: Client, closed: asyncio.Event) -> None:
        while not closed.is_set() and not self._ending:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox:
                subject, payload = self._outbox.popleft()
                try:
                    await client.publish(subject, payload)
                except (NatsError, OSError) as error:
                    self.dropped += 1
                    _log.debug("not published", error=repr(error))

    def _tell(self, *, connected: bool) -> None:
        for changed in self._listeners:
            changed(connected)


async def _on_error(error: Exception) -> None:
    INBOX.refused += isinstance(error, SlowConsumerError)
    _log.debug("NATS client", error=repr(error))
