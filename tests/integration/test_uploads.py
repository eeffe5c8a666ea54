"""Uploads in one piece and resumed, good and bad."""

import asyncio
import base64
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.videos import QUERIES
from atomic_guide.engines.assets.store import AssetSettings
from tests import media
from tests.media import Studio

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=1).read_bytes()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with media.opened(tmp_path) as studio:
        yield studio


def metadata(**values: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in values.items())


async def create(client: httpx.AsyncClient, length: int, **headers: str) -> httpx.Response:
    named = {"Upload-Metadata": metadata(title="Größen & Wellen", filename="lecture.mp4")}
    return await client.post("/api/video/upload", headers={**TUS, "Upload-Length": str(length), **named, **headers})


async def patch(client: httpx.AsyncClient, address: str, offset: int, content: Any) -> httpx.Response:
    return await client.patch(address, headers={**BYTES, "Upload-Offset": str(offset)}, content=content)


def files(folder: Path) -> list[Path]:
    return [path for name in ("uploads", "objects") for path in (folder / name).rglob("*") if path.is_file()]


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


# --- in one piece ------------------------------------------------------------------------------------


async def test_a_form_makes_a_video_of_any_name(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    video = await media.upload(teacher, lecture, "Größen & Wellen 🌊", "../../etc/passwd\\lecture.mp4")
    shown = (await teacher.get(f"/api/video/{video}")).json()
    assert (shown["title"], shown["filename"], shown["size"]) == ("Größen & Wellen 🌊", "lecture.mp4", len(lecture))
    assert (shown["status"], shown["position"], shown["playback"]) == ("queued", 0, None)


async def test_the_title_may_follow_the_file_or_be_left_out(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    forms: list[tuple[Any, str]] = [
        ([("file", ("week 3.mp4", lecture)), ("title", (None, "After"))], "After"),
        ([("file", ("week 3.mp4", lecture))], "week 3"),
    ]
    for parts, title in forms:
        answer = await teacher.post("/api/video/upload", files=parts)
        assert answer.status_code == 202, answer.text
        assert (await teacher.get(f"/api/video/{answer.json()['id']}")).json()["title"] == title


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just some text", "text"),
        (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", "playlist"),
        (b"#EXTM3U\n" + b"#" * MEBIBYTE, "playlist"),
        (b"PK\x03\x04" + b"\0" * MEBIBYTE, "ZIP"),
    ],
)
async def test_what_is_plainly_no_media_is_refused(studio: Studio, tmp_path: Path, content: bytes, words: str) -> None:
    teacher = await studio.enter()
    answer = await teacher.post("/api/video/upload", files={"file": ("film.mp4", content)}, data={"title": "x"})
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert words in answer.json()["error"]["message"]
    assert files(tmp_path) == []
    assert (await teacher.get("/api/video")).json()["space"]["used"] == 0


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data; boundary=x", 400),
        (b"", "multipart/form-data", 415),
        (b"", "multipart/form-data; boundary=" + "x" * 300, 400),
        (b"{}", "application/json", 415),
        (b"", "", 415),
        (
            b'--x\r\nContent-Disposition: form-data; name="title"\r\n\r\nx\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
            400,
        ),
        (b"--x\r\n\r\nx\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        (b"--x\r\nA: " + b"a" * 9000 + b"\r\n\r\nx\r\n--x--\r\n", "multipart/form-data; boundary=x", 400),
        (
            b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\n' + b"x" * 9000,
            "multipart/form-data; boundary=x",
            400,
        ),
        (b'--x\r\nContent-Disposition: form-data; name="t"\r\n\r\nx\r\n' * 20, "multipart/form-data; boundary=x", 400),
    ],
)
async def test_a_malformed_form_is_refused(
    studio: Studio, tmp_path: Path, content: bytes, kind: str, status: int
) -> None:
    teacher = await studio.enter()
    answer = await teacher.post("/api/video/upload", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert files(tmp_path) == []


async def test_a_title_that_is_too_long_is_refused(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    answer = await teacher.post("/api/video/upload", files={"file": ("film.mp4", lecture)}, data={"title": "x" * 301})
    assert (code(answer), answer.json()["error"]["details"]) == ((400, "VALIDATION_ERROR"), {"field": "title"})
    assert files(tmp_path) == []


async def test_size_quota_and_disk_have_limits(tmp_path: Path, lecture: bytes) -> None:
    size = len(lecture)
    limits = VideoSettings(max_bytes=size + 100_000, course_bytes=size + 2000)
    async with media.opened(tmp_path / "a", settings=limits) as studio:
        teacher = await studio.enter()
        await media.upload(teacher, lecture)
        for content, expected in ((lecture, (507, "OUT_OF_SPACE")), (lecture + b"\0" * 400_000, (413, "TOO_LARGE"))):
            answer = await teacher.post("/api/video/upload", files={"file": ("a.mp4", content)})
            assert code(answer) == expected
            assert code(await create(teacher, len(content))) == expected

        async def undeclared() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + lecture
            for _ in range(40):
                yield b"\0" * 10_000

        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        answer = await teacher.post("/api/video/upload", content=undeclared(), headers=kind)
        assert code(answer) == (413, "TOO_LARGE")
        assert len(files(tmp_path / "a")) == 1
    async with media.opened(tmp_path / "b", assets=AssetSettings(least_free_bytes=2**60)) as studio:
        teacher = await studio.enter()
        answer = await teacher.post("/api/video/upload", files={"file": ("a.mp4", lecture)})
        assert code(answer) == (507, "OUT_OF_SPACE")
        assert "disk is full" in answer.json()["error"]["message"]


async def test_a_repeated_upload_under_one_key_is_one_video(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    key = {"Idempotency-Key": "k-1"}
    send: dict[str, Any] = {"files": {"file": ("a.mp4", lecture)}, "data": {"title": "x"}, "headers": key}
    first = await teacher.post("/api/video/upload", **send)
    second = await teacher.post("/api/video/upload", **send)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert len((await teacher.get("/api/video")).json()["videos"]) == 1
    other = await (await studio.enter(user="second")).post("/api/video/upload", **send)
    assert other.json()["id"] != first.json()["id"]


async def test_a_key_is_held_while_its_request_runs_and_freed_by_a_refusal(studio: Studio, lecture: bytes) -> None:
    teacher = await studio.enter()
    key = {"Idempotency-Key": "k-2"}
    began, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
        began.set()
        await go_on.wait()
        yield b"no video\r\n--x--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=x", **key}
    first = asyncio.create_task(teacher.post("/api/video/upload", content=slow(), headers=headers))
    await asyncio.wait_for(began.wait(), 5)
    second = await teacher.post("/api/video/upload", files={"file": ("a.mp4", lecture)}, headers=key)
    assert code(second) == (409, "CONFLICT")
    assert int(second.headers["retry-after"]) > 0
    go_on.set()
    assert (await first).status_code == 415
    third = await teacher.post("/api/video/upload", files={"file": ("a.mp4", lecture)}, headers=key)
    assert third.status_code == 202


# --- resumed -----------------------------------------------------------------------------------------


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
    assert set(answer.headers["tus-extension"].split(",")) >= {"creation", "termination", "expiration"}


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
        await studio.media.recover()
        await studio.media.uploads.tend()
        assert (await teacher.get(f"/api/video/{video}")).json()["status"] == "queued"
        assert upload.length == len(lecture)
    assert len(files(tmp_path)) == 2


async def note_received(studio: Studio, video: str, received: int) -> None:
    key = studio.key()

    async def work(tx: Any) -> None:
        values = {**key.columns, "id": video, "received": received, "expires_at": studio.clock.now() + 100}
        await tx.execute(QUERIES["note_received"], values)

    await studio.shards.of(key).write(work)


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
        assert (await teacher.head(left, headers=TUS)).status_code == 404
        assert (await teacher.get("/api/video")).json()["space"]["used"] == 0
    assert files(tmp_path) == []


async def test_unfinished_uploads_of_a_course_are_bounded(tmp_path: Path) -> None:
    async with media.opened(tmp_path, settings=VideoSettings(unfinished_uploads=2)) as studio:
        teacher = await studio.enter()
        answers = [await create(teacher, 1000) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [201, 201, 409]


# --- over a real socket ------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(studio: Studio) -> Iterator[int]:
    """The application on a port of its own, in this process's loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(studio.app, log_level="error", lifespan="off"))
    task = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        task.add_done_callback(lambda _: listener.close())


def peak() -> int:
    """The resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_a_large_upload_takes_little_memory(studio: Studio) -> None:
    teacher = await studio.enter()
    head = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2\0\0\0\0mdat"
    parts = 300
    with serving(studio) as port:

        async def body() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n' + head
            block = bytes(MEBIBYTE)
            for _ in range(parts):
                yield block
                highest.append(peak())
            yield b"\r\n--x--\r\n"

        highest = [peak()]
        async with httpx.AsyncClient(headers=teacher.headers, timeout=60) as client:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = await client.post(f"http://127.0.0.1:{port}/api/video/upload", content=body(), headers=kind)
    assert answer.status_code == 202, answer.text
    assert (await teacher.get("/api/video")).json()["space"]["used"] == parts * MEBIBYTE + len(head)
    assert max(highest) - highest[0] < 60 * MEBIBYTE


async def test_a_refusal_reaches_a_sender_that_is_still_sending(studio: Studio) -> None:
    teacher = await studio.enter()
    with serving(studio) as port:
        async with httpx.AsyncClient(headers=teacher.headers, timeout=20) as client:
            send = {"file": ("film.mp4", b"#EXTM3U\n" * MEBIBYTE)}
            answer = await client.post(f"http://127.0.0.1:{port}/api/video/upload", files=send)
    assert code(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from tests import media
from tests.integration import test_uploads as uploads

async def main():
    async with media.opened(Path(sys.argv[1])) as studio:
        teacher = await studio.enter()
        content = Path(sys.argv[2]).read_bytes() + bytes(4_000_000)
        address = (await uploads.create(teacher, len(content))).headers["location"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        form = await teacher.post("/api/video/upload", files={"file": ("a.mp4", content)})
        print("form", *uploads.code(form))
        print("patch", *uploads.code(await uploads.patch(teacher, address, 0, content)))
        offset = int((await teacher.head(address, headers=uploads.TUS)).headers["upload-offset"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        print("kept", 0 <= offset <= 3_000_000)
        print("files", len(uploads.files(Path(sys.argv[1]))))

asyncio.run(main())
"""


def test_a_full_disk_is_said_and_leaves_nothing_half(tmp_path: Path, lecture: bytes) -> None:
    # A limit of the kernel on file sizes stands in for the full disk: writes fail half way as they do there.
    (tmp_path / "lecture.mp4").write_bytes(lecture)
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "data"), str(tmp_path / "lecture.mp4")]
    root = Path(__file__).parents[2]
    ran = subprocess.run(command, check=False, capture_output=True, text=True, timeout=40, cwd=root)
    said = [line for line in ran.stdout.splitlines() if line.split()[0] in {"form", "patch", "kept", "files"}]
    assert said == [
        "form 507 OUT_OF_SPACE",
        "patch 507 OUT_OF_SPACE",
        "kept True",
        "files 1",
    ], ran.stderr
