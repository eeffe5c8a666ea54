"""A streaming replica beside its primary, on one computer: copied, started, watched, started again, removed.

Needs the programs of PostgreSQL in the primary's own version, and an address whose user may replicate. The replica
listens on loopback only and lets in the primary's user alone, by its password.

It holds no replication slot: a slot of a stopped replica keeps the primary's log until the disk is full. One that was
away for so long that the log it needs is gone is copied anew.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import msgspec
import structlog

from atomic_guide.child import Child
from atomic_guide.engines.data.database import Engine
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.servers import at_port
from atomic_guide.engines.data.settings import PostgresSettings, StandbySettings
from atomic_guide.errors import ConfigurationError, GuideError, OutOfSpace, Unavailable

_log = structlog.get_logger(__name__)

_COPY_SECONDS = 6 * 3600.0
"""How long copying a primary may take: a terabyte at 50 MB/s."""

_START_SECONDS = 120.0
_STOP_SECONDS = 20.0
_LOOK_SECONDS = 0.2
_SPARE = 1.2
"""Space that has to be free before a copy, over the size of the primary's databases: its log comes along."""

_LOG_GONE = "has already been removed"
_LOG_END = 65_536

_SIZE = Query(
    "standby_size", "Bytes of all databases.", {None: "SELECT sum(pg_database_size(oid)) AS b FROM pg_database"}
)
_STANDING = Query("standby_standing", "Whether it follows.", {None: "SELECT pg_is_in_recovery() AS r"})
# A replica refuses to start where it could hold less than its primary may ask of it.
_NEEDED = (
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
)
_LIMITS = Query(
    "standby_limits",
    "What a replica must have no less of than its primary.",
    {None: f"SELECT name, setting FROM pg_settings WHERE name IN ({', '.join(repr(name) for name in _NEEDED)})"},  # noqa: S608 - constants
)
_VERSION = Query(
    "standby_version", "The server's version.", {None: "SELECT current_setting('server_version_num') AS v"}
)


class Installation(NamedTuple):
    """Programs, where the data of replicas lies, and the account to run them as: numbers of user and group, or None."""

    programs: Path
    folder: Path
    account: tuple[int, int] | None


def installation(settings: StandbySettings, data: Path) -> Installation:
    """What replicas are started with. Raises `ConfigurationError` naming the setting that does not work."""
    if settings.programs is None:
        raise ConfigurationError("setting databases.standbys.programs: name the folder of PostgreSQL's programs")
    programs = Path(settings.programs)
    for name in ("postgres", "pg_basebackup"):
        if not os.access(programs / name, os.X_OK):
            raise ConfigurationError(f"setting databases.standbys.programs: there is no {name} in {programs}")
    account = None
    if os.geteuid() == 0:
        if settings.account is None:
            raise ConfigurationError(
                "setting databases.standbys.account: PostgreSQL refuses to run as root; name an account, as postgres"
            )
        try:
            found = pwd.getpwnam(settings.account)
        except KeyError:
            raise ConfigurationError(
                f"setting databases.standbys.account: there is no account {settings.account}"
            ) from None
        account = found.pw_uid, found.pw_gid
    return Installation(programs, Path(settings.folder) if settings.folder else data / "standbys", account)


class Standby:
    """One replica of the primary at `address`; its data is a folder by its `name`."""

    def __init__(self, name: str, address: str, place: Installation, settings: PostgresSettings) -> None:
        self.name = name
        self.port = 0
        self._address = address
        self._place = place
        self._settings = msgspec.structs.replace(settings, readers=1, writers=1)
        self._folder = place.folder / name
        self._data = self._folder / "data"
        self._child = Child(f"replica {name}", self._folder / "server.log", place.account)
        self._limits: dict[str, str] = {}

    async def copy(self) -> None:
        """Copy the primary; what was there is removed. Raises `Unavailable` saying why it fails, or `OutOfSpace`."""
        await self._prepare()
        password = unquote(urlsplit(self._address).password or "")
        parts = urlsplit(self._address)
        process = await asyncio.create_subprocess_exec(
            str(self._place.programs / "pg_basebackup"),
            *("--pgdata", str(self._data), "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf"),
            *("--no-password", "--host", parts.hostname or "", "--port", str(parts.port or 5432)),
            *("--username", unquote(parts.username or "postgres")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(password),
            cwd=self._folder,
            start_new_session=True,
            user=self._place.account[0] if self._place.account else None,
            group=self._place.account[1] if self._place.account else None,
            extra_groups=[] if self._place.account else None,
        )
        try:
            async with asyncio.timeout(_COPY_SECONDS):
                _, told = await process.communicate()
        finally:
            if process.returncode is None:
                # With the process that it has for the log, which would go on writing for seconds.
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            words = told.decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise Unavailable(
                f"{self.name} cannot be copied from its primary: {words[-1][:300]}; the user of the shard's address"
                " needs the right REPLICATION, and pg_hba.conf an entry for replication from this computer"
            )
        await asyncio.to_thread(self._configure)

    async def start(self) -> None:
        """Start it and wait until it answers reads. Raises `Unavailable` saying why it does not."""
        self._limits = await self._asked_limits()
        if not self.port or _is_taken(self.port):
            self.port = _free_port()
        process = await self._child.spawn(self._place.programs / "postgres", self._arguments(), _environment(""))
        engine = PostgresDatabase(self.name, at_port(self._address, self.port), self._settings, read_only=True)
        try:
            async with asyncio.timeout(_START_SECONDS):
                while not await _follows(engine):
                    if process.returncode is not None:
                        raise await self._child.give_up(f"ended with {process.returncode}")
                    await asyncio.sleep(_LOOK_SECONDS)
        except TimeoutError:
            raise await self._child.give_up(f"did not answer within {_START_SECONDS:.0f} s") from None
        finally:
            await engine.close()

    async def keep(self, start: Callable[[], Awaitable[None]]) -> None:
        """Have `start` call `start` of this one whenever it does not run, until `stop`; for a task."""
        await self._child.keep(start)

    async def stop(self) -> None:
        """End it; its data stays."""
        # SIGTERM would let it wait for every connection to be closed; this closes them.
        await self._child.stop(_STOP_SECONDS, signal.SIGINT)

    async def remove(self) -> None:
        """End it and remove its data."""
        # At once, without the checkpoint that would write what is thrown away.
        await self._child.stop(_STOP_SECONDS, signal.SIGQUIT)
        await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def copied(self) -> bool:
        """Whether there is a whole copy to start."""
        return (self._folder / "copied").exists()

    def is_lost(self) -> bool:
        """Whether its log says that what it needs of the primary's log is gone."""
        try:
            with (self._folder / "server.log").open("rb") as file:
                file.seek(max(file.seek(0, os.SEEK_END) - _LOG_END, 0))
                return _LOG_GONE in file.read(_LOG_END).decode(errors="replace")
        except OSError:
            return False

    async def _prepare(self) -> None:
        primary = PostgresDatabase(self.name, self._address, self._settings)
        try:
            row = await primary.one(_SIZE)
            version = await primary.one(_VERSION)
        finally:
            await primary.close()
        await self._check_version(int(version["v"]) // 10_000 if version is not None else 0)
        await asyncio.to_thread(self._make_room, int(row["b"]) if row is not None else 0)

    async def _check_version(self, wanted: int) -> None:
        process = await asyncio.create_subprocess_exec(
            str(self._place.programs / "postgres"),
            "--version",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(""),
            cwd="/",
        )
        async with asyncio.timeout(_STOP_SECONDS):
            told, _ = await process.communicate()
        words = told.decode(errors="replace").split()
        found = next((word.partition(".")[0] for word in words if word[:1].isdigit()), "")
        if found != str(wanted):
            raise Unavailable(
                f"databases.standbys.programs are of PostgreSQL {found or '?'}, the primary is of {wanted};"
                " name the folder of its own version"
            )

    def _make_room(self, size: int) -> None:
        """An empty folder of the account's, on a disk that takes the copy."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._place.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        free = shutil.disk_usage(self._place.folder).free
        if free < size * _SPARE:
            raise OutOfSpace(
                f"a replica needs {size * _SPARE / 1e9:.1f} GB in {self._place.folder}; {free / 1e9:.1f} GB are free"
            )
        self._folder.mkdir(mode=0o700)
        if self._place.account is not None:
            os.chown(self._folder, *self._place.account)

    def _configure(self) -> None:
        """Its own rules of access, and no settings of the primary's that would bind it to other folders."""
        user = unquote(urlsplit(self._address).username or "postgres").replace('"', '""')
        hba = self._folder / "pg_hba.conf"
        hba.write_text(f'host all "{user}" 127.0.0.1/32 scram-sha-256\n', encoding="utf-8")
        settings = self._folder / "postgresql.conf"
        settings.write_text("", encoding="utf-8")
        (self._folder / "copied").touch()
        for path in (hba, settings):
            if self._place.account is not None:
                os.chown(path, *self._place.account)

    def _arguments(self) -> list[str]:
        own = {
            "config_file": str(self._folder / "postgresql.conf"),
            "hba_file": str(self._folder / "pg_hba.conf"),
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "cluster_name": self.name,
            "hot_standby": "on",
            "lc_messages": "C",
            "log_destination": "stderr",
            "logging_collector": "off",
            **self._limits,
        }
        return ["-D", str(self._data), *(part for name, value in own.items() for part in ("-c", f"{name}={value}"))]

    async def _asked_limits(self) -> dict[str, str]:
        """The primary's limits; those of the last time where it does not answer."""
        primary = PostgresDatabase(self.name, self._address, self._settings)
        try:
            return {row["name"]: row["setting"] for row in await primary.read(_LIMITS)}
        except GuideError as error:
            if self._limits:
                return self._limits
            raise Unavailable(f"{self.name} waits for its primary: {error.message}") from error
        finally:
            await primary.close()


async def _follows(engine: Engine) -> bool:
    try:
        row = await engine.one(_STANDING)
    except GuideError:
        return False
    return row is not None and bool(row["r"])


def _environment(password: str) -> dict[str, str]:
    """No variable of ours that PostgreSQL's programs would read."""
    found = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
    return {**found, "PGPASSWORD": password} if password else found


def _is_taken(port: int) -> bool:
    with socket.socket() as taken:
        try:
            taken.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
