"""Parts of unfinished uploads in a bucket, so that any process on any machine may take the next one.

What a request has brought is stored as an object before its count is committed, and the upload's row names exactly the
objects that count: of two requests that write at the same place one commits, and what the other has stored is garbage
that goes with the folder. They are joined when all are there.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple, Self

from atomic_guide.course.video.limits import UPLOAD_PIECES
from atomic_guide.engines.assets.remote import is_away
from atomic_guide.errors import Invalid, NotFound
from atomic_guide.resilience import retrying

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.course.video.spool import Spool
    from atomic_guide.engines.assets.store import Store

_FOLDER = "incoming"
_SECONDS = 10.0


class Part(NamedTuple):
    """An object that holds `size` bytes from `start` on."""

    start: int
    size: int
    token: str

    @classmethod
    def read(cls, text: str) -> Self:
        """One as a row names it."""
        start, size, token = text.split("-")
        return cls(int(start), int(size), token)

    @property
    def text(self) -> str:
        """How a row names it."""
        return f"{self.start}-{self.size}-{self.token}"


def size_of(known: str) -> int:
    """The bytes of all parts that a row names."""
    return sum(Part.read(text).size for text in known.split())


class Incoming:
    """The parts of the uploads of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, prefix: str, known: str, spool: Spool, start: int, size: int) -> Part:
        """Store what a spool has from `start` on beside the `known` parts. Raises `Invalid` for too many."""
        pieces, most = len(known.split()) + 1, int(UPLOAD_PIECES.fixed or 0)
        UPLOAD_PIECES.note(pieces)
        if pieces > most:
            refusal = Invalid(f"an upload takes at most {most:,} pieces; begin it again, and send larger ones")
            raise UPLOAD_PIECES.over(refusal)
        part = Part(start, size, secrets.token_hex(6))
        async for attempt in retrying(is_away, seconds=_SECONDS):
            with attempt:
                await self._store.restore(_name(prefix, part), spool.read(start, size), size)
        return part

    async def drop(self, prefix: str, part: Part) -> None:
        """Remove a part that nothing names."""
        await self._store.delete(_name(prefix, part))

    async def read(self, prefix: str, known: str) -> AsyncIterator[bytes]:
        """The bytes of all parts, one after the other."""
        for part in map(Part.read, known.split()):
            async for block in self._store.stream(_name(prefix, part), 0, part.size):
                yield block

    async def join(self, prefix: str, known: str, target: str, size: int) -> None:
        """Make one object of all parts, and let them go. Safe to repeat, and for two at once."""
        if not await self._is_whole(target, size):
            try:
                async for attempt in retrying(is_away, seconds=_SECONDS):
                    with attempt:
                        await self._store.restore(target, self.read(prefix, known), size)
            except NotFound:
                # Another has joined them meanwhile, and let them go.
                if not await self._is_whole(target, size):
                    raise
        await self._store.delete_prefix(f"{prefix}/{_FOLDER}")

    async def _is_whole(self, target: str, size: int) -> bool:
        try:
            return await self._store.size(target) == size
        except NotFound:
            return False


def _name(prefix: str, part: Part) -> str:
    return f"{prefix}/{_FOLDER}/{part.text}"
