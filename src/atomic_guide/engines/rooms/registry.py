"""All rooms of a process: opened when somebody enters, kept a while when empty, swept, drained."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import itertools
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any

import msgspec
import structlog

from atomic_guide import errors, tracing
from atomic_guide.clock import Clock
from atomic_guide.engines.rooms import limits, tabs, wire
from atomic_guide.engines.rooms.bus import Bus, Kind, Notice, RoomKey, encode, subject
from atomic_guide.engines.rooms.laggards import Laggard, laggards
from atomic_guide.engines.rooms.peers import Peers
from atomic_guide.engines.rooms.people import Hush
from atomic_guide.engines.rooms.placement import Refusal, admit, comes_again
from atomic_guide.engines.rooms.ports import Conversation, History
from atomic_guide.engines.rooms.room import Room
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import OPEN, Socket
from atomic_guide.engines.rooms.volley import open_volley
from atomic_guide.engines.rooms.wire import CloseCode

_log = structlog.get_logger(__name__)

_SWEEP_SECONDS = 1.0
_ANSWER_SECONDS = 30.0
_DRAIN_SECONDS = 5.0
_PAGE_DEFAULT = 50

_REFUSALS: dict[Refusal, CloseCode] = {
    "restart": CloseCode.SERVICE_RESTART,
    "full": CloseCode.TRY_AGAIN_LATER,
    "tabs": CloseCode.TRY_AGAIN_LATER,
}

_SAID_SECONDS = 60.0
_SAID_LIMIT = 10_000
"""For how long, and how many, the newest announced numbers of messages and of changes are remembered. Whether an
announcement has arrived is not known; after the bus was away they are told again, and who missed one reads the
database."""


_COMES_BACK = 0.5
"""Seconds before the first of them comes back, and after which the last of them has."""


class _MessageData(msgspec.Struct):
    content: str


class _HistoryData(msgspec.Struct):
    after: int | None = None
    before: int | None = None
    limit: int = _PAGE_DEFAULT


class Rooms:
    """The rooms and sockets of this process.

    `run` has to be running. `sockets` are all that are connected; the counters `delivered` (frames times
    sockets), `sent` (bytes times sockets), `dropped` (presence and typing), `slow_closed`, `refused` and `repairs`
    only grow.
    """

    def __init__(
        self,
        settings: RoomSettings,
        clock: Clock,
        bus: Bus,
        history: History,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.bus = bus
        self.history = history
        self.sockets: set[Socket] = set()
        self.delivered = self.sent = self.dropped = self.slow_closed = self.refused = self.repairs = 0
        self._conversation: Conversation | None = None
        self.revisions = itertools.count(1)
        self.hush = Hush()
        self.volley = functools.cache(open_volley if settings.write_at_once else lambda: None)
        """What writes to many sockets at once, opened with the first such write."""
        self._rooms: dict[RoomKey, Room] = {}
        self._marks: dict[bytes, Room] = {}
        self._starting: dict[RoomKey, asyncio.Task[None]] = {}
        self._said: dict[tuple[Kind, RoomKey], tuple[int, float]] = {}
        self._unsaid: set[RoomKey] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining: asyncio.Task[None] | None = None
        self._emptied: asyncio.Event | None = None
        self.peers = Peers(
            self, bus, clock, settings.presence_seconds, changed=self._on_hearing, appeared=self._on_company
        )
        self.origin = self.peers.origin

    @property
    def rooms(self) -> int:
        """Rooms in memory."""
        return len(self._rooms)

    def converse(self, conversation: Conversation) -> None:
        """Set what answers the members; before that, they can only listen."""
        self._conversation = conversation

    # --- what other parts call

    def deliver(self, key: RoomKey, seq: int, frame: bytes) -> None:
        """Announce a stored message to every member, here and in the other processes."""
        room = self._rooms.get(key)
        if room is not None:
            room.take(seq, frame)
        self._remember("stored", key, seq)
        if self.peers.alone:
            # Nobody to tell, and this process would only hear itself: a tenth of what a lone message costs.
            self._unsaid.add(key)
        else:
            self.bus.publish(subject(key), encode(Notice(self.origin, "message", seq, None, frame)))

    def announce(self, key: RoomKey, frame_type: str, data: Any, *, user: str | None = None) -> None:
        """Tell everybody in a course, or one person's sockets, something that is no message; at most once."""
        frame = wire.text_frame(frame_type, data)
        room = self._rooms.get(key)
        if room is not None:
            room.announce(frame, user)
        self.bus.publish(subject(key), encode(Notice(self.origin, "announce", 0, user, frame)))

    @contextlib.contextmanager
    def expecting(self, key: RoomKey) -> Iterator[None]:
        """While a message for a room is being stored: what is announced meanwhile may wait a moment for it."""
        room = self._rooms.get(key)
        if room is None:
            yield
            return
        room.expected += 1
        try:
            yield
        finally:
            room.expected -= 1

    def laggards(self, limit: int = 20) -> list[Laggard]:
        """The members of this process that are furthest behind, the worst first."""
        return laggards(self.sockets, limit)

    def marked(self, mark: bytes) -> Room | None:
        """The room of a mark, if it is open here."""
        return self._marks.get(mark)

    def all_rooms(self) -> Iterable[Room]:
        """Every room in memory."""
        return self._rooms.values()

    def open_rooms(self) -> list[RoomKey]:
        """The rooms in memory."""
        return list(self._rooms)

    def changed(self, key: RoomKey, revision: int) -> None:
        """A room was changed in the database: let every process read it and tell its members."""
        room = self._rooms.get(key)
        if room is not None:
            room.changes.expect(revision)
        self._remember("changed", key, revision)
        self.bus.publish(subject(key), encode(Notice(self.origin, "changed", revision)))

    def look_again(self, key: RoomKey) -> None:
        """A room may have been changed by a process that is not on the bus: read it and tell the members here."""
        room = self._rooms.get(key)
        if room is not None:
            room.changes.look()

    def deleted(self, key: RoomKey) -> set[int]:
        """The numbers of messages that the members here know to be deleted; of lately, and of open rooms."""
        room = self._rooms.get(key)
        return room.changes.record.deleted() if room is not None else set()

    def evict(self, concerns: Callable[[RoomKey, str], bool]) -> int:
        """Close the sockets of people whom `concerns(room, person)` names, for good; how many."""
        chosen = [
            socket for socket in self.sockets if socket.room is not None and concerns(socket.room.key, socket.person.id)
        ]
        for socket in chosen:
            socket.close(CloseCode.POLICY_VIOLATION, "the session has ended")
        return len(chosen)

    async def join(self, key: RoomKey, socket: Socket, after: int | None, revision: int | None = None) -> None:
        """Bring a socket into its room, or say goodbye to it; it must not be read before this has returned.

        `after` and `revision` are the newest message and the newest change that the client knows.
        """
        try:
            async with asyncio.timeout(self.settings.join_seconds):
                room = await self._room(key)
                await tabs.settle(room, socket.person.id)
                if self._rooms.get(key) is not room:
                    # Nobody was in it while this one waited, and it has left memory.
                    room = await self._room(key)
                if self._admitted(room, socket):
                    room.enter(socket)
                    if room.full:
                        self.peers.filled(room)
                    await room.join(socket, after, revision)
        except (errors.GuideError, TimeoutError) as error:
            _log.warning("a socket could not join", error=repr(error))
            socket.bye("unavailable", CloseCode.TRY_AGAIN_LATER, 2.0)
        except Exception:  # noqa: BLE001 - logged; the socket must learn of it, and be read again
            _log.exception("a socket could not join")
            socket.close(CloseCode.INTERNAL_ERROR)
        socket.read()

    async def run(self) -> None:
        """Keep time for all rooms and sockets, and touch with the other processes, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.peers.run())
            tasks.create_task(self._keep_time())

    async def _keep_time(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await self.sweep()
            except Exception:  # noqa: BLE001 - logged; without the sweep dead sockets would stay for ever
                _log.exception("sweeping the rooms failed")

    async def sweep(self) -> None:
        """Ping the silent, cut the dead, compare rooms with the database, close rooms that have long been empty."""
        now, epoch = self.clock.monotonic(), self.clock.now()
        for socket in list(self.sockets):
            socket.keep_alive(now, epoch)
        settings = self.settings
        hearing = self.peers.hearing
        pause = settings.check_connected_seconds if hearing else settings.check_seconds
        for key, room in list(self._rooms.items()):
            if not room.started:
                continue
            if room.size:
                room.changes.tick(epoch)
                tabs.close_newest(room)
                if not hearing and room.people.presence.spread:
                    room.lag(late=True)
                if now - room.checked_at >= pause:
                    self._spawn(self._check(room))
            elif now - room.empty_since >= settings.linger_seconds and not room.people.presence.seats:
                self._forget(key)
                await room.end()

    async def drain(self) -> None:
        """Let messages on their way arrive, then say a resumable goodbye to every socket; bounded."""
        self.begin_drain()
        if self._draining is not None:
            await self._draining

    def begin_drain(self) -> None:
        """The same without waiting for its end."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())

    # --- what rooms and sockets call

    def answer(self, room: Room, socket: Socket, incoming: wire.Incoming) -> None:
        """Serve a frame that needs the conversation."""
        if incoming.type == "history":
            if socket.pages >= self.settings.history_pages:
                failure = errors.RateLimited("ask for one page of history after another", retry_after=1)
                socket.error(limits.SOCKET_PAGES.over(failure), incoming.id)
                return
            socket.pages += 1
        socket.message_began()
        self._spawn(self._answer(room, socket, incoming), socket.context)

    def lost(self, socket: Socket) -> None:
        """A connection has ended."""
        self.sockets.discard(socket)
        if self._emptied is not None and not self.sockets:
            self._emptied.set()

    # --- inside

    def _remember(self, kind: Kind, key: RoomKey, number: int) -> None:
        self._said.pop((kind, key), None)
        self._said[kind, key] = (number, self.clock.monotonic())
        if len(self._said) > _SAID_LIMIT:
            oldest = next(iter(self._said))
            del self._said[oldest]
            if oldest[0] == "stored":
                self._unsaid.discard(oldest[1])

    async def _room(self, key: RoomKey) -> Room:
        """The room, started. Raises what its start raised."""
        room = self._rooms.get(key)
        if room is None:
            room = self._rooms[key] = Room(self, key)
            self._marks[room.mark] = room
            task = self._starting[key] = asyncio.create_task(self._start(key, room))
            # Those who waited may all have given up; the error is theirs, and there is nobody else to tell.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        starting = self._starting.get(key)
        if starting is not None:
            # Shielded: one socket that gives up must not take the room from those that wait with it.
            await asyncio.shield(starting)
        return room

    async def _start(self, key: RoomKey, room: Room) -> None:
        try:
            async with asyncio.timeout(self.settings.join_seconds):
                await room.start()
        except BaseException:
            self._forget(key)
            await room.end()
            raise
        finally:
            self._starting.pop(key, None)

    def _forget(self, key: RoomKey) -> None:
        room = self._rooms.pop(key, None)
        if room is not None:
            self._marks.pop(room.mark, None)

    def _admitted(self, room: Room, socket: Socket) -> bool:
        here, elsewhere = tabs.held(room, socket.person.id)
        # The socket is among those of the process already.
        others, draining = len(self.sockets) - 1, self._draining is not None
        refusal = admit(room.size, here + elsewhere, self.settings, draining=draining, process_sockets=others)
        if refusal is None:
            return socket.state == OPEN
        self.refused += 1
        if refusal == "full":
            full = limits.ROOM_SOCKETS if room.size >= self.settings.room_sockets else limits.PROCESS_SOCKETS
            full.refused += 1
            self.peers.refused(room)
        limits.PERSON_SOCKETS.refused += refusal == "tabs"
        hearsay = here < self.settings.person_sockets
        wait = comes_again(refusal, self.peers.elsewhere(room.mark), hearsay=hearsay)
        socket.bye(refusal, _REFUSALS[refusal], wait.least, wait.spread)
        return False

    async def _answer(self, room: Room, socket: Socket, incoming: wire.Incoming) -> None:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                # A trace of its own: a socket lives for hours.
                with tracing.span(f"socket {incoming.type}", "server", tracing.ROOT):
                    frame = await self._answered(room, socket, incoming)
        except errors.GuideError as error:
            socket.error(error, incoming.id)
        except msgspec.DecodeError as error:
            socket.error(errors.Invalid(f"data of {incoming.type}: {error}"), incoming.id)
        except TimeoutError:
            socket.error(errors.Unavailable("the database did not answer in time", retry_after=5), incoming.id)
        except Exception:  # noqa: BLE001 - logged; the sender must get an answer
            _log.exception("a member's frame failed", type=incoming.type)
            socket.error(errors.GuideError("something went wrong here"), incoming.id)
        else:
            if socket.state == OPEN:
                socket.send(frame)
        finally:
            socket.pages -= incoming.type == "history"
            socket.message_ended()

    async def _answered(self, room: Room, socket: Socket, incoming: wire.Incoming) -> bytes:
        if self._conversation is None:
            raise errors.Unavailable("this server only announces")
        if incoming.type == "history":
            wanted = msgspec.json.decode(incoming.data, type=_HistoryData)
            page = await self._conversation.page(room.key, wanted.after, wanted.before, wanted.limit)
            return wire.text_frame("history", page, incoming.id)
        content = msgspec.json.decode(incoming.data, type=_MessageData).content
        receipt = await self._conversation.post(room.key, socket.person, content, incoming.id)
        return wire.text_frame("ack", {"id": receipt.id, "seq": receipt.seq}, incoming.id)

    async def _check(self, room: Room) -> None:
        try:
            async with asyncio.timeout(self.settings.join_seconds):
                await (room.catch_up() if room.late else room.check())
        except (errors.GuideError, TimeoutError) as error:
            _log.warning("a room cannot be compared with the database", error=repr(error))

    def _on_company(self) -> None:
        """Another process has come: it may have opened a room just before a message that was not announced."""
        unsaid, self._unsaid = self._unsaid, set()
        self._say_again(("stored", key) for key in unsaid)

    def _say_again(self, names: Iterable[tuple[Kind, RoomKey]]) -> None:
        recent = self.clock.monotonic() - _SAID_SECONDS
        for kind, key in names:
            number, at = self._said.get((kind, key), (0, 0.0))
            if at >= recent:
                self.bus.publish(subject(key), encode(Notice(self.origin, kind, number)))

    def _on_hearing(self, hearing: bool) -> None:  # noqa: FBT001 - called with the one thing it says
        """What others said while the bus was away is in the database; what was said here is told again."""
        if not hearing:
            return
        self._say_again(list(self._said))
        for room in self._rooms.values():
            if room.started:
                self._spawn(self._check(room))

    def _spawn(self, work: Coroutine[Any, Any, None], context: contextvars.Context | None = None) -> None:
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self) -> None:
        for socket in list(self.sockets):
            socket.stop_reading()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS)
        spread = max(1.0, len(self.sockets) / self.settings.reconnects_per_second)
        for room in self._rooms.values():
            room.people.staying = True
        self.peers.leave(_COMES_BACK + spread + _COMES_BACK)
        for socket in list(self.sockets):
            socket.bye("restart", CloseCode.SERVICE_RESTART, _COMES_BACK, spread)
            socket.read()
        self._emptied = asyncio.Event()
        if self.sockets:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.settings.close_seconds):
                    await self._emptied.wait()
        for socket in list(self.sockets):
            socket.abort()
        for task in self._tasks:
            task.cancel()
        for room in list(self._rooms.values()):
            await room.end()
        self._rooms.clear()
        self._marks.clear()
