"""5,000 people in one room over four processes, while one is killed and another drained.

People are bare asyncio protocols that look at frame heads and at a few bytes of each frame, so that they cost less
than the server. Each keeps the number of the newest message it has got; whenever its socket ends it gets a new
ticket over HTTP and comes back with `after=`, when the `bye` said so, or half a second to a second after a loss.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.web.sessions import Session, Sessions
from atomic_guide.web.settings import SessionSettings
from bench._bars import Bars

PING, PONG, CLOSE = 0x89, 0x8A, 0x88
OPEN_AT_A_TIME = 100
SPARE_FILES = 500
ANSWER_SECONDS = 20.0
LOST_WAIT = (0.5, 1.0)
"""Seconds after which somebody comes back whose connection broke without a word, as the course page does."""

START_SECONDS = 4.0

TEXT = "A message of a usual length, as somebody types it into the room of a course."


Moments = Mapping[int, Callable[[], Awaitable[None]]]
"""What happens before which message."""


class Person(asyncio.Protocol):
    """Somebody's client over all its sockets: what it got, what was wrong with it, when it joined."""

    __slots__ = (
        "attempt",
        "buffer",
        "comings",
        "cursor",
        "doubled",
        "ended",
        "got",
        "joins",
        "late",
        "lost",
        "opened",
        "refused",
        "retry_after",
        "skipped",
        "token",
        "transport",
        "tries",
        "welcomed",
    )

    def __init__(self, token: str) -> None:
        self.token = token
        self.cursor = -1
        """The newest message's number; -1 before the first welcome."""
        self.got = self.lost = self.doubled = self.skipped = 0
        self.comings: list[float] = []
        """When they meant to come back; on a busy machine many are late together."""
        self.joins: list[float] = []
        self.tries: list[int] = []
        """How many sockets each coming took."""
        self.late: list[bool] = []
        """Each time that they were told that messages come late (True) or are current again."""
        self.attempt = 0
        self.refused = 0
        self.buffer = b""
        self.opened = self.welcomed = False
        self.retry_after: float | None = None
        self.transport: Any = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        """A new socket."""
        self.transport = transport
        self.buffer, self.opened, self.welcomed, self.retry_after = b"", False, False, None

    def connection_lost(self, _exc: Exception | None) -> None:
        """It has ended."""
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Walk over the frames."""
        if not self.opened:
            head, end, data = (self.buffer + data).partition(b"\r\n\r\n")
            self.buffer = b"" if end else head
            if not end:
                return
            if b" 101 " not in head[:20]:
                self.transport.abort()
                return
            self.opened = True
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
            self._frame(data[position], data[start : start + length])
            position = start + length
        self.buffer = data[position:]

    def _frame(self, opcode: int, payload: bytes) -> None:
        if payload.startswith(b'{"type":"message"'):
            mark = payload.find(b'"seq":')
            self._count(int(payload[mark + 6 : payload.find(b",", mark)]))
        elif opcode == PING:
            # Masked with zeros, so that the payload stays as it is.
            self.transport.write(bytes((PONG, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif opcode == CLOSE:
            self.transport.write(bytes((CLOSE, 0x80 | len(payload), 0, 0, 0, 0)) + payload)
        elif payload.startswith(b'{"type":"welcome"'):
            self.welcomed = True
            self.joins.append(time.monotonic())
            self.tries.append(self.attempt)
            self.attempt = 0
            if self.cursor < 0:
                self.cursor = json.loads(payload)["data"]["last_seq"]
        elif payload.startswith(b'{"type":"bye"'):
            data = json.loads(payload)["data"]
            self.retry_after = data["retry_after"]
            self.refused += data["reason"] == "full"
        elif payload.startswith(b'{"type":"behind"'):
            if b'"late":' in payload:
                self.late.append(b'"late":true' in payload)
            else:
                self.skipped += 1

    def _count(self, seq: int) -> None:
        if seq == self.cursor + 1:
            self.got += 1
            self.cursor = seq
        elif seq <= self.cursor:
            self.doubled += 1
        else:
            self.lost += seq - self.cursor - 1
            self.cursor = seq


class Crowd:
    """People of one room, who stay in it until `end`."""

    def __init__(self, url: str, tokens: Iterable[str]) -> None:
        parts = urlsplit(url)
        self.people = [Person(token) for token in tokens]
        self._host, self._port, self._netloc = parts.hostname or "", parts.port or 80, parts.netloc
        self._gate = asyncio.Semaphore(OPEN_AT_A_TIME)
        self._staying: list[asyncio.Task[None]] = []

    @property
    def refusals(self) -> int:
        """Sockets that found their process full."""
        return sum(person.refused for person in self.people)

    @property
    def present(self) -> int:
        """People who are in the room now."""
        return sum(person.welcomed and not person.ended.done() for person in self.people)

    async def enter(self, limit: float = 120) -> None:
        """Let everybody come, and wait until they are in the room. Raises TimeoutError."""
        self._staying = [asyncio.create_task(self._stay(person)) for person in self.people]
        await until(lambda: all(person.joins for person in self.people), limit)

    async def end(self) -> None:
        """Close every socket."""
        for task in self._staying:
            task.cancel()
        await asyncio.gather(*self._staying, return_exceptions=True)
        for person in self.people:
            if person.transport is not None:
                person.transport.abort()

    async def caught_up(self, seq: int, limit: float = 60) -> None:
        """Wait until everybody has the message of a number. Raises TimeoutError."""
        await until(lambda: all(person.cursor >= seq for person in self.people), limit)

    def wrong(self, messages: int) -> dict[str, int]:
        """What went wrong, where everybody should have got so many messages; all zeros is right."""
        return {
            "missing": sum(max(messages - person.got, 0) for person in self.people),
            "doubled": sum(person.doubled for person in self.people),
            "out of order": sum(person.lost for person in self.people),
            "skipped": sum(person.skipped for person in self.people),
        }

    def come_a_second(self, since: float, until: float = inf) -> int:
        """The most that meant to come back within any second between moments of `time.monotonic`."""
        times = sorted(at for person in self.people for at in person.comings if since <= at < until)
        return max((bisect_left(times, at + 1) - number for number, at in enumerate(times)), default=0)

    async def _stay(self, person: Person) -> None:
        while True:
            person.attempt += 1
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, KeyError):
                await self._visit(person)
            wait = random.uniform(*LOST_WAIT) if person.retry_after is None else person.retry_after
            person.comings.append(time.monotonic() + wait)
            await asyncio.sleep(wait)

    async def _visit(self, person: Person) -> None:
        """One socket, from its ticket to its end."""
        person.retry_after = None
        async with self._gate:
            ticket = json.loads(await asyncio.wait_for(self.post("/api/chat/ticket", person.token), ANSWER_SECONDS))
            after = f"&after={person.cursor}" if person.cursor >= 0 else ""
            key = base64.b64encode(os.urandom(16)).decode()
            person.ended = asyncio.get_running_loop().create_future()
            transport, _ = await asyncio.wait_for(
                asyncio.get_running_loop().create_connection(lambda: person, self._host, self._port), ANSWER_SECONDS
            )
            transport.write(
                f"GET /api/chat/ws?ticket={ticket['ticket']}{after} HTTP/1.1\r\nHost: {self._netloc}\r\n"
                f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                f"Sec-WebSocket-Version: 13\r\n\r\n".encode()
            )
        await person.ended

    async def post(self, path: str, token: str, body: bytes = b"{}") -> bytes:
        """POST JSON over a connection of its own; the answer's body. Raises ValueError for a refusal."""
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(
                f"POST {path} HTTP/1.1\r\nHost: {self._netloc}\r\nConnection: close\r\n"
                f"Content-Type: application/json\r\nAuthorization: Bearer {token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
        if not 200 <= int(head[9:12] or 0) < 300:
            raise ValueError(head[:200].decode("latin-1"))
        return answer


async def until(condition: Callable[[], bool], limit: float) -> None:
    """Wait for something that no event tells of. Raises TimeoutError."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - thousands of sockets; polling is the cheapest
            await asyncio.sleep(0.05)


async def talk(crowd: Crowd, token: str, messages: int, rate: float, at: Moments) -> None:
    """Post messages at an even pace, each until it is acknowledged; `at` is what happens before which message."""
    began = time.monotonic()
    for number in range(1, messages + 1):
        if number in at:
            await at[number]()
        await asyncio.sleep(max(began + number / rate - time.monotonic(), 0))
        body = json.dumps({"id": f"bench-{number}", "content": TEXT}).encode()
        async with asyncio.timeout(ANSWER_SECONDS):
            while True:
                # The same id again: a process may have died between storing the message and answering.
                with suppress(OSError, ValueError, asyncio.IncompleteReadError):
                    await crowd.post("/api/chat/message", token, body)
                    break
                await asyncio.sleep(0.2)


def web_children(pid: int) -> dict[int, int]:
    """The web processes below a supervisor: number to process id."""
    found = {}
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in path.read_text().split():
            with suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                if b"--role" in words and words[words.index(b"--role") + 1] == b"web":
                    found[int(words[words.index(b"--child") + 1])] = int(child)
    return found


async def tokens(data: Path, users: Iterable[tuple[str, Any]]) -> list[str]:
    """Bearer tokens of people of one course, as launches give them."""
    shards = await open_embedded(data)
    key = CourseKey.of("bench", "course")
    ends_at = SystemClock().now() + 3600
    sessions = Sessions(shards.directory, SystemClock(), SessionSettings(token_seconds=3600))
    try:
        made = [
            Session("bench", key.course, key.bucket, user, f"Name of {user}", role, "en", "Course", ends_at)
            for user, role in users
        ]
        # The first alone: it makes the key that signs all of them.
        first = [await sessions.refresh(session) for session in made[:1]]
        others = await asyncio.gather(*(sessions.refresh(session) for session in made[1:]))
        return [one.token for one in (*first, *others)]
    finally:
        await shards.close()


class Plan(NamedTuple):
    """How many people, processes and messages; `places` is the limit of a room in one process.

    `reconnects` is how many of a drained process's people may come back each second; `role` is the supervisor's own.
    """

    people: int = 5000
    processes: int = 4
    places: int = 2000
    messages: int = 300
    rate: float = 5.0
    reconnects: int = 200
    role: str = "all"


def check_files(people: int) -> str | None:
    """What to do where too few files may be open here, or None."""
    needed = people + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
        return None
    if soft >= needed:
        return None
    return (
        f"{people} sockets need {needed} open files, and this shell allows {hard}: raise it with `ulimit -n {needed}`"
    )


@asynccontextmanager
async def served(data: Path, plan: Plan, port: int = 0) -> AsyncIterator[tuple[str, int]]:
    """A server with several web processes on one port, a free one if 0: its address and its supervisor's process id."""
    settings = {
        "PROCESSES_WEB": plan.processes,
        "ROOMS_ROOM_SOCKETS": plan.places,
        "ROOMS_RECONNECTS_PER_SECOND": plan.reconnects,
        "LOGS_REQUESTS": "false",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "atomic_guide.cli", "serve", "--port", str(port), "--data", str(data)),
        *("--role", plan.role),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, **{f"ATOMIC_GUIDE_{name}": str(value) for name, value in settings.items()}},
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 90)
        assert line.startswith(b"ready "), line
        await until(lambda: len(web_children(process.pid)) == plan.processes - 1, 30)
        # Until the children accept as well, and have heard of one another.
        await asyncio.sleep(START_SECONDS)
        yield line.split()[1].decode(), process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 40)
        except TimeoutError:
            process.kill()
            await process.wait()


async def measure(bars: Bars) -> None:
    """Let a crowd enter, talk to it, end two of its processes, and judge what it got."""
    plan = Plan(people=bars.size(Plan().people, 200), places=bars.size(Plan().places, 80))
    if advice := check_files(plan.people):
        bars.show("not shown", advice)
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        await (await open_embedded(data)).close()
        users = [(f"student-{number}", "learner") for number in range(plan.people)]
        teacher, *students = await tokens(data, [("teacher", "instructor"), *users])
        async with served(data, plan) as (url, pid):
            crowd = Crowd(url, students)
            try:
                began = time.monotonic()
                await crowd.enter()
                bars.show(f"{plan.people:,} people have entered after", round(time.monotonic() - began, 1), "s")
                bars.most("sockets that one of them needed for it", most_tries(crowd), plan.processes)
                await _failures(bars, crowd, teacher, plan, pid)
            finally:
                await crowd.end()


async def _failures(bars: Bars, crowd: Crowd, teacher: str, plan: Plan, pid: int) -> None:
    moments: list[float] = []

    async def end(number: int, sent: signal.Signals) -> None:
        moments.append(time.monotonic())
        os.kill(web_children(pid)[number], sent)

    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    third = plan.messages // 3
    at: Moments = {third: lambda: end(1, signal.SIGKILL), 2 * third: lambda: end(2, signal.SIGTERM)}
    await talk(crowd, teacher, plan.messages, plan.rate, at)
    await crowd.caught_up(plan.messages)
    await until(lambda: crowd.present == plan.people, 60)
    used, took = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    print(f"  {plan.messages} messages; one of {plan.processes} processes killed, then another drained:")
    for what, count in crowd.wrong(plan.messages).items():
        bars.most(f"messages {what}, of {plan.people * plan.messages:,}", count, 0)
    bars.show("people who came back", sum(len(person.joins) - 1 for person in crowd.people))
    bars.most("sockets that one of them needed for it", most_tries(crowd), plan.processes + 1)
    bars.show("who came within one second after the kill", crowd.come_a_second(moments[0], moments[1]))
    bars.most("who came within one second after the drain", crowd.come_a_second(moments[1]), 1.25 * plan.reconnects)
    bars.show("the load's share of a core", (used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime) / took)


def most_tries(crowd: Crowd) -> int:
    """The most sockets that it took anybody to get in."""
    return max(number for person in crowd.people for number in person.tries)
