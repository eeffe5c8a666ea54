"""A file that an upload is gathered in, until it is whole.

Memory stays flat whatever the size: one buffer for each upload. One writer at a time, over all processes of the
machine, by a lock on the file itself, which the kernel lets go when its holder dies.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from atomic_guide.course.video.containers import HEAD_BYTES, container_of, describe
from atomic_guide.course.video.limits import UPLOAD_BYTES
from atomic_guide.errors import (
    ChecksumMismatch,
    Conflict,
    Invalid,
    NotFound,
    OutOfSpace,
    TooLarge,
    UnsupportedMedia,
)

_BUFFER = 1024 * 1024
"""Bytes gathered before a write: large enough that the hop to a thread (about 50 us) does not show."""
CHECKSUMS = ("sha1", "sha256", "md5")
"""Digests that a sender may choose from; tus demands the first. They find damage on the way, and prove nothing."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Checksum:
    """A digest that a sender announced, as `Upload-Checksum: sha1 BASE64`. Raises `Invalid` for any other text."""

    def __init__(self, text: str) -> None:
        name, _, value = text.strip().partition(" ")
        if name not in CHECKSUMS:
            raise Invalid(f"a checksum is one of {', '.join(CHECKSUMS)}", details={"header": "Upload-Checksum"})
        try:
            self._expected = base64.b64decode(value.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise Invalid("the checksum is not base64", details={"header": "Upload-Checksum"}) from error
        self._name = name
        self._found = hashlib.new(name, usedforsecurity=False)

    def add(self, chunk: bytes) -> None:
        """Reckon the next bytes in."""
        self._found.update(chunk)

    def check(self) -> None:
        """Raise `ChecksumMismatch` unless the bytes were those that were sent."""
        if not hmac.compare_digest(self._found.digest(), self._expected):
            raise ChecksumMismatch(f"the bytes have another {self._name} than was announced; send them again")


class Spool:
    """Writes on from `start`, at most up to `limit` bytes in all, as long as `check_space` raises nothing.

    With a `checksum`, what the file seems to be is judged only once the bytes are known to be right.
    """

    def __init__(
        self,
        file: BinaryIO,
        start: int,
        limit: int,
        check_space: Callable[[], None],
        checksum: Checksum | None = None,
    ) -> None:
        self._file = file
        self._checksum = checksum
        self._limit = limit
        self._check_space = check_space
        self._buffer: list[bytes] = []
        self._waiting = 0
        self._written = start
        self._judged = start >= HEAD_BYTES

    @property
    def size(self) -> int:
        """Bytes that the file has, those in the buffer included."""
        return self._written + self._waiting

    async def write(self, chunk: bytes) -> None:
        """Add bytes. Raises `TooLarge`, `OutOfSpace`, or `UnsupportedMedia` once the beginning shows no media."""
        if self.size + len(chunk) > self._limit:
            raise UPLOAD_BYTES.over(TooLarge(f"the file is over its {self._limit} bytes"))
        if self._waiting + len(chunk) >= _BUFFER:
            # Not at the beginning only: other uploads were admitted to the same free space.
            self._check_space()
        if self._checksum is not None:
            self._checksum.add(chunk)
        self._buffer.append(chunk)
        self._waiting += len(chunk)
        if self._waiting >= _BUFFER or (not self._judged and self._checksum is None and self.size >= HEAD_BYTES):
            await self._flush()
            if self._checksum is None:
                self._judge(whole=False)

    async def verify(self) -> None:
        """Compare with the announced checksum, where there is one. Raises `ChecksumMismatch`, `UnsupportedMedia`."""
        if self._checksum is not None:
            await self._flush()
            self._checksum.check()
            self._judge(whole=False)

    async def settle(self) -> int:
        """Put everything on disk; how many bytes that are. Raises `OutOfSpace`."""
        await self._flush()
        await self._in_thread(lambda: os.fsync(self._file.fileno()))
        return self._written

    async def read(self, start: int, size: int) -> AsyncIterator[bytes]:
        """Bytes of the file that are on disk."""
        descriptor, end = self._file.fileno(), start + size
        for offset in range(start, end, _BUFFER):
            yield await asyncio.to_thread(os.pread, descriptor, min(_BUFFER, end - offset), offset)

    def finish(self) -> None:
        """Judge a file that ends here. Raises `UnsupportedMedia`."""
        self._judge(whole=True)

    def _judge(self, *, whole: bool) -> None:
        if self._judged or (self.size < HEAD_BYTES and not whole):
            return
        head = os.pread(self._file.fileno(), HEAD_BYTES, 0)
        if container_of(head) is None:
            raise UnsupportedMedia(describe(head))
        self._judged = True

    async def _flush(self) -> None:
        if self._buffer:
            parts, self._buffer, self._waiting = self._buffer, [], 0
            try:
                await self._in_thread(lambda: _write_all(self._file, parts))
            finally:
                # A write that failed half way has stored its first half, and that is what counts from now on.
                self._written = self._file.tell()

    async def _in_thread(self, act: Callable[[], None]) -> None:
        try:
            await asyncio.to_thread(act)
        except OSError as error:
            if error.errno in _FULL:
                raise OutOfSpace("the server's disk is full; nothing of this was stored", retry_after=60) from error
            raise


@contextlib.contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """A spool file, held by nobody else. Raises `Conflict` where somebody is writing, `NotFound` where it is gone."""
    try:
        file = path.open("r+b", buffering=0)
    except FileNotFoundError as error:
        raise NotFound("there is no such upload") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Conflict("the upload is being written to by another request", retry_after=1) from error
        yield file


def make(path: Path) -> None:
    """An empty spool file that is there after a power cut."""
    path.touch(0o600)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cut(file: BinaryIO, length: int) -> None:
    """Continue at `length`: what lies beyond it was never acknowledged."""
    file.truncate(length)
    file.seek(length)


def _write_all(file: BinaryIO, parts: list[bytes]) -> None:
    # An unbuffered file may write less than it is given, at a full disk for one.
    view = memoryview(b"".join(parts))
    while view:
        view = view[file.write(view) :]
