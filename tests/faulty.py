"""A proxy that fails on purpose, in front of a real service: it answers 503, or breaks the connection off."""

import asyncio
import contextlib
import random
import re
from collections import Counter
from collections.abc import AsyncIterator

_BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_PART = 64 * 1024


class Faulty:
    """`share` of the calls fail, half of them with 503 and half broken off; all do while it is `away`.

    `calls` counts by what became of them. The answer to the next call of the method `held` waits
    for `released`; `holding` says that it does.
    """

    def __init__(self, target: tuple[str, int], share: float = 0.0, seed: int = 1) -> None:
        self.share = share
        self.away = False
        self.held: bytes | None = None
        self.holding = asyncio.Event()
        self.released = asyncio.Event()
        self.calls: Counter[str] = Counter()
        self.port = 0
        self.answering: set[asyncio.Task[None]] = set()
        self._target = target
        self._random = random.Random(seed)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one call, and close."""
        task = asyncio.current_task()
        if task is not None:
            self.answering.add(task)
            task.add_done_callback(self.answering.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            head = await reader.readuntil(b"\r\n\r\n")
            if self.away:
                self.calls["away"] += 1
            elif self._random.random() < self.share:
                await self._fail(head, reader, writer)
            else:
                self.calls["passed"] += 1
                await self._pass(head, reader, writer)
        writer.close()

    async def _fail(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._random.random() < 0.5:
            self.calls["busy"] += 1
            await _body(head, reader, None)
            writer.write(_BUSY)
            await writer.drain()
        else:
            self.calls["broken"] += 1

    async def _pass(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to = await asyncio.open_connection(*self._target)
        try:
            to.write(head[:-2] + b"Connection: close\r\n\r\n")
            await _body(head, reader, to)
            holds = self.held is not None and head.startswith(self.held)
            if holds:
                self.held = None
            while part := await there.read(_PART):
                if holds:
                    self.holding.set()
                    await self.released.wait()
                writer.write(part)
                await writer.drain()
        finally:
            to.close()


@contextlib.asynccontextmanager
async def faulty(url: str, share: float = 0.0) -> AsyncIterator[Faulty]:
    """A proxy in front of `http://HOST:PORT` while the block runs."""
    host, _, port = url.removeprefix("http://").partition(":")
    proxy = Faulty((host, int(port)), share)
    server = await asyncio.start_server(proxy.handle, "127.0.0.1", 0, limit=256 * 1024)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(proxy.answering):
            task.cancel()
        await asyncio.gather(*proxy.answering, return_exceptions=True)


async def _body(head: bytes, reader: asyncio.StreamReader, to: asyncio.StreamWriter | None) -> None:
    found = _LENGTH.search(head)
    left = int(found[1]) if found else 0
    while left:
        part = await reader.read(min(left, _PART))
        if not part:
            raise ConnectionError("the caller has gone")
        left -= len(part)
        if to is not None:
            to.write(part)
            await to.drain()
