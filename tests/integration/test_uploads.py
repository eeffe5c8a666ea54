"""Uploads in one piece, good and bad, and what they take of the machine."""

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from atomic_guide.clock import ManualClock
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.assets.settings import AssetSettings
from atomic_guide.web.idempotency import Answers
from tests import media
from tests.media import Studio, code, create, files

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="session")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return media.clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=1).read_bytes()


@pytest.fixture
async def studio(tmp_path: Path) -> AsyncIterator[Studio]:
    async with media.opened(tmp_path) as studio:
        yield studio


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


@pytest.mark.parametrize("kind", ["form", "tus", "tus with bytes"])
async def test_what_a_killed_process_had_made_of_an_upload_is_found_again(
    tmp_path: Path, lecture: bytes, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    clock = ManualClock()
    async with media.opened(tmp_path / "data", clock=clock) as studio, await studio.enter() as teacher:

        async def send() -> httpx.Response:
            key = {"Idempotency-Key": "k"}
            if kind == "form":
                return await teacher.post("/api/video/upload", files={"file": ("a.mp4", lecture)}, headers=key)
            if kind == "tus":
                return await media.create(teacher, len(lecture), **key)
            headers = {**media.BYTES, "Upload-Length": str(len(lecture)), **key}
            headers["Upload-Metadata"] = media.metadata(title="L", filename="a.mp4")
            return await teacher.post("/api/video/upload", content=lecture[:90_000], headers=headers)

        with monkeypatch.context() as killed:
            # Neither its claim is released nor its answer kept.
            killed.setattr(Answers, "_run", _nothing)
            first = await send()
        assert code(await send()) == (409, "CONFLICT")
        clock.advance(61)
        again = await send()
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        assert again.headers.get("upload-offset") == first.headers.get("upload-offset")
        assert len((await teacher.get("/api/video")).json()["videos"]) == (kind == "form")
        assert len([one for one in media.files(tmp_path / "data") if one.stat().st_size]) == (kind != "tus")


async def _nothing(*_: object) -> None:
    pass


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


async def test_a_sender_that_goes_away_leaves_nothing(studio: Studio, lecture: bytes, tmp_path: Path) -> None:
    teacher = await studio.enter()
    head = (
        "POST /api/video/upload HTTP/1.1\r\nHost: tool\r\nContent-Length: 5000000\r\n"
        f"Authorization: {teacher.headers['authorization']}\r\nContent-Type: multipart/form-data; boundary=x\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp4"\r\n\r\n'
    )
    with serving(studio) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head.encode() + lecture)
        await writer.drain()
        await eventually(lambda: len(files(tmp_path)) == 1)
        writer.close()
        await eventually(lambda: not files(tmp_path))
    assert (await teacher.get("/api/video")).json()["space"]["used"] == 0


async def eventually(true: Callable[[], bool]) -> None:
    for _ in range(200):
        if true():
            return
        await asyncio.sleep(0.02)
    pytest.fail("it does not happen")


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

async def main():
    async with media.opened(Path(sys.argv[1])) as studio:
        teacher = await studio.enter()
        content = Path(sys.argv[2]).read_bytes() + bytes(4_000_000)
        address = (await media.create(teacher, len(content))).headers["location"]
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))
        form = await teacher.post("/api/video/upload", files={"file": ("a.mp4", content)})
        print("form", *media.code(form))
        print("patch", *media.code(await media.patch(teacher, address, 0, content)))
        offset = int((await teacher.head(address, headers=media.TUS)).headers["upload-offset"])
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.getrlimit(resource.RLIMIT_FSIZE)[1],) * 2)
        print("kept", 0 <= offset <= 3_000_000)
        print("files", len(media.files(Path(sys.argv[1]))))

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


async def test_another_file_under_the_same_key_is_told_not_dropped(tmp_path: Path) -> None:
    first, second = media.clip(tmp_path / "a.mp4", seconds=1), media.clip(tmp_path / "b.mp4", seconds=2)
    async with media.opened(tmp_path / "data") as studio, await studio.enter() as client:
        key = {"Idempotency-Key": "monday"}
        for expected, path in ((202, first), (202, first), (422, second)):
            files = {"file": ("film.mp4", path.read_bytes())}
            answer = await client.post("/api/video/upload", data={"title": "L"}, files=files, headers=key)
            assert answer.status_code == expected
        assert len((await client.get("/api/video")).json()["videos"]) == 1
