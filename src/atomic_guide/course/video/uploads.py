"""Receiving a video, in one piece or resumably: into a spool file, then the store, then the queue.

Guarantees:
- An acknowledged byte is on disk: the spool is fsynced before its count is committed. What a crash leaves beyond
  the committed count is cut off. With a bucket as the main store it is there (`incoming`), and the spool's file goes
  with the request.
- A video's row and its job are written in one transaction, after its bytes are in the store. Until then the row of
  the upload stands for it and holds its space, so that nothing is lost or left over whenever a process dies:
  `tend` completes what was whole, and removes what expired.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec
import structlog

from atomic_guide.course.video.containers import HEAD_BYTES
from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.incoming import Incoming, size_of
from atomic_guide.course.video.limits import COURSE_BYTES, UNFINISHED_UPLOADS, UPLOAD_BYTES
from atomic_guide.course.video.space.sweep import Sweep
from atomic_guide.course.video.spool import Checksum, Spool, cut, locked, make
from atomic_guide.course.video.upload import Upload, checked_title, shown_filename
from atomic_guide.course.video.videos import QUERIES, QUEUE, Step, publish_transcode, to_text
from atomic_guide.engines.assets.bucket import BucketStore
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import (
    ChecksumMismatch,
    Conflict,
    Gone,
    GuideError,
    NotFound,
    OutOfSpace,
    TooLarge,
    UnsupportedMedia,
)

if TYPE_CHECKING:
    from atomic_guide.course.video.announce import Announce
    from atomic_guide.course.video.videos import Parts
    from atomic_guide.engines.data.database import Transaction

_log = structlog.get_logger(__name__)

_EXPIRED = "the upload stood still for too long and was dropped; begin it again"
_REMEMBERED_SECONDS = 7 * 86400.0
"""How long an expired upload's address answers 410 instead of 404: a browser left open over a week-end asks again."""
_CHECKPOINT = 64 * 1024 * 1024
"""Bytes of one long PATCH after which its count is committed; a crash costs at most these."""

_STEP = 8 * 1024 * 1024
"""Bytes that are set aside at once for an upload of undeclared length: about a second of a good line."""


class Receiving:
    """An upload in one piece, while its bytes arrive."""

    def __init__(self, uploads: Uploads, key: CourseKey, upload: Upload, spool: Spool) -> None:
        self._uploads = uploads
        self._key = key
        self._upload = upload
        self._spool = spool
        self._reserved = upload.length

    async def write(self, chunk: bytes) -> None:
        """Add bytes, and set more space aside where they are more than was. Raises as the spool, and `OutOfSpace`."""
        needed = self._spool.size + len(chunk)
        if self._reserved < needed <= self._uploads.largest:
            self._reserved = await self._uploads.grow(self._key, self._upload.id, needed)
        await self._spool.write(chunk)

    async def complete(self, title: str, filename: str) -> str:
        """Make it a video; its id. Raises `Invalid` for the title, `UnsupportedMedia`, `OutOfSpace`."""
        name = shown_filename(filename)
        title = checked_title(title or Path(name).stem)
        size = await self._spool.settle()
        self._spool.finish()
        whole = msgspec.structs.replace(self._upload, title=title, filename=name, length=size, received=size)
        await self._uploads.finish(self._key, whole)
        return self._upload.id


class Uploads:
    """The uploads of an installation; `folder` is the spool."""

    def __init__(self, parts: Parts, folder: Path, announce: Announce) -> None:
        self._parts = parts
        self._folder = folder
        self._announce = announce
        self._account = parts.account
        self.largest = parts.settings.max_bytes
        self.sweep = Sweep(parts.shards, parts.store, parts.settings, parts.clock, parts.spread)
        self._incoming = Incoming(parts.store) if isinstance(parts.store, BucketStore) else None
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def create(
        self, key: CourseKey, user: str, length: int, title: str = "", filename: str = "", named: str | None = None
    ) -> Upload:
        """Begin an upload of `length` bytes, with a new id unless it is `named`.

        Raises `TooLarge`, `OutOfSpace`, `Conflict`, `UnsupportedMedia`, `Unavailable` while the store is away.
        """
        settings = self._parts.settings
        if length <= 0:
            raise UnsupportedMedia("this is an empty file")
        UPLOAD_BYTES.note(length)
        if length > settings.max_bytes:
            raise UPLOAD_BYTES.over(TooLarge(f"the file has {length} bytes, at most {settings.max_bytes} are taken"))
        self._parts.store.check_space(length)
        self._parts.store.check_there()
        now = self._parts.clock.now()
        expires_at = now + settings.unfinished_seconds
        name = named or f"v{secrets.token_hex(8)}"
        upload = Upload(name, user, title, shown_filename(filename), length, 0, now, expires_at)

        async def work(tx: Transaction) -> None:
            row = await tx.one(QUERIES["count_uploads"], key.columns)
            if row and row["open"] >= settings.unfinished_uploads:
                refusal = Conflict(f"{row['open']} uploads of this course are unfinished; finish or cancel one")
                raise UNFINISHED_UPLOADS.over(refusal)
            await self._check_quota(tx, key, length)
            await tx.execute(QUERIES["add_upload"], {**key.columns, **msgspec.structs.asdict(upload)})

        if await self._account.standing(key.tenant) is None:
            await self.sweep.count(key.tenant)
        await self._account.reserve(key, upload.id, length)
        try:
            if self._incoming is None:
                await asyncio.to_thread(make, self._folder / upload.id)
            await self._parts.shards.of(key).write(work)
        except BaseException:
            (self._folder / upload.id).unlink(missing_ok=True)
            # Should this fail too, the sweep gives the space back.
            with contextlib.suppress(GuideError):
                await self._account.let_go(key, upload.id)
            raise
        return upload

    async def find(self, key: CourseKey, upload: str) -> Upload:
        """An upload of the course, a finished one included. Raises `NotFound`."""
        row = await self._parts.shards.of(key).one(QUERIES["find_upload"], {**key.columns, "id": upload})
        if row is None:
            row = await self._parts.shards.of(key).one(QUERIES["find_video"], {**key.columns, "id": upload})
            if row is None:
                raise NotFound("there is no such upload; it was cancelled, or ended long ago")
            size, created_at = int(row["size"]), float(row["created_at"])
            who = (row["id"], row["uploader"], row["title"], row["filename"])
            return Upload(*who, size, size, created_at, created_at, finished=True)
        found = Upload.of(row)
        if row["dropped_at"] is not None or self._has_expired(found):
            raise Gone(_EXPIRED)
        if found.received == found.length:
            # All is here, but the process ended before it was made a video: whoever asks brings it to its end.
            await self.finish(key, found)
            return msgspec.structs.replace(found, finished=True)
        return found

    async def append(
        self,
        key: CourseKey,
        upload: str,
        offset: int,
        chunks: AsyncIterator[bytes],
        checksum: Checksum | None = None,
    ) -> Upload:
        """Add bytes at `offset`; the last ones make it a video.

        What arrived before a failure is kept; with a `checksum` all of these bytes are, or none.
        Raises `Conflict` for another offset or a second writer, `TooLarge` beyond the length, `OutOfSpace`,
        `ChecksumMismatch`, `Gone` where it expired, and `UnsupportedMedia` as soon as the beginning shows that it is
        no media; the upload is dropped then.
        """
        found = await self.find(key, upload)
        if found.finished:
            _check_offset(found, offset)
            return found
        async with self._held(upload) as file:
            # Read again: only what is read under the lock stays true.
            found = await self.find(key, upload)
            _check_offset(found, offset)
            await self._begin(key, found, file)
            cut(file, offset)
            spool = Spool(file, offset, found.length, self._parts.store.check_space, checksum)
            try:
                if checksum is None:
                    await self._gather(key, found, spool, chunks)
                else:
                    await self._gather_checked(key, found, spool, chunks)
                if spool.size == found.length:
                    spool.finish()
            except UnsupportedMedia:
                await self.drop(key, upload)
                raise
            except ChecksumMismatch:
                cut(file, offset)
                raise
        # Counted just now, and with that its life began anew.
        expires_at = self._parts.clock.now() + self._parts.settings.unfinished_seconds
        if spool.size == found.length and self._incoming is not None:
            # Whoever looks for it finds that it is whole.
            return await self.find(key, upload)
        found = msgspec.structs.replace(found, received=spool.size, expires_at=expires_at)
        if found.received == found.length:
            await self.finish(key, found)
        return found

    @contextlib.asynccontextmanager
    async def receive(
        self, key: CourseKey, user: str, length: int | None, named: str | None = None
    ) -> AsyncIterator[Receiving]:
        """Receive a file in one piece; `length` is the size of the request where it is declared.

        Whatever arrived is removed where the block ends with an error.
        """
        limit = self._parts.settings.max_bytes
        upload = await self.create(key, user, min(length or 1, limit), named=named)
        try:
            async with self._held(upload.id) as file:
                spool = Spool(file, 0, limit, self._parts.store.check_space)
                yield Receiving(self, key, upload, spool)
        except BaseException:
            # Should this fail too, `tend` removes it when its time has come.
            with contextlib.suppress(GuideError):
                await self.drop(key, upload.id)
            raise

    async def grow(self, key: CourseKey, upload: str, needed: int) -> int:
        """Set more space aside for an upload of undeclared length; how much it has then. Raises `OutOfSpace`."""
        try:
            await self._account.resize(key, upload, needed + _STEP, checked=True)
        except OutOfSpace:
            # The last bytes of a tenant's space are as good as the others.
            await self._account.resize(key, upload, needed, checked=True)
            return needed
        return needed + _STEP

    async def finish(self, key: CourseKey, upload: Upload) -> None:
        """Make a whole upload a video: bytes into the store, then its row and its job. Safe to repeat."""
        parts = self._parts
        prefix = prefix_of(key, upload.id)
        if self._incoming is not None and upload.parts:
            await self._incoming.join(prefix, upload.parts, f"{prefix}/source", upload.length)
        else:
            # Two may come here at once, and one of them may have moved the bytes already.
            with contextlib.suppress(NotFound):
                await parts.store.adopt([(self._folder / upload.id, f"{prefix}/source")])
        await parts.store.head(f"{prefix}/source")
        await self._account.resize(key, upload.id, upload.length)
        video: dict[str, Any] = {
            "id": upload.id,
            "title": upload.title,
            "filename": upload.filename,
            "uploader": upload.user,
            "size": upload.length,
            "steps": to_text([Step("received", "done"), Step("checked", "waiting"), Step("poster", "waiting")]),
            "poster": False,
            "created_at": parts.clock.now(),
        }

        async def work(tx: Transaction) -> bool:
            if not await tx.execute(QUERIES["drop_upload"], {**key.columns, "id": upload.id}):
                return False
            await self._check_quota(tx, key, upload.length)
            await tx.execute(QUERIES["add_video"], {**key.columns, **video})
            await publish_transcode(parts.queues, tx, key, upload.id, parts.clock.now())
            return True

        if await parts.shards.of(key).write(work):
            parts.queues.wake(QUEUE)
            told = {"id": upload.id, "status": "queued", "progress": 0.0}
            await self._announce(key, "video", told, user=upload.user)
        elif await parts.shards.of(key).one(QUERIES["find_video"], {**key.columns, "id": upload.id}) is None:
            # Cancelled while its bytes were moved: whoever did it looked for them too early.
            await self._account.let_go(key, upload.id)

    async def drop(self, key: CourseKey, upload: str) -> None:
        """Cancel an upload and free its space; a finished one is a video and stays. Raises `NotFound`."""
        prefix_of(key, upload)

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES["drop_upload"], {**key.columns, "id": upload})

        if not await self._parts.shards.of(key).write(work):
            row = await self._parts.shards.of(key).one(QUERIES["find_upload"], {**key.columns, "id": upload})
            raise Gone(_EXPIRED) if row else NotFound("there is no such upload; it was finished or cancelled")
        (self._folder / upload).unlink(missing_ok=True)
        await self._account.let_go(key, upload)

    async def _expire(self, key: CourseKey, upload: str, now: float) -> None:
        """Free the space of an upload that stood still; for some days its address says that it is gone."""

        async def work(tx: Transaction) -> int:
            until = now + _REMEMBERED_SECONDS
            return await tx.execute(QUERIES["expire_upload"], {**key.columns, "id": upload, "now": now, "until": until})

        if await self._parts.shards.of(key).write(work):
            (self._folder / upload).unlink(missing_ok=True)
            await self._account.let_go(key, upload)

    async def _forget(self, key: CourseKey, upload: str) -> None:
        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES["forget_upload"], {**key.columns, "id": upload})

        await self._parts.shards.of(key).write(work)

    async def tend(self) -> None:
        """Complete what was whole when its process ended, remove what expired; for a root task, every minute."""
        now = self._parts.clock.now()
        for shard in self._parts.shards.all():
            for row in await shard.read(QUERIES["list_idle_uploads"], {"now": now}):
                key = CourseKey(row["tenant"], row["course"], row["bucket"])
                upload = Upload.of(row)
                try:
                    if row["dropped_at"] is not None:
                        await self._forget(key, upload.id)
                    elif upload.received == upload.length:
                        await self.finish(key, upload)
                    else:
                        await self._expire(key, upload.id, now)
                except GuideError as error:
                    _log.warning("an upload could not be tended", upload=upload.id, code=error.code)

    async def clear(self) -> None:
        """Remove what a crash left: uploads in one piece, and spool files that no upload stands for.

        Only while no process receives uploads.
        """
        for shard in self._parts.shards.all():
            for row in await shard.scan(QUERIES["list_unresumable"]):
                await self.drop(CourseKey(row["tenant"], row["course"], row["bucket"]), row["id"])
        known = {row["id"] for shard in self._parts.shards.all() for row in await shard.scan(QUERIES["upload_ids"])}
        for path in await asyncio.to_thread(lambda: list(self._folder.iterdir())):
            if path.name not in known:
                path.unlink(missing_ok=True)

    async def _gather(self, key: CourseKey, upload: Upload, spool: Spool, chunks: AsyncIterator[bytes]) -> None:
        try:
            async for chunk in chunks:
                await spool.write(chunk)
                if spool.size - upload.received >= _CHECKPOINT:
                    upload = await self._note(key, upload, spool)
        finally:
            await self._note(key, upload, spool)

    async def _gather_checked(self, key: CourseKey, upload: Upload, spool: Spool, chunks: AsyncIterator[bytes]) -> None:
        """Count the bytes only once their checksum was right: what is not counted is cut off by the next request."""
        async for chunk in chunks:
            await spool.write(chunk)
        await spool.verify()
        await self._note(key, upload, spool)

    def _has_expired(self, upload: Upload) -> bool:
        return upload.received < upload.length and upload.expires_at <= self._parts.clock.now()

    async def _note(self, key: CourseKey, upload: Upload, spool: Spool) -> Upload:
        """Count what has arrived since `upload` was read; the upload as it is now."""
        before, received = upload.received, await spool.settle()
        expires_at = self._parts.clock.now() + self._parts.settings.unfinished_seconds
        prefix, part = prefix_of(key, upload.id), None
        if self._incoming is not None and received > before:
            part = await self._incoming.keep(prefix, upload.parts, spool, before, received - before)
        text = f"{part.text} " if part is not None else ""
        count = {"id": upload.id, "received": received, "before": before, "expires_at": expires_at, "part": text}

        async def work(tx: Transaction) -> int:
            return await tx.execute(QUERIES["note_received"], {**key.columns, **count})

        if not await self._parts.shards.of(key).write(work) and self._incoming is not None and part is not None:
            await self._incoming.drop(prefix, part)
            raise Conflict("the upload was written to by another request, or has ended", retry_after=1)
        return msgspec.structs.replace(upload, received=received, parts=upload.parts + text)

    @contextlib.asynccontextmanager
    async def _held(self, upload: str) -> AsyncIterator[BinaryIO]:
        """The spool file of an upload, held by nobody else of this machine."""
        path = self._folder / upload
        if self._incoming is None:
            with locked(path) as file:
                yield file
            return
        await asyncio.to_thread(path.touch, 0o600)
        with locked(path) as file:
            try:
                yield file
            finally:
                path.unlink(missing_ok=True)

    async def _begin(self, key: CourseKey, upload: Upload, file: BinaryIO) -> None:
        """Have the first bytes in a spool file that was made just now, by which it is seen whether it is media.

        Raises `Gone` where the bucket does not have what was received.
        """
        if self._incoming is None:
            return
        if size_of(upload.parts) != upload.received:
            await self.drop(key, upload.id)
            raise Gone("lectures are kept elsewhere since the upload was begun; begin it again")
        if upload.received >= HEAD_BYTES:
            return
        head = b"".join([block async for block in self._incoming.read(prefix_of(key, upload.id), upload.parts)])
        await asyncio.to_thread(os.pwrite, file.fileno(), head, 0)

    async def _check_quota(self, tx: Transaction, key: CourseKey, length: int) -> None:
        row = await tx.one(QUERIES["course_space"], key.columns)
        limit = self._parts.settings.course_bytes
        if row and row["used"] + length > limit:
            message = f"this course may keep {limit} bytes of videos and has {row['used']}; delete a video first"
            raise COURSE_BYTES.over(OutOfSpace(message, details={"used": int(row["used"]), "limit": limit}))


def _check_offset(upload: Upload, offset: int) -> None:
    if offset != upload.received:
        raise Conflict(f"the upload stands at {upload.received}, not at {offset}", details={"offset": upload.received})
