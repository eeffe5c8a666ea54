"""Copy one large object in a process of its own, and see how much its memory grew."""

import asyncio
import resource
import sys
import tempfile
import time
from pathlib import Path

from atomic_guide.engines.assets.copying import Content, copy, hashed
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.assets.pace import Pace
from atomic_guide.engines.assets.remote import RemoteStore
from atomic_guide.engines.assets.settings import AssetSettings, StoreSettings
from tests.s3 import S3

MEBIBYTE = 1024 * 1024


def resident() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def copied(folder: Path, store: StoreSettings, size: int) -> tuple[int, float]:
    """Copy `size` bytes that compress to nothing on disk; by how much memory grew, and how long it took."""
    local = DirectoryStore(folder / "objects", AssetSettings(least_free_bytes=0))
    path = folder / "objects" / "large"
    with path.open("wb") as file:
        file.truncate(size)
    remote = RemoteStore(store)
    warm = Content(*await hashed(local.stream("large", 0, 32 * MEBIBYTE)))
    with (folder / "objects" / "small").open("wb") as file:
        file.truncate(32 * MEBIBYTE)
    await copy((local, "small"), remote, "warm", warm, Pace(0))
    digest, _ = await hashed(local.stream("large", 0, size))
    before, begun = resident(), time.perf_counter()
    await copy((local, "large"), remote, "large", Content(digest, size), Pace(0))
    return resident() - before, time.perf_counter() - begun


def memory(size: int = 5 * 1024**3) -> None:
    """Print how it went; raises AssertionError where memory grew by more than 64 MiB."""
    with tempfile.TemporaryDirectory(prefix="assets-") as name, S3(Path(name) / "s3") as service:
        grown, took = asyncio.run(copied(Path(name), service.store("large"), size))
    print(f"  {size / 1e9:.1f} GB copied and read back in {took:.0f} s; memory grew by {grown / MEBIBYTE:.0f} MiB")
    assert grown < 64 * MEBIBYTE, grown


if __name__ == "__main__":
    memory(int(sys.argv[1]))
