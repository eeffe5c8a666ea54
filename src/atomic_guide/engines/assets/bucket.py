"""Objects in a bucket of an S3-compatible service: the lectures of an installation whose processes share no disk.

They lie below `main/` in the bucket, apart from the copies that the same bucket may hold. Time-outs, retries and the
breaker are those of the declared store (`remote`), as is the way in which S3 keeps what every store promises: an
object shows when its last part is accepted, and is durable then. A program that needs files gets them in a folder of
its own below `scratch`, which is removed with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from atomic_guide.engines.assets.kinds import kind_of
from atomic_guide.engines.assets.names import checked_name
from atomic_guide.engines.assets.remote import PART, is_away
from atomic_guide.engines.assets.store import Store
from atomic_guide.errors import NotFound
from atomic_guide.resilience import retrying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from atomic_guide.engines.assets.remote import RemoteStore
    from atomic_guide.engines.assets.settings import AssetSettings
    from atomic_guide.engines.assets.store import Head

FOLDER = "main"
"""What the names of an installation's own objects begin with in its bucket."""
_AT_ONCE = 4
"""Objects that are sent or fetched at a time for one call; each holds at most 24 MiB while it passes."""
_OBJECT_SECONDS = 10.0
"""How long an object is tried for beyond the calls' own retries, while the bucket is not left alone."""
_BLOCK = 1024 * 1024


class BucketStore(Store):
    """Objects in a bucket."""

    rest_seconds = 3600.0

    def __init__(self, remote: RemoteStore, scratch: Path, settings: AssetSettings) -> None:
        scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(scratch.parent, settings)
        self._scratch = scratch
        self.remote = remote
        """The declared store, of which copies may be in the same bucket."""

    def check_there(self) -> None:
        """Raise `Unavailable` while the bucket is left alone."""
        self.remote.check_there()

    async def put(self, name: str, content: bytes) -> None:
        """Store a small object, replacing one of that name."""
        self.requests.writes += 1
        await self.remote.put(_place(name), _once(content), len(content), kind_of(name))

    async def adopt(self, files: Iterable[tuple[Path, str]]) -> None:
        """Send finished local files, the last one last; they are removed when all are stored."""
        pairs = [(path, checked_name(name)) for path, name in files]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def send(path: Path, name: str) -> None:
            async with gate:
                await self._send(path, name)

        async with _grouped() as group:
            for path, name in pairs[:-1]:
                group.create_task(send(path, name))
        for path, name in pairs[-1:]:
            await self._send(path, name)
        for path, _ in pairs:
            await asyncio.to_thread(path.unlink, missing_ok=True)

    async def head(self, name: str) -> Head:
        """What is known of an object. Raises `NotFound`, `Unavailable`."""
        self.requests.reads += 1
        return await self.remote.head(_place(name))

    async def restore(self, name: str, parts: AsyncIterator[bytes], size: int, storage: str = "") -> None:
        """Put back an object from elsewhere, in a storage class; nothing is changed where `parts` raises."""
        self.requests.writes += _writes(size)
        await self.remote.put(_place(name), parts, size, kind_of(name), storage)

    async def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in parts."""
        name = checked_name(name)
        self.requests.read(name, start)
        async for part in self.remote.stream(_place(name), start, end):
            yield part

    async def names(self, prefix: str) -> dict[str, int]:
        """Names below a prefix (a folder) with their sizes."""
        self.requests.writes += 1
        return {name.removeprefix(f"{FOLDER}/"): size async for name, size in self.remote.names(_place(prefix))}

    async def folders(self, prefix: str) -> list[str]:
        """The folders right below a folder, by their whole names."""
        self.requests.writes += 1
        return [name.removeprefix(f"{FOLDER}/") for name in await self.remote.folders(_place(prefix))]

    async def has_any(self, prefix: str) -> bool:
        """Whether there is any object below a folder."""
        self.requests.writes += 1
        return await anext(self.remote.names(_place(prefix)), None) is not None

    async def delete(self, name: str) -> None:
        """Remove an object; one that is not there is as good as removed."""
        await self.remote.delete([_place(name)])

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below a folder, and look that nothing is left; how many objects that were."""
        return await self.remote.delete_prefix(_place(prefix))

    @contextlib.asynccontextmanager
    async def local_file(self, name: str) -> AsyncIterator[Path]:
        """An object as a file to read while the block runs. Raises `NotFound`, `OutOfSpace`, `Unavailable`."""
        size = await self.size(name)
        async with self._fetched({name: size}, name.rpartition("/")[0]) as folder:
            yield folder / name.rpartition("/")[2]

    @contextlib.asynccontextmanager
    async def local_folder(self, folder: str, names: Iterable[str] = ()) -> AsyncIterator[Path]:
        """Everything below a folder as files to read while the block runs."""
        found = await self.names(folder)
        if any(f"{folder}/{name}" not in found for name in names):
            raise NotFound("there is no such object")
        async with self._fetched(found, folder) as path:
            yield path

    async def sign(self, name: str) -> str | None:
        """An address at which a browser gets an object for a while. What is behind it is read once."""
        self.requests.read(checked_name(name), 0)
        return await self.remote.sign(_place(name), self._settings.copies.link_seconds)

    async def _send(self, path: Path, name: str) -> None:
        async for attempt in retrying(is_away, seconds=_OBJECT_SECONDS):
            with attempt:
                try:
                    file = await asyncio.to_thread(path.open, "rb")
                except FileNotFoundError as error:
                    raise NotFound("there is no such object") from error
                with file:
                    size = os.fstat(file.fileno()).st_size
                    self.requests.writes += _writes(size)
                    await self.remote.put(_place(name), _blocks(file), size, kind_of(name))

    @contextlib.asynccontextmanager
    async def _fetched(self, names: dict[str, int], folder: str) -> AsyncIterator[Path]:
        """Some objects below a folder as files in a folder of their own, which is gone afterwards."""
        self.check_space(sum(names.values()))
        # Whoever starts alone on a data directory clears it away.
        await asyncio.to_thread(self._scratch.mkdir, parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=self._scratch, prefix="fetched-", ignore_cleanup_errors=True) as made:
            root = await asyncio.to_thread(Path(made).resolve)
            gate = asyncio.Semaphore(_AT_ONCE)

            async def fetch(name: str, size: int) -> None:
                async with gate:
                    await self._fetch(name, size, root / name.removeprefix(f"{folder}/"))

            async with _grouped() as group:
                for name, size in names.items():
                    group.create_task(fetch(name, size))
            yield root

    async def _fetch(self, name: str, size: int, path: Path) -> None:
        async for attempt in retrying(is_away, seconds=_OBJECT_SECONDS):
            with attempt:
                await asyncio.to_thread(path.parent.mkdir, parents=True, exist_ok=True)
                with await asyncio.to_thread(path.open, "wb") as file:
                    async for part in self.stream(name, 0, size):
                        await asyncio.to_thread(file.write, part)


@contextlib.asynccontextmanager
async def _grouped() -> AsyncIterator[asyncio.TaskGroup]:
    """A group of tasks, of whose errors the first is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _blocks(file: BinaryIO) -> AsyncIterator[bytes]:
    while block := await asyncio.to_thread(file.read, _BLOCK):
        yield block


def _place(name: str) -> str:
    return f"{FOLDER}/{checked_name(name)}"


def _writes(size: int) -> int:
    """Requests that a store charges for an object that is sent: one, or a begin, an end, and each part between."""
    return 1 if size <= PART else -(-size // PART) + 2
