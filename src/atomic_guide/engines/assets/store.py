"""Objects by name: what every store of lectures promises, wherever it keeps them.

Guarantees:
- An object is seen whole or not at all.
- What has been acknowledged is durable.
- What is full is `OutOfSpace`, and leaves nothing half written; what is away is `Unavailable`.
- Names are chosen by the server: segments of ASCII letters, digits, `.`, `-` and `_`. Anything else is refused
  here, whatever a caller made of a client's text.
"""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar

import msgspec

from atomic_guide.errors import OutOfSpace, RangeUnsatisfiable, Unavailable
from atomic_guide.limit import Limit, Used

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from atomic_guide.engines.assets.settings import AssetSettings

_REMEMBERED = 4096

DISK = Limit(
    "assets",
    "disk_bytes",
    "bytes",
    "assets.least_free_bytes",
    refuses="An upload that would leave less than this free.",
    answer="507 OUT_OF_SPACE",
    use="What is taken of the disk, by whatever; of what a server may have of it, the reserve is left out.",
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


class Store(ABC):
    """The lectures of an installation. `disk` is the folder on whose disk uploads are gathered and lectures made."""

    rest_seconds: ClassVar[float] = 0.0
    """How long whoever walks over everything rests after a page of it: some stores charge for each list."""

    def __init__(self, disk: Path, settings: AssetSettings) -> None:
        self._disk = disk
        self._settings = settings
        self.requests = Requests()

    def used(self) -> Iterator[Used]:
        """The disk, but for the reserve; nothing where it does not say."""
        try:
            usage = shutil.disk_usage(self._disk)
        except OSError:
            return
        # Not `total`: what is kept for root is not there for the server, and is not taken either.
        most = max(1, usage.used + usage.free - self._settings.least_free_bytes)
        yield Used(DISK, usage.used, most=most)

    def check_space(self, wanted: int = 0) -> None:
        """Raise `OutOfSpace` unless `wanted` bytes fit on the disk and leave the reserve free.

        Raises `Unavailable` where the disk does not say.
        """
        try:
            free = shutil.disk_usage(self._disk).free
        except OSError as error:
            raise Unavailable("the object store does not answer; try again", retry_after=5) from error
        if free - wanted < self._settings.least_free_bytes:
            refusal = OutOfSpace("the server's disk is full; ask its operator to free some space", retry_after=600)
            raise DISK.over(refusal)

    def check_there(self) -> None:
        """Raise `Unavailable` where the store is known to be away, before anybody sends something for it."""
        return

    @abstractmethod
    async def put(self, name: str, content: bytes) -> None:
        """Store a small object, replacing one of that name."""

    @abstractmethod
    async def adopt(self, files: Iterable[tuple[Path, str]]) -> None:
        """Move finished local files in under their names, the last one last; all are durable when this returns.

        Raises `NotFound` where one of them is not there.
        """

    @abstractmethod
    async def head(self, name: str) -> Head:
        """What is known of an object. Raises `NotFound`."""

    @abstractmethod
    async def restore(self, name: str, parts: AsyncIterator[bytes], size: int) -> None:
        """Put back an object from elsewhere, in place of what is there; nothing is changed where `parts` raises."""

    @abstractmethod
    def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in chunks of bounded size."""

    @abstractmethod
    async def names(self, prefix: str) -> dict[str, int]:
        """Names below a prefix (a folder) with their sizes."""

    @abstractmethod
    async def folders(self, prefix: str) -> list[str]:
        """The folders right below a folder, by their whole names."""

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Remove an object; one that is not there is as good as removed."""

    @abstractmethod
    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below a folder; how many objects that were. Durable when it returns."""

    @abstractmethod
    def local_file(self, name: str) -> AbstractAsyncContextManager[Path]:
        """An object as a file to read while the block runs. Raises `NotFound`, `OutOfSpace`."""

    @abstractmethod
    def local_folder(self, folder: str, names: Iterable[str] = ()) -> AbstractAsyncContextManager[Path]:
        """Everything below a folder as files to read while the block runs.

        Raises `NotFound` where one of `names` is not among it, `OutOfSpace`.
        """

    @abstractmethod
    async def sign(self, name: str) -> str | None:
        """An address at which a browser gets an object for a while; None where it has to come through this server."""

    async def size(self, name: str) -> int:
        """The bytes of an object. Raises `NotFound`."""
        return (await self.head(name)).size

    async def read(self, name: str, limit: int = 4 * 1024 * 1024) -> bytes:
        """A small object whole. Raises `NotFound`, or `RangeUnsatisfiable` where it is over `limit` bytes."""
        head = await self.head(name)
        if head.size > limit:
            raise RangeUnsatisfiable(f"the object has {head.size} bytes, at most {limit} are read at once")
        return b"".join([chunk async for chunk in self.stream(name, 0, head.size)]) if head.size else b""
