"""Clients of the room for tests: a member with its library's own WebSocket, and HTTP calls with a token."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.integration.chat_server import Course

SECONDS = 10


class Member:
    """A connected socket with what it has been sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def next(self, kind: str | None = None) -> dict[str, Any]:
        """The next frame, or the next one of a kind, passing over others."""
        while True:
            frame: dict[str, Any] = json.loads(await asyncio.wait_for(self.socket.recv(), SECONDS))
            if kind is None or frame["type"] == kind:
                return frame

    async def messages(self, count: int) -> list[dict[str, Any]]:
        """The data of the next messages."""
        return [(await self.next("message"))["data"] for _ in range(count)]

    async def send(self, kind: str, identifier: str | None = None, **data: Any) -> None:
        """Send a frame."""
        frame = {"type": kind, "data": data} if identifier is None else {"type": kind, "id": identifier, "data": data}
        await self.socket.send(json.dumps(frame))

    async def closed(self) -> int:
        """Wait for the end of the connection; its close code."""
        await asyncio.wait_for(self.socket.wait_closed(), SECONDS)
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def member(course: Course, user: str, after: int | None = None, **session: Any) -> AsyncIterator[Member]:
    """A socket of a person, its `welcome` still unread."""
    url = course.socket_url(await course.ticket(user, **session), after)
    async with connect(url, compression=None, ping_interval=None, max_queue=None) as socket:
        yield Member(socket)


@asynccontextmanager
async def caller(course: Course, user: str, **session: Any) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with a person's token."""
    headers = {"Authorization": f"Bearer {await course.token(user, **session)}"}
    async with httpx.AsyncClient(base_url=course.url, headers=headers, timeout=SECONDS) as client:
        yield client
