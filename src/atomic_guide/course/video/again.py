"""Processing a lecture again: with newer settings or a newer encoder, or after it has failed.

What plays goes on playing from its present qualities. The new ones are made beside them (making.py), and take their
place in one write when all of them have been read back. They are made from the uploaded file; where that is no longer
kept, from the best quality there is. The old files stay for a while, for those who are watching them.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

from atomic_guide.course.video.folders import media_prefix
from atomic_guide.course.video.videos import (
    QUERIES,
    QUEUE,
    TRANSCODE,
    Parts,
    Remaking,
    Video,
    publish_transcode,
    read_video,
    to_text,
)
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from atomic_guide.engines.data.database import Row, Transaction

_PAGE = 200


class Filter(NamedTuple):
    """Which lectures an operator means; what is None chooses all."""

    tenant: str | None = None
    course: str | None = None
    status: str | None = None
    before: float | None = None
    """Ready before this time, in seconds since the epoch; for those that failed, uploaded."""

    def chooses(self, row: Row) -> bool:
        """Whether a lecture is meant."""
        course = CourseKey.of(row["tenant"], self.course).course if self.course is not None else None
        return (
            self.tenant in {None, row["tenant"]}
            and course in {None, row["course"]}
            and self.status in {None, row["status"]}
            and (self.before is None or (row["ready_at"] or row["created_at"]) < self.before)
        )


async def has_source(parts: Parts, key: CourseKey, video: Video) -> bool:
    """Whether the uploaded file is still there."""
    try:
        await parts.store.head(f"{media_prefix(key, video.id, video.origin)}/source")
    except NotFound:
        return False
    return True


async def reprocess(parts: Parts, key: CourseKey, video: str) -> None:
    """Have a lecture that is ready, or that failed, processed again.

    Raises `NotFound`, `Conflict` where it is being processed or nothing is left to make it from, and `OutOfSpace` where
    its tenant has no room for a second set of qualities beside the present one.
    """
    row = await parts.shards.of(key).one(QUERIES["find_video"], {**key.columns, "id": video})
    if row is None:
        raise NotFound(f"there is no video {video[:40]} in this course")
    found = read_video(row)
    if not found.renditions and not await has_source(parts, key, found):
        raise Conflict("the uploaded file is no longer kept; upload it again")
    if found.status in {"ready", "failed"} and found.remaking is None:
        await parts.account.check(key.tenant, _size(found))
    remaking = to_text(Remaking(secrets.token_hex(4)))

    async def work(tx: Transaction) -> bool:
        names = {**key.columns, "id": video}
        begun = await tx.execute(QUERIES["begin_remaking"], {**names, "remaking": remaking})
        if not begun and not await tx.execute(QUERIES["requeue_video"], names):
            return False
        # An earlier failure's dead letter is the same job: it gets its attempts back.
        if await parts.queues.replay(tx, key, video, TRANSCODE):
            return True
        if not await publish_transcode(parts.queues, tx, key, video, parts.clock.now()):
            # Ready, but its job has something left to do: it would not look at the row again.
            raise Conflict("the lecture is just being finished; try again", retry_after=2)
        return True

    if not await parts.shards.of(key).write(work):
        raise Conflict("the lecture is being processed; wait until it is ready or has failed")
    parts.queues.wake(QUEUE)


def _size(video: Video) -> int:
    """What is made again as large as it is now, in bytes; of what was never made, more than nothing."""
    preview = video.preview.bytes if video.preview is not None else 0
    return max(1, preview + sum(one.bytes for one in video.renditions))


async def chosen(parts: Parts, wanted: Filter) -> AsyncIterator[tuple[CourseKey, Row]]:
    """The lectures that a filter chooses of those that can be processed again, over all shards."""
    await parts.shards.open_all()
    for shard in parts.shards.all():
        place: dict[str, Any] = {"bucket": -1, "tenant": "", "course": "", "id": "", "limit": _PAGE}
        while rows := await shard.read(QUERIES["page_remakable"], place):
            for row in rows:
                if wanted.chooses(row):
                    yield CourseKey(row["tenant"], row["course"], row["bucket"]), row
            place |= {name: rows[-1][name] for name in ("bucket", "tenant", "course", "id")}
