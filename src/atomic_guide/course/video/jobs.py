"""What workers do with videos: make them playable, and sweep up after a removed one."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from atomic_guide.course.notifications.notice import video_failed
from atomic_guide.course.video import reasons
from atomic_guide.course.video.copies import COPY, Copy
from atomic_guide.course.video.folders import media_prefix
from atomic_guide.course.video.making import Maker, measure_shown, note_shown, replaced
from atomic_guide.course.video.progressing import Progressing
from atomic_guide.course.video.transcode import Transcoder
from atomic_guide.course.video.videos import (
    ERASE,
    QUERIES,
    TRANSCODE,
    Parts,
    announcement,
    read_video,
    to_text,
)
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.engines.queues.lease import LeaseLost
from atomic_guide.errors import NotFound, RetryLater

if TYPE_CHECKING:
    from atomic_guide.course.notifications.notice import Notice
    from atomic_guide.course.video.announce import Announce
    from atomic_guide.course.video.videos import Video
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.queues.calling_off import CalledOff
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.jobs import Job
    from atomic_guide.engines.queues.lease import Lease


def handlers(parts: Parts, announce: Announce, folder: Path, memory_mb: int) -> dict[str, Handler]:
    """What runs the jobs of the media queue; `folder` is where ffmpeg works, within so much memory."""
    return {
        TRANSCODE: Transcode(parts, announce, folder, memory_mb),
        ERASE: Erase(parts),
        COPY: Copy(parts, announce),
    }


async def called_off(tx: Transaction, key: CourseKey, video: str) -> None:
    """Show on a video that an operator has called its processing off, in the transaction that does so."""
    row = await tx.one(QUERIES["find_video"], {**key.columns, "id": video})
    if row is not None:
        await _fail(tx, key, read_video(row), reasons.CANCELLED)


CALLED_OFF: dict[str, CalledOff] = {TRANSCODE: called_off}
"""What is told to the subject of a job that is called off, by the job's kind."""


def clear(folder: Path) -> None:
    """Remove what killed workers left in the working folder; only while no worker runs."""
    shutil.rmtree(folder, ignore_errors=True)


class Transcode:
    """Makes a received video playable."""

    def __init__(self, parts: Parts, announce: Announce, folder: Path, memory_mb: int) -> None:
        self._parts = parts
        self._announce = announce
        self._folder = folder
        self._maker = Maker(parts, Transcoder(parts.settings, memory_mb))

    async def run(self, lease: Lease) -> None:
        """Run what is missing of the steps."""
        job = lease.job
        row = await self._parts.shards.of(job.key).one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is None:
            return
        video = Progressing(self._parts, self._announce, lease, read_video(row))
        folder = self._folder / f"{job.id}-{job.token}"
        folder.mkdir(parents=True, mode=0o700)
        try:
            if video.video.remaking is not None:
                await self._remake(video, folder)
            elif video.video.status != "ready":
                await self._maker.make(video, folder)
                await video.change(status="ready", progress=1.0, ready_at=self._parts.clock.now())
            # Last: a worker that takes over before the video is ready needs it.
            await self._drop_source(video, folder)
            await measure_shown(self._parts, video)
            await note_shown(self._parts, video)
        except (LeaseLost, asyncio.CancelledError):
            # Who finds out later that the lease is lost must not break off what is told of it now.
            lease.finishing = True
            with contextlib.suppress(NotFound):
                # Anew: who called it off did so after the claim, and a replica may not know of it yet.
                async with lease.session():
                    await self._settle(job, video.video.origin)
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _remake(self, video: Progressing, folder: Path) -> None:
        """Make a second set of qualities, and put it in place of the first once it has been read back."""
        await self._maker.make(video, folder)
        remaking = video.video.remaking
        if remaking is None:
            return
        if broken := await self._maker.broken(video, folder):
            left = [one for one in remaking.renditions if one.name not in broken]
            await video.change(remaking=msgspec.structs.replace(remaking, renditions=left))
            raise RetryLater(reasons.UNREADABLE)
        done = replaced(video.video, remaking)
        fields = {name: getattr(done, name) for name in ("renditions", "preview", "derived", "remaking")}
        await video.change(**fields, progress=1.0, ready_at=self._parts.clock.now())
        # For everybody who sees it: the pictures along the seek bar have other addresses now.
        await self._announce(video.key, "video", announcement(video.video))

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """Show the failure on the video, in the transaction that makes the job a dead letter."""
        row = await tx.one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is None:
            return
        shown = reasons.for_people(reason)
        await _fail(tx, job.key, read_video(row), shown)
        await self._parts.posts.add(tx, job.key, _failed(read_video(row), job, shown))

    async def buried(self, job: Job, reason: str) -> None:
        """Tell the uploader."""
        row = await self._parts.shards.of(job.key).one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is not None:
            video = read_video(row)
            await self._announce(job.key, "video", announcement(video), user=video.uploader)
            await self._parts.posts.tell_stored(job.key, _failed(video, job, reason))
            await self._parts.account.measure(job.key, job.subject)

    async def _settle(self, job: Job, origin: str) -> None:
        """After the lease was lost: tell of a video that an operator called off, tidy up after a deleted one."""
        row = await self._parts.shards.of(job.key).one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is None:
            # Something may have been moved into the store while it was deleted.
            await self._parts.account.let_go(job.key, job.subject, origin)
        elif row["reason"] == reasons.CANCELLED:
            video = read_video(row)
            await self._announce(job.key, "video", announcement(video), user=video.uploader)

    async def _drop_source(self, video: Progressing, folder: Path) -> None:
        """Let the source go, if it need not be kept, once every rendition was read back from the store.

        Renditions that were not are forgotten, so that the next attempt makes them again. Raises `RetryLater` then.
        """
        if self._parts.settings.keep_source:
            return
        source = f"{media_prefix(video.key, video.video.id, video.video.origin)}/source"
        try:
            await self._parts.store.head(source)
        except NotFound:
            return
        if broken := await self._maker.broken(video, folder):
            left = [one for one in video.video.renditions if one.name not in broken]
            await video.change(status="playable" if left else "processing", renditions=left)
            raise RetryLater(reasons.UNREADABLE)
        await self._parts.store.delete(source)


class Erase(Unmourned):
    """Removes what an encoder wrote while its video was being deleted.

    Of a dead letter: nothing stands for it any more.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Remove the objects again; there are none as a rule."""
        payload = lease.job.payload
        # Jobs from before lectures could share files name no origin.
        await self._parts.account.let_go(lease.job.key, str(payload["video"]), str(payload.get("origin", "")))


async def _fail(tx: Transaction, key: CourseKey, video: Video, reason: str) -> None:
    """Write a failure down; a video that already plays keeps playing."""
    steps = [msgspec.structs.replace(one, state="failed") if one.state == "running" else one for one in video.steps]
    await tx.execute(QUERIES["fail_video"], {**key.columns, "id": video.id, "reason": reason, "steps": to_text(steps)})


def _failed(video: Video, job: Job, reason: str) -> list[Notice]:
    # A replayed job keeps its id; its token counts the attempts of all its lives.
    return video_failed(video.id, video.title, video.uploader, f"{job.id} {job.token}", reason)
