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
from pathlib import Path
from typing import Any, Literal

import msgspec
import structlog
import uvicorn
import uvloop

from atomic_guide.app.build import Address, address, built_tool
from atomic_guide.app.logs import set_up_logs
from atomic_guide.app.supervisor import Children, DataLock, end_with_parent
from atomic_guide.config import Settings
from atomic_guide.errors import ConfigurationError
from atomic_guide.web.observe import Observe, WebMetrics
from atomic_guide.web.server import create_app
from atomic_guide.web.tool import Tool

Role = Literal["all", "web", "worker"]

_log = structlog.get_logger(__name__)

# Seconds between switches of Python's threads. The default of 5 ms makes a database's writer thread wait that
# long, after each statement, for a busy event loop; 0.5 ms costs the loop nothing measurable.
_SWITCH_INTERVAL = 0.0005


class Launch(msgspec.Struct, frozen=True):
    """How this process was started."""

    role: Role = "all"
    child: int | None = None
    lock_descriptor: int | None = None
    socket_descriptor: int | None = None
    arguments: tuple[str, ...] = ()


def serve(settings: Settings, launch: Launch) -> None:
    """Run a server process until SIGTERM or SIGINT. Raises `GuideError` where it cannot start."""
    sys.setswitchinterval(_SWITCH_INTERVAL)
    set_up_logs(settings.logs)
    # Databases, keys and lectures are nobody else's to read on a shared computer.
    os.umask(0o077)
    directory = Path(settings.data)
    if launch.lock_descriptor is None:
        lock = DataLock.acquire(directory)
    else:
        end_with_parent()
        lock = DataLock.admitted(directory, launch.lock_descriptor)
    try:
        listener = _listen(settings, launch)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, launch, lock, listener))
    finally:
        lock.release()


async def _serve(settings: Settings, launch: Launch, lock: DataLock, listener: socket.socket) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    where = address(settings, listener.getsockname()[1])
    supervisor = launch.child is None
    if supervisor:
        lock.note(f"process {os.getpid()} at {where.public_url}")
    async with built_tool(settings, where) as tool:
        server = _Server(settings, tool)
        children = Children(lock, listener, list(launch.arguments))
        tasks = [asyncio.create_task(task) for task in _root_tasks(settings, tool, children, supervisor=supervisor)]
        tasks.append(asyncio.create_task(server.serve(sockets=[listener])))
        await server.ready()
        if supervisor:
            announce(settings, where)
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, *tasks], return_when=asyncio.FIRST_COMPLETED)
        await _drain(settings, server, children, tasks)


async def _drain(settings: Settings, server: _Server, children: Children, tasks: list[asyncio.Task[None]]) -> None:
    """Stop taking work, let what runs finish, then end the root tasks. Raises what ended one of them early."""
    failed = [task for task in tasks if task.done() and task.exception() is not None]
    await children.stop(settings.server.drain_seconds + 5)
    server.should_exit = True
    _done, late = await asyncio.wait(tasks[-1:], timeout=settings.server.drain_seconds + 5)
    for task in [*tasks[:-1], *late]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()


def announce(settings: Settings, where: Address) -> None:
    """Say where the server is, for people and for scripts that wait for `ready`."""
    scheme_host = where.public_url if not settings.server.public_url else f"http://{where.host}:{where.port}"
    lines = [f"ready {scheme_host}"]
    if where.development:
        lines.append(f"practice LMS http://localhost:{where.port}/practice")
    if not settings.operator_token:
        lines.append(f"operator token in {Path(settings.data) / 'operator-token'}")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _root_tasks(
    settings: Settings, tool: Tool, children: Children, *, supervisor: bool
) -> list[Coroutine[Any, Any, None]]:
    tasks: list[Coroutine[Any, Any, None]] = [_every(30, "prune sessions", tool.sessions.prune)]
    if supervisor:
        tasks += [children.keep("web", number) for number in range(1, settings.processes.web)]
        tasks += [children.keep("worker", number) for number in range(settings.processes.worker)]
    return tasks


async def _every(seconds: float, what: str, action: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again; a failure is logged, and the next turn tries again."""
    while True:
        await asyncio.sleep(seconds * random.uniform(0.8, 1.2))
        try:
            await asyncio.wait_for(action(), timeout=seconds)
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

    def __init__(self, settings: Settings, tool: Tool) -> None:
        server = settings.server
        app = create_app(tool, [])
        metrics = WebMetrics(tool.health.registry)
        super().__init__(
            uvicorn.Config(
                Observe(app, app.routes, metrics, access_log=settings.logs.requests),
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=2048,
                timeout_graceful_shutdown=int(server.drain_seconds),
                proxy_headers=bool(server.trusted_proxies),
                forwarded_allow_ips=list(server.trusted_proxies),
                ssl_certfile=server.tls_certificate,
                ssl_keyfile=server.tls_key,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the root."""
        yield

    async def ready(self) -> None:
        """Wait until requests are answered; ends early where the server has failed."""
        for _ in range(1000):
            if self.started or self.should_exit:
                return
            await asyncio.sleep(0.01)
