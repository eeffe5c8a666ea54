"""What tenants store of lectures: what is refused, what is given back, and how the account becomes right again."""

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
from atomic_guide.course.keeping.forget import Forgetter
from atomic_guide.course.keeping.survey import Whom
from atomic_guide.course.video.ladder import ladder, most_bytes
from atomic_guide.course.video.probe import Picture
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.space.account import QUERIES, size_text
from atomic_guide.course.video.space.quotas import list_space, read_size, set_quota
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.queries import Query
from atomic_guide.errors import NotFound
from tests import media
from tests.engines import ENGINES, opened_shards
from tests.media import Studio, code, create, files
from tests.postgres import Cluster

TENANT = "t-test"
QUOTA = 600_000


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=1).read_bytes()


@pytest.fixture(params=ENGINES)
async def studio(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Studio]:
    async with (
        opened_shards(request.param, tmp_path, postgres_cluster) as shards,
        media.opened(tmp_path, settings=VideoSettings(tenant_quota_bytes=QUOTA, heights=(240,)), over=shards) as studio,
    ):
        yield studio


async def used(studio: Studio, tenant: str = TENANT) -> int:
    standing = await studio.media.parts.account.standing(tenant)
    return standing.used if standing is not None else -1


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "objects").rglob("*") if path.is_file())


async def change(studio: Studio, sql: str, *, everywhere: bool = False) -> None:
    """Change the databases behind the program's back."""

    async def work(tx: Transaction) -> None:
        await tx.execute(Query("change", "A test's change.", {None: sql}))

    for database in studio.shards.all() if everywhere else [studio.shards.directory]:
        await database.write(work)


async def test_what_does_not_fit_is_refused_before_bytes_are_taken(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher = await studio.enter()
    answer = await create(teacher, QUOTA + 1)
    assert code(answer) == (507, "OUT_OF_SPACE")
    error = answer.json()["error"]
    wanted = {"used": 0, "allowed": QUOTA, "wanted": QUOTA + 1}
    assert error["details"] == {"scope": "tenant", "limit": "tenant_bytes", **wanted}
    assert "600.0 kB" in error["message"]
    assert "Delete a lecture" in error["message"]
    taken: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        taken.append(1)
        yield b"x"

    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(QUOTA + 1000)}
    answer = await teacher.post("/api/video/upload", content=body(), headers=headers)
    assert code(answer) == (507, "OUT_OF_SPACE")
    assert files(tmp_path) == []
    assert await used(studio) == 0
    await media.upload(teacher, lecture)
    assert await used(studio) == len(lecture)


async def test_an_upload_of_undeclared_length_is_stopped_where_it_grows_past(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher = await studio.enter()
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + lecture
        for _ in range(200):
            sent += 10_000
            yield b"\0" * 10_000

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await teacher.post("/api/video/upload", content=body(), headers=kind)
    assert code(answer) == (507, "OUT_OF_SPACE")
    assert answer.json()["error"]["details"]["allowed"] == QUOTA
    assert files(tmp_path) == []
    assert await used(studio) == 0


async def test_two_uploads_at_once_do_not_share_the_last_bytes(studio: Studio) -> None:
    teachers = [await studio.enter(context=f"course-{number}") for number in range(6)]
    answers = await asyncio.gather(*(create(teacher, QUOTA // 3) for teacher in teachers))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 201, 507, 507, 507]
    assert await used(studio) == QUOTA // 3 * 3
    locations = [answer.headers["location"] for answer in answers if answer.status_code == 201]
    places = [teacher for teacher, answer in zip(teachers, answers, strict=True) if answer.status_code == 201]
    for teacher, location in zip(places, locations, strict=True):
        assert (await teacher.delete(location, headers=media.TUS)).status_code == 204
    assert await used(studio) == 0


async def test_renditions_and_captions_count_and_go(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    async with studio.working():
        await media.until(teacher, video, "ready")
        await settled(studio, tmp_path)
    assert await used(studio) == stored(tmp_path) > len(lecture)
    captions = b"WEBVTT\n\n00:00.000 --> 00:01.000\nHello\n"
    url = f"/api/video/{video}/captions/en"
    assert (await teacher.put(url, content=captions, headers={"Content-Type": "text/vtt"})).status_code == 200
    assert await used(studio) == stored(tmp_path)
    quota = (await teacher.get("/api/video")).json()["quota"]
    assert quota == {"used": stored(tmp_path), "allowed": QUOTA}
    assert (await (await studio.enter("learner")).get("/api/video")).json()["quota"] is None
    assert (await teacher.delete(f"/api/video/{video}")).status_code == 204
    assert (await used(studio), files(tmp_path)) == (0, [])


async def test_a_quality_that_does_not_fit_is_not_made(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    low, high = [most_bytes(rung, 1.0) for rung in ladder(Picture("h264", 320, 240, 25.0), (240,))]
    teacher = await studio.enter()
    await set_quota(studio.shards.directory, TENANT, len(lecture) + low // 2)
    video = await media.upload(teacher, lecture)
    async with studio.working():
        failed = await media.until(teacher, video, "failed")
        assert "Your institution may keep" in failed["reason"]
        assert failed["reason"].endswith("; then try again.")
        await settled(studio, tmp_path)
        # Room for the lower quality, and then, beside it, less than what the higher one may take.
        await set_quota(studio.shards.directory, TENANT, stored(tmp_path) + high)
        assert (await teacher.post(f"/api/video/{video}/retry")).status_code == 202
        playable = await refused(teacher, video)
        assert (playable["status"], [one["height"] for one in playable["renditions"]]) == ("playable", [120])
        assert "Your institution may keep" in playable["reason"]
        await settled(studio, tmp_path)
        assert await used(studio) <= len(lecture) + high + low
        await set_quota(studio.shards.directory, TENANT, None)
        assert (await teacher.post(f"/api/video/{video}/retry")).status_code == 202
        shown = await media.until(teacher, video, "ready")
        await settled(studio, tmp_path)
    assert [one["height"] for one in shown["renditions"]] == [120, 240]
    for one, most in zip(await sizes(studio), (low, high), strict=True):
        assert one < most


async def ready(studio: Studio, content: bytes, folder: Path) -> tuple[httpx.AsyncClient, str]:
    """A lecture that is ready, whose job has ended and whose files are counted."""
    jobs = Query("jobs", "A test's look.", {None: "SELECT id FROM jobs"})
    teacher = await studio.enter()
    video = await media.upload(teacher, content)
    async with studio.working():
        await media.until(teacher, video, "ready")
        async with asyncio.timeout(30):
            while [row for shard in studio.shards.all() for row in await shard.read(jobs)]:  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.02)
        await settled(studio, folder)
    return teacher, video


async def test_processing_again_is_refused_where_a_second_set_does_not_fit(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher, video = await ready(studio, lecture, tmp_path)
    await set_quota(studio.shards.directory, TENANT, await used(studio) + sum(await sizes(studio)) - 1)
    answer = await teacher.post(f"/api/video/{video}/reprocess")
    assert code(answer) == (507, "OUT_OF_SPACE")
    assert answer.json()["error"]["details"]["scope"] == "tenant"
    assert not (await teacher.get(f"/api/video/{video}")).json()["remaking"]
    await set_quota(studio.shards.directory, TENANT, None)
    assert (await teacher.post(f"/api/video/{video}/reprocess")).status_code == 202


async def test_the_command_passes_over_what_does_not_fit(tmp_path: Path, lecture: bytes) -> None:
    async with media.opened(tmp_path, settings=VideoSettings(heights=(240,))) as studio:
        _, video = await ready(studio, lecture, tmp_path)
        await set_quota(studio.shards.directory, TENANT, await used(studio))
        found = await run(tmp_path, "reprocess", "--tenant", TENANT)
    assert [one["id"] for one in found["passed_over"]] == [video]
    assert "do not fit" in found["passed_over"][0]["reason"]


async def refused(teacher: httpx.AsyncClient, video: str) -> dict[str, Any]:
    """The lecture once it says why it lacks something."""
    for _ in range(600):
        shown: dict[str, Any] = (await teacher.get(f"/api/video/{video}")).json()
        if shown["reason"]:
            return shown
        await asyncio.sleep(0.05)
    pytest.fail(f"the lecture stays so: {shown}")


async def sizes(studio: Studio) -> list[int]:
    """The bytes of each quality, the lowest first."""
    found = Query("found", "A test's look.", {None: "SELECT renditions FROM videos"})
    rows = [row for shard in studio.shards.all() for row in await shard.read(found)]
    return [one["bytes"] for one in json.loads(rows[0]["renditions"])]


async def settled(studio: Studio, folder: Path) -> None:
    """Wait until the account is what is stored: the worker counts once more after a lecture is ready."""
    for _ in range(1000):
        if await used(studio) == stored(folder):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{await used(studio)} bytes are counted, {stored(folder)} are stored")


async def test_a_limit_of_its_own_holds_at_once_and_can_be_taken_away(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture)
    await set_quota(studio.shards.directory, TENANT, len(lecture))
    assert code(await create(teacher, 1000)) == (507, "OUT_OF_SPACE")
    [row] = await list_space(studio.shards.directory, QUOTA)
    assert (row.tenant, row.used, row.allowed, row.own, row.lectures) == (TENANT, len(lecture), len(lecture), True, 1)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(studio.app),
        base_url="http://tool.test",
        headers={"Authorization": f"Bearer {media.OPERATOR}"},
    ) as operator:
        shown = (await operator.get("/api/ops/lectures/space")).json()
    assert shown["tenants"][0]["used"] == len(lecture)
    assert (await teacher.get("/api/ops/lectures/space")).status_code in {401, 403}
    await set_quota(studio.shards.directory, TENANT, None)
    assert (await create(teacher, 1000)).status_code == 201
    assert (await teacher.delete(f"/api/video/{video}")).status_code == 204


async def test_lectures_of_before_are_counted_before_the_next_one_is_admitted(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    await media.upload(teacher, lecture)
    for table in ("media_space", "media_files", "media_uses"):
        await change(studio, f"DELETE FROM {table}")  # noqa: S608 - the names above
    answer = await create(teacher, QUOTA - len(lecture) + 1)
    assert code(answer) == (507, "OUT_OF_SPACE")
    assert answer.json()["error"]["details"]["used"] == len(lecture)
    assert (await create(teacher, QUOTA - len(lecture))).status_code == 201


async def test_the_sweep_heals_a_wrong_account(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    await media.upload(teacher, lecture)
    await change(studio, "UPDATE media_space SET used = 5")
    await change(studio, "UPDATE media_files SET bytes = 1")
    await studio.media.uploads.sweep.turn()
    assert await used(studio) == len(lecture)
    for table in ("media_space", "media_files", "media_uses"):
        await change(studio, f"DELETE FROM {table}")  # noqa: S608 - the names above
    await studio.media.uploads.sweep.turn()
    assert await used(studio) == stored(tmp_path) == len(lecture)


async def test_a_reservation_that_a_crash_left_is_given_back_after_a_while(studio: Studio) -> None:
    account = studio.media.parts.account
    await account.reserve(studio.key(), "v0123456789abcdef", 1000)
    await studio.media.uploads.sweep.turn()
    assert await used(studio) == 1000
    await change(studio, "UPDATE media_uses SET created_at = created_at - 4000")
    await studio.media.uploads.sweep.turn()
    assert await used(studio) == 0
    assert await account.uses(TENANT, "v0123456789abcdef") == []


async def test_a_lecture_whose_row_is_gone_leaves_no_files(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    await media.upload(teacher, lecture)
    await change(studio, "DELETE FROM videos", everywhere=True)
    await change(studio, "UPDATE media_uses SET created_at = created_at - 4000")
    await studio.media.uploads.sweep.turn()
    assert (await used(studio), files(tmp_path)) == (0, [])


async def test_the_file_of_an_old_failure_goes(tmp_path: Path, lecture: bytes) -> None:
    async with media.opened(tmp_path, settings=VideoSettings(failed_days=2)) as studio:
        teacher = await studio.enter()
        video = await media.upload(teacher, lecture)
        await change(studio, "UPDATE videos SET status = 'failed'", everywhere=True)
        await studio.media.uploads.sweep.turn()
        assert await used(studio) == len(lecture)
        await change(studio, "UPDATE videos SET created_at = created_at - 3 * 86400", everywhere=True)
        await studio.media.uploads.sweep.turn()
        assert (await used(studio), files(tmp_path)) == (0, [])
        assert (await teacher.get(f"/api/video/{video}")).json()["status"] == "failed"


async def test_an_erased_tenant_leaves_no_account(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    await media.upload(await studio.enter(), lecture)
    await media.upload(await studio.enter(tenant="t-other"), lecture)
    forgetter = Forgetter(studio.media.parts, studio.media.videos, tmp_path / "uploads")
    await forgetter.forget(Whom(tenant=TENANT))
    assert await studio.media.parts.account.standing(TENANT) is None
    assert await used(studio, "t-other") == len(lecture)
    left = await studio.shards.directory.read(QUERIES["list_files"], {"tenant": "", "media": "", "limit": 10})
    assert [row["tenant"] for row in left] == ["t-other"]


async def test_the_command_sets_lists_and_counts_beside_a_server(tmp_path: Path, lecture: bytes) -> None:
    async with media.opened(tmp_path) as studio:
        await media.upload(await studio.enter(), lecture)
        assert await run(tmp_path, "quota", "set", TENANT, "1.5GB") == {"tenant": TENANT, "allowed": 1_500_000_000}
        [row] = (await run(tmp_path, "quota", "list"))["tenants"]
        assert (row["used"], row["allowed"], row["own"]) == (len(lecture), 1_500_000_000, True)
        await change(studio, "UPDATE media_files SET bytes = 1")
        [row] = (await run(tmp_path, "recount"))["tenants"]
        assert row["used"] == len(lecture) == await used(studio)
        await run(tmp_path, "quota", "clear", TENANT)
        [row] = (await run(tmp_path, "quota", "list"))["tenants"]
        assert not row["own"]
        for wrong, status in ((("quota", "set", "t-none", "1GB"), 1), (("quota", "set", TENANT, "much"), 2)):
            with pytest.raises((NotFound, click.UsageError)) as failure:
                await asyncio.to_thread(invoke, tmp_path, *wrong)
            assert isinstance(failure.value, click.UsageError) == (status == 2)


def invoke(data: Path, *arguments: str) -> dict[str, Any]:
    """What a command prints; raises what it raises."""
    command = ["assets", *arguments, "--data", str(data), "--json"]
    result = CliRunner().invoke(program, command, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return dict(json.loads(result.stdout))


async def run(data: Path, *arguments: str) -> dict[str, Any]:
    return await asyncio.to_thread(invoke, data, *arguments)


@pytest.mark.parametrize(
    ("text", "size"), [("500GB", 500 * 10**9), ("1.5 TB", 1_500 * 10**9), ("12", 12), ("3kb", 3000), ("7B", 7)]
)
def test_sizes_are_read_and_shown(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "1XB", "-5", "1.2.3GB", "5GBGB", "٣GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        read_size(text)


def test_sizes_for_people() -> None:
    assert [size_text(size) for size in (12, 4_200, 999_999_999, 4_200_000_000)] == [
        "12 bytes",
        "4.2 kB",
        "1000.0 MB",
        "4.2 GB",
    ]
