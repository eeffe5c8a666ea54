"""How the processes that share a room hear of each other's messages and people.

Delivery is at most once, unordered between processes, and may stop at any moment: rooms repair what they miss
from the database. A process may hear its own notices again; rooms skip them by `origin`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

from atomic_guide.engines.nats.connection import Connection, Subscription
from atomic_guide.engines.rooms.presence import Person

Kind = Literal["message", "stored", "changed", "announce", "typing", "in", "out", "here", "who"]
Receive = Callable[[bytes], None]
Changed = Callable[[bool], None]

PEOPLE_LIMIT = 5000
"""People of one notice; 5,000 with long names stay under the 1 MiB that NATS takes."""


class RoomKey(Protocol):
    """Which room: a course of a tenant. Hashable."""

    @property
    def tenant(self) -> str:
        """The tenant that owns the course."""
        ...

    @property
    def course(self) -> str:
        """The course within the tenant."""
        ...

    def __hash__(self) -> int: ...


class Notice(msgspec.Struct, array_like=True):
    """What one process tells the others about a room."""

    origin: str
    kind: Kind
    seq: int = 0
    user: str | None = None
    frame: bytes = b""
    people: list[Person] = msgspec.field(default_factory=list)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Notice)


def encode(notice: Notice) -> bytes:
    """A notice as it travels."""
    return _encoder.encode(notice)


def decode(payload: bytes) -> Notice:
    """A notice that has travelled. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(payload)


class Interest(Protocol):
    """A subscription."""

    async def end(self) -> None:
        """Receive nothing more."""
        ...


class Bus(Protocol):
    """Publish and subscribe by subject between processes."""

    @property
    def connected(self) -> bool:
        """Whether the other processes can be reached."""
        ...

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send to every other subscriber; False where it was dropped."""
        ...

    async def subscribe(self, subject: str, receive: Receive) -> Interest:
        """Call `receive(payload)`; once this returns, while connected, nothing is missed."""
        ...

    def watch(self, changed: Changed) -> None:
        """Call `changed(connected)` at each change."""
        ...


class NatsBus:
    """The bus over a NATS connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def connected(self) -> bool:
        """Whether NATS can be reached."""
        return self._connection.connected

    def publish(self, subject: str, payload: bytes) -> bool:
        """Send; False where it was dropped."""
        return self._connection.publish(subject, payload)

    async def subscribe(self, subject: str, receive: Receive) -> Subscription:
        """Call `receive(payload)` for each notice, over reconnections."""
        return await self._connection.subscribe(subject, receive)

    def watch(self, changed: Changed) -> None:
        """Call `changed(connected)` at each change."""
        self._connection.watch(changed)


class LocalBus:
    """The bus within one process: for a server that never has a second one, and for programs without NATS."""

    def __init__(self) -> None:
        self._receivers: dict[str, list[Receive]] = {}
        self._connected = True
        self._listeners: list[Changed] = []

    @property
    def connected(self) -> bool:
        """True unless `cut`."""
        return self._connected

    def cut(self, *, connected: bool) -> None:
        """Separate or join the subscribers again."""
        self._connected = connected
        for changed in self._listeners:
            changed(connected)

    def publish(self, subject: str, payload: bytes) -> bool:
        """Hand the payload to every subscriber at once."""
        if not self._connected:
            return False
        for receive in list(self._receivers.get(subject, ())):
            receive(payload)
        return True

    async def subscribe(self, subject: str, receive: Receive) -> _LocalInterest:
        """Call `receive(payload)` for each notice."""
        self._receivers.setdefault(subject, []).append(receive)
        return _LocalInterest(self._receivers, subject, receive)

    def watch(self, changed: Changed) -> None:
        """Call `changed(connected)` at each `cut`."""
        self._listeners.append(changed)


class _LocalInterest:
    def __init__(self, receivers: dict[str, list[Receive]], subject: str, receive: Receive) -> None:
        self._receivers = receivers
        self._subject = subject
        self._receive = receive

    async def end(self) -> None:
        """Receive nothing more."""
        known = self._receivers.get(self._subject, [])
        if self._receive in known:
            known.remove(self._receive)
        if not known:
            self._receivers.pop(self._subject, None)


def subject(key: RoomKey) -> str:
    """The subject of a room; ids with characters that NATS reserves travel in hexadecimal."""
    return f"rooms.{_token(key.tenant)}.{_token(key.course)}"


def _token(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) and not text.startswith("_x") else f"_x{text.encode().hex()}"
