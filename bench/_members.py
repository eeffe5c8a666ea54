"""The load of `bench rooms` where no C compiler is: the same commands as `peers/members.c`, on bare asyncio protocols.

Members look at frame heads and at `"seq":`, so that they cost less than the server that they measure.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import resource
import socket
import sys
import time
from typing import Any

import uvloop

from bench._room_load import nanoseconds

OPEN_AT_A_TIME = 50
PING, PONG = 0x89, 0x8A


class Member(asyncio.Protocol):
    """A socket that counts the messages it gets, when, and what is wrong with their order."""

    __slots__ = (
        "buffer",
        "closed",
        "doubled",
        "expected",
        "got",
        "lost",
        "opened",
        "request",
        "seen",
        "transport",
        "unordered",
    )

    def __init__(self, request: bytes, seen: list[tuple[int, int, int]]) -> None:
        self.request = request
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.buffer = b""
        self.expected = 0
        self.got = self.lost = self.doubled = self.unordered = 0
        self.transport: Any = None
        self.closed = False
        self.seen = seen

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
            self._frame(data, position, start, length)
            position = start + length
        self.buffer = data[position:]

    def _frame(self, data: bytes, position: int, start: int, length: int) -> None:
        if data[position] == PING:
            # Masked with zeros, so that the payload stays as it is.
            self.transport.write(bytes((PONG, 0x80 | length, 0, 0, 0, 0)) + data[start : start + length])
        elif data[start : start + 17] == b'{"type":"message"':
            mark = data.find(b'"seq":', start, start + length)
            seq, sent = int(data[mark + 6 : data.find(b",", mark)]), data.find(b"@", start, start + length)
            self._count(seq)
            if sent >= 0:
                self.seen.append((seq, int(data[sent + 1 : data.find(b" ", sent)]), nanoseconds()))

    def connection_lost(self, _exc: Exception | None) -> None:
        """The server has ended it."""
        self.closed = True

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


class Crowd:
    """Every member, and what they have seen since the last report."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.seen: list[tuple[int, int, int]] = []
        """(seq, sent, arrived), the times in nanoseconds."""
        self.stopped: set[int] = set()
        self.refused = 0
        self.began, self.cpu = time.monotonic(), cpu()

    async def open(self, port: int, paths: list[str], receive_buffer: int) -> None:
        """Open a socket for each path, some at a time."""
        gate = asyncio.Semaphore(OPEN_AT_A_TIME)

        async def one(path: str) -> Member | None:
            key = base64.b64encode(os.urandom(16)).decode()
            request = (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            async with gate:
                plain = socket.socket()
                if receive_buffer:
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
                plain.settimeout(0)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(plain, ("127.0.0.1", port))
                _, member = await loop.create_connection(lambda: Member(request.encode(), self.seen), sock=plain)
                try:
                    await asyncio.wait_for(member.opened, 30)
                except ConnectionError:
                    self.refused += 1
                    return None
                return member

        found = await asyncio.gather(*(one(path) for path in paths))
        self.members = [member for member in found if member is not None]

    async def reach(self, messages: int, seconds: float) -> None:
        """Until each member has so many, or the time is over."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(  # noqa: ASYNC110 - counters of protocols
            member.got < messages for place, member in enumerate(self.members) if place not in self.stopped
        ):
            await asyncio.sleep(0.002)

    def report(self) -> dict[str, float]:
        """What was seen; begins anew."""
        lasts: dict[int, float] = {}
        for seq, sent, arrived in self.seen:
            lasts[seq] = max(lasts.get(seq, 0.0), (arrived - sent) / 1e6)
        each = sorted((arrived - sent) / 1e6 for _, sent, arrived in self.seen)
        found = [member for place, member in enumerate(self.members) if place not in self.stopped]
        last = sorted(lasts.values())
        answer = {
            "got": sum(member.got for member in found),
            "least": min((member.got for member in found), default=0),
            "gaps": sum(member.lost for member in found),
            "doubled": sum(member.doubled for member in found),
            "unordered": sum(member.unordered for member in found),
            "closed": sum(member.closed for member in found),
            "bytes": 0,
            "reads": 0,
            "cpu": cpu() - self.cpu,
            "seconds": time.monotonic() - self.began,
            "p50": at(each, 0.5),
            "p99": at(each, 0.99),
            "last_p50": at(last, 0.5),
            "last_p99": at(last, 0.99),
            "last_most": at(last, 1.0),
        }
        for member in found:
            member.got = member.lost = member.doubled = member.unordered = 0
        self.seen.clear()
        self.began, self.cpu = time.monotonic(), cpu()
        return answer


def at(values: list[float], part: float) -> float:
    """A quantile of sorted values."""
    return values[int(part * (len(values) - 1))] if values else 0.0


def cpu() -> float:
    """CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def main() -> None:
    """Open, say so, obey."""
    lines = asyncio.StreamReader(limit=1 << 22)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    port, count, receive_buffer = map(int, (await lines.readline()).split())
    crowd = Crowd()
    await crowd.open(port, [(await lines.readline()).decode().strip() for _ in range(count)], receive_buffer)
    say({"opened": len(crowd.members), "refused": crowd.refused})
    while words := (await lines.readline()).decode().split():
        if words[0] == "stop":
            crowd.stopped.add(int(words[1]))
            crowd.members[int(words[1])].transport.pause_reading()
            say({})
            continue
        await crowd.reach(int(words[1]), float(words[2]))
        say(crowd.report() if words[0] == "wait" else {})


def say(report: dict[str, Any]) -> None:
    """One line for the benchmark."""
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
