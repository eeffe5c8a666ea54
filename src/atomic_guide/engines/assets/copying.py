"""Carrying one object from store to store, its SHA-256 verified while it passes and once more as it is read back.

The last part leaves only when everything before it and it together are what they should be: a source that was altered
is stored nowhere. What was stored is read again whole; what does not come back as it went is removed.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Protocol

import msgspec

from atomic_guide.errors import ChecksumMismatch, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from atomic_guide.engines.assets.pace import Pace
    from atomic_guide.engines.assets.remote import RemoteStore

_BLOCK = 64 * 1024
"""From how many bytes on a thread hashes them: SHA-256 of these takes 0.1 ms, about what the way to a thread costs."""


_CHANGED = "the object is not what was stored; `atomic-guide assets repair` looks for a good copy"


class Readable(Protocol):
    """A store as something to read from."""

    async def size(self, name: str) -> int:
        """The bytes of an object. Raises `NotFound`."""
        ...

    def stream(self, name: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of an object, in parts."""
        ...


class Content(msgspec.Struct, frozen=True):
    """What an object is: its SHA-256 in hexadecimal, its bytes, its media type."""

    sha256: str
    size: int
    kind: str = "application/octet-stream"


async def hashed(parts: AsyncIterator[bytes]) -> tuple[str, int]:
    """The SHA-256 of what comes, and how many bytes that was."""
    digest, size = hashlib.sha256(), 0
    async for part in parts:
        await _update(digest.update, part)
        size += len(part)
    return digest.hexdigest(), size


async def verified(source: Readable, name: str, content: Content, pace: Pace) -> AsyncIterator[bytes]:
    """The bytes of an object, of which the last come only if all are what they should be.

    Raises `ChecksumMismatch`, and what the source raises.
    """
    if await source.size(name) != content.size:
        raise ChecksumMismatch(_CHANGED)
    digest, held = hashlib.sha256(), b""
    async for part in source.stream(name, 0, content.size):
        await pace.take(len(part))
        await _update(digest.update, part)
        if held:
            yield held
        held = part
    if digest.hexdigest() != content.sha256:
        raise ChecksumMismatch(_CHANGED)
    if held:
        yield held


async def check(store: Readable, name: str, content: Content, pace: Pace) -> str:
    """Read an object whole: ok, missing, truncated or altered. Raises `Unavailable`."""
    try:
        size = await store.size(name)
        if size != content.size:
            return "truncated" if size < content.size else "altered"
        found, _ = await hashed(_paced(store.stream(name, 0, size), pace))
    except NotFound:
        return "missing"
    return "ok" if found == content.sha256 else "altered"


async def copy(source: tuple[Readable, str], target: RemoteStore, name: str, content: Content, pace: Pace) -> None:
    """Store an object and read it back. Raises `ChecksumMismatch`, `NotFound` for the source, `Unavailable`."""
    await target.put(name, verified(*source, content, pace), content.size, content.kind)
    outcome = await check(target, name, content, pace)
    if outcome != "ok":
        await target.delete([name])
        raise ChecksumMismatch(f"store {target.name} gave back what it was not given ({outcome}); it was removed there")


async def _paced(parts: AsyncIterator[bytes], pace: Pace) -> AsyncIterator[bytes]:
    async for part in parts:
        await pace.take(len(part))
        yield part


async def _update(update: Callable[[bytes], None], part: bytes) -> None:
    if len(part) < _BLOCK:
        update(part)
    else:
        await asyncio.to_thread(update, part)
