"""Litestream: following files, and rebuilding one from its log.

It listens on no network. Its control socket and its settings are readable for this user alone, and it is given
nothing of this process's environment. It adds two tables of its own to each file, `_litestream_seq` and
`_litestream_lock`, which nothing here reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from atomic_guide.child import Child
from atomic_guide.engines.data.wal.settings import WalSettings
from atomic_guide.errors import ConfigurationError, Invalid, Unavailable

START_SECONDS = 15.0
SYNC_SECONDS = 600.0
"""What a copy may take; the first is of the whole file (12 MB a second on a busy disk of two shared cores)."""

REBUILD_SECONDS = 3600.0
_POLL = 0.01
_CONFIG = "litestream.json"
_SLACK_HOURS = 2
"""Longer than the marks are kept, so that no mark outlives what it names."""

_PARTS = 24
"""Whole copies in the time that the log is kept: a rebuild starts from one, and reads a 24th of that time at most."""

_SOCKET_PATH_LIMIT = 100
"""Bytes that the path of a Unix socket may have; the system's limit is 104 or 108."""


def find_program(settings: WalSettings) -> Path:
    """The program. Raises `ConfigurationError` where there is none, naming the remedy."""
    path = Path(settings.binary) if settings.binary else Path(sysconfig.get_path("scripts")) / "litestream"
    if not path.is_file():
        raise ConfigurationError(
            f"the log of the databases needs litestream, and there is none at {path}: install 'atomic-guide[recovery]'"
            " or set backups.log.binary"
        )
    return path


def log_of(timeline: Path, database: str) -> Path:
    """Where the log of one database is."""
    return timeline / database


class Litestream:
    """The program that follows database files, whose paths are absolute; `folder` is for what it keeps beside them."""

    def __init__(self, folder: Path, timeline: Path, settings: WalSettings) -> None:
        self._folder = folder
        self._timeline = timeline
        self._settings = settings
        self._files: list[Path] = []
        self._child = Child("litestream", folder / "litestream.log")
        self._short: Path | None = None

    @property
    def pid(self) -> int | None:
        """The running program's process id."""
        return self._child.pid

    async def start(self, files: list[Path]) -> None:
        """Begin to follow files. Raises `Unavailable` saying why it does not."""
        self._files = files
        self._own.mkdir(parents=True, exist_ok=True, mode=0o700)
        for other in self._folder.iterdir():
            if other.is_dir() and other.name != self._timeline.name:
                shutil.rmtree(other, ignore_errors=True)
        output = self._folder / "litestream.log"
        output.write_bytes(b"")
        config = self._folder / _CONFIG
        write_config(config, self._config())
        program = find_program(self._settings)
        process = await self._child.spawn(
            program, ["replicate", "-no-expand-env", "-config", str(config)], environment(self._folder)
        )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise await self._child.give_up(f"ended with {process.returncode}")
            try:
                await _ask(self._socket, "/list", None, 1.0)
            except OSError:
                await asyncio.sleep(_POLL)
            else:
                return
        raise await self._child.give_up(f"did not start within {START_SECONDS:g} s")

    async def keep(self) -> None:
        """Start it again whenever it has died, until `stop`; for a root task."""
        await self._child.keep(lambda: self.start(self._files))

    async def follow(self, files: list[Path]) -> None:
        """Follow other files from now on: it is started anew."""
        self._files = files
        self._end_once()

    async def move_to(self, timeline: Path) -> None:
        """Write another timeline from now on, beginning with whole copies: it is started anew."""
        self._timeline = timeline
        self._end_once()

    def pieces(self, file: Path) -> Path:
        """Where it keeps what it has read of a file until that is in the log, and for a while after."""
        return self._own / file.stem / "ltx" / "0"

    async def sync(self, file: Path) -> int:
        """Copy what was committed to one of the files until now; how far that came. It is on disk when this returns.

        Raises `Unavailable` where it is not done.
        """
        asked = {"path": str(file), "wait": True, "timeout": int(SYNC_SECONDS)}
        try:
            answer = await _ask(self._socket, "/sync", asked, SYNC_SECONDS)
        except OSError as error:
            raise Unavailable(f"litestream does not answer ({error})", retry_after=1) from error
        if "replicated_txid" not in answer:
            raise Unavailable(f"litestream did not copy {file.stem}: {str(answer)[:200]}", retry_after=1)
        return int(answer["replicated_txid"])

    async def stop(self, limit: float = 1.5) -> None:
        """End it."""
        await self._child.stop(limit)
        if self._short is not None:
            await asyncio.to_thread(shutil.rmtree, self._short, ignore_errors=True)

    @property
    def _own(self) -> Path:
        return self._folder.absolute() / self._timeline.name

    def _end_once(self) -> None:
        # `keep` starts it again.
        if self._child.pid is not None:
            os.kill(self._child.pid, signal.SIGTERM)

    @property
    def _socket(self) -> Path:
        path = self._folder.absolute() / "control"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        self._short = self._short or Path(tempfile.mkdtemp(prefix="atomic-guide-"))
        return self._short / "control"

    def _config(self) -> dict[str, Any]:
        hours = self._settings.retention_hours
        part = f"{hours * 60 // _PARTS}m"
        return {
            "socket": {"enabled": True, "path": str(self._socket), "permissions": 0o600},
            "logging": {"level": "info", "type": "json"},
            "snapshot": {"interval": part, "retention": f"{(hours + _SLACK_HOURS) * 60 + hours * 60 // _PARTS}m"},
            # Every mark stays a place to stop at only as long as the small pieces are there.
            "l0-retention": f"{hours + _SLACK_HOURS}h",
            "l0-retention-check-interval": "1m",
            # A rebuild opens all its pieces at once: of a minute each, and the small ones of the last.
            "levels": [{"interval": "1m"}],
            "dbs": [
                {
                    "path": str(file),
                    "meta-path": str(self._own / file.stem),
                    # It is asked at every mark; by itself it would only make more pieces.
                    "monitor-interval": "1m",
                    "replica": {
                        "type": "file",
                        "path": str(log_of(self._timeline, file.stem).absolute()),
                        "sync-interval": "1m",
                    },
                }
                for file in self._files
            ],
        }


@contextlib.asynccontextmanager
async def released(folder: Path, file: Path) -> AsyncIterator[None]:
    """Have the Litestream of a folder, if one runs, let go of a file for a moment; then it copies the whole of it.

    While it follows a file (an absolute path) it keeps a reader open, and nobody can empty the file's WAL.
    """
    try:
        socket = Path(msgspec.json.decode((folder / _CONFIG).read_bytes())["socket"]["path"])
        asked = {"path": str(file), "timeout": int(START_SECONDS)}
        await _ask(socket, "/stop", asked, START_SECONDS)
    except OSError:
        yield
        return
    try:
        yield
    finally:
        # Where it has gone meanwhile it begins with all files when it comes back.
        with contextlib.suppress(OSError):
            await _ask(socket, "/start", asked, START_SECONDS)


async def _ask(socket: Path, path: str, body: dict[str, Any] | None, limit: float) -> dict[str, Any]:
    """One call of a control socket, which speaks HTTP. Raises OSError (TimeoutError is one)."""
    content = json.dumps(body).encode() if body is not None else b""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    async with asyncio.timeout(limit):
        reader, writer = await asyncio.open_unix_connection(str(socket))
        try:
            writer.write(head.encode("ascii") + content)
            answer = await reader.read()
        finally:
            writer.close()
    try:
        found: dict[str, Any] = msgspec.json.decode(answer.partition(b"\r\n\r\n")[2], type=dict)
    except msgspec.MsgspecError as error:
        raise OSError(f"{answer[:100]!r} is no answer") from error
    return found


def rebuild(program: Path, timeline: Path, database: str, position: int, target: Path) -> None:
    """Write a database as it was at a position to `target`, which must not exist.

    Raises `Invalid` naming the database where its log is damaged or has a gap.
    """
    with tempfile.TemporaryDirectory(prefix="atomic-guide-") as name:
        config = Path(name) / "litestream.json"
        source = {"type": "file", "path": str(log_of(timeline, database).absolute())}
        write_config(config, {"dbs": [{"path": str(target.absolute()), "replica": source}]})
        command = [str(program), "restore", "-no-expand-env", "-config", str(config)]
        command += ["-txid", f"{position:016x}", "-o", str(target.absolute()), str(target.absolute())]
        try:
            done = subprocess.run(
                command,
                env=environment(Path(name)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=REBUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"rebuilding {database} took more than {REBUILD_SECONDS / 60:g} minutes") from error
    if done.returncode != 0 or not target.is_file():
        said = (done.stderr.strip().splitlines() or ["no reason given"])[-1].removeprefix("Error: ")
        kind = "has a gap before" if "no matching backup files" in said else "is damaged before"
        raise Invalid(
            f"the log of {database} in {timeline} {kind} transaction {position} ({said[:200]});"
            " go back to an earlier moment, or put back a backup"
        )
    target.chmod(0o600)


def write_config(path: Path, content: dict[str, Any]) -> None:
    """Write settings of the program, for this user alone."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)


def environment(folder: Path) -> dict[str, str]:
    """All that the program is told: none of the settings and secrets of this process."""
    return {"HOME": str(folder.absolute()), "PATH": os.defpath, "TMPDIR": str(folder.absolute())}
