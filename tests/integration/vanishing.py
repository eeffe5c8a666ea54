"""A member whose packets do not arrive any more: run in a network namespace of its own, whose loopback is taken down.

`unshare --map-root-user --net python -m tests.integration.vanishing FOLDER` prints after how many seconds the server
had given the silent connection up and its place was free.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import sys
import time
from pathlib import Path

from atomic_guide.engines.rooms.settings import RoomSettings
from tests.integration.chat_server import key, running
from tests.integration.members import member

_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1  # linux/sockios.h, linux/if.h
PATIENCE = 20.0


def loopback(*, up: bool) -> None:
    """Take the loopback device of this namespace up or down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack("16sH14s", b"lo", 0, b"")
        (flags,) = struct.unpack("16xH14x", fcntl.ioctl(any_socket, _GET_FLAGS, asked))
        flags = flags | _UP if up else flags & ~_UP
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sH14s", b"lo", flags, b""))


async def main(folder: Path) -> None:
    """Connect, cut, wait."""
    loopback(up=True)
    settings = RoomSettings(ping_seconds=1.0, silence_seconds=3.0)
    async with running(folder, rooms=settings) as course, member(course, "ada") as ada:
        await ada.next("welcome")
        rooms = course.chat.rooms
        room = rooms._rooms[key()]
        assert (len(rooms.sockets), room.size) == (1, 1), (rooms.sockets, room.size)
        loopback(up=False)
        began = time.monotonic()
        try:
            while rooms.sockets and time.monotonic() - began < PATIENCE:  # noqa: ASYNC110 - looks on from outside
                await asyncio.sleep(0.05)
            assert (len(rooms.sockets), room.size) == (0, 0)
            sys.stdout.write(f"{time.monotonic() - began:.2f}\n")
            sys.stdout.flush()
        finally:
            loopback(up=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
