"""A declared store: objects under names that are their content, in a bucket or in a directory that is mounted here.

Guarantees:
- An object is seen whole or not at all: S3 shows it when its last part is accepted; a file is renamed into place, and
  fsynced with its folders before the call returns.
- Nothing is held whole: what is larger than a part goes and comes in parts of `PART` bytes.
- A call has a time limit, is sent again a few times, and counts for the store's breaker. While that is open every call
  is refused at once with `Unavailable`, which says when to come again.
- Errors name the store and never its address or keys.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from atomic_guide.durable import sync
from atomic_guide.engines.assets.directory import head_of, sync_folder
from atomic_guide.engines.assets.names import checked_name
from atomic_guide.engines.assets.settings import CopySettings
from atomic_guide.errors import NotFound, Unavailable
from atomic_guide.resilience import Breaker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from obstore import Attributes
    from obstore.store import S3Config

    from atomic_guide.engines.assets.settings import StoreSettings
    from atomic_guide.engines.assets.store import Head

T = TypeVar("T")

PART = 8 * 1024 * 1024
"""Bytes of a part: S3 asks for at least 5 MiB, and 10,000 of these are 80 GB."""
_PARTS_AT_ONCE = 2
_DELETED_AT_ONCE = 1000
_PASSES = 10
"""How often a folder is listed until it is empty: whoever was just writing there may leave something behind."""
"""What S3 takes in one call."""
PRIVATE = "private, no-store"
"""A lecture is nobody's to keep but the browser's that asked for it; this server's answers say how long."""


AGAIN_SECONDS = 5.0
"""When a call that failed may be tried again; a store that is left alone says its own time."""


def is_away(error: Exception) -> bool:
    """Whether a store may answer in a moment: it does not say when to come again."""
    return isinstance(error, Unavailable) and (error.retry_after or 0) <= AGAIN_SECONDS


class _NotSent(Exception):
    """What was to be stored could not be had; the store is not to blame."""


class RemoteStore:
    """One store, as one process uses it. `calls` counts by operation and outcome since the process began."""

    def __init__(self, settings: StoreSettings, copies: CopySettings | None = None) -> None:
        copies = copies or CopySettings()
        self.settings = settings
        self.name, self.region, self.zone = settings.name, settings.region, settings.zone
        self.breaker = Breaker(settings.name, failures=copies.breaker_failures, rest=copies.breaker_seconds)
        self.calls: Counter[tuple[str, str]] = Counter()
        self.written = self.read = 0
        self._rest = copies.breaker_seconds
        self._limit = copies.call_seconds * (copies.call_retries + 1) + 10
        self._root = Path(settings.directory) if settings.directory is not None else None
        self._objects = _opened(settings, copies, settings.endpoint)
        self._public = _opened(settings, copies, settings.public) if settings.public else self._objects

    async def put(self, name: str, parts: AsyncIterator[bytes], size: int, kind: str, storage: str = "") -> None:
        """Store an object of `size` bytes, in the usual storage class unless another is named.

        Where `parts` raises, nothing is stored. Raises `Unavailable`.
        """
        name = checked_name(name)
        attributes = _attributes(kind, storage) if self._root is None else None
        raised: list[BaseException] = []
        whole = size <= PART
        content: Any = b"".join([part async for part in parts]) if whole else _watched(parts, raised)

        async def call() -> None:
            try:
                await obstore.put_async(
                    self._objects,
                    name,
                    content,
                    attributes=attributes,
                    use_multipart=not whole,
                    chunk_size=PART,
                    max_concurrency=_PARTS_AT_ONCE,
                )
            except BaseException as error:
                if raised:
                    raise _NotSent from error
                raise
            if self._root is not None:
                await asyncio.to_thread(_settle, self._root, name)

        try:
            # Many parts have each their own limit; all of them together have one that a slow line can keep.
            await self._asked("put", call, self._limit * (1 + size // PART))
        except _NotSent:
            raise raised[0] from None
        self.written += size

    async def head(self, name: str) -> Head:
        """What is known of an object. Raises `NotFound`, `Unavailable`."""
        name = checked_name(name)

        async def call() -> Head:
            return head_of(await obstore.head_async(self._objects, name))

        return await self._asked("head", call)

    async def size(self, name: str) -> int:
        """The bytes of an object. Raises `NotFound`, `Unavailable`."""
        return (await self.head(name)).size

    async def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`, in parts. Raises `NotFound`, `Unavailable`."""
        name = checked_name(name)
        for offset in range(start, end, PART):
            last = min(offset + PART, end)

            async def call(offset: int = offset, last: int = last) -> bytes:
                return bytes(await obstore.get_range_async(self._objects, name, start=offset, end=last))

            part = await self._asked("get", call)
            self.read += len(part)
            yield part

    async def names(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        """Names below a folder with their bytes. Raises `Unavailable`."""
        listing = obstore.list(self._objects, f"{checked_name(prefix)}/", chunk_size=1000)

        async def call() -> Any:
            return await anext(listing, None)

        while (batch := await self._asked("list", call)) is not None:
            for meta in batch:
                yield meta["path"], meta["size"]

    async def folders(self, prefix: str) -> list[str]:
        """The folders right below a folder, by their whole names. Raises `Unavailable`."""
        prefix = checked_name(prefix)

        async def call() -> list[str]:
            found = await obstore.list_with_delimiter_async(self._objects, f"{prefix}/")
            return list(found["common_prefixes"])

        return await self._asked("list", call)

    async def delete(self, names: Sequence[str]) -> None:
        """Remove objects; those that are not there are as good as removed. Raises `Unavailable`."""
        for start in range(0, len(names), _DELETED_AT_ONCE):
            some = [checked_name(name) for name in names[start : start + _DELETED_AT_ONCE]]

            async def call(some: list[str] = some) -> None:
                try:
                    await obstore.delete_async(self._objects, some)
                except FileNotFoundError:
                    # A directory says so of the first that is gone, and leaves the others.
                    for name in some:
                        await self._delete_one(name)

            await self._asked("delete", call)

    async def delete_prefix(self, prefix: str) -> int:
        """Remove everything below a folder, and look that nothing is left; how many objects that were.

        Raises `Unavailable`, also where something is there again after each of several passes.
        """
        removed = 0
        for _ in range(_PASSES):
            names = [name async for name, _ in self.names(prefix)]
            if not names:
                break
            await self.delete(names)
            removed += len(names)
        else:
            raise Unavailable(f"store {self.name} still lists what was just removed", retry_after=AGAIN_SECONDS)
        if self._root is not None:
            await asyncio.to_thread(sync_folder, self._root)
        return removed

    async def sign(self, name: str, seconds: float) -> str | None:
        """An address at which a browser gets the object for so long; None for a directory, which has none."""
        if self._root is not None or not isinstance(self._public, S3Store):
            return None
        return await obstore.sign_async(self._public, "GET", checked_name(name), timedelta(seconds=seconds))

    def check_there(self) -> None:
        """Raise `Unavailable` while the store is left alone."""
        if not self.breaker.allows():
            raise Unavailable(
                f"store {self.name} has not answered and is left alone for now",
                retry_after=max(self._rest, 2 * AGAIN_SECONDS),
            )

    async def _delete_one(self, name: str) -> None:
        try:
            await obstore.delete_async(self._objects, name)
        except FileNotFoundError:
            return

    async def _asked(self, what: str, call: Callable[[], Awaitable[T]], limit: float | None = None) -> T:
        """Make a call and count it; what an iterator of ours raises while it is sent passes as it is."""
        try:
            self.check_there()
        except Unavailable:
            self.calls[what, "refused"] += 1
            raise
        try:
            async with asyncio.timeout(limit or self._limit):
                answer = await call()
        except FileNotFoundError as error:
            self._answered(what, "missing")
            raise NotFound(f"store {self.name} has no such object") from error
        except (BaseError, OSError, TimeoutError) as error:
            self.breaker.failed()
            self.calls[what, "failed"] += 1
            raise Unavailable(
                f"store {self.name} does not answer ({_reason(error)})", retry_after=AGAIN_SECONDS
            ) from error
        self._answered(what, "ok")
        return answer

    def _answered(self, what: str, outcome: str) -> None:
        self.breaker.succeeded()
        self.calls[what, outcome] += 1


def _attributes(kind: str, storage: str) -> Attributes:
    given: Attributes = {"Content-Type": kind, "Cache-Control": PRIVATE}
    return {**given, "Storage-Class": storage} if storage else given


async def _watched(parts: AsyncIterator[bytes], raised: list[BaseException]) -> AsyncIterator[bytes]:
    """The parts, with what they raise kept: a driver makes it an error of its own."""
    try:
        async for part in parts:
            yield part
    except BaseException as error:
        raised.append(error)
        raise


def _opened(settings: StoreSettings, copies: CopySettings, endpoint: str | None) -> LocalStore | S3Store:
    if settings.directory is not None:
        root = Path(settings.directory)
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return LocalStore(root, automatic_cleanup=True)
    given: S3Config = {}
    if settings.access_key and settings.secret_key:
        given |= {"access_key_id": settings.access_key, "secret_access_key": settings.secret_key}
    if endpoint:
        given["endpoint"] = endpoint
    return S3Store(
        settings.bucket,
        region=settings.signing_region,
        client_options={
            "allow_http": bool(endpoint and endpoint.startswith("http://")),
            "timeout": timedelta(seconds=copies.call_seconds),
            "connect_timeout": timedelta(seconds=min(5.0, copies.call_seconds)),
        },
        retry_config={
            "max_retries": copies.call_retries,
            "retry_timeout": timedelta(seconds=copies.call_seconds * (copies.call_retries + 1)),
            "backoff": {"init_backoff": timedelta(milliseconds=50), "max_backoff": timedelta(seconds=2), "base": 2},
        },
        config=given,
    )


def _settle(root: Path, name: str) -> None:
    sync(root / name)
    for folder in (root / name).relative_to(root).parents:
        sync_folder(root / folder)


def _reason(error: BaseException) -> str:
    """What may be told of a driver's error, whose text repeats addresses."""
    if isinstance(error, TimeoutError):
        return "too slow"
    for status in ("403", "401", "404", "500", "503"):
        if f"status code: {status}" in str(error):
            return f"answered {status}"
    return type(error).__name__
