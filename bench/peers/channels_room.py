"""The same room on Django Channels with Daphne and the in-memory layer: one `group_send` for each message, no database.

Runs in an environment of its own, which `bench/_room_peers.py` makes.
"""

# mypy: disable-error-code="import-not-found, import-untyped, misc, no-untyped-call"

from __future__ import annotations

import socket
import sys
from typing import Any

import django
from channels.generic.http import AsyncHttpConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter
from daphne.server import Server
from django.conf import settings

ROOM = "room"


class Member(AsyncWebsocketConsumer):
    """A member of the room."""

    async def connect(self) -> None:
        """Enter."""
        await self.channel_layer.group_add(ROOM, self.channel_name)
        await self.accept()

    async def disconnect(self, _code: int) -> None:
        """Leave."""
        await self.channel_layer.group_discard(ROOM, self.channel_name)

    async def room_message(self, event: dict[str, Any]) -> None:
        """Pass a message on."""
        await self.send(text_data=event["text"])


class Post(AsyncHttpConsumer):
    """What is posted goes to the room."""

    async def handle(self, body: bytes) -> None:
        """Send the body to every member."""
        await get_channel_layer().group_send(ROOM, {"type": "room.message", "text": body.decode()})
        await self.send_response(201, b"{}", headers=[(b"Content-Length", b"2")])


def main() -> None:
    """Serve on a free port."""
    layer = {"BACKEND": "channels.layers.InMemoryChannelLayer", "CONFIG": {"capacity": 100_000}}
    settings.configure(CHANNEL_LAYERS={"default": layer}, ALLOWED_HOSTS=["*"], SECRET_KEY="bench")
    django.setup()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    application = ProtocolTypeRouter({"http": Post.as_asgi(), "websocket": Member.as_asgi()})
    ready = f"ready http://127.0.0.1:{port}\n"
    Server(
        application,
        endpoints=[f"tcp:port={port}:interface=127.0.0.1"],
        ready_callable=lambda: (sys.stdout.write(ready), sys.stdout.flush()),
    ).run()


if __name__ == "__main__":
    main()
