"""An erasure beside a running server of two processes: sessions end, rooms forget, figures are reckoned anew."""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.keeping import run
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    # An hour is how long the sessions of these tests last; it tells when each began.
    settings = {"DATABASES_SHARDS": "2", "PROCESSES_WEB": "2", "SESSIONS_SESSION_SECONDS": "3600"}
    with running_server(tmp_path / "data", **settings) as running:  # type: ignore[arg-type]
        yield running


def socket(server: RunningServer, client: httpx.Client, after: int | None = None) -> ClientConnection:
    ticket = client.post("/api/chat/ticket", json={}).json()["ticket"]
    url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
    return connect(url if after is None else f"{url}&after={after}", compression=None)


def frames(opened: ClientConnection, kind: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        frame = json.loads(opened.recv(timeout=15))
        if frame["type"] == kind:
            found.append(frame["data"])
    return found


def close_code(opened: ClientConnection) -> int | None:
    """Wait for the end of a connection."""
    with contextlib.suppress(ConnectionClosed):
        for _ in range(20):
            opened.recv(timeout=15)
    return opened.close_code


def test_sessions_end_and_rooms_forget_in_every_process(server: RunningServer) -> None:
    with contextlib.ExitStack() as stack:
        gone, stays = (stack.enter_context(server.enter(user)) for user in ("gone", "stays"))
        boss = stack.enter_context(server.enter("boss", "instructor"))
        for client, text in ((gone, "mine, secret"), (stays, "theirs"), (gone, "mine again")):
            assert client.post("/api/chat/message", json={"content": text}).status_code == 201
        scores = [
            {"user": user, "activity": "E1", "score": 5, "max": 10, "at": "2025-10-01"} for user in ("gone", "stays")
        ]
        boss.post("/api/analytics/performance", json={"scores": scores}).raise_for_status()
        assert boss.get("/api/analytics/performance").json()["course"]["count"] == 2
        # Several, so that both processes have some.
        theirs = [stack.enter_context(socket(server, stays, after=0)) for _ in range(4)]
        for opened in theirs:
            assert frames(opened, "message", 3)[0]["content"] == "mine, secret"
        own = [stack.enter_context(socket(server, gone)) for _ in range(4)]
        for opened in own:
            frames(opened, "welcome", 1)
        resume = httpx.post(
            f"{server.url}/api/session", json={"code": server.code(server.session("gone"))}, timeout=20
        ).json()["resume"]
        run(server.data, "erase", "person", "--tenant", "t-test", "--user", "gone", "--yes")
        for opened in own:
            assert close_code(opened) == 1008
        for opened in theirs:
            assert {data["seq"] for data in frames(opened, "deleted", 2)} == {1, 3}
        for _ in range(8):
            assert gone.get("/api/chat/messages").status_code == 401
        assert httpx.post(f"{server.url}/api/session", json={"code": resume}).status_code == 401
        for _ in range(4):
            with socket(server, stays, after=0) as again:
                page = frames(again, "message", 3)
            assert [(one["seq"], one["content"], one.get("deleted", False)) for one in page] == [
                (1, "", True),
                (2, "theirs", False),
                (3, "", True),
            ]
            assert page[0]["author"] == {"id": "", "name": "", "role": "learner"}
            assert boss.get("/api/analytics/performance").json()["course"]["count"] == 1
    with server.enter("gone") as back:
        assert back.get("/api/chat/messages").status_code == 200
        assert back.post("/api/chat/message", json={"content": "a fresh start"}).json()["seq"] == 4


def test_an_instructors_look_at_the_figures_is_noted_and_a_students_is_not(server: RunningServer) -> None:
    with server.enter("boss", "instructor") as boss, server.enter("u1") as student:
        for _ in range(3):
            assert boss.get("/api/analytics/performance").status_code == 200
            assert student.get("/api/analytics/performance").status_code == 200
    # What is noted is stored beside the answer, not before it.
    for _ in range(50):
        entries = run(server.data, "export", "reads", "--tenant", "t-test", "--course", "course-1")["reads"]
        if sum(entry["reads"] for entry in entries) >= 3:
            break
        time.sleep(0.1)
    assert {(entry["reader"], entry["call"], entry["subject"]) for entry in entries} == {("boss", "performance", "")}
    assert sum(entry["reads"] for entry in entries) == 3
