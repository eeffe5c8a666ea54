"""One room in one process: its sockets, the order of its messages, its people.

Guarantees: a member gets every message once, in order of `seq`, from the number it joined at. Frames that are
due in one tick of the event loop are joined into one write for each socket. What an announcement should have
brought and did not is read from the `History`; when more is missing than it makes sense to send, the members
are told that they are `behind`.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.engines.rooms import bus, wire
from atomic_guide.engines.rooms.changes import ChangeWatch
from atomic_guide.engines.rooms.fanout import Fanout
from atomic_guide.engines.rooms.limits import SOCKET_UNSENT
from atomic_guide.engines.rooms.order import Order
from atomic_guide.engines.rooms.people import Late, People
from atomic_guide.engines.rooms.wire import CloseCode

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.bus import Interest, Notice, RoomKey
    from atomic_guide.engines.rooms.record import Told
    from atomic_guide.engines.rooms.registry import Rooms
    from atomic_guide.engines.rooms.socket import Socket

_log = structlog.get_logger(__name__)

_PATIENCE = 0.05
"""Seconds that an announcement may come out of order before the database is asked."""

_JOIN_SECONDS, _JOIN_MOST = 5e-6, 0.005
"""For how long, for each socket and at most, a write waits for messages that are being stored: most of what it takes
itself. In a burst the first message is stored alone and all others after it, so each burst would cost two writes."""

_REPAIR_ATTEMPTS = 6
_READ_SECONDS = 5.0


class Room:
    """The part of a course's room that lives in this process."""

    __slots__ = (
        "_due",
        "_flush_due",
        "_flush_waits",
        "_interest",
        "_repairing",
        "changes",
        "checked_at",
        "empty_since",
        "expected",
        "gone_ahead",
        "greeted",
        "joining",
        "key",
        "late",
        "live",
        "mark",
        "order",
        "people",
        "rooms",
        "started",
        "subject",
    )

    def __init__(self, rooms: Rooms, key: RoomKey) -> None:
        settings = rooms.settings
        self.rooms = rooms
        self.key = key
        self.subject = bus.subject(key)
        self.order = Order(settings.ring_messages, settings.ring_bytes)
        self.changes = ChangeWatch(key, rooms.history, self._tell_changes)
        self.gone_ahead: set[int] = set()
        """Deleted messages that the members have not had: whoever announced them may not have known."""
        self.mark = bus.mark(key)
        self.people = People(rooms.clock, settings, rooms.origin, rooms.revisions, self._publish, self._send_late)
        self.people.hush = rooms.hush
        self.live = Fanout(settings.compress_from, rooms.volley)
        self.joining: set[Socket] = set()
        self.greeted: set[Socket] = set()
        """Those of `joining` that have had their welcome, which comes before anything else."""
        self.started = False
        self.late = False
        """Whether the members know that what other processes announce does not arrive, and is late therefore."""
        self.empty_since = rooms.clock.monotonic()
        self.checked_at = 0.0
        self._due: list[bytes] = []
        self.expected = 0
        """Messages that this process is storing, those of this tick included."""
        self._flush_due: asyncio.Handle | None = None
        self._flush_waits = False
        self._repairing: asyncio.Task[None] | None = None
        self._interest: Interest | None = None

    @property
    def size(self) -> int:
        """Sockets in the room, joining ones included."""
        return len(self.live) + len(self.joining)

    @property
    def full(self) -> bool:
        """Whether it has no place left in this process."""
        return self.size >= self.rooms.settings.room_sockets

    async def start(self) -> None:
        """Subscribe, then read where the course stands: nothing that is announced in between gets lost."""
        self._interest = await self.rooms.bus.subscribe(self.subject, self._hear)
        await self.changes.begin()
        last = (await self.rooms.history.standing(self.key)).last_seq
        self.started = True
        self._push(self.order.start(last))
        self.checked_at = self.rooms.clock.monotonic()
        self.people.ask()

    async def end(self) -> None:
        """Receive nothing more. The room must be empty."""
        self.people.end()
        if self._flush_due is not None:
            self._flush_due.cancel()
        if self._repairing is not None:
            self._repairing.cancel()
        self.changes.end()
        if self._interest is not None:
            await self._interest.end()

    # --- joining and leaving

    async def join(self, socket: Socket, after: int | None, revision: int | None) -> None:
        """Bring a socket to the present and make it a member. It is in `joining` already."""
        await self.check()
        await self._caught_up()
        await self.changes.settled()
        if socket.room is not self:
            return  # gone meanwhile
        record, resumed, deleted = self.changes.record, False, None
        if after is not None and 0 <= self.order.last - after <= self.rooms.settings.resume_limit:
            deleted = record.deleted_since(revision, after, self.rooms.clock.now())
            resumed = deleted is not None
        position = after if resumed and after is not None else self.order.last
        self._welcome(socket, resumed=resumed)
        if self.late:
            socket.send(self._behind(late=True))
        told = record.number
        if deleted:
            socket.send(b"".join(deleted))
        if after is not None and not resumed:
            # More than makes sense to send, or a number from before a restored backup: the newest page, and a word.
            socket.send(wire.text_frame("behind", {"last_seq": self.order.last}))
            position = max(self.order.last - self.rooms.settings.resume_page, 0)
        while socket.room is self:
            frames = self.order.since(position)
            if frames is not None:
                # No await from here on, so that the next message finds the socket either before or behind it.
                self._flush()
                rest = record.told_since(told)
                socket.send(b"".join([*frames, *([self._behind(reload=True)] if rest is None else rest)]))
                self.joining.discard(socket)
                self.greeted.discard(socket)
                self.live.add(socket)
                return
            position = await self._send_page(socket, position)

    async def _send_page(self, socket: Socket, position: int) -> int:
        page = await self.rooms.history.frames(self.key, position, self.rooms.settings.resume_page)
        wanted = [(seq, frame) for seq, frame in page if seq <= self.order.last]
        if not wanted:
            raise errors.DataUnavailable("the database has lost messages that it has had", retry_after=5)
        if socket.room is self:
            socket.send(b"".join(frame for _, frame in wanted))
            if not await socket.drained(self.rooms.settings.close_seconds):
                self._too_slow(socket)
        return wanted[-1][0]

    def _welcome(self, socket: Socket, *, resumed: bool) -> None:
        person = socket.person
        data = {
            "last_seq": self.order.last,
            "resumed": resumed,
            **self.people.shown(),
            "role": person.role,
            **self.changes.record.shown(person.id),
        }
        socket.send(wire.text_frame("welcome", data))
        self.greeted.add(socket)

    def enter(self, socket: Socket) -> None:
        """Take a place for a socket; from now on it counts."""
        socket.room = self
        self.joining.add(socket)
        socket.since = self.people.enter(socket.person)

    def leave(self, socket: Socket) -> None:
        """Give up a socket's place."""
        self.live.discard(socket)
        self.joining.discard(socket)
        self.greeted.discard(socket)
        self.people.leave(socket.person.id, socket.since)
        if not self.size:
            self.empty_since = self.rooms.clock.monotonic()

    # --- messages

    def take(self, seq: int, frame: bytes) -> None:
        """An announced message, from wherever; in order it goes out, early it waits, again it is dropped."""
        if not self.started:
            self.order.hold(seq, frame)
            return
        if seq in self.gone_ahead:
            self.expect(seq)
            return
        self._push(self.order.take(seq, frame))
        if self.order.missing:
            self._repair_soon(_PATIENCE)

    async def check(self) -> None:
        """Compare with the database and fetch what is missing."""
        self.checked_at = self.rooms.clock.monotonic()
        standing = await self.rooms.history.standing(self.key)
        if standing.last_seq > self.order.known and not self.rooms.peers.hearing:
            self.lag(late=True)
        self.expect(standing.last_seq)
        self.changes.compare(standing.revision)

    def expect(self, seq: int) -> None:
        """Messages up to `seq` are stored; fetch those that have not been announced."""
        self.order.expect(seq)
        if self.started and self.order.missing:
            self._repair_soon(0.0)

    def _tell_changes(self, told: Told) -> None:
        """Tell the members of this process; of a deleted message no frame is kept."""
        if told.deleted or not told.whole:
            self.order.forget()
            self.gone_ahead.update(seq for seq in told.deleted if seq > self.order.last)
        self._push(told.frames if told.whole else [*told.frames, self._behind(reload=True)])
        if self.started and self.order.missing:
            self._repair_soon(0.0)

    def announce(self, frame: bytes, user: str | None) -> None:
        """A frame outside the order, for everybody or for one person's sockets."""
        if user is None:
            self._push([frame])
        else:
            for socket in [other for other in self.live if other.person.id == user]:
                socket.send(frame)

    def _push(self, frames: list[bytes]) -> None:
        if frames and self.live:
            self._due += frames
            self._flush_soon()

    def _flush_soon(self) -> None:
        """Write in the next tick; while more is being stored, a moment later, so that it shares the write."""
        loop = asyncio.get_running_loop()
        if self.expected > len(self._due):
            if self._flush_due is None:
                self._flush_due = loop.call_later(min(len(self.live) * _JOIN_SECONDS, _JOIN_MOST), self._flush)
                self._flush_waits = True
        elif self._flush_due is None or self._flush_waits:
            if self._flush_due is not None:
                self._flush_due.cancel()
            self._flush_due = loop.call_soon(self._flush)
            self._flush_waits = False

    def _flush(self) -> None:
        if self._flush_due is not None:
            self._flush_due.cancel()
            self._flush_due = None
        if not self._due:
            return
        due, self._due = self._due, []
        self.rooms.delivered += len(due) * len(self.live)
        self.rooms.sent += sum(map(len, due)) * len(self.live)
        for socket in self.live.send(due, self.rooms.settings.hard_buffer):
            self._too_slow(socket)

    def _too_slow(self, socket: Socket) -> None:
        self.rooms.slow_closed += 1
        SOCKET_UNSENT.refused += 1
        socket.bye("slow", CloseCode.TRY_AGAIN_LATER, 1.0)

    def _repair_soon(self, patience: float) -> None:
        if self._repairing is None or self._repairing.done():
            self._repairing = asyncio.create_task(self._repair(patience))

    async def _repair(self, pause: float) -> None:
        """Read what is missing from the database; where it cannot be read, the next check tries again."""
        for attempt in range(_REPAIR_ATTEMPTS):
            if pause:
                await asyncio.sleep(pause)
            if not self.order.missing:
                return
            self.rooms.repairs += 1
            if self.order.missing > self.rooms.settings.resume_limit:
                self._push([*self.order.start(self.order.known), self._behind()])
                return
            try:
                async with asyncio.timeout(_READ_SECONDS):
                    await self._fetch()
            except (errors.GuideError, TimeoutError) as error:
                _log.warning("a gap in a room waits for the database", missing=self.order.missing, error=repr(error))
            pause = 0.05 * 2**attempt * random.uniform(0.5, 1.0)

    async def _fetch(self) -> None:
        """Take pages from the database until nothing is missing, or it has no more."""
        while self.order.missing:
            known = self.changes.record.revision
            page = await self.rooms.history.frames(self.key, self.order.last, self.rooms.settings.resume_page)
            if not page:
                return
            if known != self.changes.record.revision:
                continue  # it may hold what has been deleted meanwhile
            for seq, frame in page:
                self._push(self.order.take(seq, frame))
                self.gone_ahead.discard(seq)

    def _behind(self, **more: bool) -> bytes:
        """More was missed than is told one by one; `reload`: some was deleted; `late`: whether others' come late."""
        return wire.text_frame("behind", {"last_seq": self.order.last, **more})

    def lag(self, *, late: bool) -> None:
        """Tell the members, once, that messages of other processes come late, or that they are current again."""
        if late != self.late:
            self.late = late
            self._push([self._behind(late=late)])

    async def catch_up(self) -> None:
        """Fetch what others have stored while the bus was away, and tell the members that they have it."""
        await self.check()
        await self._caught_up()
        if self.rooms.peers.hearing and not self.order.missing:
            self.lag(late=False)

    async def _caught_up(self) -> None:
        while self.order.missing and self._repairing is not None and not self._repairing.done():
            await asyncio.wait([self._repairing])

    # --- what members send

    def receive(self, socket: Socket, incoming: wire.Incoming) -> None:
        """A member's frame."""
        if incoming.type == "ping":
            if not socket.slow:
                socket.send(wire.text_frame("pong", {}, incoming.id))
        elif incoming.type == "typing":
            self.people.type(socket.person)
        elif incoming.type in {"message", "history"}:
            self.rooms.answer(self, socket, incoming)
        else:
            socket.error(errors.Invalid("type must be message, typing, history or ping"), incoming.id)

    # --- people

    def _send_late(self, late: list[Late]) -> None:
        """Presence and typing in one write each; nobody hears of themselves, and slow readers hear nothing."""
        users = {but for _, but in late}
        themselves = {socket for socket in self.live if socket.person.id in users}
        slow = {socket for socket in self.live.behind() if socket.slow}
        self.rooms.dropped += len(late) * len(slow)
        self.live.send([frame for frame, _ in late], but=themselves | slow)
        for socket in [*themselves, *self.greeted]:
            own = [frame for frame, but in late if but != socket.person.id]
            if own and not socket.slow:
                socket.send(b"".join(own), len(own))

    # --- other processes

    def _publish(self, notice: Notice) -> None:
        self.rooms.bus.publish(self.subject, bus.encode(notice))
        if notice.kind == "moved":
            self.rooms.peers.told(self)

    def _hear(self, payload: bytes) -> None:
        try:
            notice = bus.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("a notice that cannot be read", subject=self.subject)
            return
        if notice.origin != self.rooms.origin:
            self._hear_notice(notice)

    def _hear_notice(self, notice: Notice) -> None:
        if notice.kind in {"message", "stored", "changed"}:
            self._hear_number(notice)
        elif notice.kind == "announce":
            self.announce(notice.frame, notice.user)
        else:
            self.people.hear(notice)

    def _hear_number(self, notice: Notice) -> None:
        if notice.kind == "message":
            self.take(notice.seq, notice.frame)
        elif notice.kind == "stored":
            self.expect(notice.seq)
        else:
            self.changes.expect(notice.seq)
