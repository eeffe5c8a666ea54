"""The load of `bench.rooms`, in a process of its own: members that count, and one who posts.

Reads a plan as JSON from standard input, reports on standard output. Members are bare asyncio protocols that
look at frame heads and at `"seq":`, so that they cost less than the server that they measure.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import uvloop

OPEN_AT_A_TIME = 50
PING, PONG = 0x89, 0x8A


class Member(asyncio.Protocol):
    """A socket that counts the messages it gets, and what is wrong with their order."""

    __slots__ = ("buffer", "doubled", "expected", "got", "lost", "opened", "request", "transport", "unordered")

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.expected = 0
        self.got = self.lost = self.doubled = self.unordered = 0
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Ask for the upgrade."""
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Walk over the frames."""
        if not self.opened.done():
            data = self._handshake(data)
            if not self.opened.done():
                return
        if self.buffer:
            data = self.buffer + data
        position, size = 0, len(data)
        while size - position >= 2:
            length, start = data[position + 1], position + 2
            if length == 126:
                length, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            elif length == 127:
                length, start = int.from_bytes(data[start : start + 8], "big"), start + 8
            if size < start + length:
                break
            if data[position] == PING:
                # Masked with zeros, so that the payload stays as it is.
                self.transport.write(bytes((PONG, 0x80 | length, 0, 0, 0, 0)) + data[start : start + length])
            elif data[start : start + 17] == b'{"type":"message"':
                mark = data.find(b'"seq":', start, start + length)
                self._count(int(data[mark + 6 : data.find(b",", mark)]))
            position = start + length
        self.buffer = data[position:]

    def _handshake(self, data: bytes) -> bytes:
        """What follows the answer's head; nothing as long as it is not complete."""
        head, end, rest = (self.buffer + data).partition(b"\r\n\r\n")
        self.buffer = b"" if end else head
        if end and b" 101 " in head[:20]:
            self.opened.set_result(None)
        elif end:
            self.opened.set_exception(ConnectionError(head[:80].decode()))
        return rest

    def _count(self, seq: int) -> None:
        self.got += 1
        if self.expected and seq != self.expected:
            if seq > self.expected:
                self.lost += seq - self.expected
            elif seq == self.expected - 1:
                self.doubled += 1
            else:
                self.unordered += 1
        self.expected = max(self.expected, seq + 1)


async def open_members(plan: dict[str, Any]) -> list[Member]:
    """Open every socket of the plan, some at a time."""
    parts = urlsplit(plan["url"])
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(OPEN_AT_A_TIME)

    async def one(path: str) -> Member:
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        async with gate:
            _, member = await loop.create_connection(lambda: Member(request.encode()), parts.hostname, parts.port)
            await asyncio.wait_for(member.opened, 30)
            return member

    return list(await asyncio.gather(*(one(path) for path in plan["sockets"])))


async def post(plan: dict[str, Any]) -> None:
    """Post messages at an even pace over one connection that is kept."""
    parts = urlsplit(plan["url"])
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    start = time.monotonic()
    for number in range(1, plan["messages"] + 1):
        await asyncio.sleep(max(start + number / plan["rate"] - time.monotonic(), 0))
        body = (
            json.dumps(plan["body"], separators=(",", ":"))
            .replace("NUMBER", str(number))
            .replace('"SEQ"', str(number))
            .encode()
        )
        head = (
            f"POST {plan['path']} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {plan['token']}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        status = int(answer.split(b" ", 2)[1])
        assert status == 201, answer
        length = next(
            (int(line[15:]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")), None
        )
        if length is None:  # chunked, as Node sends it
            await reader.readuntil(b"0\r\n\r\n")
        else:
            await reader.readexactly(length)
    writer.close()


async def main() -> None:
    """Open, say so, wait for a line, post, report."""
    lines = asyncio.StreamReader(limit=1 << 22)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    plan = json.loads(await lines.readline())
    members = await open_members(plan)
    say({"opened": len(members)})
    await lines.readline()
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    await post(plan)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(member.got < plan["messages"] for member in members):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    used, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    say(
        {
            "got": sum(member.got for member in members),
            "lost": plan["messages"] * len(members) - sum(min(member.got, plan["messages"]) for member in members),
            "doubled": sum(member.doubled for member in members),
            "unordered": sum(member.unordered for member in members),
            "gaps": sum(member.lost for member in members),
            "seconds": took,
            "cpu": used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime,
        }
    )
    await lines.readline()


def say(report: dict[str, Any]) -> None:
    """One line for the benchmark."""
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
