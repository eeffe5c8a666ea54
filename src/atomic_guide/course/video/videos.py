"""The videos of a course: what they are, who may see them, what may be changed about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from atomic_guide.course.notifications.feed import Posts, Silent
from atomic_guide.course.precedence import facts_of
from atomic_guide.course.video.captions import Captions, check_captions, check_language, label_of
from atomic_guide.course.video.chapters import Chapter, check_chapters
from atomic_guide.course.video.folders import prefix_of
from atomic_guide.course.video.limits import CAPTION_BYTES
from atomic_guide.course.video.preview import Preview
from atomic_guide.course.video.space.account import Account
from atomic_guide.course.video.transcode import Rendition
from atomic_guide.engines.data.queries import load_queries
from atomic_guide.engines.queues.forming import NewJob
from atomic_guide.errors import Conflict, NotFound, TooLarge

if TYPE_CHECKING:
    from atomic_guide.clock import Clock
    from atomic_guide.course.video.settings import VideoSettings
    from atomic_guide.course.video.spread.spread import Spread
    from atomic_guide.engines.assets.store import Store
    from atomic_guide.engines.data.database import Row, Transaction
    from atomic_guide.engines.data.placement import CourseKey
    from atomic_guide.engines.data.shards import Shards
    from atomic_guide.engines.queues.jobs import Queues

QUERIES = load_queries(__package__)

QUEUE = "video"
TRANSCODE = "video.transcode"
ERASE = "video.erase"
LISTED = 1000
"""Videos of one course that a list shows: four lectures a week for five years."""

Status = Literal["queued", "processing", "playable", "ready", "failed"]
StepState = Literal["done", "running", "waiting", "failed"]


class Step(msgspec.Struct, frozen=True):
    """One step on the way to a ready video."""

    name: str
    state: StepState


class Remaking(msgspec.Struct, frozen=True):
    """A second set of qualities that is being made while the first one plays; `mark` ends the names of its folders."""

    mark: str
    renditions: list[Rendition] = []
    preview: Preview | None = None


class Video(msgspec.Struct, frozen=True):
    """One video. Sizes in bytes, times in seconds, `created_at` since the epoch."""

    id: str
    title: str
    filename: str
    uploader: str
    status: Status
    progress: float
    reason: str | None
    size: int
    derived: int
    duration: float | None
    steps: list[Step]
    renditions: list[Rendition]
    captions: list[Captions]
    chapters: list[Chapter]
    poster: bool
    created_at: float
    ready_at: float | None = None
    origin: str = ""
    preview: Preview | None = None
    remaking: Remaking | None = None

    @property
    def watchable(self) -> bool:
        """Whether there is something to play."""
        return bool(self.renditions) and self.status in {"playable", "ready"}


def read_video(row: Row) -> Video:
    """A video from its row."""
    values = {name: row[name] for name in Video.__struct_fields__}
    for name in ("steps", "renditions", "captions", "chapters"):
        values[name] = msgspec.json.decode(values[name])
    for name in ("preview", "remaking"):
        values[name] = msgspec.json.decode(values[name]) if values[name] else None
    values["poster"] = bool(values["poster"])
    return msgspec.convert(values, Video)


def to_text(value: Any) -> str:
    """JSON as the columns keep it."""
    return msgspec.json.encode(value).decode()


def announcement(video: Video) -> dict[str, Any]:
    """What a room is told of a video."""
    told: dict[str, Any] = {"id": video.id, "status": video.status, "progress": round(video.progress, 3)}
    return told | ({"reason": video.reason} if video.reason else {})


class Parts(NamedTuple):
    """What everything about videos stands on."""

    shards: Shards
    store: Store
    queues: Queues
    settings: VideoSettings
    clock: Clock
    posts: Posts = Silent()
    spread: Spread | None = None
    """Copies in other stores; None where nothing knows of any."""

    @property
    def account(self) -> Account:
        """What tenants store, against what they may."""
        return Account(self.shards.directory, self.store, self.settings, self.clock, self.spread)


class Videos:
    """What the web layer and the command line may do with videos."""

    def __init__(self, parts: Parts) -> None:
        self._shards = parts.shards
        self._store = parts.store
        self._queues = parts.queues
        self._settings = parts.settings
        self._clock = parts.clock
        self._posts = parts.posts
        self._account = parts.account
        self._spread = parts.spread

    async def of_course(self, key: CourseKey) -> list[Video]:
        """The newest videos of a course, at most `LISTED`."""
        rows = await self._shards.of(key).read(QUERIES["list_videos"], {**key.columns, "limit": LISTED})
        return [read_video(row) for row in rows]

    async def find(self, key: CourseKey, video: str) -> Video:
        """One video. Raises `NotFound`."""
        row = await self._shards.of(key).one(QUERIES["find_video"], {**key.columns, "id": video})
        return read_video(_known(row, video))

    async def position(self, key: CourseKey, video: Video) -> int | None:
        """How many jobs are before a queued video; None where it is not queued."""
        return await self._queues.position(key, video.id) if video.status == "queued" else None

    async def space(self, key: CourseKey) -> dict[str, int]:
        """Bytes that the course uses and may use: `{"used", "limit"}`."""
        row = await self._shards.of(key).one(QUERIES["course_space"], key.columns)
        return {"used": int(row["used"]) if row else 0, "limit": self._settings.course_bytes}

    async def put_captions(self, key: CourseKey, video: str, language: str, content: bytes) -> Captions:
        """Store a WebVTT file for a language, replacing an earlier one. Raises `Invalid`, `NotFound`, `TooLarge`."""
        language = check_language(language)
        if len(content) > self._settings.captions_bytes:
            raise CAPTION_BYTES.over(TooLarge(f"a caption file may have {self._settings.captions_bytes} bytes"))
        check_captions(content)
        await self.find(key, video)
        await self._store.put(f"{prefix_of(key, video)}/captions/{language}.vtt", content)
        version = round(self._clock.now())
        entry = Captions(language, label_of(language), len(content), version)
        try:
            await self._change_captions(key, video, language, entry)
        except NotFound:
            # Deleted in the meantime: what came after the sweep goes too.
            await self._store.delete_prefix(prefix_of(key, video))
            raise
        await self._account.measure(key, video)
        await self._note(key, video)
        return entry

    async def delete_captions(self, key: CourseKey, video: str, language: str) -> None:
        """Remove the captions of a language. Raises `NotFound`."""
        language = check_language(language)
        found = await self.find(key, video)
        if language not in {one.lang for one in found.captions}:
            raise NotFound(f"the video has no captions in {language}")
        await self._change_captions(key, video, language, None)
        await self._store.delete(f"{prefix_of(key, video)}/captions/{language}.vtt")
        await self._account.measure(key, video)
        await self._note(key, video)

    async def put_chapters(self, key: CourseKey, video: str, chapters: list[Chapter]) -> list[Chapter]:
        """Replace the chapters, put in order. Raises `Invalid`, `NotFound`."""
        found = await self.find(key, video)
        chapters = check_chapters(chapters, found.duration, self._settings.chapters)

        async def work(tx: Transaction) -> int:
            return await tx.execute(
                QUERIES["set_chapters"], {**key.columns, "id": video, "chapters": to_text(chapters)}
            )

        if not await self._shards.of(key).write(work):
            raise NotFound(f"there is no video {video} in this course")
        return chapters

    async def retry(self, key: CourseKey, video: str) -> None:
        """Try a failed video again, or one that plays but lacks qualities. Raises `Conflict` for any other."""
        await self.find(key, video)

        async def work(tx: Transaction) -> bool:
            if not await tx.execute(QUERIES["requeue_video"], {**key.columns, "id": video}):
                return False
            if not await self._queues.replay(tx, key, video, TRANSCODE):
                await publish_transcode(self._queues, tx, key, video, self._clock.now())
            return True

        if not await self._shards.of(key).write(work):
            raise Conflict("only a video that has failed can be tried again")
        self._queues.wake(QUEUE)

    async def delete(self, key: CourseKey, video: str) -> None:
        """Remove a video: rows, a running job, and the objects that no other course shows. Raises `NotFound`.

        The rows go first, which ends its addresses at once. The objects are removed before this returns, and once
        more by a job: a process that dies here, or an encoder that was just writing, leaves nothing behind.
        """
        prefix_of(key, video)

        async def work(tx: Transaction) -> str:
            row = _known(await tx.one(QUERIES["find_video"], {**key.columns, "id": video}), video)
            await tx.execute(QUERIES["drop_video"], {**key.columns, "id": video})
            await self._queues.cancel(tx, key, video)
            await self._queues.forget(tx, key, video)
            await self._posts.withdraw(tx, key, video)
            erasure = NewJob(
                queue=QUEUE,
                kind=ERASE,
                subject=f"erase {video}",
                payload={"video": video, "origin": row["origin"]},
                delay=60.0,
                order_key=order_of(video),
            )
            await self._queues.publish(tx, key, erasure)
            return str(row["origin"])

        await self._account.let_go(key, video, await self._shards.of(key).write(work))
        self._queues.wake(QUEUE)

    async def _note(self, key: CourseKey, video: str) -> None:
        """Have copies follow what has changed of a lecture's own files."""
        if self._spread is not None:
            await self._spread.note(key, key.course, video)

    async def _change_captions(self, key: CourseKey, video: str, language: str, entry: Captions | None) -> None:
        async def work(tx: Transaction) -> None:
            row = await tx.one(QUERIES["find_video"], {**key.columns, "id": video})
            others = [one for one in read_video(_known(row, video)).captions if one.lang != language]
            captions = sorted([*others, *([entry] if entry else [])], key=lambda one: one.lang)
            await tx.execute(QUERIES["set_captions"], {**key.columns, "id": video, "captions": to_text(captions)})
            if captions:
                await self._posts.settle(tx, key, "captions.missing", video)

        await self._shards.of(key).write(work)


async def publish_transcode(queues: Queues, tx: Transaction, key: CourseKey, video: str, now: float) -> bool:
    """Publish a video's processing in the transaction of its row, behind the earlier steps; False where it is live."""
    row = _known(await tx.one(QUERIES["find_video"], {**key.columns, "id": video}), video)
    job = NewJob(
        queue=QUEUE,
        kind=TRANSCODE,
        subject=video,
        facts=await facts_of(tx, key, row["uploader"], now, duration=row["duration"]),
        unique_key=f"{TRANSCODE}:{video}",
        order_key=order_of(video),
    )
    return await queues.publish(tx, key, job) is not None


def order_of(video: str) -> str:
    """The order key of everything that is done to a video: one step at a time, as they were asked for."""
    return f"video:{video}"


def _known(row: Row | None, video: str) -> Row:
    if row is None:
        raise NotFound(f"there is no video {video[:40]} in this course")
    return row
