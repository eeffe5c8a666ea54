"""Lectures: what may be uploaded and kept, and what one may take to process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pytest

from atomic_guide import errors
from atomic_guide.config import Settings
from atomic_guide.course.video.chapters import Chapter, check_chapters
from atomic_guide.course.video.ffmpeg import used
from atomic_guide.course.video.incoming import Part
from atomic_guide.course.video.ladder import ladder
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.transcode import Making, Transcoder
from atomic_guide.course.video.videos import QUERIES
from atomic_guide.engines.assets.settings import AssetSettings, StoreSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.errors import Permanent, RetryLater
from atomic_guide.limit import Used
from tests import media
from tests.limit_cases import Ground, Reached, answered, fullest, reaches, until
from tests.limit_cases.web import counted
from tests.media import Studio

WORDS = {"duration": "lasts", "pixels": "larger than", "streams": "too many streams"}


@asynccontextmanager
async def studio(ground: Ground, **settings: Any) -> AsyncIterator[tuple[Studio, httpx.AsyncClient]]:
    """The parts of lectures, and a teacher."""
    async with media.opened(ground.folder, settings=VideoSettings(**settings)) as found, await found.enter() as teacher:
        yield found, teacher


async def _refused(teacher: httpx.AsyncClient, length: int) -> str:
    status, code = media.code(await media.create(teacher, length))
    return f"{status} {code}"


@reaches("upload_bytes")
async def _(ground: Ground) -> Reached:
    async with studio(ground, max_bytes=1000) as (_, teacher):
        return Reached(await _refused(teacher, 1001), 1000)


@reaches("course_bytes")
async def _(ground: Ground) -> Reached:
    async with studio(ground, course_bytes=1000) as (found, teacher):
        assert (await media.create(teacher, 900)).status_code == 201
        seen = await counted(found.shards, "course_bytes")
        return Reached(await _refused(teacher, 200), 1000, seen)


@reaches("tenant_bytes")
async def _(ground: Ground) -> Reached:
    async with studio(ground, tenant_quota_bytes=1000) as (found, teacher):
        assert (await media.create(teacher, 900)).status_code == 201
        settings = msgspec.structs.replace(Settings(), video=VideoSettings(tenant_quota_bytes=1000))
        seen = await counted(found.shards, "tenant_bytes", settings)
        assert seen[0].part == "t-test"
        return Reached(await _refused(teacher, 200), 1000, seen)


@reaches("unfinished_uploads")
async def _(ground: Ground) -> Reached:
    async with studio(ground, unfinished_uploads=2) as (found, teacher):
        for _ in range(2):
            assert (await media.create(teacher, 100)).status_code == 201
        seen = await counted(found.shards, "unfinished_uploads")
        return Reached(await _refused(teacher, 100), 2, seen)


@reaches("upload_pieces")
async def _(ground: Ground) -> Reached:
    place = StoreSettings("lectures", bucket="lectures", endpoint="http://127.0.0.1:9")
    assets = AssetSettings(least_free_bytes=0, stores=(place,), main=place.name)
    async with media.opened(ground.folder, assets=assets) as found, await found.enter() as teacher:
        address = (await media.create(teacher, 30_000)).headers["location"]
        named = "".join(Part(10 * number, 10, "0" * 12).text + " " for number in range(2000))
        row = {"id": address.rpartition("/")[2], "received": 20_000, "before": 0, "part": named, "expires_at": 1e10}

        async def fill(tx: Transaction) -> None:
            await tx.execute(QUERIES["note_received"], {**found.key().columns, **row})

        await found.shards.of(found.key()).write(fill)
        status, code = media.code(await media.patch(teacher, address, 20_000, b"x" * 10))
        return Reached(f"{status} {code}", 2000)


@reaches("caption_bytes")
async def _(ground: Ground) -> Reached:
    async with studio(ground, captions_bytes=100) as (_, teacher):
        answer = await teacher.put(
            "/api/video/v1/captions/en", content=b"WEBVTT" + b"\n" * 100, headers={"Content-Type": "text/vtt"}
        )
        status, code = media.code(answer)
        return Reached(f"{status} {code}", 100)


@reaches("chapters")
async def _(_ground: Ground) -> Reached:
    with pytest.raises(errors.Invalid) as refused:
        check_chapters([Chapter(float(n), f"Part {n}") for n in range(6)], 100.0, 5)
    return Reached(answered(refused.value), 5)


async def _fails(ground: Ground, name: str, most: float, settings: VideoSettings, *more: str) -> Reached:
    """A lecture of two seconds that is checked; the reason names what was too much."""
    path = ground.folder / "lecture.mp4"
    await asyncio.to_thread(media.clip, path, size="320x240", extra=more)
    with pytest.raises(Permanent, match=WORDS[name]):
        await Transcoder(settings).check(path, ground.folder)
    return Reached("job fails", most)


@reaches("duration")
async def _(ground: Ground) -> Reached:
    return await _fails(ground, "duration", 1.5, VideoSettings(max_duration=1.5))


@reaches("pixels")
async def _(ground: Ground) -> Reached:
    return await _fails(ground, "pixels", 70_000, VideoSettings(max_pixels=70_000))


@reaches("streams")
async def _(ground: Ground) -> Reached:
    return await _fails(ground, "streams", 1, VideoSettings(max_streams=1))


@reaches("job_memory")
async def _(ground: Ground) -> Reached:
    path = ground.folder / "lecture.mp4"
    await asyncio.to_thread(media.clip, path, size="1920x1080", seconds=4)
    transcoder = Transcoder(VideoSettings(heights=(1080,)), memory_mb=300)
    source = await Transcoder(VideoSettings()).check(path, ground.folder)
    (rung, *_) = ladder(source.picture, (1080,))
    seen: list[Used] = []

    async def nothing(_seconds: float) -> None:
        pass

    async def watch() -> None:
        while True:
            seen.extend(fullest(used(), "job_memory"))
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch())
    with pytest.raises(Permanent, match="more memory"):
        await transcoder.rendition(Making(path, source, ""), ground.folder, rung, nothing)
    watching.cancel()
    return Reached("job fails", 300, [max(seen, key=lambda one: one.value)])


@reaches("job_stall")
async def _(ground: Ground) -> Reached:
    program = ground.folder / "standstill"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    transcoder = Transcoder(VideoSettings(ffmpeg=str(program), stall_seconds=1.0))
    checking = asyncio.create_task(transcoder.check(program, ground.folder))
    seen: list[Used] = []

    def nearly() -> bool:
        seen[:] = fullest(used(), "job_stall")
        return bool(seen) and seen[0].value > 0.85

    await until(nearly)
    with pytest.raises(RetryLater):
        await checking
    return Reached("job fails", 1.0, list(seen))
