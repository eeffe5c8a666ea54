"""A room on a bare asyncio server: every member gets every message once, in order, also after a lost connection.

Messages are kept in a list here. A program that must not lose any writes them to its database in `post`, before it
returns; `engines/data` has group commit for that. With `NatsBus` in place of `LocalBus` rooms span processes.
"""

import asyncio
import itertools
import json
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.client import connect
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from atomic_guide.clock import SystemClock
from atomic_guide.engines.rooms import wire
from atomic_guide.engines.rooms.bus import LocalBus
from atomic_guide.engines.rooms.ports import Receipt
from atomic_guide.engines.rooms.presence import Person
from atomic_guide.engines.rooms.record import Changes, Standing
from atomic_guide.engines.rooms.registry import Rooms
from atomic_guide.engines.rooms.settings import RoomSettings
from atomic_guide.engines.rooms.socket import Socket


class Place(NamedTuple):
    """What a room is called: its tenant, and the course within. They are the NATS subject of the room, too."""

    tenant: str
    course: str


LOBBY = Place("house", "lobby")


class Talk:
    """The messages of one room, and what members may ask for: the `History` and the `Conversation` of `Rooms`."""

    def __init__(self) -> None:
        self.kept: list[bytes] = []
        self.rooms: Rooms | None = None

    async def standing(self, key: Any) -> Standing:  # noqa: ARG002
        """The newest message's number; nothing is ever changed here, so the revision stays 0."""
        return Standing(len(self.kept), 0)

    async def frames(self, key: Any, after: int, limit: int) -> list[tuple[int, bytes]]:  # noqa: ARG002
        """Messages that follow a number."""
        return list(itertools.islice(enumerate(self.kept, 1), after, after + limit))

    async def changes(self, key: Any, after: int) -> Changes:  # noqa: ARG002
        """Nobody is muted, nothing is deleted."""
        return Changes(0, {}, {}, [])

    async def post(self, key: Any, person: Person, content: str, identifier: str | None) -> Receipt:
        """Keep a message, then tell everybody."""
        seq = len(self.kept) + 1
        self.kept.append(wire.text_frame("message", {"seq": seq, "from": person.name, "content": content}))
        assert self.rooms is not None
        self.rooms.deliver(key, seq, self.kept[-1])
        return Receipt(identifier or str(seq), seq)

    async def page(self, key: Any, after: int | None, before: int | None, limit: int) -> Any:  # noqa: ARG002
        """Older messages, for a client that asks."""
        return {"messages": [], "last_seq": len(self.kept)}


class Entrance(asyncio.Protocol):
    """A connection: its handshake is read here, all that follows by the member's `Socket`."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self.held = b""
        self.joining: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer the handshake once it is there, and enter the room. Who somebody is, a real program asks a session."""
        self.held += data
        if b"\r\n\r\n" not in self.held:
            return
        lines = StreamReader()
        lines.feed_data(self.held)
        try:
            next(Request.parse(lines.read_line))
        except StopIteration as parsed:
            request: Request = parsed.value
        answer = ServerProtocol().accept(request)
        self.transport.write(answer.serialize())
        if answer.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            self.transport.close()
            return
        asked = parse_qs(urlsplit(request.path).query)
        name, after = asked["name"][0], asked.get("after")
        person = Person(name.lower(), name, "member")
        socket = Socket(self.rooms, self.transport, person, self.rooms.clock.now() + 3600, set())
        self.transport.set_protocol(socket)
        self.joining = asyncio.create_task(self.rooms.join(LOBBY, socket, int(after[0]) if after else None))


async def said(member: Any, kind: str) -> dict[str, Any]:
    """The next frame of a kind that a member gets."""
    async with asyncio.timeout(10):
        while (frame := json.loads(await member.recv()))["type"] != kind:
            pass
    data: dict[str, Any] = frame["data"]
    return data


async def main() -> None:
    """Two members: one talks, the other goes away and comes back."""
    talk = Talk()
    rooms = talk.rooms = Rooms(RoomSettings(), SystemClock(), LocalBus(), talk)
    rooms.converse(talk)
    running = asyncio.create_task(rooms.run())
    server = await asyncio.get_running_loop().create_server(lambda: Entrance(rooms), "127.0.0.1", 0)
    url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/?name="

    async with connect(f"{url}Ada") as ada:
        await said(ada, "welcome")
        async with connect(f"{url}Grace") as grace:
            await said(grace, "welcome")
            await ada.send(json.dumps({"type": "message", "id": "1", "data": {"content": "Good morning"}}))
            print(f"Ada's message is number {(await said(ada, 'ack'))['seq']}")
            print(f"Grace reads: {(await said(grace, 'message'))['content']}")
        for number, content in enumerate(["Are you there?", "You will read this later"], 2):
            await ada.send(json.dumps({"type": "message", "id": f"{number}", "data": {"content": content}}))
            await said(ada, "ack")
        async with connect(f"{url}Grace&after=1") as grace:
            print(f"Grace came back: {(await said(grace, 'welcome'))['resumed']}")
            print(
                f"Grace reads: {(await said(grace, 'message'))['content']}, {(await said(grace, 'message'))['content']}"
            )

    server.close()
    await rooms.drain()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main())
