"""The other processes: which of them live, what they say of their rooms, whether the bus carries at all.

Every process beats once a second for all of its rooms together (`bus.Beat`). Who is silent for 3.25 beats has died,
and its people leave. Whether silence is the others' or the bus's own shows a process by its own beat, which comes back
to it: as long as that does not, nobody is given up, and rooms read the database instead.

A beat names rooms with the revision of their people: those that have changed lately three times, all others in turn.
A difference makes the receiver ask, so that whatever was lost, doubled or reordered, the same people are shown
everywhere a few beats later.
"""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Callable, Iterable, Sized
from typing import TYPE_CHECKING, Protocol

import msgspec
import structlog

from atomic_guide.engines.rooms.bus import BEATS, Beat, decode_beat, encode
from atomic_guide.engines.rooms.placement import Elsewhere, leans, yields

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.engines.rooms.bus import Bus
    from atomic_guide.engines.rooms.people import People

_log = structlog.get_logger(__name__)

SILENCE = 3.25
"""Beats after which a silent process is dead: two may be lost, and people leave within five seconds of a crash."""

_CURRENT = 4
"""Beats after which lists that were missed have been asked for and told: two show a difference, one asks, one answers.
A process that has died meanwhile is given up by then, too."""

_TIMES_TOLD = 3
_IN_TURN = 300
"""Rooms of a beat that have not changed: 6 kB, and 10,000 rooms are through within 34 seconds."""

_ROOMS_LIMIT = 2000
_REVIEW_BEATS = 3
_SHUT_SECONDS = 3.0
"""How long a process that has refused somebody accepts nobody: until all who were refused have come again."""

_SOON_SECONDS = 0.1


class Marked(Protocol):
    """A room, as beats tell of it."""

    mark: bytes
    people: People

    @property
    def full(self) -> bool:
        """Whether it has no place left in this process."""
        ...


class Hall(Protocol):
    """The rooms and sockets of this process."""

    @property
    def sockets(self) -> Sized:
        """What is connected."""
        ...

    def marked(self, mark: bytes) -> Marked | None:
        """The room of a mark, if it is open here."""
        ...

    def all_rooms(self) -> Iterable[Marked]:
        """Every open room."""
        ...


class _Peer:
    __slots__ = ("beat", "heard_at", "leaves_at")

    def __init__(self) -> None:
        self.beat = Beat("")
        self.heard_at = 0.0
        self.leaves_at: float | None = None


class Peers:
    """The processes beside this one, as long as `run` runs.

    `changed` is called with whether the bus carries, whenever that changes; `appeared` when a process is heard that
    was not known.
    """

    def __init__(
        self,
        hall: Hall,
        bus: Bus,
        clock: Clock,
        seconds: float,
        *,
        changed: Callable[[bool], None],
        appeared: Callable[[], None],
    ) -> None:
        self.origin = secrets.token_hex(6)
        self._door = ""
        self._turn_door: Callable[[bool], None] = lambda _: None
        self._hall = hall
        self._bus = bus
        self._clock = clock
        self._seconds = seconds
        self._changed = changed
        self._appeared = appeared
        self._peers: dict[str, _Peer] = {}
        self._telling: dict[bytes, tuple[Marked, int]] = {}
        self._turn: list[Marked] = []
        self._full: dict[bytes, Marked] = {}
        self._asks = True
        self._beats = 0
        self._beat_at = 0.0
        self._ticked_at: float | None = None
        self._listens_since: float | None = None
        self._echoed_at = 0.0
        self._heard = bus.connected
        self._heard_since = -math.inf
        self._open = True
        self._ending = False
        self._shut_until = 0.0
        self._shut_for = b""
        bus.watch(self._on_bus)

    @property
    def hearing(self) -> bool:
        """Whether what other processes say arrives here, as far as this one can know."""
        if not self._bus.connected:
            return False
        return self._ticked_at is None or self._clock.monotonic() - self._echoed_at < SILENCE * self._seconds

    @property
    def informed(self) -> bool:
        """Whether it has been so for long enough that what is known of the others' people is current."""
        return self.hearing and self._clock.monotonic() - self._heard_since >= _CURRENT * self._seconds

    @property
    def alive(self) -> int:
        """Other processes that live."""
        return len(self._peers)

    @property
    def alone(self) -> bool:
        """Whether no other process lives, as far as this one can know: it hears, and has long enough heard nobody.

        A process that starts beats before it has rooms; until that beat is here, it is not known.
        """
        if self._peers or self._listens_since is None or not self.hearing:
            return False
        return self._clock.monotonic() - self._listens_since > SILENCE * self._seconds

    def share(self, door: str, turn: Callable[[bool], None]) -> None:
        """Name the listening socket that this process shares, and what to call with whether to accept from it."""
        self._door, self._turn_door = door, turn

    # --- what the registry calls

    async def run(self) -> None:
        """Beat and listen, until cancelled."""
        await self._bus.subscribe(BEATS, self._hear)
        self._echoed_at = self._listens_since = self._clock.monotonic()
        while True:
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - logged; without beats the others would give this process up
                _log.exception("a beat failed")
            await asyncio.sleep(self._seconds / 2)

    def tick(self) -> None:
        """Beat where it is time; give up those that have been silent."""
        now = self._clock.monotonic()
        if self._ticked_at is not None and (late := now - self._ticked_at - self._seconds) > 0:
            # This process was held up: what has come meanwhile is still unread.
            self._echoed_at += late
            for peer in self._peers.values():
                peer.heard_at += late
        self._ticked_at = now
        if now - self._beat_at >= 0.9 * self._seconds:
            self._beat(now)
        self._look(now)

    def told(self, room: Marked) -> None:
        """The people of a room have changed, which the next beats repeat."""
        self._telling[room.mark] = (room, _TIMES_TOLD)

    def elsewhere(self, mark: bytes) -> list[Elsewhere]:
        """How a socket without a place in a room would find the others."""
        if not self.hearing:
            return []
        return [self._seen(beat, full=mark in beat.full) for beat in self._beats_heard()]

    def filled(self, room: Marked) -> None:
        """A room has no place left, which the others should know."""
        if room.mark not in self._full:
            self._full[room.mark] = room
            self._beat_soon()

    def refused(self, room: Marked) -> None:
        """Somebody found no place in a room: their next attempt should reach another process."""
        self.filled(room)
        self._shut_for, self._shut_until = room.mark, self._clock.monotonic() + _SHUT_SECONDS
        self._mind_door()

    def leave(self, seconds: float) -> None:
        """Say that this process ends, and that its people will have come back elsewhere within so many seconds."""
        self._ending = True
        last = Beat(self.origin, len(self._hall.sockets), self._door, open=False, leaves=seconds)
        self._bus.publish(BEATS, encode(last))

    # --- inside

    def _on_bus(self, connected: bool) -> None:  # noqa: FBT001 - the bus calls it with the one thing it says
        now = self._clock.monotonic()
        if connected and self._ticked_at is not None:
            self._asks = True
            self._echoed_at = now
            self._beat(now)
        self._look(now)

    def _look(self, now: float) -> None:
        hearing = self.hearing
        if hearing != self._heard:
            self._heard = hearing
            self._heard_since = now
            if hearing:
                # Those who live have had no chance to be heard, either.
                self._asks = True
                for peer in self._peers.values():
                    peer.heard_at = now
            self._changed(hearing)
        if hearing:
            silent = now - SILENCE * self._seconds
            for origin, peer in list(self._peers.items()):
                if peer.heard_at < silent if peer.leaves_at is None else peer.leaves_at < now:
                    self._give_up(origin)
        self._mind_door()

    def _give_up(self, origin: str) -> None:
        del self._peers[origin]
        for room in self._hall.all_rooms():
            room.people.lose(origin)

    def _mind_door(self) -> None:
        shut = self._clock.monotonic() < self._shut_until and yields(self.elsewhere(self._shut_for))
        if self._door and not shut and self.hearing:
            others = [self._seen(beat, full=bool(beat.full)) for beat in self._beats_heard()]
            shut = leans(len(self._hall.sockets), others)
        if shut == self._open and not self._ending:
            self._open = not shut
            self._turn_door(self._open)
            self._beat_soon()

    def _beats_heard(self) -> list[Beat]:
        return [peer.beat for peer in self._peers.values() if peer.leaves_at is None]

    def _seen(self, beat: Beat, *, full: bool) -> Elsewhere:
        return Elsewhere(bool(self._door) and beat.door == self._door, beat.open, full, beat.sockets)

    def _beat_soon(self) -> None:
        now = self._clock.monotonic()
        if self._ticked_at is not None and now - self._beat_at >= _SOON_SECONDS:
            self._beat(now)

    def _beat(self, now: float) -> None:
        if self._ending:
            return
        self._beat_at = now
        self._beats += 1
        self._full = {mark: room for mark, room in self._full.items() if room.full}
        rooms = [(room.mark, room.people.revision, len(room.people.presence.seats)) for room in self._to_tell()]
        total = sum(1 for _ in self._hall.all_rooms())
        beat = Beat(
            self.origin, len(self._hall.sockets), self._door, self._open, list(self._full), rooms, total, self._asks
        )
        self._asks = False
        self._bus.publish(BEATS, encode(beat))
        if self._beats % _REVIEW_BEATS == 0 and self.hearing:
            self._review()

    def _to_tell(self) -> list[Marked]:
        """Rooms of this beat: what has changed, then those whose turn it is."""
        chosen = {mark: room for mark, (room, _) in list(self._telling.items())[:_ROOMS_LIMIT]}
        for mark, room in chosen.items():
            times = self._telling.pop(mark)[1]
            if times > 1:
                self._telling[mark] = (room, times - 1)
        if not self._turn:
            self._turn = list(self._hall.all_rooms())
        turn, self._turn = self._turn[:_IN_TURN], self._turn[_IN_TURN:]
        chosen.update((room.mark, room) for room in turn if room.people.presence.seats)
        return list(chosen.values())

    def _review(self) -> None:
        """Rooms that a process has not mentioned in several of its rounds have nobody there."""
        period = {
            origin: 3 * self._seconds * (peer.beat.total / _IN_TURN + _TIMES_TOLD)
            for origin, peer in self._peers.items()
        }
        for room in self._hall.all_rooms():
            room.people.review(period, SILENCE * self._seconds)

    def _hear(self, payload: bytes) -> None:
        try:
            beat = decode_beat(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            _log.warning("a beat that cannot be read")
            return
        now = self._clock.monotonic()
        if beat.origin == self.origin:
            self._echoed_at = now
            self._look(now)
            return
        if not self._hear_peer(beat, now):
            return
        if beat.asks:
            for room in self._hall.all_rooms():
                if room.people.presence.seats:
                    self._telling.setdefault(room.mark, (room, 2))
        for mark, revision, people in beat.rooms:
            known = self._hall.marked(mark)
            if known is not None:
                known.people.compare(beat.origin, revision, people)
        self._mind_door()

    def _hear_peer(self, beat: Beat, now: float) -> bool:
        """Note that a process lives; False for one that is unknown and about to end."""
        peer = self._peers.get(beat.origin)
        if peer is None:
            if beat.leaves is not None:
                return False
            peer = self._peers[beat.origin] = _Peer()
            self._asks = True
            self._appeared()
        peer.beat, peer.heard_at = beat, now
        if beat.leaves is not None:
            peer.leaves_at = now + beat.leaves
            for room in self._hall.all_rooms():
                room.people.presence.disconnect(beat.origin)
        return True
