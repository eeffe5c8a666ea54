"""A real server for the chaos test, and people who send it events over HTTP until each call was answered.

Events are idempotent by their ids, so that a call whose answer was lost with the server is simply sent again. The
server stores them with the job that counts them, and counts them itself: both are cut off where it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.settings import ShardSettings
from atomic_guide.engines.data.shards import Shards
from tests.chaos_queries import OPENED
from tests.running import RunningServer, running_server
from tests.watching import all_counted, body, event

KEY = CourseKey.of("t-test", "course-1")
SENDERS = 4
EVENTS = 20
"""Events of one call."""

_AGAIN_SECONDS = 0.1
_CALL_SECONDS = 20.0
_COUNTED_SECONDS = 120.0
_START_SECONDS = 120.0
"""A machine on which everything is busy at once takes long to start a program."""


def variables(shards: Shards, smtp: int) -> dict[str, str]:
    """How a server is to be set up beside the other processes of the test: the same databases, leases and mail."""
    own = {
        "DATABASES_SHARDS": "2",
        "QUEUES_LEASE_SECONDS": "3",
        "QUEUES_HEARTBEAT_SECONDS": "0.5",
        "QUEUES_POLL_SECONDS": "0.5",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PORT": str(smtp),
        "MAIL_SECURITY": "none",
        "MAIL_SENDER": "guide@tool.example",
    }
    if isinstance(shards.directory, PostgresDatabase):
        servers = [
            ShardSettings(name=each.name, url=each.shard.primary.address)
            for each in shards.all()
            if isinstance(each.shard.primary, PostgresDatabase)
        ]
        own["DATABASES_DIRECTORY"] = shards.directory.address
        own["DATABASES_SERVERS"] = msgspec.json.encode(servers).decode()
    return own


class Served:
    """The server, killed and started again on the same port, and how many calls were answered."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self._data = data
        self._settings = settings
        self._life = ExitStack()
        self._server: RunningServer | None = None
        self._port = _free_port()
        self._tokens: list[str] = []
        self.repeated = 0
        self.slowest_start = 0.0

    async def start(self) -> None:
        """Start it, on the port that it had before it was killed."""
        enter, began = self._life.enter_context, time.monotonic()
        self._server = await asyncio.to_thread(
            lambda: enter(running_server(self._data, self._settings, port=self._port, patience=_START_SECONDS))
        )
        self.slowest_start = max(self.slowest_start, time.monotonic() - began)

    async def kill(self) -> None:
        """End it and its workers with SIGKILL."""
        assert self._server is not None
        await asyncio.to_thread(self._server.kill)
        await self.stop()

    async def stop(self) -> None:
        """End it in order, if it runs."""
        await asyncio.to_thread(self._life.close)

    async def enter(self) -> None:
        """Let the people in who will send; what they hold stays good when the server is killed."""
        assert self._server is not None
        for number in range(SENDERS):
            with await asyncio.to_thread(self._server.enter, f"sender-{number}") as client:
                self._tokens.append(client.headers["Authorization"])

    async def send(self, calls: int) -> None:
        """Have people send that many calls; returns when each was answered with 202."""
        address, numbers = f"http://127.0.0.1:{self._port}", iter(range(calls))

        async def person(token: str) -> None:
            headers = {"Authorization": token, "Content-Type": "application/json"}
            async with httpx.AsyncClient(base_url=address, headers=headers, timeout=_CALL_SECONDS) as client:
                for number in numbers:
                    now = SystemClock().now()
                    rows = [event("opened", now, f"c{number}-{each}") for each in range(EVENTS)]
                    await self._insist(client, body(*rows))

        async with asyncio.TaskGroup() as group:
            for token in self._tokens:
                group.create_task(person(token))

    async def _insist(self, client: httpx.AsyncClient, content: bytes) -> None:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.post("/api/analytics/events", content=content)
                if answer.status_code == httpx.codes.ACCEPTED:
                    return
                refused = answer.status_code in {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
                assert refused, answer.text
            self.repeated += 1
            await asyncio.sleep(_AGAIN_SECONDS)


async def counted(shards: Shards) -> int:
    """Wait until every event is counted; how many were."""
    await all_counted(shards, KEY, _COUNTED_SECONDS)
    row = await shards.of(KEY).one(OPENED, KEY.columns)
    return int(row["opened"]) if row is not None else 0


def _free_port() -> int:
    """A port that no system gives away by itself, so that it is still free when the server is started again."""
    while True:
        port = random.randrange(10_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
