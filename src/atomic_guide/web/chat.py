"""The conversation over HTTP, and what sockets ask for: both end in the same two methods of `Chat`."""

from __future__ import annotations

import contextvars
import time
from typing import Any

import msgspec
from msgspec.structs import replace

from atomic_guide import errors
from atomic_guide.clock import Clock
from atomic_guide.course.chat.announce import announcer
from atomic_guide.course.chat.budgets import Rates
from atomic_guide.course.chat.history import PAGE_DEFAULT, PAGE_LIMIT, MessageHistory
from atomic_guide.course.chat.message import Author, Message, Page, tombstone
from atomic_guide.course.chat.moderation import Moderation
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.course.chat.store import Messages, Posted
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.session import FIRST_PRIMARY, current_session, outside_session
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.rooms.bus import Bus, LocalBus, NatsBus
from atomic_guide.engines.rooms.ports import Receipt
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.operations.costs.tally import Tally
from atomic_guide.web.limits import Limits, LimitSettings
from atomic_guide.web.paging import Limit
from atomic_guide.web.problems import problem
from atomic_guide.web.routing import Answer, Call, Calls, Parameter, Repeats

calls = Calls()


class PostMessage(msgspec.Struct):
    """A message to post; `id` is the client's own, and makes a repeated post harmless."""

    content: str
    id: str | None = None


class Ticket(msgspec.Struct):
    """A ticket for the socket."""

    ticket: str


class Chat:
    """The conversation as callers from outside may use it: limited, stored, announced."""

    def __init__(
        self, shards: Shards, messages: Messages, moderation: Moderation, history: MessageHistory, limits: Limits,
        rooms: Rooms,
    ) -> None:  # fmt: skip
        self._shards = shards
        self.messages = self._messages = messages
        self.moderation = moderation
        self.history = history
        self.limits = limits
        self.rooms = rooms
        self.posted = 0
        """Messages that were stored here since the process began."""
        self.work = Tally()
        """Seconds by tenant that members of rooms waited for their messages to be stored."""
        rooms.converse(self)

    async def say(self, key: CourseKey, author: Author, content: str, identifier: str | None) -> Posted:
        """Count, check and store a message. Raises `RateLimited`, `Invalid`, or what the database raises."""
        self.limits.check_message(key, author.id, author.role)
        try:
            with self.rooms.expecting(key):
                posted = await self._messages.post(key, author, content, identifier)
        except errors.RateLimited as refusal:
            # Other processes have spent it; until then there is no need to ask the database again.
            self.limits.learn(key, author.id, author.role, refusal)
            raise
        self.posted += posted.fresh
        return posted

    async def post(self, key: CourseKey, person: Person, content: str, identifier: str | None) -> Receipt:
        """The same for a member of a room."""
        began = time.perf_counter()
        posted = await self.say(key, Author(person.id, person.name, person.role), content, identifier)
        self.work.add(key.tenant, time.perf_counter() - began)
        return Receipt(posted.message.id, posted.message.seq)

    async def page(self, key: CourseKey, after: int | None, before: int | None, limit: int = PAGE_DEFAULT) -> Page:
        """Messages after or before a number, in order, for a member of a room.

        Who asks for what follows has heard of it, perhaps before a replica has: that comes from the primary.
        """
        if after is None:
            return self._current(key, await self.history.page(key, before=before, limit=limit))
        with outside_session():
            return self._current(key, await self.history.page(key, after=after, before=before, limit=limit))

    def _current(self, key: CourseKey, page: Page) -> Page:
        """A page in which what the room knows to be deleted is: a replica, or a read under way, may not know it."""
        deleted = self.rooms.deleted(key)
        if deleted.isdisjoint(message.seq for message in page.messages):
            return page
        return replace(page, messages=[tombstone(one) if one.seq in deleted else one for one in page.messages])

    async def reading(self, bookmark: str) -> contextvars.Context | None:
        """The context of a socket's frames: a session of the databases that begins at its ticket's bookmark.

        None where no replica could be behind it.
        """
        if not self._shards.replica_sets:
            return None
        return (await self._shards.begin(bookmark or FIRST_PRIMARY)).context()

    async def close(self) -> None:
        """Say goodbye to the sockets, then finish what was accepted."""
        await self.rooms.drain()
        await self._messages.close()


def assemble_chat(
    shards: Shards,
    clock: Clock,
    connection: Connection | None,
    settings: tuple[RoomSettings, LimitSettings, ChatSettings] | None = None,
) -> Chat:
    """The chat over open engines; without a connection, rooms live in this process only."""
    rooms, limits, rules = settings or (RoomSettings(), LimitSettings(), ChatSettings())
    bus: Bus = NatsBus(connection) if connection is not None else LocalBus()
    history = MessageHistory(shards, clock)
    hall = Rooms(rooms, clock, bus, history)
    rates = Rates(limits.person_messages, limits.instructor_messages, limits.room_messages)
    messages = Messages(shards, clock, announcer(hall), rates, rules)
    moderation = Moderation(shards, clock, Holds(shards.directory, clock), rules, hall.changed)
    return Chat(shards, messages, moderation, history, Limits(limits, clock), hall)


_SEQ: dict[str, Any] = {"type": "integer", "minimum": 0}
_LIMIT = Limit(PAGE_DEFAULT, PAGE_LIMIT)


@calls.add(
    "POST",
    "/api/chat/message",
    access="course",
    body=PostMessage,
    reply=Message,
    status=201,
    failures=(200, 400, 401, 403, 413, 415, 429, 503, 507),
    parameters=(
        Parameter("Idempotency-Key", {"type": "string"}, "Stands for `id` where the body has none.", place="header"),
    ),
    repeats=Repeats("itself", "The key is the message's id where the body has none, and stored with the message."),
)
async def post_message(call: Call[PostMessage]) -> Answer:
    """Post a message; the same id again gives 200 and the first message."""
    session = call.session
    # Some clients send a key with every POST: the message's own id is the one that counts.
    identifier = call.body.id if call.body.id is not None else call.idempotency_key
    author = Author(session.user, session.name, session.role)
    posted = await call.tool.chat.say(session.key, author, call.body.content, identifier)
    return Answer(posted.message, 201 if posted.fresh else 200)


@calls.add(
    "GET",
    "/api/chat/messages",
    access="course",
    reply=Page,
    failures=(400, 401, 503),
    parameters=(
        Parameter("after", _SEQ, "The first messages with a greater `seq`."),
        Parameter("before", _SEQ, "The last messages with a smaller `seq`; without both, the newest."),
        _LIMIT.parameter,
    ),
)
async def read_messages(call: Call[None]) -> Page:
    """Read the messages of the course in order."""
    limit = _LIMIT.of(call)
    after, before = call.whole_number("after"), call.whole_number("before")
    return await call.tool.chat.history.page(call.session.key, after=after, before=before, limit=limit)


@calls.add(
    "POST",
    "/api/chat/ticket",
    access="course",
    reply=Ticket,
    failures=(401, 503),
    repeats=Repeats("itself", "The key makes the ticket, which is kept nowhere."),
)
async def issue_ticket(call: Call[None]) -> Ticket:
    """Get a ticket for the socket: usable once, for 30 seconds."""
    reading = current_session()
    bookmark = await reading.bookmark() if reading is not None else ""
    own = call.regions.own
    session = replace(call.session, bookmark=bookmark, region=own.name if own is not None else "")
    return Ticket(await call.tool.sessions.issue_code(session, "ticket", call.idempotency_key))


@calls.add(
    "GET",
    "/api/chat/ws",
    access="none",
    failures=(400, 401, 403, 426, 429, 503),
    parameters=(
        Parameter("ticket", {"type": "string"}, "From `POST /api/chat/ticket`."),
        Parameter("after", _SEQ, "The newest `seq` that the client has; what follows is sent first."),
        Parameter("revision", _SEQ, "The newest `revision` that it has heard of; what was deleted since is told."),
    ),
)
async def open_socket(_call: Call[None]) -> Any:
    """Open the course's room as a WebSocket; a plain request is told to upgrade."""
    message = "this address speaks WebSocket only; send the headers of an upgrade"
    return problem(errors.UpgradeRequired(message), {"Upgrade": "websocket", "Connection": "Upgrade"})
