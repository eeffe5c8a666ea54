"""The server as people start it: `atomic-guide serve`, killed, stopped, refused."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.media import clip
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that has begun with nothing, its databases included, and that no test stops."""
    with running_server(tmp_path_factory.mktemp("data")) as running:
        yield running


def test_a_code_opens_a_session_that_can_be_refreshed_and_resumed(server: RunningServer) -> None:
    entered = httpx.post(f"{server.url}/api/session", json={"code": server.code(server.session("u7"))})
    assert entered.status_code == 200
    body = entered.json()
    assert body["user"] == {"id": "u7", "name": "Member u7", "role": "learner"}
    assert body["course"]["title"] == "Waves and Optics 101"
    headers = {"Authorization": f"Bearer {body['token']}"}
    refreshed = httpx.post(f"{server.url}/api/session/refresh", headers=headers)
    assert refreshed.json()["expires_in"] == 900
    resumed = httpx.post(f"{server.url}/api/session", json={"code": body["resume"]})
    assert resumed.json()["user"]["id"] == "u7"
    again = httpx.post(f"{server.url}/api/session", json={"code": body["resume"]})
    assert (again.status_code, again.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    course = httpx.get(f"{server.url}/api/course", headers=headers).json()
    assert course["space"]["used"] == 0
    assert course["limits"]["message_characters"] == 4000


def test_a_course_does_not_see_another(server: RunningServer) -> None:
    with server.enter("u1", context="one") as one, server.enter("u1", context="two") as two:
        assert one.post("/api/chat/message", json={"content": "only here"}).status_code == 201
        assert len(one.get("/api/chat/messages").json()["messages"]) == 1
        assert two.get("/api/chat/messages").json() == {"messages": [], "last_seq": 0}


def test_sigterm_ends_it_in_time_with_success(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 30


def test_acknowledged_messages_survive_a_kill(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}

    def post(server: RunningServer, user: str) -> None:
        with server.enter(user, role="instructor") as client, contextlib.suppress(httpx.HTTPError):
            for number in range(10_000):
                name = f"{user}-{number}"
                answer = client.post("/api/chat/message", json={"id": name, "content": f"message {name}"})
                if answer.status_code == 201:
                    acknowledged[name] = answer.json()["seq"]

    data = tmp_path / "data"
    with running_server(data, LIMITS_INSTRUCTOR_MESSAGES="100000", LIMITS_ROOM_MESSAGES="100000") as server:
        threads = [threading.Thread(target=post, args=(server, f"u{i}")) for i in range(3)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 30
        while len(acknowledged) < 200 and time.monotonic() < deadline:
            time.sleep(0.01)
        server.kill()
        for thread in threads:
            thread.join(30)
    assert len(acknowledged) >= 200
    with running_server(data) as server, server.enter() as client:
        stored = everything(client)
    assert [message["seq"] for message in stored] == list(range(1, len(stored) + 1))
    by_id = {message["id"]: message["seq"] for message in stored}
    assert {name: by_id.get(name) for name in acknowledged} == acknowledged


def everything(client: httpx.Client) -> list[dict[str, object]]:
    """Every message of the course, page by page."""
    found: list[dict[str, object]] = []
    for _ in range(1000):
        page = client.get("/api/chat/messages", params={"after": len(found), "limit": 200}).json()
        if not page["messages"]:
            return found
        found += page["messages"]
    pytest.fail("the pages do not end")


def test_five_videos_in_work_survive_a_kill_and_are_ready_once(tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", size="640x480", seconds=8).read_bytes()
    data = tmp_path / "data"
    with running_server(data) as server, server.enter(role="instructor") as client:
        videos = []
        for number in range(5):
            answer = client.post(
                "/api/video/upload", data={"title": f"Lecture {number}"}, files={"file": ("film.mp4", film)}
            )
            assert answer.status_code in {201, 202}
            videos.append(answer.json()["id"])
        wait_for(client, videos, {"processing", "playable", "ready"}, least=1)
        server.kill()
    with running_server(data) as server, server.enter(role="instructor") as client:
        done = wait_for(client, videos, {"ready", "failed"}, least=5)
        assert [done[video] for video in videos] == ["ready"] * 5
        listed = client.get("/api/video").json()["videos"]
        assert sorted(video["id"] for video in listed) == sorted(videos)
        for video in listed:
            playlist = client.get(video["playback"])
            assert playlist.status_code == 200
            assert playlist.text.count("#EXT-X-STREAM-INF") == len(video["renditions"]) >= 2


def test_a_lecture_is_made_in_a_data_directory_that_is_named_by_a_relative_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = clip(tmp_path / "film.mp4", size="320x240", seconds=8).read_bytes()
    monkeypatch.chdir(tmp_path)
    # As `./var`, where a server keeps its data if nothing else is said.
    with running_server(Path("var")) as server, server.enter(role="instructor") as client:
        answer = client.post("/api/video/upload", data={"title": "Light"}, files={"file": ("film.mp4", film)})
        assert answer.status_code in {201, 202}
        assert wait_for(client, [answer.json()["id"]], {"ready", "failed"}, least=1) == {answer.json()["id"]: "ready"}


def wait_for(client: httpx.Client, videos: list[str], states: set[str], least: int) -> dict[str, str]:
    """Wait until at least so many of the videos are in one of the states; the states of all."""
    deadline = time.monotonic() + 80
    while time.monotonic() < deadline:
        found = {video["id"]: video["status"] for video in client.get("/api/video").json()["videos"]}
        if sum(found.get(video) in states for video in videos) >= least:
            return found
        time.sleep(0.1)
    pytest.fail(f"the videos did not get there: {found}")


def serve_once(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A start that is expected to fail."""
    command = [sys.executable, "-m", "atomic_guide.cli", "serve", *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    return subprocess.run(command, env=clean | environment, capture_output=True, text=True, timeout=30, check=False)


def test_a_second_server_on_the_data_directory_is_refused(server: RunningServer) -> None:
    refused = serve_once("--data", str(server.data), "--port", "0")
    assert refused.returncode == 1
    assert server.url in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert httpx.get(f"{server.url}/healthz").status_code == 200


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = serve_once("--data", str(tmp_path), "--port", port)
    assert refused.returncode == 1
    assert f"127.0.0.1:{port}" in refused.stderr
    assert "--port" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SERVER_TRUSTED_PROXIES": "lb.internal"}, "server.trusted_proxies"),
        ({"SERVER_TLS_KEY": "key.pem"}, "server.tls_certificate"),
        ({"SERVER_TLS_CERTIFICATE": "nowhere.pem", "SERVER_TLS_KEY": "nowhere.pem"}, "server.tls_certificate"),
    ],
)
def test_a_setting_of_the_server_that_cannot_work_is_named(
    tmp_path: Path, settings: dict[str, str], named: str
) -> None:
    environment = {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    refused = serve_once("--data", str(tmp_path / "data"), "--port", "0", **environment)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert named in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_what_a_command_makes_is_private(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "atomic_guide.cli", "platforms", "invite", "--data", str(tmp_path / "data")]
    subprocess.run(command, capture_output=True, timeout=60, check=True)
    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert not [path for path in made if path.stat().st_mode & 0o077]


def test_the_practice_lms_stays_on_this_computer(tmp_path: Path) -> None:
    refused = serve_once(
        "--data", str(tmp_path), "--host", "192.0.2.1", "--port", "0", ATOMIC_GUIDE_SERVER_DEVELOPMENT="on"
    )
    assert refused.returncode == 1
    assert "server.development" in refused.stderr


def test_a_damaged_database_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    with running_server(tmp_path / "data") as server:
        server.stop()
    victim = tmp_path / "data" / "databases" / "shard-2.sqlite"
    victim.write_bytes(b"nonsense" * 1000)
    refused = serve_once("--data", str(tmp_path / "data"), "--port", "0")
    assert refused.returncode == 1
    assert "shard-2.sqlite" in refused.stderr
    assert victim.read_bytes() == b"nonsense" * 1000


def test_several_processes_share_the_port_and_come_back(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", PROCESSES_WEB="2", PROCESSES_WORKER="1") as server:
        # One web process is the supervisor itself.
        children = wait_for_children(server.process.pid, 2)
        with server.enter() as client:
            sent = [client.post("/api/chat/message", json={"content": f"m{i}"}).json()["seq"] for i in range(20)]
            assert sent == list(range(1, 21))
            os.kill(children[0], signal.SIGKILL)
            replaced = wait_for_children(server.process.pid, 2, without=children[0])
            assert children[0] not in replaced
            assert client.get("/api/chat/messages").json()["last_seq"] == 20
        assert server.stop() == 0
        assert not [child for child in replaced if Path(f"/proc/{child}").exists()]


def wait_for_children(parent: int, count: int, without: int | None = None) -> list[int]:
    """The serving children of a supervisor, once there are so many."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        found = []
        for pid in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
            with contextlib.suppress(OSError):
                if b"--lock-descriptor" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
        if len(found) == count and without not in found:
            return found
        time.sleep(0.05)
    pytest.fail("the children did not start")


def test_a_job_wakes_a_worker_in_another_process(tmp_path: Path) -> None:
    film = clip(tmp_path / "film.mp4", size="320x240", seconds=1).read_bytes()
    # With a poll this slow, only the wake-up can bring the job to a worker in time.
    with running_server(tmp_path / "data", PROCESSES_WEB="2", QUEUES_POLL_SECONDS="60") as server:
        wait_for_children(server.process.pid, 1)
        with server.enter(role="instructor") as client:
            videos = []
            for number in range(4):
                # A new connection each time, so that both processes take uploads.
                fresh = httpx.Client(base_url=server.url, headers=client.headers, timeout=20)
                answer = fresh.post("/api/video/upload", data={"title": f"L{number}"}, files={"file": ("f.mp4", film)})
                fresh.close()
                videos.append(answer.json()["id"])
            assert set(wait_for(client, videos, {"ready"}, least=4).values()) == {"ready"}
