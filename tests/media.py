"""Lecture videos in tests: real clips from the real ffmpeg, and the real parts over a data directory."""

import asyncio
import base64
import contextlib
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import imageio_ffmpeg
import pytest

from atomic_guide.app.copies import made_seals
from atomic_guide.clock import Clock, SystemClock
from atomic_guide.course.keeping.key import keeping_key
from atomic_guide.course.notifications.feed import Feed
from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
from atomic_guide.course.video.announce import Announce
from atomic_guide.course.video.assembly import Media, build_media, media_key
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.spread.parts import QUEUE as COPYING
from atomic_guide.course.video.spread.parts import Engines, SpreadParts
from atomic_guide.course.video.spread.spread import Spread
from atomic_guide.course.video.videos import QUEUE, Parts
from atomic_guide.engines.assets.opening import open_store
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.engines.assets.sign import Signer, SigningSettings
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Observer, Worker
from atomic_guide.regions.here import Here
from atomic_guide.regions.settings import RegionSettings, RegionsSettings
from atomic_guide.web.assets import calls as asset_calls
from atomic_guide.web.idempotency import Answers
from atomic_guide.web.overload import Overload, SheddingSettings
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Role, Session, Sessions
from atomic_guide.web.settings import RepeatSettings, SessionSettings
from atomic_guide.web.stored import calls as stored_calls
from atomic_guide.web.tool import Tool
from atomic_guide.web.uploads import calls as upload_calls
from atomic_guide.web.video import calls as video_calls
from tests.engines import installed
from tests.operating import TOKEN, operators

WORLD = Here(
    RegionsSettings(
        declared=(
            RegionSettings("eu", coordinates=(50.1, 8.7)),
            RegionSettings("us", coordinates=(38.9, -77.4)),
            RegionSettings("ap", coordinates=(1.3, 103.8)),
        )
    ),
    "eu",
    lambda _tenant: "default",
)
"""Three regions, as seen from the first."""
QUICK = QueueSettings(
    lease_seconds=5,
    heartbeat_seconds=0.5,
    poll_seconds=0.1,
    handover_seconds=0,
    video=QueueRules(concurrency=2, retry_first_seconds=0.02, time_limit_seconds=60, memory_mb=4096),
    assets=QueueRules(concurrency=2, retry_first_seconds=0.02, time_limit_seconds=60),
    trouble_wait_seconds=0.2,
)
OPERATOR = TOKEN
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}


def ffmpeg(*arguments: str) -> None:
    """Run the bundled ffmpeg over trusted arguments."""
    program = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([program, "-v", "error", "-nostdin", "-y", *arguments], check=True, timeout=60)


def clip(
    path: Path, *, size: str = "640x360", seconds: float = 2, sound: bool = True, extra: tuple[str, ...] = ()
) -> Path:
    """A small MP4 with a test picture and a tone."""
    tone = ["-f", "lavfi", "-i", f"sine=d={seconds}"] if sound else []
    picture = ["-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}"]
    ffmpeg(*picture, *tone, "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", *extra, str(path))
    return path


@contextlib.asynccontextmanager
async def opened(
    data: Path,
    *,
    settings: VideoSettings | None = None,
    assets: AssetSettings | None = None,
    signing: SigningSettings | None = None,
    clock: Clock | None = None,
    announce: Announce | None = None,
    over: Shards | None = None,
    copies: bool = False,
) -> AsyncIterator["Studio"]:
    """The video parts over a data directory, and an application with their calls; `over` are other databases; with
    `copies` lectures are copied to the stores of `assets`."""
    clock = clock or SystemClock()
    shards = over or await open_embedded(installed(data, 2), DataSettings(shards=2))
    try:
        store = open_store(data, assets or AssetSettings(least_free_bytes=0))
        queues = Queues(shards, clock, QUICK)
        feed = Feed(shards, clock, queues, NotificationSettings(), MailSettings())
        video = settings or VideoSettings()
        stores = assets or AssetSettings(least_free_bytes=0)
        spread = Spread(
            SpreadParts(Engines(shards, store, queues), clock, stores, "eu"),
            made_seals(await keeping_key(shards.directory, clock)),
            sources=video.keep_source,
        )
        parts = Parts(shards, store, queues, video, clock, feed, spread if copies else None)
        signer = Signer(await media_key(shards, clock), clock, signing)
        heard = Heard()
        feed.on_tell = heard.tell
        yield Studio(build_media(data, parts, signer, announce or heard), shards, clock, heard)
    finally:
        if over is None:
            await shards.close()


class Heard:
    """An `Announce` that keeps what it is told, and what of notifications."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []

    def tell(self, key: CourseKey, user: str, data: dict[str, Any]) -> None:
        """Keep a notification."""
        self.told.append({"course": key.course, "user": user, **data})

    async def __call__(self, key: CourseKey, kind: str, data: dict[str, Any], user: str | None = None) -> None:
        self.frames.append({"course": key.course, "type": kind, "user": user, **data})


class Studio:
    """A small installation."""

    def __init__(self, media: Media, shards: Shards, clock: Clock, heard: Heard) -> None:
        self.media = media
        self.shards = shards
        self.heard = heard
        self.sessions = Sessions(shards.directory, clock, SessionSettings())
        self.clock = clock
        tool = cast(
            "Tool",
            SimpleNamespace(
                clock=clock,
                shards=shards,
                sessions=self.sessions,
                operators=operators(shards.directory, clock),
                media=media,
                answers=Answers(shards, clock, RepeatSettings()),
                overload=Overload(SheddingSettings()),
                regions=WORLD,
            ),
        )
        parts = (upload_calls, video_calls, stored_calls, asset_calls)
        self.app = create_app(tool, [row for part in parts for row in part.declared])

    def key(self, context: str = "course-1", tenant: str = "t-test") -> CourseKey:
        """A course."""
        return CourseKey.of(tenant, context)

    async def enter(
        self, role: Role = "instructor", user: str = "teacher", context: str = "course-1", tenant: str = "t-test"
    ) -> httpx.AsyncClient:
        """A client with the session of somebody in a course."""
        key = self.key(context, tenant)
        session = Session(
            key.tenant, key.course, key.bucket, user, "Somebody", role, "en", "Waves", self.clock.now() + 9000
        )
        tokens = await self.sessions.refresh(session)
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://tool.test",
            headers={"Authorization": f"Bearer {tokens.token}"},
        )

    @contextlib.asynccontextmanager
    async def working(self, observer: Observer | None = None, queues: QueueSettings = QUICK) -> AsyncIterator[Worker]:
        """A worker for media that runs meanwhile."""
        handlers = {QUEUE: self.media.handlers(queues.video.memory_mb), COPYING: self.media.copying()}
        worker = Worker(self.shards, handlers, clock=self.clock, settings=queues, observer=observer)
        self.media.queues.on_wake(worker.wake)
        task = asyncio.create_task(worker.run())
        try:
            yield worker
        finally:
            worker.stop()
            await asyncio.wait_for(task, 60)


async def upload(client: httpx.AsyncClient, content: bytes, title: str = "Lecture 7", name: str = "a.mp4") -> str:
    """Upload a file as a form; the video's id."""
    answer = await client.post("/api/video/upload", files={"file": (name, content)}, data={"title": title})
    assert answer.status_code == 202, answer.text
    assert answer.json()["status"] == "queued"
    return str(answer.json()["id"])


async def until(client: httpx.AsyncClient, video: str, *states: str) -> dict[str, Any]:
    """Wait for a video to be in one of some states; the video."""
    shown: dict[str, Any] = {}
    for _ in range(600):
        shown = (await client.get(f"/api/video/{video}")).json()
        if shown.get("status") in states:
            return shown
        await asyncio.sleep(0.05)
    pytest.fail(f"the video stays so: {shown}")


def metadata(**values: str) -> str:
    """Upload-Metadata of some values."""
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


async def create(client: httpx.AsyncClient, length: int, **headers: str) -> httpx.Response:
    """Create a tus upload of `length` bytes."""
    named = {"Upload-Metadata": metadata(title="Größen & Wellen", filename="lecture.mp4")}
    return await client.post("/api/video/upload", headers={**TUS, "Upload-Length": str(length), **named, **headers})


async def patch(client: httpx.AsyncClient, address: str, offset: int, content: Any) -> httpx.Response:
    """Send bytes of a tus upload."""
    return await client.patch(address, headers={**BYTES, "Upload-Offset": str(offset)}, content=content)


def files(folder: Path) -> list[Path]:
    """Everything that uploads have left in a data directory."""
    return [path for name in ("uploads", "objects") for path in (folder / name).rglob("*") if path.is_file()]


def code(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal."""
    return answer.status_code, answer.json()["error"]["code"]
