"""The same room on Starlette's own WebSocket class: one `send_text` for each socket, no database."""

from __future__ import annotations

import sys
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

members: set[WebSocket] = set()


async def room(socket: WebSocket) -> None:
    """Keep a member until it leaves."""
    await socket.accept()
    members.add(socket)
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        members.discard(socket)


async def post(request: Request) -> JSONResponse:
    """Send the body to every member."""
    text = (await request.body()).decode()
    for socket in list(members):
        try:
            await socket.send_text(text)
        except (RuntimeError, WebSocketDisconnect):
            members.discard(socket)
    return JSONResponse({}, 201)


class _Server(uvicorn.Server):
    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        sys.stdout.write(f"ready http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    app = Starlette(routes=[Route("/message", post, methods=["POST"]), WebSocketRoute("/ws", room)])
    _Server(
        uvicorn.Config(app, port=0, ws="websockets", ws_per_message_deflate=False, log_level="error", loop="uvloop")
    ).run()
