"""A way to an engine that can be shut: what all regions share on this machine ends for one of them."""

from __future__ import annotations

import asyncio
import contextlib

from atomic_guide.app.rehearsal.postgres import free_port

_CHUNK = 65536


class Door:
    """A port that leads to another one, byte for byte, until it is shut."""

    def __init__(self, behind: int) -> None:
        self.port = free_port()
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def open(self) -> None:
        """Let connections through from now on."""
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)

    def shut(self) -> None:
        """Break off every connection and take no more, as a machine that is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._passing:
            task.cancel()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._through(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        await asyncio.wait([task])

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            behind, onward = await asyncio.open_connection("127.0.0.1", self._behind)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pour(reader, onward))
                    group.create_task(_pour(behind, writer))
            finally:
                onward.transport.abort()
                writer.transport.abort()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while part := await reader.read(_CHUNK):
            writer.write(part)
            await writer.drain()
        writer.write_eof()
