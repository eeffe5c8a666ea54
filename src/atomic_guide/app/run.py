"""The root of a server process: opens the parts, listens, runs the root tasks, drains on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

import msgspec
import structlog
import uvicorn
import uvloop

from atomic_guide.app.build import Address, Built, address, built_tool, check_server
from atomic_guide.app.caching import LOOK_SECONDS as LOOK_AT_CACHE
from atomic_guide.app.connection import bounded
from atomic_guide.app.counted_limits import CountedLimits
from atomic_guide.app.descriptors import raise_descriptors
from atomic_guide.app.door import Door
from atomic_guide.app.event_metrics import EventMetrics
from atomic_guide.app.job_metrics import JobMetrics
from atomic_guide.app.keeping import log, schedule
from atomic_guide.app.keeping.schedule import Keeper
from atomic_guide.app.limits import measure_web
from atomic_guide.app.logs import logs_requests, set_up_logs
from atomic_guide.app.measuring import made_reporter
from atomic_guide.app.media_metrics import MediaMetrics
from atomic_guide.app.memory import settle
from atomic_guide.app.processes import child_name
from atomic_guide.app.proxied import Proxied
from atomic_guide.app.region import addresses_of, in_region, looked_after
from atomic_guide.app.shedding import SheddingMetrics, shed
from atomic_guide.app.sources.report import Reporter, process_name
from atomic_guide.app.supervising import Household, household
from atomic_guide.app.supervisor import Children, DataLock, end_with_parent, tell_ready, until_orphaned, whereabouts
from atomic_guide.app.traces import Traces
from atomic_guide.app.work import made_worker
from atomic_guide.config import Settings, Sourced, shown
from atomic_guide.course.watching.counting import prune_events
from atomic_guide.errors import ConfigurationError
from atomic_guide.web.forgotten import LOOK_SECONDS
from atomic_guide.web.observe import Observe, WebMetrics
from atomic_guide.web.practice import practice_routes
from atomic_guide.web.server import create_app
from atomic_guide.web.socket import SocketDoor, own_origins
from atomic_guide.web.table import DECLARED
from atomic_guide.web.tool import Tool

Role = Literal["all", "web", "worker", "control"]

_log = structlog.get_logger(__name__)

# Seconds between switches of Python's threads. The default of 5 ms makes a database's writer thread wait that
# long, after each statement, for a busy event loop; 0.5 ms costs the loop nothing measurable.
_SWITCH_INTERVAL = 0.0005

# Of the 30 s of SIGTERM's contract: to drain, then to end what is late, then for the engines (nats-server takes 5 at
# most). Children drain at the same time as their supervisor.
_DRAIN_SECONDS = 18.0
_LATE_SECONDS = 4.0


class Launch(msgspec.Struct, frozen=True):
    """How this process was started."""

    role: Role = "all"
    child: int | None = None
    parent: int | None = None
    lock_descriptor: int | None = None
    socket_descriptor: int | None = None
    ready_descriptor: int | None = None
    arguments: tuple[str, ...] = ()
    origins: dict[str, str] = {}
    """Where the settings came from that are not defaults, by key."""


def serve(settings: Settings, launch: Launch) -> None:
    """Run a server process until SIGTERM or SIGINT. Raises `GuideError` where it cannot start."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    set_up_logs(settings.logs)
    settings = in_region(settings)
    # Refused before anything is made: an open practice LMS on the network, a certificate that cannot be used.
    address(settings, settings.server.port)
    check_server(settings.server)
    traces = Traces(settings.tracing, _child_of(launch), launch.role)
    directory = Path(settings.data)
    if launch.lock_descriptor is None:
        lock = DataLock.acquire(directory)
        # Children inherit it.
        raise_descriptors(settings.rooms.process_sockets)
    else:
        end_with_parent()
        lock = DataLock.admitted(directory, launch.lock_descriptor)
    try:
        listener = _listen(settings, launch)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, launch, lock, listener, traces))
    finally:
        traces.end()
        lock.release()


async def _serve(settings: Settings, launch: Launch, lock: DataLock, listener: socket.socket, traces: Traces) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    where = address(settings, listener.getsockname()[1])
    supervisor = launch.child is None
    if supervisor:
        lock.note(whereabouts(where.public_url, listener.getsockname()[1]))
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(built_tool(settings, where, supervisor=supervisor))
        traces.join(built.tool)
        built.tool.settings = shown(Sourced(settings, launch.origins))
        process = _Process(settings, launch, built, where)
        beside: Household | None = None
        if supervisor:
            children = Children(lock, listener, list(launch.arguments))
            beside = await stack.enter_async_context(household(settings, launch.role, built.tool, children, where.port))
        tool = built.tool
        look = await stack.enter_async_context(
            looked_after(tool.regions, tool.shards.directory, tool.chat.rooms.bus, tool.clock, writes=supervisor)
        )
        work = [*process.root_tasks(listener), look.run()]
        work += [*(beside.root_tasks() if beside else [until_orphaned(launch.parent)])]
        tasks = [asyncio.create_task(one) for one in work]
        ended = asyncio.create_task(stop.wait())
        answering = await process.ready()
        if beside is not None and launch.role == "control":
            # It answers nobody itself.
            await asyncio.wait([ended, beside.started()], return_when=asyncio.FIRST_COMPLETED)
        settle()
        if answering:
            _tell(settings, launch, where, stop)
        await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
        await asyncio.gather(process.drain(), *([beside.end(_DRAIN_SECONDS + _LATE_SECONDS)] if beside else []))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in failed:
            task.result()


def _tell(settings: Settings, launch: Launch, where: Address, stop: asyncio.Event) -> None:
    """Say that this process does its work from now on: people, or its supervisor."""
    if launch.child is None and not stop.is_set():
        announce(settings, where)
    if launch.ready_descriptor is not None:
        tell_ready(launch.ready_descriptor)


class _Process:
    """What one process runs, by its role."""

    def __init__(self, settings: Settings, launch: Launch, built: Built, where: Address) -> None:
        role, supervisor = launch.role, launch.child is None
        self._settings = settings
        self._built = built
        self._server = _Server(settings, built.tool, where) if role in {"all", "web"} else None
        self._jobs = JobMetrics(built.tool.health.registry)
        self._stored = MediaMetrics(built.tool.health.registry)
        self._events = EventMetrics(built.tool.events)
        built.tool.health.registry.register(self._events)
        self._reporter = self._reporting(launch, where)
        self._worker = None
        self._counted = CountedLimits(settings) if supervisor else None
        self._measure_limits()
        if role in {"all", "worker"}:
            self._worker = made_worker(built.tool, settings.queues, self._jobs)
            built.tool.bounds.add(self._worker.used)
        self._keeper = Keeper(settings, built.tool.shards, built.tool.chat.rooms.changed) if supervisor else None
        self._working: asyncio.Task[None] | None = None
        self._serving: asyncio.Task[None] | None = None
        self._door: Door | None = None

    def root_tasks(self, listener: socket.socket) -> list[Coroutine[Any, Any, None]]:
        """Everything that runs until the end; the process ends when one of them does."""
        tool, chat = self._built.tool, self._built.tool.chat
        tasks = [
            _every(30, "prune sessions", tool.sessions.prune),
            _every(60, "prune operators", tool.operators.prune),
            _every(30, "prune logins", tool.lti.prune),
            _every(60, "prune answers", tool.answers.prune),
            _every(30, "tend events", tool.events.tend),
            _every(60, "prune events", lambda: prune_events(tool.shards, tool.clock, tool.events.settings)),
            _every(LOOK_SECONDS, "notice erasures", lambda: tool.forgotten.look(chat.rooms), limit=30),
            _every(LOOK_AT_CACHE, "measure the cache", tool.cache.look),
            _every(5, "count jobs", lambda: self._jobs.look(tool.shards, tool.clock)),
            _every(15, "measure events", lambda: self._events.look(tool.shards, tool.clock)),
            _every(60, "look at stored lectures", lambda: self._stored.look(tool.media.parts)),
            chat.rooms.run(),
            tool.shards.run(),
            tool.cache.run(),
            self._reporter.run(),
        ]
        if self._keeper is not None and tool.regions.does_jobs("media"):
            # Where lectures lie: another region's store would have them all missing.
            tasks += [
                _every(60, "look after copies", tool.media.tend_copies, limit=600, first=5),
                _every(60, "scrub copies", lambda: tool.media.scrub_copies(60), limit=600),
                _every(600, "look after storage classes", tool.media.tend_classes, limit=600, first=30),
                _every(60, "count stored lectures", tool.media.uploads.sweep.turn, limit=600),
            ]
        if self._keeper is not None:
            tasks += [
                _every(schedule.RETENTION_SECONDS, "retention", self._keeper.retain),
                _every(schedule.LOOK_SECONDS, "finish erasures", self._keeper.finish_erasures, limit=600),
                _every(schedule.LOOK_SECONDS, "back up", self._keeper.back_up, limit=schedule.LIMIT_SECONDS),
            ]
        if self._counted is not None:
            tasks.append(_every(60, "count limits", partial(self._counted.look, tool.shards, tool.clock), first=2))
        if self._built.nats is not None:
            tasks.append(self._built.nats.keep())
        if self._built.wal is not None:
            tasks += [self._built.wal.run(), log.Beside(self._settings, tool.shards).run()]
        if self._worker is not None:
            self._working = asyncio.create_task(self._worker.run())
            tasks.append(_until(self._working))
        if self._server is not None:
            # Where uploads are received their bytes are, too.
            tasks.append(_every(60, "tend uploads", tool.media.uploads.tend))
            # Each process its own descriptor of the one socket: closing it stops this process only.
            self._serving = asyncio.create_task(self._server.serve(sockets=[listener.dup()]))
            self._door = Door(self._server, listener)
            chat.rooms.peers.share(_door(listener), self._door.turn)
            tasks.append(shed(tool, self._reporter.process))
            tasks.append(_until(self._serving))
        return tasks

    def _reporting(self, launch: Launch, where: Address) -> Reporter:
        server = self._server
        web = (server.metrics, lambda: server.started) if server is not None else None
        slots = self._settings.queues.slots if launch.role in {"all", "worker"} else None
        names = process_name(where.port, _child_of(launch)), launch.role
        return made_reporter(self._built.tool, names, web, (self._jobs.counts, slots))

    def _measure_limits(self) -> None:
        if self._server is not None:
            measure_web(self._built.tool, self._server.metrics, self._server.door)
        if self._counted is not None:
            tool = self._built.tool
            tool.bounds.add(self._counted.used)
            tool.bounds.add(lambda: tool.loadtests.store.used(tool.clock.now()))

    async def ready(self) -> bool:
        """Wait until requests are answered; whether they are."""
        for _ in range(1000):
            if self._server is None or self._server.started:
                return True
            if self._serving is None or self._serving.done():
                return False
            await asyncio.sleep(0.01)
        return False

    async def drain(self) -> None:
        """Take no new work, say goodbye to sockets, hand jobs back, let requests finish; bounded."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._drain()
        except TimeoutError:
            _log.warning("draining took too long; the rest is cut off", seconds=_DRAIN_SECONDS)
        late = [task for task in self._running() if not task.done()]
        for task in late:
            task.cancel()
        if late:
            # Before the databases close: a worker hands its jobs back while it is cancelled.
            await asyncio.wait(late, timeout=_LATE_SECONDS)

    async def _drain(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        ending = asyncio.create_task(self._reporter.end())
        if self._server is not None and self._door is not None:
            self._door.end()
            self._built.tool.operators.live.end()
            # Shielded: closing the chat waits for the same goodbye, and must not find it cancelled.
            await asyncio.shield(self._built.tool.chat.rooms.drain())
            self._server.should_exit = True
        await ending
        if running := self._running():
            await asyncio.wait(running, timeout=self._settings.server.drain_seconds + 2)

    def _running(self) -> list[asyncio.Task[None]]:
        return [task for task in (self._working, self._serving) if task is not None]


def _child_of(launch: Launch) -> str:
    """What this process is called beside the others of its server."""
    if launch.child is None:
        # One that answers nobody itself has a child web-0.
        return "supervisor"
    return child_name("worker" if launch.role == "worker" else "web", launch.child)


async def _until(task: asyncio.Task[None]) -> None:
    """Wait for a task that is drained, not cancelled, when the others are."""
    await asyncio.shield(task)


def _door(listener: socket.socket) -> str:
    """A name of the listening socket: the same in the processes that share it, and in no others."""
    inode = os.fstat(listener.fileno()).st_ino
    return f"{socket.gethostname()} {listener.getsockname()[1]} {inode}"


def announce(settings: Settings, where: Address) -> None:
    """Say where the server is, for people and for scripts that wait for `ready`."""
    lines = [f"ready {where.listening}"]
    if where.development:
        lines += [f"practice LMS http://localhost:{where.port}/practice", f"console {where.listening}/ops"]
    if not settings.operator_token:
        lines.append(f"operator token in {Path(settings.data) / 'operator-token'}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


async def _every(
    seconds: float,
    what: str,
    action: Callable[[], Awaitable[None]],
    *,
    limit: float | None = None,
    first: float | None = None,
) -> None:
    """Do something again and again, for at most `limit` (default: `seconds`) each time; a failure is logged.

    The first time after `first` seconds (default: `seconds`).
    """
    pause = first or seconds
    while True:
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        pause = seconds
        try:
            async with asyncio.timeout(limit or seconds):
                await action()
        except Exception as error:  # noqa: BLE001 - housekeeping must not end the server
            _log.warning("housekeeping failed", what=what, error=repr(error))


def _listen(settings: Settings, launch: Launch) -> socket.socket:
    if launch.socket_descriptor is not None:
        return socket.socket(fileno=launch.socket_descriptor)
    host, port = settings.server.host, settings.server.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port} ({error.strerror or error}); choose another --port or stop what uses it"
        ) from error
    listener.setblocking(False)  # noqa: FBT003 - the socket API takes it by position
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the root decides when to drain."""

    def __init__(self, settings: Settings, tool: Tool, where: Address) -> None:
        server = settings.server
        app = create_app(
            tool, DECLARED, practice_routes(tool.practice) if tool.practice else None, server, tool.regions
        )
        metrics = self.metrics = WebMetrics(tool.health.registry)
        origins = [own_origins(each) for each in (where.public_url, *addresses_of(settings))]
        proxies = server.trusted_proxies
        door = self.door = SocketDoor(tool.sessions, tool.chat, frozenset().union(*origins), proxies, server.handshakes)
        door.cross(tool.regions)
        observed: Any = Observe(app, app.routes, metrics, access_log=logs_requests(settings.logs), most=server.requests)
        tool.health.registry.register(SheddingMetrics(tool))
        super().__init__(
            uvicorn.Config(
                Proxied(observed, proxies, settings.regions.country_header) if proxies else observed,
                http=bounded(server.head_bytes),
                ws=cast("Any", door.protocol),
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=2048,
                timeout_graceful_shutdown=int(server.drain_seconds),
                # Ours does it, because it has to know who is behind the header.
                proxy_headers=False,
                ssl_certfile=server.tls_certificate,
                ssl_keyfile=server.tls_key,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the root."""
        yield
