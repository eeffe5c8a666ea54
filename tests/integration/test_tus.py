"""Resumable uploads, good and bad, by the protocol tus 1.0."""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.videos import QUERIES
from atomic_guide.engines.assets.settings import AssetSettings
from tests import media
from tests.media import BYTES, TUS, Studio, code, create, files, metadata, patch

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=1).read_bytes()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with media.opened(tmp_path) as studio:
        yield studio


async def test_a_resumed_upload_plays(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    created = await create(teacher, len(lecture))
    assert (created.status_code, created.json()["status"]) == (201, "queued")
    address, video = created.headers["location"], created.json()["id"]
    assert address.endswith(f"/api/video/upload/{video}")
    assert "upload-expires" in created.headers
    waiting = (await teacher.get(f"/api/video/{video}")).json()
    assert (waiting["status"], waiting["steps"]) == ("queued", [{"name": "received", "state": "running"}])
    assert (await teacher.get("/api/video")).json()["videos"] == []
    half = len(lecture) // 2
    answer = await patch(teacher, address, 0, lecture[:half])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(half))
    head = await teacher.head(address, headers=TUS)
    assert (head.headers["upload-offset"], head.headers["upload-length"]) == (str(half), str(len(lecture)))
    assert head.headers["cache-control"] == "no-store"
    answer = await patch(teacher, address, half, lecture[half:])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(lecture)))
    async with studio.working():
        shown = await media.until(teacher, video, "ready")
    assert (shown["title"], shown["filename"]) == ("Größen & Wellen", "lecture.mp4")
    again = await teacher.head(address, headers=TUS)
    assert again.headers["upload-offset"] == str(len(lecture))


async def test_a_creation_may_bring_the_first_bytes(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    headers = {**BYTES, "Upload-Length": str(len(lecture)), "Upload-Metadata": metadata(filename="week 3.mp4")}
    created = await teacher.post("/api/video/upload", headers=headers, content=lecture)
    assert (created.status_code, created.headers["upload-offset"]) == (201, str(len(lecture)))
    assert (await teacher.get(f"/api/video/{created.json()['id']}")).json()["title"] == "week 3"


async def test_a_server_says_what_it_speaks(studio: Studio) -> None:
    answer = await (await studio.enter()).options("/api/video/upload")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(2 * 1024**3)
    assert set(answer.headers["tus-extension"].split(",")) >= {"creation", "termination", "expiration", "checksum"}
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256,md5"


async def test_the_protocols_refusals(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    address = (await create(teacher, len(lecture))).headers["location"]
    await patch(teacher, address, 0, lecture[:1000])
    old = {**BYTES, "Tus-Resumable": "0.2.2", "Upload-Offset": "1000"}
    plain = {**TUS, "Content-Type": "text/plain", "Upload-Offset": "1000"}
    answers = {
        412: await teacher.patch(address, headers=old, content=b"x"),
        415: await teacher.patch(address, headers=plain, content=b"x"),
        400: await teacher.patch(address, headers=BYTES, content=b"x"),
        409: await patch(teacher, address, 999, b"x"),
        413: await patch(teacher, address, 1000, lecture),
        404: await patch(teacher, "/api/video/upload/v0000000000000000", 0, b"x"),
    }
    assert [answer.status_code for answer in answers.values()] == list(answers)
    assert answers[409].json()["error"]["details"] == {"offset": 1000}
    assert (await create(teacher, 0)).status_code == 415
    assert (await create(teacher, 3 * 1024**3)).status_code == 413
    assert (await create(teacher, 10, **{"Upload-Metadata": "title ???"})).status_code == 400
    assert (await create(teacher, 10, **{"Upload-Length": "ten"})).status_code == 400
    assert (await teacher.post("/api/video/upload", headers={**TUS, "Upload-Defer-Length": "1"})).status_code == 400
    for wrong in ("..%2F..%2Fetc%2Fpasswd", "x" * 300, "%00"):
        assert (await teacher.head(f"/api/video/upload/{wrong}", headers=TUS)).status_code == 404
    learner, other = await studio.enter("learner", "s1"), await studio.enter(context="course-2")
    assert (await create(learner, 10)).status_code == 403
    assert (await patch(other, address, 1000, b"x")).status_code == 404


async def test_a_resumed_upload_of_no_media_ends_with_its_first_bytes(studio: Studio, tmp_path: Path) -> None:
    teacher = await studio.enter()
    address = (await create(teacher, 10 * MEBIBYTE)).headers["location"]
    answer = await patch(teacher, address, 0, b"#EXTM3U\n" * 1000)
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert (await teacher.head(address, headers=TUS)).status_code == 404
    assert files(tmp_path) == []
    assert (await teacher.get("/api/video")).json()["space"]["used"] == 0


async def test_one_writer_at_a_time(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    address = (await create(teacher, len(lecture))).headers["location"]
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield lecture[:1000]
        began.set()
        await go_on.wait()
        yield lecture[1000:]

    first = asyncio.create_task(patch(teacher, address, 0, slow()))
    await asyncio.wait_for(began.wait(), 5)
    second = await patch(teacher, address, 0, lecture)
    assert code(second) == (409, "CONFLICT")
    assert "retry-after" in second.headers
    go_on.set()
    assert (await first).status_code == 204


async def test_what_arrived_before_the_sender_went_away_is_kept(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    address = (await create(teacher, len(lecture))).headers["location"]

    async def broken() -> AsyncIterator[bytes]:
        yield lecture[:5000]
        raise ConnectionResetError

    with contextlib.suppress(ConnectionResetError):
        await patch(teacher, address, 0, broken())
    assert (await teacher.head(address, headers=TUS)).headers["upload-offset"] == "5000"


async def test_bytes_that_were_never_acknowledged_are_cut_off(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    created = await create(teacher, len(lecture))
    address, video = created.headers["location"], created.json()["id"]
    await patch(teacher, address, 0, lecture[:1000])
    with (tmp_path / "uploads" / video).open("ab") as file:
        file.write(b"of a process that died")
    assert (await patch(teacher, address, 1000, lecture[1000:])).status_code == 204
    (stored,) = files(tmp_path)
    assert stored.read_bytes() == lecture


async def test_a_whole_upload_whose_process_died_becomes_a_video(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher = await studio.enter()
    for moved in (False, True):
        created = await create(teacher, len(lecture))
        key, video = studio.key(), created.json()["id"]
        upload = await studio.media.uploads.find(key, video)
        (tmp_path / "uploads" / video).write_bytes(lecture)
        await note_received(studio, video, len(lecture))
        if moved:
            place = f"{key.tenant}/{key.course}/video/{video}/source"
            await studio.media.store.adopt([(tmp_path / "uploads" / video, place)])
        await studio.media.recover(alone=True)
        await studio.media.uploads.tend()
        assert (await teacher.get(f"/api/video/{video}")).json()["status"] == "queued"
        assert upload.length == len(lecture)
    assert len(files(tmp_path)) == 2


async def test_an_upload_cancelled_while_it_is_made_a_video_leaves_nothing(
    studio: Studio, lecture: bytes, tmp_path: Path
) -> None:
    teacher = await studio.enter()
    created = await create(teacher, len(lecture))
    key, video = studio.key(), created.json()["id"]
    upload = await studio.media.uploads.find(key, video)
    assert (await teacher.delete(created.headers["location"], headers=TUS)).status_code == 204
    (tmp_path / "uploads" / video).write_bytes(lecture)
    await studio.media.uploads.finish(key, upload)
    assert (await teacher.get(f"/api/video/{video}")).status_code == 404
    assert files(tmp_path) == []


async def note_received(studio: Studio, video: str, received: int) -> None:
    key = studio.key()

    async def work(tx: Any) -> None:
        values = {**key.columns, "id": video, "received": received, "before": 0, "part": "",
                  "expires_at": studio.clock.now() + 100}  # fmt: skip
        await tx.execute(QUERIES["note_received"], values)

    await studio.shards.of(key).write(work)


async def test_an_upload_in_one_piece_that_a_crash_ended_leaves_nothing(studio: Studio, tmp_path: Path) -> None:
    teacher = await studio.enter()
    kept = await create(teacher, 1000)
    await studio.media.uploads.create(studio.key(), "teacher", 5000)
    (tmp_path / "uploads" / "stray").write_bytes(b"x")
    await studio.media.recover(alone=True)
    assert (await teacher.get("/api/video")).json()["space"]["used"] == 1000
    assert [path.name for path in files(tmp_path)] == [kept.json()["id"]]


async def test_cancelled_and_expired_uploads_leave_nothing(tmp_path: Path, lecture: bytes) -> None:
    clock = ManualClock(SystemClock().now())
    async with media.opened(tmp_path, clock=clock) as studio:
        teacher = await studio.enter()
        cancelled, left = [(await create(teacher, len(lecture))).headers["location"] for _ in range(2)]
        for address in (cancelled, left):
            await patch(teacher, address, 0, lecture[:2000])
        assert (await teacher.delete(cancelled, headers=TUS)).status_code == 204
        assert (await teacher.delete(cancelled, headers=TUS)).status_code == 404
        clock.advance(86_400 + 1)
        await studio.media.uploads.tend()
        teacher = await studio.enter()
        assert (await teacher.head(left, headers=TUS)).status_code == 410
        assert (await teacher.get("/api/video")).json()["space"]["used"] == 0
    assert files(tmp_path) == []


async def test_bytes_that_would_take_the_disks_reserve_are_refused_until_there_is_room(
    tmp_path: Path, lecture: bytes
) -> None:
    content = lecture.ljust(3_000_000, b"\0")
    async with media.opened(tmp_path) as studio:
        teacher = await studio.enter()
        address = (await create(teacher, len(content))).headers["location"]
        await patch(teacher, address, 0, content[:2000])
    # Other uploads, admitted to the same free space, have taken it since.
    async with media.opened(tmp_path, assets=AssetSettings(least_free_bytes=2**60)) as studio:
        teacher = await studio.enter()
        assert code(await patch(teacher, address, 2000, content[2000:])) == (507, "OUT_OF_SPACE")
        offset = int((await teacher.head(address, headers=TUS)).headers["upload-offset"])
        assert 2000 <= offset < len(content)
    async with media.opened(tmp_path) as studio:
        teacher = await studio.enter()
        assert (await patch(teacher, address, offset, content[offset:])).status_code == 204
        (stored,) = files(tmp_path)
        assert stored.read_bytes() == content


async def test_unfinished_uploads_of_a_course_are_bounded(tmp_path: Path) -> None:
    async with media.opened(tmp_path, settings=VideoSettings(unfinished_uploads=2)) as studio:
        teacher = await studio.enter()
        answers = [await create(teacher, 1000) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 409]


@pytest.mark.parametrize("name", ["sha1", "sha256", "md5"])
async def test_bytes_with_a_checksum_are_kept_if_it_is_right_and_not_at_all_otherwise(
    studio: Studio, lecture: bytes, tmp_path: Path, name: str
) -> None:
    teacher = await studio.enter()
    created = await create(teacher, len(lecture))
    address, video = created.headers["location"], created.json()["id"]
    first, rest = lecture[:3000], lecture[3000:]

    async def send(offset: int, content: bytes, of: bytes) -> httpx.Response:
        digest = base64.b64encode(hashlib.new(name, of).digest()).decode()
        headers = {**BYTES, "Upload-Offset": str(offset), "Upload-Checksum": f"{name} {digest}"}
        return await teacher.patch(address, headers=headers, content=content)

    # Damage that makes the beginning look like text is damage all the same, not another kind of file.
    damaged = await send(0, b"#EXTM3U" + first[7:], first)
    assert code(damaged) == (460, "CHECKSUM_MISMATCH")
    assert (tmp_path / "uploads" / video).stat().st_size == 0
    assert (await teacher.head(address, headers=TUS)).headers["upload-offset"] == "0"
    right = await send(0, first, first)
    assert (right.status_code, right.headers["upload-offset"]) == (204, "3000")
    assert (await send(3000, rest[:-1] + b"x", rest)).status_code == 460
    assert (await teacher.head(address, headers=TUS)).headers["upload-offset"] == "3000"
    assert (await send(3000, rest, rest)).status_code == 204
    (stored,) = files(tmp_path)
    assert stored.read_bytes() == lecture


async def test_a_checksum_goes_with_a_creation_too_and_must_be_one_that_is_known(
    studio: Studio, lecture: bytes
) -> None:
    teacher = await studio.enter()
    digest = base64.b64encode(hashlib.sha1(lecture, usedforsecurity=False).digest()).decode()
    headers = {**BYTES, "Upload-Length": str(len(lecture)), "Upload-Metadata": metadata(filename="a.mp4")}
    wrong = await teacher.post(
        "/api/video/upload", headers={**headers, "Upload-Checksum": f"sha1 {digest}"}, content=b"x" * len(lecture)
    )
    assert wrong.status_code == 460
    right = await teacher.post(
        "/api/video/upload", headers={**headers, "Upload-Checksum": f"sha1 {digest}"}, content=lecture
    )
    assert (right.status_code, right.headers["upload-offset"]) == (201, str(len(lecture)))
    address = (await create(teacher, len(lecture))).headers["location"]
    for text in ("crc32 AAAA", "sha1", "sha1 ???", "", "sha1"):
        answer = await teacher.patch(
            address, headers={**BYTES, "Upload-Offset": "0", "Upload-Checksum": text}, content=lecture[:10]
        )
        assert answer.status_code in {400, 460}, text
        assert (await teacher.head(address, headers=TUS)).headers["upload-offset"] == "0"


async def test_a_sender_that_goes_away_under_a_checksum_leaves_nothing(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    address = (await create(teacher, len(lecture))).headers["location"]

    async def broken() -> AsyncIterator[bytes]:
        yield lecture[:5000]
        raise ConnectionResetError

    digest = base64.b64encode(hashlib.sha1(lecture, usedforsecurity=False).digest()).decode()
    with contextlib.suppress(ConnectionResetError):
        headers = {**BYTES, "Upload-Offset": "0", "Upload-Checksum": f"sha1 {digest}"}
        await teacher.patch(address, headers=headers, content=broken())
    assert (await teacher.head(address, headers=TUS)).headers["upload-offset"] == "0"
    assert (await patch(teacher, address, 0, lecture)).status_code == 204


async def test_an_upload_says_when_it_expires_and_then_that_it_is_gone(tmp_path: Path, lecture: bytes) -> None:
    clock = ManualClock(SystemClock().now())
    async with media.opened(tmp_path, clock=clock) as studio:
        teacher = await studio.enter()
        created = await create(teacher, len(lecture))
        address = created.headers["location"]
        told = parsedate_to_datetime(created.headers["upload-expires"]).timestamp()
        assert told == pytest.approx(clock.now() + 86_400, abs=2)
        clock.advance(80_000)
        teacher = await studio.enter()
        sent = await patch(teacher, address, 0, lecture[:2000])
        assert parsedate_to_datetime(sent.headers["upload-expires"]).timestamp() > told
        clock.advance(86_400 + 1)
        teacher = await studio.enter()
        # Before and after it is swept.
        for _ in range(2):
            assert (await teacher.head(address, headers=TUS)).status_code == 410
            assert code(await patch(teacher, address, 2000, lecture[2000:])) == (410, "GONE")
            await studio.media.uploads.tend()
        assert (await teacher.delete(address, headers=TUS)).status_code == 410
        assert files(tmp_path) == []
        assert (await teacher.get("/api/video")).json()["space"]["used"] == 0
        # A server that starts anew keeps the memory of it, for some days.
        await studio.media.recover(alone=True)
        assert (await teacher.head(address, headers=TUS)).status_code == 410
        clock.advance(8 * 86_400)
        await studio.media.uploads.tend()
        assert (await (await studio.enter()).head(address, headers=TUS)).status_code == 404
