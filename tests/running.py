"""A real server process for tests, and ways into a course that need no LMS."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from queue import Empty, Queue

import httpx

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.web.sessions import CodeKind, Role, Session, Sessions
from atomic_guide.web.settings import SessionSettings
from tests.engines import installed


class RunningServer:
    """One `atomic-guide serve` with its data directory."""

    def __init__(self, data: Path, process: subprocess.Popen[str], url: str, directory: str | None = None) -> None:
        self.data = data
        self._directory = directory
        self.process = process
        self.url = url

    def session(self, user: str = "u1", role: Role = "learner", context: str = "course-1") -> Session:
        """A session that a launch of the platform `t-test` could have given."""
        key = CourseKey.of("t-test", context)
        return Session(
            tenant=key.tenant,
            course=key.course,
            bucket=key.bucket,
            user=user,
            name=f"Member {user}",
            role=role,
            locale="en",
            title="Waves and Optics 101",
            ends_at=SystemClock().now() + 3600,
        )

    def code(self, session: Session, kind: CodeKind = "launch") -> str:
        """A one-time code for a session, written beside the running server as a launch in another process would."""

        async def issue() -> str:
            directory: Engine = (
                PostgresDatabase("directory", self._directory)
                if self._directory
                else SqliteDatabase(database_files(self.data, DataSettings())[0])
            )
            try:
                return await Sessions(directory, SystemClock(), SessionSettings()).issue_code(session, kind)
            finally:
                await directory.close()

        return asyncio.run(issue())

    def enter(self, user: str = "u1", role: Role = "learner", context: str = "course-1") -> httpx.Client:
        """A client whose requests carry the token of somebody in a course."""
        answer = httpx.post(f"{self.url}/api/session", json={"code": self.code(self.session(user, role, context))})
        answer.raise_for_status()
        token = answer.json()["token"]
        return httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=20)

    def kill(self) -> None:
        """End it as a power cut would: no handler runs, its children are ended by the kernel."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to drain and return its exit code; it has the 30 s of the contract."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextlib.contextmanager
def running_server(
    data: Path,
    variables: Mapping[str, str] | None = None,
    *,
    port: int = 0,
    role: str = "all",
    patience: float = 30,
    **settings: str,
) -> Iterator[RunningServer]:
    """Start a server, on a free port if none is given; it has `patience` seconds to be ready.

    `variables` and `settings` are environment variables without their prefix. A folder that is there is taken as it is.
    """
    settings = {**(variables or {}), **settings}
    if not data.exists() and not any(name.startswith("DATABASES_") for name in settings):
        data.mkdir(mode=0o700, parents=True)
        installed(data)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", "atomic_guide.cli", "serve", "--data", str(data), "--port", str(port)]
    command += ["--role", role]
    log = (data.parent / f"{data.name}.log").open("a", encoding="utf-8")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        url = _ready_url(process, Path(log.name), patience)
        yield RunningServer(data, process, url, settings.get("DATABASES_DIRECTORY"))
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
        if process.stdout:
            process.stdout.close()
        log.close()


def _ready_url(process: subprocess.Popen[str], log: Path, patience: float) -> str:
    lines: Queue[str] = Queue()

    def read() -> None:
        with contextlib.suppress(ValueError):
            for line in process.stdout or ():
                lines.put(line)

    threading.Thread(target=read, daemon=True).start()
    for _ in range(round(patience * 10)):
        with contextlib.suppress(Empty):
            line = lines.get(timeout=0.1)
            if line.startswith("ready "):
                return line.split()[1]
        if process.poll() is not None:
            break
    message = f"the server did not start; its log ends with: {log.read_text(encoding='utf-8')[-2000:]}"
    raise RuntimeError(message)
