"""One PostgreSQL server."""

import random
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

import msgspec

from tests.postgres import keeper
from tests.postgres.home import USER, home
from tests.postgres.programs import PostgresError, Programs, give, run

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_POLL = 0.005
# Below the ports that Linux and macOS give to outgoing connections, so that none takes that of a stopped server.
_PORTS = range(20_000, 32_000)


class Server(msgspec.Struct, frozen=True):
    """A handle on one server; any process of the run may hold one. Its methods block, for a second at most as a rule:
    with a loop that must go on, call them through `asyncio.to_thread`.
    """

    name: str
    """What the server calls itself (`cluster_name`), and its `application_name` and slot where it follows another."""
    region: str
    """Where it is to be thought of: "eu", "us"."""
    data: Path
    port: int
    root: Path
    """The installation whose programs run it."""

    @classmethod
    def create(cls, name: str, region: str, seed: Path, programs: Programs, settings: Mapping[str, str]) -> Self:
        """A stopped server whose data is a copy of `seed`; `settings` come after those of all servers."""
        data = home().data / f"{name}-{secrets.token_hex(4)}"
        home().copy(seed, data)
        server = cls(name, region, data, _free_port(), programs.root)
        server.configure({"port": str(server.port), "cluster_name": name, **settings})
        return server

    @property
    def log(self) -> Path:
        """What the server has written."""
        return self.data.with_suffix(".log")

    @property
    def slot(self) -> str:
        """The name of the replication slot that its primary keeps for it."""
        return self.name.replace("-", "_")

    @property
    def running(self) -> bool:
        """Whether its postmaster lives, paused or not."""
        return keeper.postmaster(self.data) is not None

    def dsn(self, database: str = "postgres") -> str:
        """The address of a database, with user and password."""
        return f"postgresql://{USER}:{home().password}@127.0.0.1:{self.port}/{database}"

    def configure(self, settings: Mapping[str, str]) -> None:
        """Add lines to the configuration, read at the next start."""
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.writelines(f"{key} = '{_quoted(value)}'\n" for key, value in settings.items())

    def start(self) -> None:
        """Start and wait until it answers queries. Raises `PostgresError` with the end of its log."""
        written = len(self._log_since(0))
        self._programs.run(
            "pg_ctl",
            "start",
            "--silent",
            "--no-wait",
            "--pgdata",
            str(self.data),
            "--log",
            str(self.log),
            cwd=self.data,
        )
        deadline = time.monotonic() + _START_SECONDS
        while (status := self._status()) != "ready" and time.monotonic() < deadline:
            # A server that gives up takes its lock file away, or has not yet written it.
            if b"FATAL" in self._log_since(written) and not self._status():
                break
            time.sleep(_POLL)
        if status == "ready":
            return
        keeper.end(self.data)
        raise PostgresError(f"{self.name} does not start: {self._last_words()}")

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """End it in order, or without a checkpoint. Raises `PostgresError` where it does not end."""
        parent = keeper.postmaster(self.data)
        if parent is None:
            return
        self.resume()
        keeper.send([parent], signal.SIGINT if how == "fast" else signal.SIGQUIT)
        if not keeper.wait_gone([parent], _STOP_SECONDS):
            raise PostgresError(f"{self.name} did not stop within {_STOP_SECONDS} s: {self._last_words()}")

    def kill(self) -> None:
        """End all its processes at once with SIGKILL, as a power cut would."""
        keeper.kill(self.data)

    def pause(self) -> None:
        """Freeze all its processes: connections stay open and nothing answers."""
        keeper.freeze(self.data)

    def resume(self) -> None:
        """Let it go on."""
        parent = keeper.postmaster(self.data)
        if parent is not None:
            keeper.send([*keeper.children(parent), parent], signal.SIGCONT)

    def remove(self) -> None:
        """End it, whatever its state, and delete its data."""
        keeper.end(self.data)
        shutil.rmtree(self.data, ignore_errors=True)
        self.log.unlink(missing_ok=True)

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """The answer to statements, each a transaction of its own: rows as lines, columns parted by "|"."""
        asked = [part for statement in statements for part in ("--command", statement)]
        command = [str(self.root / "bin" / "psql"), "-XAtq", "--set=ON_ERROR_STOP=1", *asked]
        where = f"host=127.0.0.1 port={self.port} user={USER} dbname={database} connect_timeout=10"
        return run([*command, where], cwd=home().path, password=home().password).strip()

    def is_primary(self) -> bool:
        """Whether it takes writes."""
        return self.sql("SELECT pg_is_in_recovery()") == "f"

    def set(self, **settings: str | None) -> None:
        """Change settings that need no restart, and wait until the server has read them; None takes one back."""
        changes = [
            f"ALTER SYSTEM RESET {key}" if value is None else f"ALTER SYSTEM SET {key} = '{_quoted(value)}'"
            for key, value in settings.items()
        ]
        before = self.sql("SELECT pg_conf_load_time()")
        self.sql(*changes, "SELECT pg_reload_conf()")
        deadline = time.monotonic() + _START_SECONDS
        # A new connection inherits what the postmaster has read, and the postmaster told its processes before that.
        while self.sql("SELECT pg_conf_load_time()") == before:
            if time.monotonic() > deadline:
                raise PostgresError(f"{self.name} did not read its settings: {self._last_words()}")
            time.sleep(_POLL)

    def position(self) -> int:
        """How far it has come, in bytes of WAL: written where it is the primary, replayed where it is a replica."""
        return int(self.sql(
            "SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END"
            " - '0/0')::bigint"
        ))  # fmt: skip

    def wait_for(self, position: int, limit: float = 10.0) -> None:
        """Wait until a replica has replayed so far. Raises `PostgresError` after `limit` seconds."""
        deadline = time.monotonic() + limit
        while (here := self.position()) < position:
            if time.monotonic() > deadline:
                raise PostgresError(f"{self.name} is {position - here} bytes behind after {limit} s")
            time.sleep(_POLL)

    def promote(self) -> None:
        """Make a replica a primary, on a new timeline."""
        if self.sql("SELECT pg_promote(true, 30)") != "t":
            raise PostgresError(f"{self.name} was not promoted: {self._last_words()}")

    def follow(self, primary: "Server") -> None:
        """Replicate from `primary`, which keeps a slot for it: a replica, running or not, or a new copy of a seed."""
        make_slot = (
            "SELECT pg_create_physical_replication_slot(name, true) FROM (VALUES ('{0}')) AS wanted (name)"
            " WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{0}')"
        )
        primary.sql(make_slot.format(self.slot))
        source = f"host=127.0.0.1 port={primary.port} user={USER} password={home().password}"
        wanted = {"primary_conninfo": f"{source} application_name={self.name}", "primary_slot_name": self.slot}
        give(_written(self.data / "standby.signal"))
        if self.running:
            self.set(**wanted)
        else:
            self.configure(wanted)

    def rejoin(self, primary: "Server") -> None:
        """Make a stopped server a replica of `primary` by a base backup; its data is lost, and it is not started."""
        if self.running:
            raise PostgresError(f"{self.name} runs; stop it before it is made anew")
        shutil.rmtree(self.data)
        self._programs.run(
            "pg_basebackup", "--pgdata", str(self.data), "--checkpoint=fast", "--wal-method=stream",
            "--dbname", f"host=127.0.0.1 port={primary.port} user={USER}",
            cwd=home().data, password=home().password,
        )  # fmt: skip
        (self.data / "postgresql.auto.conf").write_text("", encoding="utf-8")
        self.configure({"port": str(self.port), "cluster_name": self.name})
        self.follow(primary)

    @property
    def _programs(self) -> Programs:
        return Programs(self.root)

    def _status(self) -> str:
        """The eighth line of its lock file: starting, stopping, ready; "starting" before it is written."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            return ""
        return lines[7].strip() if len(lines) > 7 else "starting"

    def _log_since(self, position: int) -> bytes:
        try:
            return self.log.read_bytes()[position:]
        except OSError:
            return b""

    def _last_words(self) -> str:
        return " / ".join(self._log_since(0).decode(errors="replace").splitlines()[-5:]) or "it has written no log"


def _quoted(value: str) -> str:
    return value.replace("'", "''")


def _written(path: Path) -> Path:
    path.touch(mode=0o600)
    return path


def _free_port() -> int:
    for _ in range(1_000):
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise PostgresError("no free port was found")
