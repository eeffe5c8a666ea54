"""A small server with only the room in it, in the process of the test."""

import asyncio
import contextlib
import types
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import uvicorn

from atomic_guide.clock import Clock, SystemClock
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.web import moderation
from atomic_guide.web.chat import Chat, assemble_chat, calls
from atomic_guide.web.idempotency import Answers
from atomic_guide.web.limits import LimitSettings
from atomic_guide.web.rooms import calls as room_calls
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Session, Sessions
from atomic_guide.web.settings import RepeatSettings, SessionSettings
from atomic_guide.web.socket import SocketDoor, own_origins
from tests.engines import installed
from tests.operating import operators

TENANT = "tenant"


class Server(uvicorn.Server):
    """uvicorn that leaves signals to the test."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Course:
    """A running server and ways into its courses."""

    def __init__(self, sessions: Sessions, chat: Chat, port: int, server: Server, door: SocketDoor) -> None:
        self.sessions = sessions
        self.chat = chat
        self.port = port
        self.server = server
        self.door = door
        self.url = f"http://127.0.0.1:{port}"

    async def token(self, user: str, *, role: Any = "learner", context: str = "algebra") -> str:
        """A bearer token, as after a launch."""
        return (await self.sessions.refresh(session(user, role=role, context=context))).token

    async def ticket(self, user: str, *, role: Any = "learner", context: str = "algebra") -> str:
        """A socket ticket."""
        return await self.sessions.issue_code(session(user, role=role, context=context), "ticket")

    def socket_url(self, ticket: str, after: int | None = None) -> str:
        """Where the ticket opens a socket."""
        url = f"ws://127.0.0.1:{self.port}/api/chat/ws?ticket={ticket}"
        return url if after is None else f"{url}&after={after}"


def key(context: str = "algebra") -> CourseKey:
    """A course's key."""
    return CourseKey.of(TENANT, context)


def session(user: str, *, role: Any = "learner", context: str = "algebra") -> Session:
    """A session as a launch makes it."""
    course = key(context)
    return Session(
        tenant=TENANT,
        course=course.course,
        bucket=course.bucket,
        user=user,
        name=user.title(),
        role=role,
        locale="en",
        title="Algebra",
        ends_at=SystemClock().now() + 3600,
    )


@asynccontextmanager
async def nats_beside(data: Path) -> AsyncIterator[NatsServer]:
    """The bundled NATS server of a data directory, started again when it dies."""
    server = NatsServer(data, NatsSettings())
    await server.start()
    keeping = asyncio.create_task(server.keep())
    yield server
    await server.stop()
    await asyncio.wait_for(keeping, 10)


@asynccontextmanager
async def running(
    data: Path,
    *,
    rooms: RoomSettings | None = None,
    limits: LimitSettings | None = None,
    rules: ChatSettings | None = None,
    nats: bool = False,
    clock: Clock | None = None,
    tls: tuple[Path, Path] | None = None,
) -> AsyncIterator[Course]:
    """Serve from a data directory on a free port until the block ends."""
    clock = clock or SystemClock()
    shards = await open_embedded(installed(data))
    connection = Connection(data, NatsSettings()) if nats else None
    if connection is not None:
        await connection.open()
    sessions = Sessions(shards.directory, clock, SessionSettings())
    chosen = (rooms or RoomSettings(), limits or LimitSettings(), rules or ChatSettings())
    chat = assemble_chat(shards, clock, connection, chosen)
    answers = Answers(shards, clock, RepeatSettings())
    staff = operators(shards.directory, clock)
    tool: Any = types.SimpleNamespace(
        clock=clock, shards=shards, sessions=sessions, chat=chat, answers=answers, operators=staff
    )
    door = SocketDoor(sessions, chat, own_origins("http://127.0.0.1"))
    server = Server(
        uvicorn.Config(
            create_app(tool, [*calls.declared, *moderation.calls.declared, *room_calls.declared]),
            port=0,
            ws=cast("Any", door.protocol),
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            ssl_certfile=tls[0] if tls else None,
            ssl_keyfile=tls[1] if tls else None,
        )
    )
    sweeping = asyncio.create_task(chat.rooms.run())
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(10):
            while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        door.origins |= own_origins(f"http://127.0.0.1:{port}")
        yield Course(sessions, chat, port, server, door)
    finally:
        server.should_exit = True
        await serving
        await chat.close()
        sweeping.cancel()
        await asyncio.gather(sweeping, return_exceptions=True)
        if connection is not None:
            await connection.close()
        await shards.close()
