"""A video's row while a worker holds its job: every change goes through the lease, and is told to whom it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from atomic_guide.course.notifications.notice import video_ready
from atomic_guide.course.video.videos import QUERIES, Parts, Video, announcement, read_video, to_text

if TYPE_CHECKING:
    from atomic_guide.course.notifications.feed import Posted
    from atomic_guide.course.video.announce import Announce
    from atomic_guide.engines.data.database import Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.queues.lease import Lease

_PROGRESS_SECONDS = 1.0
"""The least time between two notes of progress: each is a commit and a frame."""
_TOLD = 50
"""Most instructors of a course who are told, those who were here last: of a course that all staff belong to, too."""

_STATE = {"status", "progress", "duration", "poster", "derived", "ready_at"}
_TEXTS = ("steps", "renditions")
_OPTIONAL = ("preview", "remaking")


class Progressing:
    """What is known of the video, and how it changes."""

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
        row = state_of(self.video)

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
        teaching = await tx.read(QUERIES["find_teaching"], {**self.key.columns, "limit": _TOLD})
        others = [str(one["user"]) for one in teaching]
        run, captions = self._lease.job.id, bool(now.captions)
        notices = video_ready(now.id, now.title, now.uploader, run, captions=captions, others=others)
        return await self._parts.posts.add(tx, self.key, notices)

    async def _tell(self, user: str | None) -> None:
        await self._announce(self.key, "video", announcement(self.video), user=user)


def state_of(video: Video) -> dict[str, Any]:
    """The columns that processing changes."""
    row = {name: value for name, value in msgspec.structs.asdict(video).items() if name in _STATE}
    row |= {name: to_text(getattr(video, name)) for name in _TEXTS}
    optional = {name: getattr(video, name) for name in _OPTIONAL}
    return row | {name: to_text(value) if value is not None else None for name, value in optional.items()}
