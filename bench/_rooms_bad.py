"""One member never reads, one sends garbage, one floods: what the other 997 feel.

The room talks at 20 messages a second. They are long and the limits of unsent bytes are lower than shipped, without the
bad ones too: so that one who does not read reaches the limits within a round.
"""

from __future__ import annotations

import asyncio
import base64
import os
import random
import socket
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import msgspec
from websockets.frames import Frame, Opcode

from bench._bars import Bars
from bench._room_load import members
from bench._room_peers import Server, ours
from bench._room_rounds import SETTLE_SECONDS, Round, Stand

SOCKETS = 1000
PACE = 20.0
SECONDS = 6.0
ROUNDS = 5
FLOOD = 2000
"""Frames a second of the one who floods."""

LOW = {"ATOMIC_GUIDE_ROOMS_SOFT_BUFFER": "16384", "ATOMIC_GUIDE_ROOMS_HARD_BUFFER": "65536"}
LENGTH = 2000
"""Characters of a message: 250 kB in a round, of which the kernel holds 128 KiB for one who does not read."""

RECEIVE_BUFFER = 4096
"""Bytes that the kernel takes for the one who does not read; it would take megabytes."""


async def measure(bars: Bars) -> None:
    """Rounds without and with the bad ones, in turn."""
    good = bars.size(SOCKETS, 50) - 3
    seconds = max(SECONDS * bars.share, 1.0)
    calm, disturbed = list[Round](), list[Round]()
    async with ours(good + 3 * ROUNDS, LOW) as usual, members(usual.url, usual.paths(good)) as people:
        await asyncio.sleep(SETTLE_SECONDS)
        server = usual._replace(body=long_body)
        standing = Stand(server, people, 0.0)
        await standing.round(1.0, pace=PACE)
        for _ in range(ROUNDS):
            calm.append(await standing.round(seconds, pace=PACE))
            async with bad(server):
                disturbed.append(await standing.round(seconds, pace=PACE))
        cut = await figure(server, "atomic_guide_room_slow_closed_total")
    before = bars.median("p99 of each delivery, good ones only", [one.report.p99 for one in calm], "ms")
    after = bars.median("p99 of each delivery, with the bad ones", [one.report.p99 for one in disturbed], "ms")
    cpu = statistics.median(one.cpu / one.report.seconds for one in disturbed)
    bars.show("CPU of the server with the bad ones", round(cpu, 3), "cores")
    bars.most("p99 with the bad ones to without", round(after / before, 3), 1.2, "times")
    bars.least("closed because they do not read", cut, ROUNDS if bars.share >= 1 else 0)
    wrong = sum(one.report.wrong + one.report.closed for one in calm + disturbed)
    bars.most("good ones closed, or messages left out or doubled", wrong, 0)


def long_body(number: int, at: int) -> bytes:
    """A long message."""
    return msgspec.json.encode({"id": f"bench-{number}-{at}", "content": f"@{at} ".ljust(LENGTH, "x")})


async def figure(server: Server, name: str) -> float:
    """A figure of the server's own metrics."""
    async with httpx.AsyncClient() as client:
        lines = (await client.get(f"{server.url}/metrics")).text.splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))


@asynccontextmanager
async def bad(server: Server) -> AsyncIterator[None]:
    """Three members as nobody wants them, until the block ends."""
    paths = server.paths(3)
    ends = [await enter(server, path) for path in paths]
    ends[0][1].transport.pause_reading()  # type: ignore[attr-defined]
    tasks = [asyncio.create_task(garbage(*ends[1])), asyncio.create_task(flood(*ends[2]))]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for _, writer in ends:
            writer.transport.abort()


async def enter(server: Server, path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A socket, open; of its answers little is kept."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    plain.settimeout(0)
    await asyncio.get_running_loop().sock_connect(plain, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=plain, limit=RECEIVE_BUFFER)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Frames that are no JSON, until the server has had enough; then bytes that are no frame."""
    chance = random.Random(7)
    reading = asyncio.create_task(swallow(reader))
    try:
        for _ in range(200):
            writer.write(Frame(Opcode.TEXT, chance.randbytes(200).hex().encode()).serialize(mask=True))
            await asyncio.sleep(0.01)
        while True:
            writer.write(chance.randbytes(1000))
            await asyncio.sleep(0.01)
    finally:
        reading.cancel()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Messages far beyond what a person may send."""
    reading = asyncio.create_task(swallow(reader))
    frame = Frame(Opcode.TEXT, b'{"type":"typing"}').serialize(mask=True)
    try:
        while True:
            writer.write(frame * (FLOOD // 100))
            await asyncio.sleep(0.01)
    finally:
        reading.cancel()


async def swallow(reader: asyncio.StreamReader) -> None:
    """Read everything and keep nothing."""
    while await reader.read(1 << 16):
        pass
