"""What ends a lecture from outside: captions that it must have, and an operator who calls its processing off."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.course.video.jobs import CALLED_OFF
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.queues.calling_off import call_off
from tests import media
from tests.engines import ENGINES, opened_shards
from tests.media import Studio
from tests.postgres import Cluster

CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
JOBS = Query("jobs", "A test's look.", {None: "SELECT id FROM jobs WHERE kind = 'video.transcode'"})


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=2).read_bytes()


@pytest.fixture(params=ENGINES)
async def studio(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Studio]:
    async with (
        opened_shards(request.param, tmp_path, postgres_cluster) as shards,
        media.opened(tmp_path, settings=VideoSettings(heights=(240,)), over=shards) as studio,
    ):
        yield studio


def addresses(shown: dict[str, Any]) -> list[str]:
    """The addresses of a lecture of each kind that a page may hold."""
    playback = shown["playback"]
    names = ("master.m3u8", "240p/index.m3u8", "240p/00000.m4s", "poster.jpg", "preview/00001.jpg")
    return [playback.replace("master.m3u8", name) for name in names]


async def statuses(client: httpx.AsyncClient, shown: dict[str, Any]) -> set[int]:
    return {(await client.get(address)).status_code for address in addresses(shown)}


async def test_addresses_of_before_stop_playing_when_captions_are_asked_for(studio: Studio, lecture: bytes) -> None:
    teacher, student = await studio.enter(), await studio.enter("learner", "student")
    video = await media.upload(teacher, lecture)
    async with studio.working():
        mine = await media.until(teacher, video, "ready")
    theirs = (await student.get(f"/api/video/{video}")).json()
    assert await statuses(student, theirs) == {200}
    await teacher.put("/api/video/rules", json={"captions_required": True})
    assert await statuses(student, theirs) == {403}
    refused = await student.get(theirs["playback"])
    assert refused.json()["error"]["details"] == {"withheld": "captions missing"}
    # Who teaches looks at it all the same; the right is in the signature, not in the address' text.
    assert await statuses(teacher, mine) == {200}
    assert mine["playback"] != theirs["playback"]
    put = await teacher.put(f"/api/video/{video}/captions/en", content=CAPTIONS, headers={"Content-Type": "text/vtt"})
    assert put.status_code == 200
    assert await statuses(student, theirs) == {200}
    assert (await teacher.delete(f"/api/video/{video}/captions/en")).status_code == 204
    assert await statuses(student, theirs) == {403}
    await teacher.put("/api/video/rules", json={"captions_required": False})
    assert await statuses(student, theirs) == {200}


async def job_of(studio: Studio) -> str:
    [row] = [row for shard in studio.shards.all() for row in await shard.read(JOBS)]
    return str(row["id"])


async def test_a_waiting_lecture_that_is_called_off_is_shown_as_failed_and_can_be_tried_again(
    studio: Studio, lecture: bytes
) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    await call_off(studio.shards, await job_of(studio), studio.clock.now(), CALLED_OFF)
    shown = (await teacher.get(f"/api/video/{video}")).json()
    assert shown["status"] == "failed"
    assert "cancelled by an operator" in shown["reason"]
    assert (await teacher.post(f"/api/video/{video}/retry")).status_code == 202
    async with studio.working():
        await media.until(teacher, video, "ready")


async def test_a_running_one_stops_and_tells_its_uploader(studio: Studio, tmp_path: Path) -> None:
    long = media.clip(tmp_path / "long.mp4", size="1280x720", seconds=60, extra=("-g", "250")).read_bytes()
    teacher = await studio.enter()
    video = await media.upload(teacher, long)
    async with studio.working():
        for _ in range(600):
            shown = (await teacher.get(f"/api/video/{video}")).json()
            if any(step["state"] == "running" for step in shown["steps"]):
                break
            await asyncio.sleep(0.05)
        await call_off(studio.shards, await job_of(studio), studio.clock.now(), CALLED_OFF)
        for _ in range(400):
            told = [one for one in studio.heard.frames if one.get("status") == "failed"]
            if told:
                break
            await asyncio.sleep(0.05)
    assert told[0]["user"] == "teacher"
    shown = (await teacher.get(f"/api/video/{video}")).json()
    assert (shown["status"], shown["playback"]) == ("failed", None)
    assert {step["state"] for step in shown["steps"]} & {"running"} == set()
    assert not list((tmp_path / "work").glob("*"))


async def test_a_second_making_that_is_called_off_leaves_the_lecture_as_it_was(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    async with studio.working():
        await media.until(teacher, video, "ready")
        for _ in range(400):
            if not [row for shard in studio.shards.all() for row in await shard.read(JOBS)]:
                break
            await asyncio.sleep(0.02)
    assert (await teacher.post(f"/api/video/{video}/reprocess")).status_code == 202
    await call_off(studio.shards, await job_of(studio), studio.clock.now(), CALLED_OFF)
    shown = (await teacher.get(f"/api/video/{video}")).json()
    assert (shown["status"], shown["remaking"]) == ("ready", False)
    assert "cancelled by an operator" in shown["reason"]
    assert await statuses(teacher, shown) == {200}


async def test_the_command_calls_a_lecture_off(tmp_path: Path, lecture: bytes) -> None:
    async with media.opened(tmp_path) as studio:
        teacher = await studio.enter()
        video = await media.upload(teacher, lecture)
        command = ["queues", "cancel", await job_of(studio), "--data", str(tmp_path), "--json"]
        result = await asyncio.to_thread(CliRunner().invoke, program, command)
        assert result.exit_code == 0, result.output
        assert "cancelled" in json.loads(result.stdout)
        shown = (await teacher.get(f"/api/video/{video}")).json()
        assert (shown["status"], shown["reason"].split(".")[0]) == (
            "failed",
            "Its processing was cancelled by an operator",
        )
