"""Courses that an LMS made by copying others: their lectures are shown there, too, without a byte being copied."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.app.keeping.origins import gather_named, without_objects
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.keeping.bundle import Bundle
from atomic_guide.course.keeping.export import Exporter
from atomic_guide.course.keeping.forget import Forgetter
from atomic_guide.course.keeping.reads import Reads
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.course.video import copies as copying
from atomic_guide.course.video.settings import Copies, VideoSettings
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from tests import media
from tests.engines import ENGINES, opened_shards
from tests.media import Studio, files
from tests.postgres import Cluster

TENANT = "t-test"
CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
JOBS = Query("jobs", "A test's look.", {None: "SELECT kind, state, run_after FROM jobs"})


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=1).read_bytes()


@pytest.fixture(params=ENGINES)
async def studio(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Studio]:
    async with (
        opened_shards(request.param, tmp_path, postgres_cluster) as shards,
        media.opened(tmp_path, settings=VideoSettings(heights=(240,)), over=shards) as studio,
    ):
        yield studio


def apart(studio: Studio, context: str) -> str:
    """A context whose course lies in another shard than this one's."""
    here = studio.shards.of(studio.key(context)).target.database.name
    return next(
        name
        for name in (f"copy-{number}" for number in range(1000))
        if studio.shards.of(studio.key(name)).target.database.name != here
    )


async def launch(
    studio: Studio,
    context: str,
    *history: str,
    role: Any = "instructor",
    tenant: str = TENANT,
    user: str = "teacher",
    copies: Copies = "history",
) -> None:
    """What a launch stores."""
    arrival = Arrival(
        key=CourseKey.of(tenant, context),
        platform="p",
        context=context,
        title="Waves",
        return_url=None,
        user=user,
        name="Somebody",
        role=role,
        services=Services(),
        history=history,
    )
    await enrol(studio.shards, studio.clock, studio.media.queues, arrival, copies=copies)


async def made(studio: Studio, content: bytes, context: str = "course-1") -> tuple[httpx.AsyncClient, str]:
    """A ready lecture with captions and a chapter."""
    teacher = await studio.enter(context=context)
    video = await media.upload(teacher, content)
    await media.until(teacher, video, "ready")
    put = await teacher.put(f"/api/video/{video}/captions/en", content=CAPTIONS, headers={"Content-Type": "text/vtt"})
    assert put.status_code == 200
    chapters = {"chapters": [{"start": 0, "title": "Begin"}]}
    assert (await teacher.put(f"/api/video/{video}/chapters", json=chapters)).status_code == 200
    return teacher, video


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return list((await client.get("/api/video")).json()["videos"])


async def quiet(studio: Studio) -> None:
    """Wait until no job is left."""
    for _ in range(400):
        rows = [row for shard in studio.shards.all() for row in await shard.read(JOBS)]
        if not [
            row for row in rows if row["state"] in {"queued", "running"} and row["run_after"] <= studio.clock.now()
        ]:
            return
        await asyncio.sleep(0.05)
    pytest.fail("jobs are left")


async def test_a_copied_course_shows_the_lectures_of_the_old_one(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    new = apart(studio, "course-1")
    async with studio.working():
        old, video = await made(studio, lecture)
        before = {path: path.stat().st_size for path in files(tmp_path)}
        await launch(studio, new, "course-1")
        await quiet(studio)
        teacher = await studio.enter(context=new)
        [copy] = await listed(teacher)
    assert copy["id"] != video
    assert (copy["title"], copy["status"], copy["chapters"]) == (
        "Lecture 7",
        "ready",
        [{"start": 0.0, "title": "Begin"}],
    )
    added = {path for path in files(tmp_path) if path not in before}
    assert {path.suffix for path in added} == {".vtt"}
    assert (await teacher.get(copy["captions"][0]["url"])).content == CAPTIONS
    assert await plays(teacher, copy)
    assert (await teacher.get("/api/video")).json()["space"]["used"] == 0
    assert await used(studio) == sum(path.stat().st_size for path in files(tmp_path))
    # Removed in one course, it stays in the other; removed in both, nothing is left.
    assert (await old.delete(f"/api/video/{video}")).status_code == 204
    assert await plays(teacher, copy)
    assert (await teacher.get(copy["captions"][0]["url"])).status_code == 200
    await studio.media.uploads.sweep.turn()
    assert await plays(teacher, copy)
    assert (await teacher.delete(f"/api/video/{copy['id']}")).status_code == 204
    assert (files(tmp_path), await used(studio)) == ([], 0)


async def plays(client: httpx.AsyncClient, video: dict[str, Any]) -> bool:
    """Whether a lecture's playlists and its first segment are served."""
    master = await client.get(video["playback"])
    if master.status_code != 200:
        return False
    index = video["playback"].replace("master.m3u8", f"{video['renditions'][0]['name']}/index.m3u8")
    answers = [await client.get(index), await client.get(index.replace("index.m3u8", "00000.m4s"))]
    return all(answer.status_code == 200 for answer in answers)


async def used(studio: Studio) -> int:
    standing = await studio.media.parts.account.standing(TENANT)
    return standing.used if standing is not None else -1


async def test_removing_the_copy_leaves_the_original(studio: Studio, lecture: bytes) -> None:
    async with studio.working():
        old, video = await made(studio, lecture)
        await launch(studio, "next", "course-1")
        await quiet(studio)
    teacher = await studio.enter(context="next")
    [copy] = await listed(teacher)
    assert (await teacher.delete(f"/api/video/{copy['id']}")).status_code == 204
    shown = (await old.get(f"/api/video/{video}")).json()
    assert await plays(old, shown)
    assert (await old.get(shown["captions"][0]["url"])).status_code == 200
    await launch(studio, "next", "course-1")
    async with studio.working():
        await quiet(studio)
    assert await listed(teacher) == [], "what was removed comes back with the next launch"


async def test_who_does_not_teach_and_other_tenants_get_nothing(studio: Studio, lecture: bytes) -> None:
    async with studio.working():
        await made(studio, lecture)
        await launch(studio, "next", "course-1", role="learner")
        await launch(studio, "next", "course-1", tenant="t-other")
        await launch(studio, "next", "course-1", copies="off")
        await launch(studio, "next", "course-2", "")
        await quiet(studio)
    assert await listed(await studio.enter(context="next")) == []
    assert await listed(await studio.enter(context="next", tenant="t-other")) == []


async def test_only_who_has_taught_the_old_course_where_the_setting_says_so(studio: Studio, lecture: bytes) -> None:
    await launch(studio, "course-1", user="teacher")
    async with studio.working():
        await made(studio, lecture)
        await launch(studio, "next", "course-1", user="stranger", copies="taught")
        await quiet(studio)
        assert await listed(await studio.enter(context="next")) == []
        await launch(studio, "next", "course-1", user="teacher", copies="taught")
        await quiet(studio)
    assert len(await listed(await studio.enter(context="next"))) == 1


async def test_a_copy_of_a_copy_shows_the_same_files_and_outlives_both(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    async with studio.working():
        old, video = await made(studio, lecture)
        await launch(studio, "second", "course-1")
        await quiet(studio)
        await launch(studio, "third", "second", "course-1")
        await quiet(studio)
    second, third = await studio.enter(context="second"), await studio.enter(context="third")
    [[copy], [again]] = [await listed(second), await listed(third)]
    assert (await old.delete(f"/api/video/{video}")).status_code == 204
    assert (await second.delete(f"/api/video/{copy['id']}")).status_code == 204
    assert await plays(third, again)
    assert (await third.delete(f"/api/video/{again['id']}")).status_code == 204
    assert files(tmp_path) == []


async def test_a_copy_is_found_by_who_exports_or_erases_its_uploader(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    async with studio.working():
        old, video = await made(studio, lecture)
        await launch(studio, "next", "course-1", user="somebody else")
        await quiet(studio)
    assert (await old.delete(f"/api/video/{video}")).status_code == 204
    teacher = await studio.enter(context="next")
    [copy] = await listed(teacher)
    parts, spool = studio.media.parts, tmp_path / "uploads"
    reads = Reads(studio.shards, studio.clock)
    bundle = Bundle(tmp_path / "out")
    await Exporter(parts, reads, spool, lambda _: None).export(Whom(tenant=TENANT, user="teacher"), bundle)
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"source", "en.vtt", "index.m3u8"} <= names
    forgetter = Forgetter(parts, studio.media.videos, spool)
    await forgetter.forget(Whom(tenant=TENANT, user="teacher"))
    assert await plays(teacher, (await listed(teacher))[0])
    assert (await studio.media.videos.find(studio.key("next"), copy["id"])).uploader == ""
    await reads.close()


async def test_a_copys_second_making_leaves_the_original_alone(studio: Studio, lecture: bytes) -> None:
    async with studio.working():
        old, video = await made(studio, lecture)
        await launch(studio, "next", "course-1")
        await quiet(studio)
        teacher = await studio.enter(context="next")
        [copy] = await listed(teacher)
        assert (await teacher.post(f"/api/video/{copy['id']}/reprocess")).status_code == 202
        for _ in range(900):
            [now] = await listed(teacher)
            if not now["remaking"]:
                break
            await asyncio.sleep(0.05)
    assert (now["reason"], now["remaking"]) == (None, False)
    master = (await teacher.get(now["playback"])).text
    assert "240p/index.m3u8" not in master

    async def age(tx: Any) -> None:
        await tx.execute(Query("age", "A test's change.", {None: "UPDATE videos SET ready_at = ready_at - 90000"}))

    for shard in studio.shards.all():
        await shard.write(age)
    await studio.media.uploads.sweep.turn()
    assert await plays(old, (await old.get(f"/api/video/{video}")).json())
    assert (await old.delete(f"/api/video/{video}")).status_code == 204
    # Only the copy is left: what nobody shows any more goes, what it shows stays.
    await studio.media.uploads.sweep.turn()
    index = now["playback"].replace("master.m3u8", "240p/index.m3u8")
    assert (await teacher.get(index)).status_code == 404
    for place in [line for line in master.splitlines() if line.endswith("index.m3u8")]:
        assert (await teacher.get(now["playback"].replace("master.m3u8", place))).status_code == 200


async def test_a_lecture_that_is_deleted_while_it_is_copied_leaves_nothing(
    studio: Studio, lecture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio.working():
        old, video = await made(studio, lecture)
    held = copying.Copy._held

    async def deleting(self: Any, source: CourseKey, wanted: str) -> Any:
        await studio.media.videos.delete(source, wanted)
        return await held(self, source, wanted)

    monkeypatch.setattr(copying.Copy, "_held", deleting)
    await launch(studio, "next", "course-1")
    async with studio.working():
        await quiet(studio)
    assert await listed(await studio.enter(context="next")) == []
    assert (await old.get(f"/api/video/{video}")).status_code == 404
    assert (files(tmp_path), await used(studio)) == ([], 0)


async def test_a_job_that_died_half_way_is_repeated_without_doubles(
    studio: Studio, lecture: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio.working():
        old, _ = await made(studio, lecture)
        await made(studio, lecture)
    writes = 0
    adding = copying._adding

    def breaking(*arguments: Any) -> Any:
        nonlocal writes
        writes += 1
        if writes == 2:
            message = "the process dies here"
            raise RuntimeError(message)
        return adding(*arguments)

    monkeypatch.setattr(copying, "_adding", breaking)
    await launch(studio, "next", "course-1")
    async with studio.working():
        teacher = await studio.enter(context="next")
        for _ in range(400):
            if len(await listed(teacher)) == 2:
                break
            await asyncio.sleep(0.05)
        await quiet(studio)
    assert writes == 3
    assert [one["title"] for one in await listed(teacher)] == ["Lecture 7", "Lecture 7"]
    assert [one["id"] for one in await listed(old)] != [one["id"] for one in await listed(teacher)]
    for client in (old, teacher):
        for one in await listed(client):
            assert (await client.delete(f"/api/video/{one['id']}")).status_code == 204
    # The use that the broken attempt noted is forgotten when it is old, and takes the last files along.
    assert files(tmp_path) != []
    await age_uses(studio)
    await studio.media.uploads.sweep.turn()
    await studio.media.uploads.sweep.turn()
    assert files(tmp_path) == []


async def age_uses(studio: Studio) -> None:
    async def work(tx: Any) -> None:
        await tx.execute(
            Query("age", "A test's change.", {None: "UPDATE media_uses SET created_at = created_at - 4000"})
        )

    await studio.shards.directory.write(work)


async def test_a_lecture_that_is_still_being_made_follows(
    studio: Studio, lecture: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_LATER_SECONDS", 0.5)
    old = await studio.enter()
    video = await media.upload(old, lecture)
    await launch(studio, "next", "course-1")
    teacher = await studio.enter(context="next")
    async with studio.working():
        await media.until(old, video, "ready")
        for _ in range(400):
            if await listed(teacher):
                break
            await asyncio.sleep(0.05)
    assert [one["status"] for one in await listed(teacher)] == ["ready"]


async def test_the_gate_of_captions_comes_along(studio: Studio, lecture: bytes) -> None:
    async with studio.working():
        old, _ = await made(studio, lecture)
        assert (await old.put("/api/video/rules", json={"captions_required": True})).status_code == 200
        await launch(studio, "next", "course-1")
        await quiet(studio)
    assert (await (await studio.enter(context="next")).get("/api/video")).json()["rules"] == {"captions_required": True}


async def test_what_is_put_back_has_the_files_that_copies_show(lecture: bytes, tmp_path: Path) -> None:
    data, stage = tmp_path / "data", tmp_path / "stage"
    async with media.opened(data, settings=VideoSettings(heights=(240,))) as studio, studio.working():
        old, video = await made(studio, lecture)
        await launch(studio, "next", "course-1")
        await quiet(studio)
        assert (await old.delete(f"/api/video/{video}")).status_code == 204
    shutil.copytree(data / "databases", stage / "databases")
    gather_named(stage, [data / "objects"])
    assert without_objects(stage) == 0
    assert {path.relative_to(stage) for path in files(stage)} == {path.relative_to(data) for path in files(data)}
    shutil.rmtree(stage / "objects" / TENANT / studio.key().course)
    assert without_objects(stage) == 1
