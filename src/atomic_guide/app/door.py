"""The listening socket, as one of the processes that share it: accepted from, or left to the others for a while."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Protocol

import structlog

_log = structlog.get_logger(__name__)


class Listening(Protocol):
    """A uvicorn server."""

    servers: Any
    """Set by `startup`."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept from sockets, which it closes in the end."""
        ...


class Door:
    """Opens and shuts one process's side of a listening socket; connections that are open stay."""

    def __init__(self, server: Listening, listener: socket.socket) -> None:
        self._server = server
        self._listener = listener
        self._open = True
        self._ended = False
        self._opening: asyncio.Task[None] | None = None

    def end(self) -> None:
        """Take no new connection any more, while those that are open go on."""
        self.turn(open_=False)
        self._ended = True

    def turn(self, open_: bool) -> None:  # noqa: FBT001 - called with the one thing it says
        """Accept from the socket, or not, from now on."""
        if self._ended:
            return
        self._open = open_
        if not open_:
            self._shut()
        elif self._opening is None:
            self._opening = asyncio.create_task(self._begin())

    def _shut(self) -> None:
        for server in getattr(self._server, "servers", []):
            server.close()
        self._server.servers = []

    async def _begin(self) -> None:
        try:
            if self._open and not self._server.servers:
                await self._server.startup([self._listener.dup()])
        except OSError as error:
            _log.error("this process does not accept connections any more", error=repr(error))
        finally:
            self._opening = None
        if not self._open:  # shut meanwhile
            self._shut()
