"""Load that is real: many connections that ask again as soon as they are answered, in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit


@contextlib.contextmanager
def flood(url: str, path: str, token: str, connections: int = 100) -> Iterator[None]:
    """Keep a server busy with a GET until the block ends."""
    ended = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_flood(url, path, token, connections, ended)))
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(30)


async def _flood(url: str, path: str, token: str, connections: int, ended: threading.Event) -> None:
    where = urlsplit(url)
    request = f"GET {path} HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    await asyncio.gather(*(_ask(where.hostname or "", where.port or 80, request, ended) for _ in range(connections)))


async def _ask(host: str, port: int, request: bytes, ended: threading.Event) -> None:
    while not ended.is_set():
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                while not ended.is_set():
                    writer.write(request)
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                    await reader.readexactly(int(length.partition(b":")[2]))
            finally:
                writer.close()
