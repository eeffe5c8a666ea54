"""What is told of a lecture: in the transaction that changes it, once, and no more when it is gone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.course.notifications.feed import Feed
from atomic_guide.engines.queues.deadletter import DeadLetters
from tests import media
from tests.keeping import put
from tests.media import Studio, clip, until, upload

CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nLight.\n"


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with media.opened(tmp_path) as opened:
        yield opened


async def entries(studio: Studio, user: str = "teacher") -> list[tuple[str, bool]]:
    feed = studio.media.parts.posts
    assert isinstance(feed, Feed)
    page = await feed.page(studio.key(), user, None, 100)
    return sorted((one.kind, one.read) for one in page.entries)


async def told_of(studio: Studio, count: int) -> None:
    """Wait until so many notifications were told to those who are connected, which follows the commit."""
    async with asyncio.timeout(20):
        while len(studio.heard.told) < count:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.02)


async def test_a_ready_lecture_tells_its_uploader_until_it_has_captions(studio: Studio, tmp_path: Path) -> None:
    teacher = await studio.enter()
    async with studio.working():
        video = await upload(teacher, clip(tmp_path / "a.mp4", seconds=1).read_bytes())
        await until(teacher, video, "ready")
    assert await entries(studio) == [("captions.missing", False), ("video.ready", False)]
    assert await entries(studio, "student") == []
    told = {one["kind"]: one for one in studio.heard.told}
    assert told["video.ready"]["subject"] == video
    assert told["video.ready"]["data"] == {"title": "Lecture 7", "captions": False}
    await teacher.put(f"/api/video/{video}/captions/en", content=CAPTIONS, headers={"Content-Type": "text/vtt"})
    assert await entries(studio) == [("captions.missing", True), ("video.ready", False)]
    await teacher.delete(f"/api/video/{video}")
    assert await entries(studio) == []


async def test_a_ready_lecture_tells_all_who_teach_the_course_and_have_been_there(
    studio: Studio, tmp_path: Path
) -> None:
    people = [("colleague", "instructor", 5.0), ("named only", "instructor", 0.0), ("student", "learner", 5.0)]
    for user, role, seen in people:
        await put(studio.shards, studio.key(), "members", user=user, name=user, role=role, created_at=1.0, seen_at=seen)
    teacher = await studio.enter()
    async with studio.working():
        video = await upload(teacher, clip(tmp_path / "a.mp4", seconds=1).read_bytes())
        await until(teacher, video, "ready")
    assert await entries(studio) == [("captions.missing", False), ("video.ready", False)]
    assert await entries(studio, "colleague") == [("video.ready", False)]
    assert await entries(studio, "student") == await entries(studio, "named only") == []
    assert len([one for one in studio.heard.told if one["kind"] == "video.ready"]) == 2


async def test_captions_that_came_before_the_end_are_not_missed(studio: Studio, tmp_path: Path) -> None:
    teacher = await studio.enter()
    video = await upload(teacher, clip(tmp_path / "a.mp4", seconds=1).read_bytes())
    await teacher.put(f"/api/video/{video}/captions/en", content=CAPTIONS, headers={"Content-Type": "text/vtt"})
    async with studio.working():
        await until(teacher, video, "ready")
    assert await entries(studio) == [("video.ready", False)]


async def test_each_failure_tells_with_its_reason_a_retried_one_again(studio: Studio, tmp_path: Path) -> None:
    teacher = await studio.enter()
    broken = clip(tmp_path / "a.mp4", seconds=0.5).read_bytes()[:20_000]
    async with studio.working():
        video = await upload(teacher, broken)
        await until(teacher, video, "failed")
        assert await entries(studio) == [("video.failed", False)]
        await told_of(studio, 1)
        (told,) = studio.heard.told
        (letter,) = (await DeadLetters(studio.shards).list()).letters
        assert told["data"]["reason"] == letter.reason
        assert (await teacher.post(f"/api/video/{video}/retry")).status_code < 300
        await told_of(studio, 2)
    assert await entries(studio) == [("video.failed", False)] * 2
    assert len({one["id"] for one in studio.heard.told}) == 2
