"""How the processes that share a room hear of each other's messages and people.

Delivery is at most once, unordered between processes, and may stop at any moment: rooms repair what they miss
from the database. A process may hear its own notices again; rooms skip them by `origin`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Literal, Protocol

import msgspec

from atomic_guide.engines.nats.connection import Connection, Subscription
from atomic_guide.engines.rooms.presence import Here
from atomic_guide.engines.rooms.settings import PEOPLE_LIMIT

Kind = Literal["message", "stored", "changed", "announce", "typing", "moved", "here", "who"]
Receive = Callable[[bytes], None]
Changed = Callable[[bool], None]

BEATS = "rooms"
"""The subject of beats; rooms' own have more parts."""


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
    """What one process tells the others about a room.

    `moved`: `people` have come, or their sockets have changed, and `gone` have left, which leads from the revision
    `previous` to `revision`.
    `here`: at `revision` exactly these are there; part number `part` of `parts`. `who` asks for that, of the process
    `user` or of all. Otherwise `user` is whom it is about or for.
    """

    origin: str
    kind: Kind
    seq: int = 0
    user: str | None = None
    frame: bytes = b""
    people: list[Here] = msgspec.field(default_factory=list)
    gone: list[str] = msgspec.field(default_factory=list)
    revision: int = 0
    previous: int = 0
    part: int = 0
    parts: int = 1


class Beat(msgspec.Struct, array_like=True):
    """What a process tells all others every second, once for all of its rooms.

    `sockets` are connected to it. `door` names the listening socket that it shares with others, if it does, and
    `open` is whether it takes connections from it. `full` are rooms without a place. `rooms` are some of its rooms
    as (mark, revision of its people, people), in turn, of `total` that have people; `asks` for all of them soon.
    Where it stops, its people are expected elsewhere for `leaves` seconds.
    """

    origin: str
    sockets: int = 0
    door: str = ""
    open: bool = True
    full: list[bytes] = msgspec.field(default_factory=list)
    rooms: list[tuple[bytes, int, int]] = msgspec.field(default_factory=list)
    total: int = 0
    asks: bool = False
    leaves: float | None = None


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Notice)
_beats = msgspec.msgpack.Decoder(Beat)


def encode(notice: Notice | Beat) -> bytes:
    """A notice or a beat as it travels."""
    return _encoder.encode(notice)


def decode(payload: bytes) -> Notice:
    """A notice that has travelled. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(payload)


def decode_beat(payload: bytes) -> Beat:
    """A beat that has travelled. Raises msgspec.DecodeError for anything else."""
    return _beats.decode(payload)


def listed(origin: str, revision: int, people: list[Here]) -> Iterator[Notice]:
    """The notices that together say who is there."""
    starts = range(0, max(len(people), 1), PEOPLE_LIMIT)
    for part, start in enumerate(starts):
        some = people[start : start + PEOPLE_LIMIT]
        yield Notice(origin, "here", people=some, revision=revision, part=part, parts=len(starts))


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


def mark(key: RoomKey) -> bytes:
    """Eight bytes that stand for a room in beats; two rooms of one would only cost a question more."""
    return blake2b(subject(key).encode(), digest_size=8).digest()


def _token(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) and not text.startswith("_x") else f"_x{text.encode().hex()}"
