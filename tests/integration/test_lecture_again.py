"""Processing lectures again: what plays meanwhile, what it is made from, and what becomes of the old files."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from atomic_guide.cli import program
from atomic_guide.course.video.making import replaced
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.queries import Query
from tests import media
from tests.engines import ENGINES, opened_shards
from tests.media import Studio, code, files
from tests.postgres import Cluster

JOBS = Query("jobs", "A test's look.", {None: "SELECT id FROM jobs"})
SETTINGS = VideoSettings(heights=(144, 240))


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="426x240", seconds=2).read_bytes()


@pytest.fixture(params=ENGINES)
async def studio(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Studio]:
    async with (
        opened_shards(request.param, tmp_path, postgres_cluster) as shards,
        media.opened(tmp_path, settings=SETTINGS, over=shards) as studio,
    ):
        yield studio


async def made(studio: Studio, content: bytes) -> tuple[httpx.AsyncClient, dict[str, Any]]:
    teacher = await studio.enter()
    video = await media.upload(teacher, content)
    shown = await media.until(teacher, video, "ready")
    for _ in range(400):
        if not [row for shard in studio.shards.all() for row in await shard.read(JOBS)]:
            return teacher, shown
        await asyncio.sleep(0.02)
    pytest.fail("the job does not end")


async def remade(teacher: httpx.AsyncClient, video: str) -> dict[str, Any]:
    """Wait until a lecture is not being processed any more; the lecture."""
    shown: dict[str, Any] = {}
    for _ in range(900):
        shown = (await teacher.get(f"/api/video/{video}")).json()
        if not shown["remaking"]:
            return shown
        await asyncio.sleep(0.05)
    pytest.fail(f"the lecture stays so: {shown}")


async def again(teacher: httpx.AsyncClient, video: str) -> httpx.Response:
    return await teacher.post(f"/api/video/{video}/reprocess")


async def places(teacher: httpx.AsyncClient, shown: dict[str, Any]) -> list[str]:
    """The folders that the master playlist names, each of which is served."""
    master = await teacher.get(shown["playback"])
    named = [line for line in master.text.splitlines() if line.endswith("index.m3u8")]
    for name in named:
        answer = await teacher.get(shown["playback"].replace("master.m3u8", name))
        assert answer.status_code == 200
    return named


async def age(studio: Studio, sql: str) -> None:
    async def work(tx: Transaction) -> None:
        await tx.execute(Query("age", "A test's change.", {None: sql}))

    for shard in studio.shards.all():
        await shard.write(work)


async def test_the_old_qualities_play_until_the_new_ones_are_complete(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    async with studio.working():
        teacher, first = await made(studio, lecture)
        old = await places(teacher, first)
    answer = await again(teacher, first["id"])
    assert (answer.status_code, answer.json()["status"], answer.json()["remaking"]) == (202, "ready", True)
    assert code(await again(teacher, first["id"])) == (409, "CONFLICT")
    assert await places(teacher, answer.json()) == old
    async with studio.working():
        second = await remade(teacher, first["id"])
    new = await places(teacher, second)
    assert len(new) == len(old) == 2
    assert not set(new) & set(old)
    assert (await teacher.get(second["preview"]["sheets"][0])).status_code == 200
    assert second["preview"]["sheets"] != first["preview"]["sheets"]
    # Who is watching the old ones goes on; a day later they are gone, and only they.
    assert (await teacher.get(first["playback"].replace("master.m3u8", old[0]))).status_code == 200
    before = files(tmp_path)
    await studio.media.uploads.sweep.turn()
    assert files(tmp_path) == before
    await age(studio, "UPDATE videos SET ready_at = ready_at - 90000")
    await studio.media.uploads.sweep.turn()
    assert (await teacher.get(first["playback"].replace("master.m3u8", old[0]))).status_code == 404
    assert await places(teacher, second) == new
    standing = await studio.media.parts.account.standing("t-test")
    assert standing is not None
    assert standing.used == sum(path.stat().st_size for path in files(tmp_path))
    assert (tmp_path / "objects" / "t-test" / studio.key().course / "video" / first["id"] / "source").exists()


async def test_without_its_source_it_is_made_from_the_best_quality(tmp_path: Path, lecture: bytes) -> None:
    settings = VideoSettings(heights=(144, 240), keep_source=False)
    async with media.opened(tmp_path, settings=settings) as studio, studio.working():
        teacher, first = await made(studio, lecture)
        for _ in range(200):
            if not [path for path in files(tmp_path) if path.name == "source"]:
                break
            await asyncio.sleep(0.05)
        assert (await again(teacher, first["id"])).status_code == 202
        second = await remade(teacher, first["id"])
        assert second["reason"] is None
        assert [one["height"] for one in second["renditions"]] == [144, 240]
        assert abs(second["duration"] - first["duration"]) < 0.5
        assert len(await places(teacher, second)) == 2
        assert [path for path in files(tmp_path) if path.name in {"source", "best.mp4"}] == []


async def test_a_second_making_that_fails_leaves_the_first(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    async with studio.working():
        teacher, first = await made(studio, lecture)
    source = tmp_path / "objects" / "t-test" / studio.key().course / "video" / first["id"] / "source"
    source.write_bytes(source.read_bytes()[:3000])
    async with studio.working():
        await again(teacher, first["id"])
        second = await remade(teacher, first["id"])
        assert second["status"] == "ready"
        assert "stops in the middle" in second["reason"] or "damaged" in second["reason"]
        assert await places(teacher, second) == await places(teacher, first)
        source.write_bytes(lecture)
        assert (await again(teacher, first["id"])).status_code == 202
        third = await remade(teacher, first["id"])
    assert third["reason"] is None
    assert not {one for one in await places(teacher, third) if "-" not in one}


async def test_a_worker_that_dies_half_way_is_taken_over(
    studio: Studio, lecture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio.working():
        teacher, first = await made(studio, lecture)
    runs = 0

    def dying(*arguments: Any) -> Any:
        nonlocal runs
        runs += 1
        if runs == 1:
            message = "the worker dies here"
            raise RuntimeError(message)
        return replaced(*arguments)

    monkeypatch.setattr("atomic_guide.course.video.jobs.replaced", dying)
    await again(teacher, first["id"])
    async with studio.working():
        second = await remade(teacher, first["id"])
    assert runs == 2
    assert len(await places(teacher, second)) == 2


async def test_a_failed_one_is_made_from_its_source_and_one_without_is_refused(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher = await studio.enter()
    broken = await media.upload(teacher, lecture[:3000])
    async with studio.working():
        await media.until(teacher, broken, "failed")
        source = tmp_path / "objects" / "t-test" / studio.key().course / "video" / broken / "source"
        source.write_bytes(lecture)
        assert (await again(teacher, broken)).status_code == 202
        await media.until(teacher, broken, "ready")
    await age(studio, "UPDATE videos SET status = 'failed', renditions = '[]'")
    source.unlink()
    refused = await again(teacher, broken)
    assert code(refused) == (409, "CONFLICT")
    assert "no longer kept" in refused.json()["error"]["message"]
    assert (await again(teacher, "v0000000000000000")).status_code == 404
    assert (await again(await studio.enter("learner"), broken)).status_code == 403


async def test_the_command_chooses_and_asks(tmp_path: Path, lecture: bytes) -> None:
    async with media.opened(tmp_path, settings=SETTINGS) as studio:
        async with studio.working():
            teacher, first = await made(studio, lecture)
        dry = await run(tmp_path, "--tenant", "t-test", "--dry-run")
        assert [one["id"] for one in dry["lectures"]] == [first["id"]]
        assert not (await teacher.get(f"/api/video/{first['id']}")).json()["remaking"]
        for nothing in (("--tenant", "t-none"), ("--status", "failed"), ("--course", "x"), ("--before", "2001-01-01")):
            assert (await run(tmp_path, *nothing))["lectures"] == []
        assert len((await run(tmp_path, "--course", "course-1", "--rate", "6000"))["lectures"]) == 1
        assert (await teacher.get(f"/api/video/{first['id']}")).json()["remaking"]
        assert (await run(tmp_path, "--all"))["lectures"] == []
        with pytest.raises(click.UsageError):
            await run(tmp_path)


async def run(data: Path, *arguments: str) -> dict[str, Any]:
    command = ["assets", "reprocess", *arguments, "--data", str(data), "--json"]
    result = await asyncio.to_thread(CliRunner().invoke, program, command, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return dict(json.loads(result.stdout))
