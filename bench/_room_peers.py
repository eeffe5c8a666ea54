"""The servers that the benchmarks of rooms compare: ours, and peers that are installed into `.venv/bench-peers`.

A peer that cannot be had here is not shown, and why is printed.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.web.sessions import Session, Sessions
from atomic_guide.web.settings import SessionSettings
from bench._peers import INSTALLED, START_SECONDS, Missing, environment, install, listening
from bench._room_load import PEERS, compiled

ROOT = Path(__file__).parent.parent
TEXT = "A message of a usual length, as somebody types it into the room of a course."

LIMITS = {
    "ATOMIC_GUIDE_LIMITS_INSTRUCTOR_MESSAGES": "1000000",
    "ATOMIC_GUIDE_LIMITS_ROOM_MESSAGES": "1000000",
    "ATOMIC_GUIDE_ROOMS_ROOM_SOCKETS": "20000",
    "ATOMIC_GUIDE_SESSIONS_TICKET_SECONDS": "300",
}
"""What people may do is no measure of what the server can."""


class Server(NamedTuple):
    """A server that runs: where, which process, how members enter and how a message is posted."""

    name: str
    url: str
    pid: int
    paths: Callable[[int], Sequence[str]]
    path: str
    token: str
    body: Callable[[int, int], bytes]
    """From a message's number and the nanosecond at which it is sent."""


Start = Callable[[], AbstractAsyncContextManager[Server]]


def full_body(number: int, at: int) -> bytes:
    """A message as members get it, for servers that only pass it on."""
    author = {"id": "teacher", "name": "Name of teacher", "role": "instructor"}
    content = f"@{at} {TEXT}"
    data = {
        "id": str(number),
        "seq": number,
        "author": author,
        "content": content,
        "created_at": "2026-01-01T00:00:00Z",
    }
    return msgspec.json.encode({"type": "message", "data": data})


def our_body(number: int, at: int) -> bytes:
    """A message as it is posted to ours."""
    return msgspec.json.encode({"id": f"bench-{number}-{at}", "content": f"@{at} {TEXT}"})


@asynccontextmanager
async def launched(command: Sequence[str], env: dict[str, str] | None = None) -> AsyncIterator[tuple[str, int]]:
    """A server process that says `ready URL`: its address and its process id."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
    )
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
        if not line.startswith(b"ready "):
            raise Missing(f"{command[0]} did not start")
        yield line.split()[1].decode(), process.pid
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def passing_on(name: str, command: Sequence[str]) -> AsyncIterator[Server]:
    """A server that only passes on what is posted."""
    async with launched(command) as (url, pid):
        yield _passing_on(name, url, pid)


def _passing_on(name: str, url: str, pid: int) -> Server:
    return Server(name, url, pid, lambda count: ["/ws"] * count, "/message", "", full_body)


@asynccontextmanager
async def ours(people: int, env: dict[str, str] | None = None, courses: int = 1) -> AsyncIterator[Server]:
    """The whole server with its own engines, and tickets for so many people, spread over so many courses."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        # Migrated beforehand: what a migration leaves free in the server's heap would hide what sockets take.
        paths, token = await _admit(data, people, courses)
        unused = iter(paths)
        command = [sys.executable, "-m", "atomic_guide.cli", "serve", "--port", "0", "--data", str(data)]
        async with launched(command, {**LIMITS, **(env or {})}) as (url, pid):

            def take(count: int) -> list[str]:
                return [next(unused) for _ in range(count)]

            yield Server("atomic-guide", url, pid, take, "/api/chat/message", token, our_body)


async def _admit(data: Path, people: int, courses: int) -> tuple[list[str], str]:
    shards = await open_embedded(data)
    sessions = Sessions(shards.directory, SystemClock(), SessionSettings(ticket_seconds=300))
    try:
        who = [session(f"student-{number}", course=f"course-{number % courses}") for number in range(people)]
        tickets = [
            ticket for part in range(0, people, 500) for ticket in await _tickets(sessions, who[part : part + 500])
        ]
        tokens = await sessions.refresh(session("teacher", "instructor"))
    finally:
        await shards.close()
    return [f"/api/chat/ws?ticket={ticket}" for ticket in tickets], tokens.token


async def _tickets(sessions: Sessions, who: Sequence[Session]) -> list[str]:
    return await asyncio.gather(*(sessions.issue_code(one, "ticket") for one in who))


def session(user: str, role: Any = "learner", course: str = "course-0") -> Session:
    """A session as a launch makes it."""
    key = CourseKey.of("bench", course)
    ends_at = SystemClock().now() + 3600
    return Session("bench", key.course, key.bucket, user, f"Name of {user}", role, "en", "Course", ends_at)


@asynccontextmanager
async def engine() -> AsyncIterator[Server]:
    """Our rooms alone: what fans out, without HTTP framework and database."""
    async with passing_on("our rooms alone", [sys.executable, "-m", "bench.peers.engine_room"]) as server:
        yield server


@asynccontextmanager
async def send_loop() -> AsyncIterator[Server]:
    """The least that a delivery can cost."""
    program = compiled("send_loop")
    if program is None:
        raise Missing("no C compiler here")
    async with passing_on("C send loop", [str(program)]) as server:
        yield server


@asynccontextmanager
async def starlette() -> AsyncIterator[Server]:
    """Starlette's own WebSocket class."""
    async with passing_on("Starlette send", [sys.executable, "-m", "bench.peers.starlette_room"]) as server:
        yield server


@asynccontextmanager
async def node_ws() -> AsyncIterator[Server]:
    """The package `ws` on Node."""
    place = INSTALLED / "node"
    package = place / "node_modules" / "ws" / "package.json"
    if not package.exists():
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise Missing("no node and npm here")
        place.mkdir(parents=True, exist_ok=True)
        options = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(place))
        install(["npm", "install", *options, "ws"], place)
    async with passing_on("Node ws", ["node", str(PEERS / "ws_room.mjs"), str(package)]) as server:
        yield server


@asynccontextmanager
async def channels() -> AsyncIterator[Server]:
    """Django Channels with Daphne, in an environment of its own."""
    python = environment("channels", ("channels", "daphne")) / "bin" / "python"
    async with passing_on("Django Channels", [str(python), str(PEERS / "channels_room.py")]) as server:
        yield server


@asynccontextmanager
async def nchan() -> AsyncIterator[Server]:
    """The module nchan of nginx, from Debian's packages, unpacked and not installed."""
    place = INSTALLED / "nchan"
    if not (place / "whole").exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise Missing("no Debian packages here")
        place.mkdir(parents=True, exist_ok=True)
        install(["apt-get", "download", "nginx", "libnginx-mod-nchan"], place)
        for package in place.glob("*.deb"):
            install(["dpkg", "-x", str(package), str(place)], place)
        (place / "whole").touch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        words = {"FOLDER": folder, "PORT": str(port), "MODULE": str(next(place.rglob("ngx_nchan_module.so")))}
        text = (PEERS / "nchan.conf").read_text()
        for word, value in words.items():
            text = text.replace(word, value)
        (Path(folder) / "nginx.conf").write_text(text)
        nginx = [str(place / "usr/sbin/nginx"), "-p", folder, "-c", f"{folder}/nginx.conf", "-e", "stderr"]
        # nchan makes nginx want its compiled-in folders below /var/lib, which are only for root: they are its own here.
        alone = ("unshare", "--map-root-user", "--mount", "sh", "-c")
        folders = 'mount -t tmpfs none /var/lib && mkdir /var/lib/nginx && exec "$@"'
        async with listening([*alone, folders, "sh", *nginx], port) as pid:
            yield _passing_on("nginx nchan", f"http://127.0.0.1:{port}", pid)


@asynccontextmanager
async def available(starts: Sequence[Start]) -> AsyncIterator[list[Server]]:
    """The servers that this machine can run, all at once; of the others it is printed why they are not shown."""
    async with AsyncExitStack() as stack:
        found = []
        for start in starts:
            try:
                found.append(await stack.enter_async_context(start()))
            except Missing as error:
                print(f"  {getattr(start, '__name__', 'atomic-guide')}: not shown ({error})")
        yield found
