"""What workers do with videos: make them playable, and sweep up after a removed one.

A video is processed in steps, each of which ends with a row written through the lease. A worker that takes the job
over finds by that row which renditions are complete, and makes only the others. The lowest comes first: then the
video is `playable`, and `ready` after the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.course.notifications.notice import video_failed, video_ready
from atomic_guide.course.video.ladder import Rung, ladder
from atomic_guide.course.video.transcode import Transcoder
from atomic_guide.course.video.videos import (
    ERASE,
    QUERIES,
    TRANSCODE,
    Parts,
    Step,
    Video,
    announcement,
    prefix_of,
    read_video,
    to_text,
)
from atomic_guide.engines.queues.lease import LeaseLost
from atomic_guide.errors import NotFound, Permanent

if TYPE_CHECKING:
    from atomic_guide.course.notifications.feed import Posted
    from atomic_guide.course.notifications.notice import Notice
    from atomic_guide.course.video.announce import Announce
    from atomic_guide.course.video.probe import Source
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.queues.handlers import Handler
    from atomic_guide.engines.queues.jobs import Job
    from atomic_guide.engines.queues.lease import Lease

_CHECK_SHARE = 0.02
_POSTER_SHARE = 0.05
_PROGRESS_SECONDS = 1.0
"""The least time between two notes of progress: each is a commit and a frame."""


def handlers(parts: Parts, announce: Announce, folder: Path) -> dict[str, Handler]:
    """What runs the jobs of the media queue; `folder` is where ffmpeg works."""
    return {TRANSCODE: Transcode(parts, announce, folder), ERASE: Erase(parts)}


def clear(folder: Path) -> None:
    """Remove what killed workers left in the working folder; only while no worker runs."""
    shutil.rmtree(folder, ignore_errors=True)


class Progressing:
    """A video's row while a worker holds its job; every change goes through the lease."""

    def __init__(self, parts: Parts, announce: Announce, lease: Lease, video: Video) -> None:
        self._parts = parts
        self._announce = announce
        self._lease = lease
        self._noted = 0.0
        self.key: CourseKey = lease.job.key
        self.video = video

    async def change(self, **values: Any) -> None:
        """Write a new state, and tell: the room where there is something new to watch, else the uploader."""
        before, self.video = self.video, msgspec.structs.replace(self.video, **values)
        row = {name: value for name, value in msgspec.structs.asdict(self.video).items() if name in _STATE}
        row |= {"steps": to_text(self.video.steps), "renditions": to_text(self.video.renditions)}

        async def work(tx: Transaction) -> list[Posted]:
            await tx.execute(QUERIES["note_state"], {**self.key.columns, "id": self.video.id, **row})
            return await self._post_ready(tx) if self.video.status == "ready" != before.status else []

        self._parts.posts.tell(self.key, await self._lease.write(work))
        for_all = self.video.status != before.status and self.video.watchable
        await self._tell(None if for_all else self.video.uploader)

    async def step(self, name: str, state: str, **values: Any) -> None:
        """Write a new state with one step changed."""
        steps = [msgspec.structs.replace(one, state=state) if one.name == name else one for one in self.video.steps]
        await self.change(steps=steps, **values)

    async def progress(self, value: float) -> None:
        """Note progress, 0 to 1, at most once a second and never backwards."""
        now = self._parts.clock.monotonic()
        if now - self._noted < _PROGRESS_SECONDS or value <= self.video.progress:
            return
        self._noted = now
        self.video = msgspec.structs.replace(self.video, progress=min(value, 0.999))

        async def work(tx: Transaction) -> None:
            params = {**self.key.columns, "id": self.video.id, "progress": self.video.progress}
            await tx.execute(QUERIES["note_progress"], params)
            await self._lease.change(tx, "note_progress", progress=self.video.progress)

        await self._lease.write(work)
        await self._tell(self.video.uploader)

    async def _post_ready(self, tx: Transaction) -> list[Posted]:
        # Captions may have come, and the title may have changed, while this worker was at work.
        row = await tx.one(QUERIES["find_video"], {**self.key.columns, "id": self.video.id})
        now = read_video(row) if row is not None else self.video
        notices = video_ready(now.id, now.title, now.uploader, self._lease.job.id, captions=bool(now.captions))
        return await self._parts.posts.add(tx, self.key, notices)

    async def _tell(self, user: str | None) -> None:
        await self._announce(self.key, "video", announcement(self.video), user=user)


_STATE = {"status", "progress", "duration", "poster", "derived", "ready_at"}


class Transcode:
    """Makes a received video playable."""

    def __init__(self, parts: Parts, announce: Announce, folder: Path) -> None:
        self._parts = parts
        self._announce = announce
        self._folder = folder
        self._transcoder = Transcoder(parts.settings)

    async def run(self, lease: Lease) -> None:
        """Run what is missing of the steps."""
        job = lease.job
        row = await self._parts.shards.of(job.key).one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is None:
            return
        if row["status"] == "ready":
            await self._drop_source(job.key, job.subject)
            return
        video = Progressing(self._parts, self._announce, lease, read_video(row))
        folder = self._folder / f"{job.id}-{job.token}"
        folder.mkdir(parents=True, mode=0o700)
        try:
            await self._steps(video, folder)
        except (LeaseLost, asyncio.CancelledError):
            # Deleted while something was being moved into the store: take that out again.
            with contextlib.suppress(NotFound):
                if not await self._exists(job):
                    await self._parts.store.delete_prefix(prefix_of(job.key, job.subject))
            raise
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """Show the failure on the video, in the transaction that makes the job a dead letter."""
        row = await tx.one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is None:
            return
        steps = [
            msgspec.structs.replace(one, state="failed") if one.state == "running" else one
            for one in read_video(row).steps
        ]
        params = {**job.key.columns, "id": job.subject, "reason": reason, "steps": to_text(steps)}
        await tx.execute(QUERIES["fail_video"], params)
        await self._parts.posts.add(tx, job.key, _failed(read_video(row), job, reason))

    async def buried(self, job: Job, reason: str) -> None:
        """Tell the uploader."""
        row = await self._parts.shards.of(job.key).one(QUERIES["find_video"], {**job.key.columns, "id": job.subject})
        if row is not None:
            video = read_video(row)
            await self._announce(job.key, "video", announcement(video), user=video.uploader)
            await self._parts.posts.tell_stored(job.key, _failed(video, job, reason))

    async def _exists(self, job: Job) -> bool:
        params = {**job.key.columns, "id": job.subject}
        return await self._parts.shards.of(job.key).one(QUERIES["find_video"], params) is not None

    async def _steps(self, video: Progressing, folder: Path) -> None:
        if not video.video.renditions:
            await video.change(status="processing")
        prefix = prefix_of(video.key, video.video.id)
        try:
            async with self._parts.store.local_file(f"{prefix}/source") as path:
                await video.step("checked", "running")
                source = await self._transcoder.check(path, folder)
                rungs = ladder(source.picture, self._parts.settings.heights)
                await video.change(duration=source.duration, steps=_steps_of(video.video, rungs))
                await self._poster(video, path, folder, source)
                done = {one.name for one in video.video.renditions}
                weights = [max(rung.width * rung.height, 1) for rung in rungs]
                for number, rung in enumerate(rungs):
                    if rung.name not in done:
                        shares = [sum(weights[:end]) / sum(weights) for end in (number, number + 1)]
                        await self._rendition(video, (path, folder), source, rung, (shares[0], shares[1]))
        except NotFound as error:
            raise Permanent("The uploaded file is gone. Upload it again.") from error
        await video.change(status="ready", progress=1.0, ready_at=self._parts.clock.now())
        # Last: a worker that takes over before the video is ready needs it.
        await self._drop_source(video.key, video.video.id)

    async def _drop_source(self, key: CourseKey, video: str) -> None:
        if not self._parts.settings.keep_source:
            await self._parts.store.delete(f"{prefix_of(key, video)}/source")

    async def _poster(self, video: Progressing, path: Path, folder: Path, source: Source) -> None:
        if video.video.poster:
            return
        await video.step("poster", "running", progress=max(video.video.progress, _CHECK_SHARE))
        still = await self._transcoder.poster(path, folder, source)
        if still is not None:
            size = still.stat().st_size
            await self._parts.store.adopt([(still, f"{prefix_of(video.key, video.video.id)}/poster.jpg")])
            await video.step("poster", "done", poster=True, derived=video.video.derived + size)
        else:
            await video.step("poster", "done")

    async def _rendition(
        self, video: Progressing, where: tuple[Path, Path], source: Source, rung: Rung, shares: tuple[float, float]
    ) -> None:
        """Make one rendition; `shares` are where its part of the whole work begins and ends, 0 to 1."""
        path, folder = where[0], where[1] / rung.name
        self._parts.store.check_space()
        folder.mkdir(mode=0o700)
        begin, end = (_POSTER_SHARE + (1 - _POSTER_SHARE) * share for share in shares)

        async def progress(seconds: float) -> None:
            await video.progress(begin + (end - begin) * min(1.0, seconds / (source.duration or seconds)))

        await video.step(rung.name, "running", progress=max(video.video.progress, begin))
        made = await self._transcoder.rendition(path, folder, source, rung, progress)
        # The playlist last: where it is, everything that it names is.
        files = sorted(folder.iterdir(), key=lambda file: (file.suffix == ".m3u8", file.name))
        prefix = f"{prefix_of(video.key, video.video.id)}/{rung.name}"
        await self._parts.store.adopt([(file, f"{prefix}/{file.name}") for file in files])
        await video.step(
            rung.name,
            "done",
            status="playable",
            progress=max(video.video.progress, min(end, 0.999)),
            renditions=[*video.video.renditions, made],
            derived=video.video.derived + made.bytes,
        )


class Erase:
    """Removes what an encoder wrote while its video was being deleted."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def run(self, lease: Lease) -> None:
        """Remove the objects again; there are none as a rule."""
        await self._parts.store.delete_prefix(prefix_of(lease.job.key, str(lease.job.payload["video"])))

    async def bury(self, tx: Transaction, job: Job, reason: str) -> None:
        """Nothing stands for it any more."""

    async def buried(self, job: Job, reason: str) -> None:
        """As above."""


def _failed(video: Video, job: Job, reason: str) -> list[Notice]:
    # A replayed job keeps its id; its token counts the attempts of all its lives.
    return video_failed(video.id, video.title, video.uploader, f"{job.id} {job.token}", reason)


def _steps_of(video: Video, rungs: list[Rung]) -> list[Step]:
    """The steps of a checked video: what is done by its row, what waits."""
    made = {one.name for one in video.renditions}
    names = [("received", True), ("checked", True), ("poster", video.poster)]
    names += [(rung.name, rung.name in made) for rung in rungs]
    return [Step(name, "done" if done else "waiting") for name, done in names]
