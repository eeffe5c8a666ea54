"""Objects in a local directory, over obstore.

- An object is written beside and renamed into place.
- A file and the folders on the way to it are fsynced before a call returns. obstore's local store does not do that by
  itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from atomic_guide.durable import sync
from atomic_guide.engines.assets.names import checked_name
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.assets.store import Head, Store
from atomic_guide.errors import NotFound, OutOfSpace, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from obstore import ObjectMeta

_CHUNK = 256 * 1024
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class DirectoryStore(Store):
    """Objects below a directory."""

    def __init__(self, directory: Path, settings: AssetSettings | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        super().__init__(directory, settings or AssetSettings())
        self._root = directory
        self._objects = LocalStore(directory, automatic_cleanup=True)

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
        return head_of(meta)

    async def restore(self, name: str, parts: AsyncIterator[bytes], size: int) -> None:  # noqa: ARG002
        """Put back an object from elsewhere; nothing is changed where `parts` raises."""
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

    async def folders(self, prefix: str) -> list[str]:
        """The folders right below a folder, by their whole names."""
        self.requests.writes += 1
        try:
            found = await obstore.list_with_delimiter_async(self._objects, f"{checked_name(prefix)}/")
        except (BaseError, OSError) as error:
            raise _wrap(error) from error
        return list(found["common_prefixes"])

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

    @contextlib.asynccontextmanager
    async def local_folder(self, folder: str, names: Iterable[str] = ()) -> AsyncIterator[Path]:
        """The folder itself."""
        for name in names:
            await self.head(f"{folder}/{name}")
        yield (self._root / checked_name(folder)).resolve()

    async def sign(self, name: str) -> str | None:  # noqa: ARG002
        """None: a directory has no addresses."""
        return None

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


def head_of(meta: ObjectMeta) -> Head:
    """What a driver knows of an object, with an ETag of characters that every header takes."""
    etag = re.sub(r"[^A-Za-z0-9-]", "", meta["e_tag"] or f"{meta['last_modified'].timestamp():.6f}-{meta['size']}")
    return Head(meta["size"], f'"{etag}"', meta["last_modified"].timestamp())


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
