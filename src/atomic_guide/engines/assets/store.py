"""Objects by name, over obstore; today a local directory.

Guarantees:
- An object is seen whole or not at all: it is written beside and renamed into place.
- What has been acknowledged is on disk: the file and the folders on the way to it are fsynced. obstore's
  local store does not do that by itself.
- A full disk is `OutOfSpace`, and leaves nothing half written.
- Names are chosen by the server: segments of ASCII letters, digits, `.`, `-` and `_`. Anything else is refused
  here, whatever a caller made of a client's text.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import shutil
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from atomic_guide.engines.assets.names import checked_name
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.errors import NotFound, OutOfSpace, RangeUnsatisfiable, Unavailable
from atomic_guide.limit import Limit, Used

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

_CHUNK = 256 * 1024
_REMEMBERED = 4096
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


DISK = Limit(
    "assets",
    "disk_bytes",
    "bytes",
    "assets.least_free_bytes",
    refuses="An upload that would leave less than this free.",
    answer="507 OUT_OF_SPACE",
    use="What is taken of the disk, by its size without the reserve.",
)
LIMITS = (DISK,)


class Head(msgspec.Struct, frozen=True):
    """What is known of an object: bytes, its version as an ETag value, seconds since the epoch."""

    size: int
    etag: str
    modified: float


class Requests:
    """What a process has asked of the store since its start, as stores charge: lists count among the writes.

    `repeats` are reads of bytes that were among the last 4,096 read: what a cache of about a gigabyte in this process
    would have answered. They are counted by name and begin only, so that nothing is held.
    """

    __slots__ = ("_recent", "reads", "repeats", "writes")

    def __init__(self) -> None:
        self.reads = self.writes = self.repeats = 0
        self._recent: OrderedDict[tuple[str, int], None] = OrderedDict()

    def read(self, name: str, start: int) -> None:
        """Bytes of an object are read."""
        self.reads += 1
        place = name, start
        if place in self._recent:
            self.repeats += 1
            self._recent.move_to_end(place)
            return
        self._recent[place] = None
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)


class Store:
    """The objects of an installation."""

    def __init__(self, directory: Path, settings: AssetSettings | None = None) -> None:
        self._settings = settings or AssetSettings()
        self._root = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._objects = LocalStore(directory, automatic_cleanup=True)
        self.requests = Requests()

    def used(self) -> Iterator[Used]:
        """The disk, but for the reserve."""
        usage = shutil.disk_usage(self._root)
        most = max(1, usage.total - self._settings.least_free_bytes)
        yield Used(DISK, usage.total - usage.free, most=most)

    def check_space(self, wanted: int = 0) -> None:
        """Raise `OutOfSpace` unless `wanted` bytes fit and leave the reserve free."""
        free = shutil.disk_usage(self._root).free
        if free - wanted < self._settings.least_free_bytes:
            refusal = OutOfSpace("the server's disk is full; ask its operator to free some space", retry_after=600)
            raise DISK.over(refusal)

    async def put(self, name: str, content: bytes) -> None:
        """Store a small object, replacing one of that name."""
        name = checked_name(name)
        self.requests.writes += 1
        try:
            await obstore.put_async(self._objects, name, content, use_multipart=False)
            await asyncio.to_thread(self._settle, name)
        except (BaseError, OSError) as error:
            raise _wrap(error) from error

    async def adopt(self, files: Iterable[tuple[Path, str]]) -> None:
        """Move finished local files in under their names, all durable when this returns.

        On the store's own file system that is a rename and costs nothing for two gigabytes.
        """
        pairs = [(path, checked_name(name)) for path, name in files]
        self.requests.writes += len(pairs)
        try:
            await asyncio.to_thread(self._move, pairs)
        except OSError as error:
            raise _wrap(error) from error

    async def head(self, name: str) -> Head:
        """What is known of an object. Raises `NotFound`."""
        self.requests.reads += 1
        try:
            meta = await obstore.head_async(self._objects, checked_name(name))
        except (BaseError, OSError) as error:
            raise _wrap(error) from error
        etag = re.sub(r"[^A-Za-z0-9-]", "", meta["e_tag"] or f"{meta['last_modified'].timestamp():.6f}-{meta['size']}")
        return Head(meta["size"], f'"{etag}"', meta["last_modified"].timestamp())

    async def size(self, name: str) -> int:
        """The bytes of an object. Raises `NotFound`."""
        return (await self.head(name)).size

    async def restore(self, name: str, parts: AsyncIterator[bytes]) -> None:
        """Put back an object from elsewhere, in place of what is there; nothing is changed where `parts` raises."""
        target = self._root / checked_name(name)
        beside = target.with_name(f".{target.name}.back")
        self.requests.writes += 1
        try:
            await asyncio.to_thread(target.parent.mkdir, parents=True, exist_ok=True)
            with await asyncio.to_thread(beside.open, "wb") as file:
                async for part in parts:
                    await asyncio.to_thread(file.write, part)
            await asyncio.to_thread(self._move, [(beside, name)])
        except OSError as error:
            raise _wrap(error) from error
        finally:
            await asyncio.to_thread(beside.unlink, missing_ok=True)

    async def read(self, name: str, limit: int = 4 * 1024 * 1024) -> bytes:
        """A small object whole. Raises `NotFound`, or `RangeUnsatisfiable` where it is over `limit` bytes."""
        head = await self.head(name)
        if head.size > limit:
            raise RangeUnsatisfiable(f"the object has {head.size} bytes, at most {limit} are read at once")
        return b"".join([chunk async for chunk in self.stream(name, 0, head.size)]) if head.size else b""

    async def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in chunks of bounded size."""
        name = checked_name(name)
        self.requests.read(name, start)
        try:
            for offset in range(start, end, _CHUNK):
                part = await obstore.get_range_async(self._objects, name, start=offset, end=min(offset + _CHUNK, end))
                yield bytes(part)
        except (BaseError, OSError) as error:
            raise _wrap(error) from error

    async def names(self, prefix: str) -> dict[str, int]:
        """Names below a prefix (a folder) with their sizes."""
        self.requests.writes += 1
        try:
            batches = obstore.list(self._objects, f"{checked_name(prefix)}/")
            return {meta["path"]: meta["size"] async for batch in batches for meta in batch}
        except (BaseError, OSError) as error:
            raise _wrap(error) from error

    async def delete(self, name: str) -> None:
        """Remove an object; one that is not there is as good as removed."""
        with contextlib.suppress(NotFound):
            try:
                await obstore.delete_async(self._objects, checked_name(name))
            except (BaseError, OSError) as error:
                raise _wrap(error) from error

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below a folder; how many objects that were. Durable when it returns."""
        names = list(await self.names(prefix))
        for name in names:
            await self.delete(name)
        folder = self._root / checked_name(prefix)
        # What obstore would not list: a half written file of a process that was killed, and empty folders.
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        await asyncio.to_thread(sync_folder, _nearest(folder.parent))
        return len(names)

    @contextlib.asynccontextmanager
    async def local_file(self, name: str) -> AsyncIterator[Path]:
        """An object as a file to read. Raises `NotFound`."""
        await self.head(name)
        yield (self._root / checked_name(name)).resolve()

    def _settle(self, name: str) -> None:
        sync(self._root / name)
        self._sync_folders([name])

    def _sync_folders(self, names: list[str]) -> None:
        for folder in sorted({parent for name in names for parent in Path(name).parents}, reverse=True):
            sync_folder(self._root / folder)

    def _move(self, pairs: list[tuple[Path, str]]) -> None:
        for path, name in pairs:
            target = self._root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            sync(path)
            try:
                path.replace(target)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                _copy_whole(path, target)
        self._sync_folders([name for _, name in pairs])


def _copy_whole(path: Path, target: Path) -> None:
    """Across file systems: copy beside the target, then rename, so that nobody sees half of it."""
    beside = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(path, beside)
        sync(beside)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    path.unlink()


def sync(path: Path) -> None:
    """Have a file, or a folder's entries, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """The same for a folder that may be gone."""
    # A folder may be gone because a neighbour was deleted; there is nothing left in it to keep then.
    with contextlib.suppress(FileNotFoundError):
        sync(folder)


def _nearest(folder: Path) -> Path:
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def _wrap(error: BaseException) -> NotFound | OutOfSpace | Unavailable:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFound("there is no such object")
    text = str(error)
    if getattr(error, "errno", None) in _FULL or "os error 28" in text or "os error 122" in text:
        return OutOfSpace("the server's disk is full; nothing was stored", retry_after=60)
    return Unavailable("the object store does not answer; try again", retry_after=5)
