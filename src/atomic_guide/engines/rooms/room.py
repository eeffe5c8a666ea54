"""One room in one process: its sockets, the order of its messages, its people.

Guarantees: a member gets every message once, in order of `seq`, from the number it joined at. Frames that are
due in one tick of the event loop are joined into one write for each socket. What an announcement should have
brought and did not is read from the `History`; when more is missing than it makes sense to send, the members
are told that they are `behind`.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
import structlog

from atomic_guide import errors
from atomic_guide.engines.rooms import bus, wire
from atomic_guide.engines.rooms.changes import ChangeWatch
from atomic_guide.engines.rooms.fanout import Fanout
from atomic_guide.engines.rooms.order import Order
from atomic_guide.engines.rooms.presence import Person, Presence
from atomic_guide.engines.rooms.settings import LATE_LIMIT, LATE_SECONDS, MEMBERS_SHOWN
from atomic_guide.engines.rooms.wire import CloseCode

if TYPE_CHECKING:
    from atomic_guide.engines.rooms.bus import Interest, Notice, RoomKey
    from atomic_guide.engines.rooms.record import Told
    from atomic_guide.engines.rooms.registry import Rooms
    from atomic_guide.engines.rooms.socket import Socket

_log = structlog.get_logger(__name__)

_PATIENCE = 0.05
"""Seconds that an announcement may come out of order before the database is asked."""

_REPAIR_ATTEMPTS = 6
_READ_SECONDS = 5.0


class Room:
    """The part of a course's room that lives in this process."""

    def __init__(self, rooms: Rooms, key: RoomKey) -> None:
        settings = rooms.settings
        self.rooms = rooms
        self.key = key
        self.subject = bus.subject(key)
        self.order = Order(settings.ring_messages, settings.ring_bytes)
        self.changes = ChangeWatch(key, rooms.history, self._tell_changes)
        self.gone_ahead: set[int] = set()
        """Deleted messages that the members have not had: whoever announced them may not have known."""
        self.presence = Presence()
        self.live = Fanout()
        self.joining: set[Socket] = set()
        self.greeted: set[Socket] = set()
        """Those of `joining` that have had their welcome, which comes before anything else."""
        self.started = False
        self.empty_since = rooms.clock.monotonic()
        self.checked_at = 0.0
        self.told_at = 0.0
        self._due: list[bytes] = []
        self._late: list[tuple[bytes, str | None]] = []
        self._moves: list[tuple[str, Person]] = []
        self._flush_due: asyncio.Handle | None = None
        self._flush_late: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._repairing: asyncio.Task[None] | None = None
        self._interest: Interest | None = None

    @property
    def size(self) -> int:
        """Sockets in the room, joining ones included."""
        return len(self.live) + len(self.joining)

    async def start(self) -> None:
        """Subscribe, then read where the course stands: nothing that is announced in between gets lost."""
        self._interest = await self.rooms.bus.subscribe(self.subject, self._hear)
        await self.changes.begin()
        last = (await self.rooms.history.standing(self.key)).last_seq
        self.started = True
        self._push(self.order.start(last))
        self.checked_at = self.rooms.clock.monotonic()
        self.tell("who")

    async def end(self) -> None:
        """Receive nothing more. The room must be empty."""
        for handle in (self._flush_due, self._flush_late, self._leaving):
            if handle is not None:
                handle.cancel()
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
                socket.send(b"".join([*frames, *([self._behind(whole=False)] if rest is None else rest)]))
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
            "members": [other.shown() for other in self.presence.people()[:MEMBERS_SHOWN]],
            "count": self.presence.count,
            "role": person.role,
            **self.changes.record.shown(person.id),
        }
        socket.send(wire.text_frame("welcome", data))
        self.greeted.add(socket)

    def enter(self, socket: Socket) -> None:
        """Take a place for a socket; from now on it counts."""
        socket.room = self
        self.joining.add(socket)
        if self.presence.enter(socket.person):
            self._show("joined", socket.person)
        self.tell("in", people=[socket.person])

    def leave(self, socket: Socket) -> None:
        """Give up a socket's place."""
        self.live.discard(socket)
        self.joining.discard(socket)
        self.greeted.discard(socket)
        delay = self.rooms.settings.leave_seconds
        self.presence.leave(socket.person.id, self.rooms.clock.monotonic() + delay)
        if self._leaving is None:
            self._leaving = asyncio.get_running_loop().call_later(delay, self._see_off)
        if not self.size:
            self.empty_since = self.rooms.clock.monotonic()

    def _see_off(self) -> None:
        self._leaving = None
        gone = self.presence.leaving(self.rooms.clock.monotonic())
        for person, everywhere in gone:
            if everywhere:
                self._show("left", person)
        if gone:
            self.tell("out", people=[person for person, _ in gone])
        if any(seat.leaves_at is not None for seat in self.presence.seats.values()):
            delay = max(self.rooms.settings.leave_seconds / 2, 0.01)
            self._leaving = asyncio.get_running_loop().call_later(delay, self._see_off)

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
        self._push(told.frames if told.whole else [*told.frames, self._behind(whole=False)])
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
            if self._flush_due is None:
                self._flush_due = asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        if self._flush_due is not None:
            self._flush_due.cancel()
            self._flush_due = None
        if not self._due:
            return
        due, self._due = self._due, []
        self.rooms.delivered += len(due) * len(self.live)
        for socket in self.live.send(due, self.rooms.settings.hard_buffer):
            self._too_slow(socket)

    def _too_slow(self, socket: Socket) -> None:
        self.rooms.slow_closed += 1
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
                await asyncio.wait_for(self._fetch(), _READ_SECONDS)
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

    def _behind(self, *, whole: bool = True) -> bytes:
        """More was missed than is told one by one; not `whole`: of what the members have some was deleted, too."""
        return wire.text_frame("behind", {"last_seq": self.order.last, **({} if whole else {"reload": True})})

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
            self._typing(socket.person)
        elif incoming.type in {"message", "history"}:
            self.rooms.answer(self, socket, incoming)
        else:
            socket.error(errors.Invalid("type must be message, typing, history or ping"), incoming.id)

    def _typing(self, person: Person) -> None:
        seat = self.presence.seats.get(person.id)
        now = self.rooms.clock.monotonic()
        if seat is not None and now - seat.typed_at >= 1.0:
            seat.typed_at = now
            frame = wire.text_frame("typing", {"id": person.id, "name": person.name})
            self._push_late(frame, person.id)
            self.tell("typing", user=person.id, frame=frame)

    # --- people

    def _show(self, kind: str, person: Person) -> None:
        """Tell the members of somebody's coming or going, soon."""
        if len(self._moves) < LATE_LIMIT:
            self._moves.append((kind, person))
        self._late_soon()

    def _push_late(self, frame: bytes, but: str | None) -> None:
        if len(self._late) < LATE_LIMIT:
            self._late.append((frame, but))
        self._late_soon()

    def _late_soon(self) -> None:
        if self._flush_late is None:
            self._flush_late = asyncio.get_running_loop().call_later(LATE_SECONDS, self._send_late)

    def _send_late(self) -> None:
        """Presence and typing in one write each; nobody hears of themselves, and slow readers hear nothing."""
        self._flush_late = None
        # The count is the one of now: who has entered since has it from their welcome already.
        late: list[tuple[bytes, str | None]] = [
            (wire.text_frame(kind, {**person.shown(), "count": self.presence.count}), person.id)
            for kind, person in self._moves
        ]
        late += self._late
        self._moves, self._late = [], []
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

    def tell(
        self,
        kind: bus.Kind,
        *,
        user: str | None = None,
        frame: bytes = b"",
        people: Iterable[Person] = (),
        seq: int = 0,
    ) -> None:
        """Publish a notice about this room."""
        notice = bus.Notice(self.rooms.origin, kind, seq, user, frame, list(people)[: bus.PEOPLE_LIMIT])
        self.rooms.bus.publish(self.subject, bus.encode(notice))

    def tell_here(self) -> None:
        """Publish who is in this process."""
        self.told_at = self.rooms.clock.monotonic()
        self.tell("here", people=self.presence.here())

    def expire(self, before: float) -> None:
        """Let the people of processes leave that have not been heard of since then."""
        for person in self.presence.expire(before):
            self._show("left", person)

    def _hear(self, payload: bytes) -> None:
        try:
            notice = bus.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("a notice that cannot be read", subject=self.subject)
            return
        if notice.origin != self.rooms.origin:
            self._hear_notice(notice)

    def _hear_notice(self, notice: Notice) -> None:
        now = self.rooms.clock.monotonic()
        new: list[Person] = []
        gone: list[Person] = []
        if notice.kind in {"message", "stored", "changed"}:
            self._hear_number(notice)
        elif notice.kind == "announce":
            self.announce(notice.frame, notice.user)
        elif notice.kind == "typing":
            self._push_late(notice.frame, notice.user)
        elif notice.kind == "in":
            new = self.presence.hear_in(notice.origin, notice.people, now)
        elif notice.kind == "out":
            gone = self.presence.hear_out(notice.origin, [person.id for person in notice.people])
        elif notice.kind == "here":
            new, gone = self.presence.hear_list(notice.origin, notice.people, now)
        elif self.presence.seats:
            self.tell_here()
        for kind, person in chain((("joined", person) for person in new), (("left", person) for person in gone)):
            self._show(kind, person)

    def _hear_number(self, notice: Notice) -> None:
        if notice.kind == "message":
            self.take(notice.seq, notice.frame)
        elif notice.kind == "stored":
            self.expect(notice.seq)
        else:
            self.changes.expect(notice.seq)
