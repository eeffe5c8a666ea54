"""What people, scripts and attackers send by mistake or on purpose: one clear error each, and nothing lost."""

import socket
import struct
import urllib.parse
from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(120)
OPERATOR = "operator-token-of-the-test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("bad") / "data", OPERATOR_TOKEN=OPERATOR) as running:
        yield running


@pytest.fixture(scope="module")
def teacher(server: RunningServer) -> Iterator[httpx.Client]:
    with server.enter("teacher", role="instructor") as client:
        yield client


JSON = {"Content-Type": "application/json"}

REQUESTS = [
    ("/api/chat/message", b'{"content": 7}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": ["a"]}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b"{}", JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b"[]", JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b"null", JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b"", JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "a"', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "\xff\xfe"}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "\\ud800"}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "   "}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "' + b"x" * 4001 + b'"}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b"[" * 60_000, JSON, 400, "VALIDATION_ERROR"),
    ("/api/chat/message", b'{"content": "' + b"x" * 70_000 + b'"}', JSON, 413, "TOO_LARGE"),
    ("/api/chat/message", b"content=hello", {"Content-Type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("/api/chat/message", b'{"content": "a"}', JSON | {"Idempotency-Key": "a b"}, 400, "VALIDATION_ERROR"),
    ("/api/session", b'{"code": "nonsense"}', JSON, 401, "UNAUTHENTICATED"),
    ("/api/session", b'{"code": 1}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/analytics/performance", b'{"scores": 1}', JSON, 400, "VALIDATION_ERROR"),
    ("/api/analytics/performance", b"<scores/>", {"Content-Type": "text/xml"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("/api/video/upload", b"nothing", {"Content-Type": "multipart/form-data"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("/api/nothing", b"", {}, 404, "NOT_FOUND"),
    ("/api/video", b"", {}, 405, "METHOD_NOT_ALLOWED"),
]


@pytest.mark.parametrize(("path", "body", "headers", "status", "code"), REQUESTS)
def test_a_bad_request_is_refused_with_its_reason(
    teacher: httpx.Client, path: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = teacher.post(path, content=body, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error["message"]
    assert set(error) == {"code", "message", "details", "timestamp"}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"", "empty.mp4"),
        (b"Dear students, the lecture is cancelled.", "letter.mp4"),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", "list.mp4"),
        (b"\xef\xbb\xbf#EXTM3U\nhttp://127.0.0.1/secret\n", "list.mov"),
        (b"<!doctype html><title>x</title>", "page.webm"),
        (b"PK\x03\x04" + b"\x00" * 500, "archive.mkv"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "concat.mp4"),
    ],
)
def test_what_is_no_video_is_refused_at_once(teacher: httpx.Client, content: bytes, name: str) -> None:
    answer = teacher.post("/api/video/upload", data={"title": "No video"}, files={"file": (name, content)})
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert "No video" not in [video["title"] for video in teacher.get("/api/video").json()["videos"]]


ASKED = [
    ("GET", "/api/ops/assets/replicas?limit=%C2%B2", None, 400),
    ("GET", "/api/ops/assets/replicas?limit=1001", None, 400),
    ("GET", "/api/ops/assets/deletions?limit=" + "9" * 400, None, 400),
    ("GET", "/api/ops/lectures/space?limit=1e3", None, 400),
    ("GET", "/api/ops/cache/value?space=%00&tenant=..&course=%ff", None, 404),
    ("GET", "/api/ops/cache/value?space=reports&tenant=t", None, 400),
    ("GET", "/api/ops/cache/log?limit=-1", None, 400),
    ("GET", "/api/ops/regions?limit=a", None, 400),
    ("GET", "/api/ops/regions/where?country=%ED%A0%80", None, 400),
    ("POST", "/api/ops/assets/repair", b'{"store": 7}', 400),
    ("POST", "/api/ops/assets/repair", b'{"shop": "x"}', 400),
    ("POST", "/api/ops/assets/repair", b'{"store": "../disk"}', 404),
    ("POST", "/api/ops/cache/drop", b'{"tenant": null}', 400),
    ("POST", "/api/ops/cache/drop", b'{"tenant": "t", "everything": true}', 400),
    ("POST", "/api/ops/cache/warm", b'{"space": "x\\u0000", "tenant": "t", "course": "c"}', 404),
    ("POST", "/api/ops/regions/drain", b'{"region": "x\\u0000", "why": "x"}', 404),
    ("POST", "/api/ops/regions/drain", b"[" * 60_000, 400),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ASKED)
def test_what_operators_ask_wrongly_is_refused(
    server: RunningServer, method: str, path: str, body: bytes | None, status: int
) -> None:
    headers = {**JSON, "Authorization": f"Bearer {OPERATOR}"}
    answer = httpx.request(method, f"{server.url}{path}", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("length", ["\u00b2", "-1", "+1", "1_000", "1e3", "9" * 5000, ""])
def test_a_length_that_is_no_number_begins_no_upload(teacher: httpx.Client, length: str) -> None:
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": length.encode("latin-1")}
    assert teacher.post("/api/video/upload", headers=headers).status_code in {400, 413, 415}  # type: ignore[arg-type]


TRICKS = [
    "../../../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "....//....//etc/passwd",
    "%00",
    "a/../../b",
    "master.m3u8/..",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_path_never_leaves_its_place(server: RunningServer, trick: str) -> None:
    for prefix in ("/static/", "/api/video/play/1-AAAA/v0/", "/api/video/", "/"):
        host, port = server.url.removeprefix("http://").split(":")
        # httpx would tidy the path up; this sends it as it stands.
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(f"GET {prefix}{trick} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: raw.recv(65536), b""))
        assert answer.split(b" ")[1] in {b"400", b"401", b"403", b"404"}
        assert b"root:" not in answer


def test_a_title_and_a_file_name_are_only_ever_text(teacher: httpx.Client) -> None:
    film = b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 100
    title = "../../<script>alert(1)</script>"
    answer = teacher.post("/api/video/upload", data={"title": title}, files={"file": ("../../../evil.mp4", film)})
    assert answer.status_code == 202
    video = teacher.get(f"/api/video/{answer.json()['id']}").json()
    assert video["title"] == title
    assert video["filename"] == "evil.mp4"
    assert teacher.delete(f"/api/video/{video['id']}").status_code < 300


def test_a_body_that_never_ends_is_cut_off(server: RunningServer, teacher: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b" " * 65536

    try:
        answer = teacher.post("/api/chat/message", content=endless(), headers=JSON)
    except httpx.HTTPError:
        # The server may hang up while the client is still sending.
        pass
    else:
        assert answer.status_code == 413
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_garbage_on_the_socket_is_no_harm(server: RunningServer, teacher: httpx.Client) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    ticket = teacher.post("/api/chat/ticket").json()["ticket"]
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = (
            f"GET /api/chat/ws?ticket={urllib.parse.quote(ticket)} HTTP/1.1\r\nHost: {host}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Key: {key}\r\n\r\n"
        )
        raw.sendall(head.encode())
        assert b" 101 " in raw.recv(1024)
        # A frame that says it is 2^62 bytes long.
        raw.sendall(b"\x81\xff" + struct.pack("!Q", 1 << 62) + b"mask" + b"x" * 100)
        rest = b"".join(iter(lambda: raw.recv(65536), b""))
    assert struct.pack("!H", 1009) in rest
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_tokens_of_nobody_are_refused(server: RunningServer) -> None:
    for header in ("", "Bearer", "Bearer x", "Basic dXNlcjpwYXNz", "Bearer " + "x" * 5000):
        answer = httpx.get(f"{server.url}/api/chat/messages", headers={"Authorization": header} if header else {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
