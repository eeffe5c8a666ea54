"""Lectures of a course that the LMS made by copying others: they are shown there, too, and their files stay one.

The LMS names the courses that a course was copied from (`Context.id.history`). An instructor's launch publishes a job
in the transaction that stores the launch; the job takes the newest of them that has lectures and gives the course a
row for each. A row names where its files are (`origin`); captions are copied, for they are a lecture's own. The two
courses may lie in different shards, so the order is what makes a crash harmless: the use of the files is noted, the
lecture's row is read once more, captions are copied, and only then the new row is written, unless one with the same
origin is there. What a crash leaves is a use without a lecture, which the sweep forgets.

Both courses are of the tenant whose LMS has signed the launch: a course's key is made from that tenant and the ids that
the LMS named. `video.copies` says how far that is trusted: who may write the parameters of a link in the LMS can name
any course there.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.settings import Copies
from atomic_guide.course.video.space.account import Counted
from atomic_guide.course.video.videos import LISTED, QUERIES, QUEUE, Parts, Video, announcement, read_video, to_text
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.engines.queues.handlers import Unmourned
from atomic_guide.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from atomic_guide.course.video.announce import Announce
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.queues.jobs import Queues
    from atomic_guide.engines.queues.lease import Lease

COPY = "video.copy"
MOST_SOURCES = 20
"""Courses that are looked at; a course that was copied once a term has as many after ten years."""
_MOST_MARKS = 200
"""Courses that are remembered as asked for, the latest; 26 characters each."""
_LATER_SECONDS = 600.0
_WAITED_SECONDS = 86_400.0
"""How long lectures that are still being made in the old course are waited for, and how often they are looked at."""


class Source(msgspec.Struct, frozen=True):
    """A course that another was copied from."""

    course: str
    bucket: int


class Asked(msgspec.Struct, frozen=True):
    """What the job carries. `waiting` are lectures of the first source that were still being made, until when."""

    sources: list[Source]
    taught: bool = False
    user: str = ""
    waiting: list[str] = []
    until: float = 0.0


class _Copied(NamedTuple):
    """A lecture as it will be in the new course."""

    video: Video
    at: float


async def ask_for_copies(
    tx: Transaction, queues: Queues, key: CourseKey, user: str, history: Sequence[str], copies: Copies
) -> bool:
    """Publish the job where the history names courses that were not asked for yet, in the launch's transaction."""
    if copies == "off":
        return False
    wanted = [CourseKey.of(key.tenant, context) for context in dict.fromkeys(history[:MOST_SOURCES])]
    row = await tx.one(QUERIES["read_copied"], key.columns)
    known = set(row["copied"].split()) if row is not None else set()
    left = [Source(one.course, one.bucket) for one in wanted if one.course not in known | {key.course}]
    if not left:
        return False
    taught = copies == "taught"
    asked = Asked(left, taught, user if taught else "")
    payload = msgspec.to_builtins(asked)
    job = NewJob(queue=QUEUE, kind=COPY, subject=key.course, payload=payload, unique_key=COPY, order_key=COPY)
    return await queues.publish(tx, key, job) is not None


class Copy(Unmourned):
    """Gives a course the lectures of the one that it was copied from.

    Of a dead letter: nothing shows it; a replay goes on.
    """

    def __init__(self, parts: Parts, announce: Announce) -> None:
        self._parts = parts
        self._announce = announce

    async def run(self, lease: Lease) -> None:
        """Copy what is missing; safe to repeat."""
        job = lease.job
        asked = msgspec.convert(job.payload, Asked)
        source = await self._chosen(job.key, asked)
        if source is None:
            await lease.finish(
                _marking(job.key, [] if await self._refused(job.key, asked) else asked.sources, self._now)
            )
            return
        waiting = []
        for number, video in enumerate(await self._lectures(source, asked)):
            if video.status == "ready":
                # The newest first, a moment apart, so that their order stays.
                await self._copy(lease, source, _Copied(video, self._now - number / 1000))
            elif video.status != "failed":
                waiting.append(video.id)
        await self._finish(lease, asked, source, waiting)

    @property
    def _now(self) -> float:
        return self._parts.clock.now()

    async def _chosen(self, key: CourseKey, asked: Asked) -> CourseKey | None:
        """The newest source with lectures that may be copied from."""
        for one in asked.sources:
            source = CourseKey(key.tenant, one.course, one.bucket)
            if await self._may(source, asked) and await self._rows(source):
                return source
        return None

    async def _may(self, source: CourseKey, asked: Asked) -> bool:
        if not asked.taught:
            return True
        params = {**source.columns, "user": asked.user}
        row = await self._parts.shards.of(source).one(QUERIES["find_role"], params)
        return row is not None and row["role"] == "instructor"

    async def _refused(self, key: CourseKey, asked: Asked) -> bool:
        """Whether somebody else could copy from one of the sources: then it is asked again at the next launch."""
        for one in asked.sources:
            source = CourseKey(key.tenant, one.course, one.bucket)
            if not await self._may(source, asked) and await self._rows(source):
                return True
        return False

    async def _rows(self, source: CourseKey) -> list[Row]:
        params = {**source.columns, "limit": LISTED}

        async def work(tx: Transaction) -> list[Row]:
            return await tx.read(QUERIES["list_videos"], params)

        # As a unit of work: what is read here must not come from a replica that is behind.
        return await self._parts.shards.of(source).write(work)

    async def _held(self, source: CourseKey, video: str) -> Video | None:
        async def work(tx: Transaction) -> Row | None:
            return await tx.one(QUERIES["find_video"], {**source.columns, "id": video})

        row = await self._parts.shards.of(source).write(work)
        return read_video(row) if row is not None else None

    async def _lectures(self, source: CourseKey, asked: Asked) -> list[Video]:
        videos = [read_video(row) for row in await self._rows(source)]
        return [one for one in videos if not asked.waiting or one.id in asked.waiting]

    async def _copy(self, lease: Lease, source: CourseKey, copied: _Copied) -> None:
        key, video = lease.job.key, copied.video
        origin = video.origin or f"{source.course}/{video.id}"
        if await self._parts.shards.of(key).one(QUERIES["find_copy"], {**key.columns, "origin": origin}) is not None:
            return
        new = f"v{secrets.token_hex(8)}"
        account = self._parts.account
        await account.add(
            key.tenant,
            [Counted(source, video.id, video.origin, video.size + video.derived), Counted(key, new, origin, 0)],
        )
        # Once more, now that its files are held: it may have been deleted.
        held = await self._held(source, video.id)
        written = None
        if held is not None:
            captions = [one for one in held.captions if await self._copy_captions(source, held.id, key, new, one.lang)]
            written = msgspec.structs.replace(held, id=new, captions=captions, origin=origin)
        if written is None or not await lease.write(_adding(key, written, copied.at)):
            await account.let_go(key, new, origin)
            if held is None:
                # Noted a moment ago as showing its files, and deleted before.
                await account.let_go(source, video.id, video.origin)
            return
        await account.measure(key, new)
        if written.captions and self._parts.spread is not None:
            await self._parts.spread.note(key, key.course, new)
        await self._announce(key, "video", announcement(written))

    async def _copy_captions(self, source: CourseKey, video: str, key: CourseKey, new: str, language: str) -> bool:
        store = self._parts.store
        try:
            content = await store.read(f"{prefix_of(source, video)}/captions/{language}.vtt")
        except NotFound:
            return False
        await store.put(f"{prefix_of(key, new)}/captions/{language}.vtt", content)
        return True

    async def _finish(self, lease: Lease, asked: Asked, source: CourseKey, waiting: list[str]) -> None:
        key, now = lease.job.key, self._now
        until = asked.until or now + _WAITED_SECONDS
        rules = await self._parts.shards.of(source).one(QUERIES["read_rules"], source.columns)
        marking = _marking(key, asked.sources, now, captions=bool(rules and rules["captions_required"]))
        later = None
        if waiting and now < until:
            left = Asked([Source(source.course, source.bucket)], waiting=waiting, until=until)
            later = NewJob(
                queue=QUEUE,
                kind=COPY,
                subject=key.course,
                payload=msgspec.to_builtins(left),
                delay=_LATER_SECONDS,
                order_key=COPY,
            )

        async def work(tx: Transaction) -> None:
            await marking(tx)
            if later is not None:
                await self._parts.queues.publish(tx, key, later)

        await lease.finish(work)


def _adding(key: CourseKey, video: Video, at: float) -> Any:
    """Write a copied lecture's row, unless one with its origin is there.

    It is its uploader's as the first one is: whoever erases or exports that person finds it.
    """
    row = {
        **key.columns,
        "id": video.id,
        "title": video.title,
        "filename": video.filename,
        "uploader": video.uploader,
        "size": video.size,
        "derived": video.derived,
        "duration": video.duration,
        "at": at,
        "origin": video.origin,
        "poster": video.poster,
    }
    row |= {name: to_text(getattr(video, name)) for name in ("steps", "renditions", "captions", "chapters")}
    row["preview"] = to_text(video.preview) if video.preview is not None else None

    async def work(tx: Transaction) -> bool:
        if await tx.one(QUERIES["find_copy"], {**key.columns, "origin": video.origin}) is not None:
            return False
        await tx.execute(QUERIES["add_copy"], row)
        return True

    return work


def _marking(key: CourseKey, sources: Sequence[Source], now: float, *, captions: bool = False) -> Any:
    """Remember that these courses were asked for, and take over that lectures need captions."""

    async def work(tx: Transaction) -> None:
        if not sources:
            return
        row = await tx.one(QUERIES["read_copied"], key.columns)
        known = row["copied"].split() if row is not None else []
        marks = [*known, *(one.course for one in sources if one.course not in known)][-_MOST_MARKS:]
        params = {**key.columns, "copied": " ".join(marks), "captions_required": captions, "now": now}
        await tx.execute(QUERIES["put_copied"], params)

    return work
