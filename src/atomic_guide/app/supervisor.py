"""Owns the data directory and the child processes.

The supervisor is the process that `serve` starts. It holds an exclusive lock on the data directory; a second
server is refused with a clear error. Its children inherit the very file descriptor of that lock: a child proves
by it that it was admitted, and as long as any of them lives nobody else can take the directory. Children end when the
supervisor dies, so that the lock never outlives it by more than a moment.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import random
import signal
import socket
import sys
import time
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import structlog

from atomic_guide.app.processes import Change, Process, Role, Wanted, changes, child_name
from atomic_guide.errors import ConfigurationError, Unavailable

_log = structlog.get_logger(__name__)

_PR_SET_PDEATHSIG = 1
_RESTARTS_BEFORE_GIVING_UP = 20
_DRAINED_SECONDS = 30.0
"""What a process has to drain after SIGTERM."""


class DataLock:
    """The exclusive hold on a data directory."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    @classmethod
    def acquire(cls, directory: Path) -> DataLock:
        """Take the directory, made with mode 0700 where it is new. Raises `ConfigurationError` naming who has it."""
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = (directory / "lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(
                f"the data directory {directory} cannot be used ({error.strerror}); choose another with --data"
            ) from error
        if not _locked(file):
            file.seek(0)
            who = file.read(200).strip() or "another process"
            file.close()
            raise _in_use(directory, who)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        return cls(file)

    @classmethod
    def admitted(cls, directory: Path, descriptor: int) -> DataLock:
        """A child's share in its supervisor's hold. Raises `ConfigurationError` for any other descriptor."""
        try:
            mine, theirs = os.fstat(descriptor), (directory / "lock").stat()
        except OSError as error:
            raise ConfigurationError(
                "this process was not admitted by a supervisor; use `atomic-guide serve`"
            ) from error
        if (mine.st_dev, mine.st_ino) != (theirs.st_dev, theirs.st_ino):
            raise ConfigurationError(f"this process was admitted to another data directory than {directory}")
        return cls(os.fdopen(descriptor, "a+", encoding="utf-8"))

    def fileno(self) -> int:
        """The descriptor that children inherit."""
        return self._file.fileno()

    def note(self, text: str) -> None:
        """Leave a line for people who look at the lock."""
        self._file.seek(0)
        self._file.truncate()
        self._file.write(text)
        self._file.flush()

    def release(self) -> None:
        """Let go; the kernel does the same when the process dies."""
        self._file.close()


def holder(directory: Path) -> str | None:
    """Who holds a data directory, or None where nobody does."""
    try:
        with (directory / "lock").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read(200).strip() or "another process"
    except OSError:
        return None
    return None


def whereabouts(address: str, port: int) -> str:
    """A server that holds a data directory, for people who look at the lock; `port_of` reads it back."""
    named = urlsplit(address).port == port
    return f"process {os.getpid()}{'' if named else f' on port {port}'} at {address}"


def port_of(who: str) -> int | None:
    """The port of a holder; None where it has not told of itself."""
    process, _, address = who.partition(" at ")
    _, _, port = process.partition(" on port ")
    return int(port) if port else urlsplit(address).port


def check_unused(directory: Path) -> None:
    """Raise `ConfigurationError` where a server holds a data directory: before anybody is asked to replace it."""
    if (who := holder(directory)) is not None:
        raise _in_use(directory, who)


def _in_use(directory: Path, who: str) -> ConfigurationError:
    return ConfigurationError(
        f"the data directory {directory} is in use by {who}; stop that server or choose another with --data"
    )


def _locked(file: IO[str]) -> bool:
    # Three tries: `holder` takes the lock for a moment when it looks.
    for attempt in range(3):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt < 2:  # noqa: PLR2004 - the last try does not wait
                time.sleep(0.05)
        else:
            return True
    return False


def end_with_parent() -> None:
    """Ask the kernel to terminate this process when its parent dies; Linux only, and not where it is dead already."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def until_orphaned(parent: int | None) -> None:
    """Wait until this process's parent is no longer `parent`, looking every second."""
    while os.getppid() == parent:  # noqa: ASYNC110 - no event tells of it
        await asyncio.sleep(1)


def tell_ready(descriptor: int) -> None:
    """Tell the supervisor that this child does its work from now on."""
    # Nobody reads any more where the supervisor has just died.
    with contextlib.suppress(OSError):
        os.write(descriptor, b"r")
    os.close(descriptor)


class Children:
    """The processes that a supervisor started, each started again when it dies, as many as are wanted."""

    def __init__(self, lock: DataLock, listener: socket.socket, arguments: list[str]) -> None:
        self.present: dict[str, Process] = {}
        """Every child by its name, draining ones included."""
        self._lock = lock
        self._listener = listener
        self.arguments = tuple(arguments)
        """The options by which a process finds this server's settings."""
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._kept: set[tuple[Role, int]] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._stopping = False

    def scale(self, wanted: Wanted) -> list[Change]:
        """Start and drain children until as many are there as wanted; returns what is being done.

        Takes effect while `run` runs; draining takes as long as on SIGTERM, and is forced after that.
        """
        made = changes(self._kept, wanted)
        for change in made:
            if change.action == "start":
                self._kept.add((change.role, change.number))
            else:
                self._kept.discard((change.role, change.number))
                self._drain(change.name)
        self._changed.set()
        return made

    async def run(self) -> None:
        """Keep the children that are wanted, until `stop`. Raises `Unavailable` where one cannot be kept."""
        while not self._stopping:
            for role, number in self._kept:
                if child_name(role, number) not in self._tasks:
                    self._tasks[child_name(role, number)] = asyncio.create_task(self._keep(role, number))
            changed = asyncio.create_task(self._changed.wait())
            await asyncio.wait([changed, *self._tasks.values()], return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            self._changed.clear()
            for name, task in list(self._tasks.items()):
                if task.done():
                    del self._tasks[name]
                    task.result()

    async def started(self, wanted: Wanted, limit: float) -> None:
        """Wait until so many do their work, at most `limit` seconds: one that does not is started again meanwhile."""
        names = [child_name(*child) for child in wanted.children()]
        end = time.monotonic() + limit
        while any(name not in self.present or self.present[name].state != "running" for name in names):
            if time.monotonic() >= end:
                return
            await asyncio.sleep(0.05)

    async def stop(self, limit: float) -> None:
        """Ask every child to finish, and end those that do not within `limit` seconds."""
        self._stopping = True
        self._changed.set()
        for process in self._running.values():
            process.terminate()
        waiting = [asyncio.ensure_future(process.wait()) for process in self._running.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=limit)
        for process in self._running.values():
            if process.returncode is None:
                process.kill()

    def _drain(self, name: str) -> None:
        process, shown = self._running.get(name), self.present.get(name)
        if process is not None and shown is not None:
            self.present[name] = Process(name, shown.pid, "draining")
            process.terminate()
            asyncio.get_running_loop().call_later(_DRAINED_SECONDS, _end, process)

    async def _keep(self, role: Role, number: int) -> None:
        """Keep one child alive as long as it is wanted. Raises `Unavailable` where it cannot be."""
        name = child_name(role, number)
        restarts = 0
        try:
            while self._wants(role, number):
                if restarts > _RESTARTS_BEFORE_GIVING_UP:
                    raise Unavailable(
                        f"the child process {name} ended {restarts} times one after the other; see the log"
                    )
                began = time.monotonic()
                code = await self._run(name, role, number)
                if not self._wants(role, number):
                    return
                # A child that ran for a minute has shown that it can: its count starts again.
                restarts = 0 if time.monotonic() - began > 60 else restarts + 1  # noqa: PLR2004 - a minute
                delay = min(30.0, 0.2 * 2**restarts) * random.uniform(0.5, 1.0)
                _log.warning("a child process ended", child=name, code=code, restarts_in=round(delay, 1))
                await asyncio.sleep(delay)
        finally:
            self.present.pop(name, None)

    def _wants(self, role: Role, number: int) -> bool:
        return not self._stopping and (role, number) in self._kept

    async def _run(self, name: str, role: Role, number: int) -> int | str:
        """Run a child to its end; its exit code, or why it did not start."""
        self.present[name] = Process(name, None, "starting")
        try:
            process = self._running[name] = await self._start(role, number)
        except OSError as error:
            return f"did not start: {error.strerror}"
        self.present[name] = Process(name, process.pid, "starting")
        try:
            if not self._wants(role, number):
                self._drain(name)
            return await process.wait()
        finally:
            self._running.pop(name, None)
            self.present[name] = Process(name, None, "starting")

    async def _start(self, role: Role, number: int) -> asyncio.subprocess.Process:
        told, tells = os.pipe()
        descriptors = (self._lock.fileno(), self._listener.fileno(), tells)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "atomic_guide.cli",
                "serve",
                *("--role", role, "--child", str(number), "--parent", str(os.getpid())),
                *("--lock-descriptor", str(descriptors[0]), "--socket-descriptor", str(descriptors[1])),
                *("--ready-descriptor", str(tells)),
                *self.arguments,
                pass_fds=descriptors,
            )
        except OSError:
            os.close(told)
            raise
        finally:
            os.close(tells)
        loop = asyncio.get_running_loop()
        loop.add_reader(told, self._told, told, child_name(role, number), process.pid)
        return process

    def _told(self, descriptor: int, name: str, pid: int) -> None:
        """A child is ready, or has ended before it was."""
        asyncio.get_running_loop().remove_reader(descriptor)
        ready = os.read(descriptor, 1) == b"r"
        os.close(descriptor)
        if ready and self.present.get(name) == Process(name, pid, "starting"):
            self.present[name] = Process(name, pid, "running")


def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        _log.warning("a child took too long to drain and is ended", pid=process.pid)
        process.kill()
