"""A server under real overload: messages and launches go on while the lower classes are shed; then all comes back."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests import media
from tests.flooding import flood
from tests.integration.members import Member
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)

OPERATOR = {"Authorization": "Bearer operator-token-of-the-test"}
EAGER = {
    "OPERATOR_TOKEN": "operator-token-of-the-test",
    "RESILIENCE_SHEDDING_TYPING_LAG_MS": "40",
    "RESILIENCE_SHEDDING_ANALYTICS_LAG_MS": "45",
    "RESILIENCE_SHEDDING_UPLOADS_LAG_MS": "50",
    "RESILIENCE_SHEDDING_RISE_SECONDS": "0.3",
    "RESILIENCE_SHEDDING_CALM_SECONDS": "0.5",
}
PAGE = "/api/chat/messages?limit=100"
EVENTS = {"events": [{"id": "e1", "type": "lecture.opened", "at": "2025-11-20T10:00:00Z", "data": {"video": "v1"}}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("shedding") / "data", EAGER) as server:
        yield server


async def shedding(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get("/api/ops/shedding", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def until_level(client: httpx.AsyncClient, level: int) -> dict[str, Any]:
    """Wait until so many classes are shed."""
    for _ in range(600):
        if (shown := await shedding(client))["level"] == level:
            return shown
        await asyncio.sleep(0.1)
    pytest.fail(f"the level stays so: {shown}")


async def launched(url: str) -> httpx.Response:
    """A launch from the practice LMS, as a browser goes through it."""
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as browser:
        chosen = {"course": "waves", "person": "student-4", "fault": ""}
        opened = await browser.get("/practice/open", params=chosen)
        begun = await browser.get(opened.headers["location"])
        page = await browser.get(begun.headers["location"])
        state, token = (
            re.search(rf'name="{name}" value="([^"]*)"', page.text)[1]  # type: ignore[index]
            for name in ("state", "id_token")
        )
        cookie = begun.headers["set-cookie"].partition(";")[0]
        form = {"state": state, "id_token": token}
        return await browser.post("/lti/launch", data=form, headers={"Cookie": cookie})


@asynccontextmanager
async def entered(server: RunningServer, user: str, role: Any = "learner") -> AsyncIterator[tuple[Any, Member]]:
    """Somebody in the course: a client, and a socket with its `welcome` read."""
    entering = await asyncio.to_thread(server.enter, user, role)
    with entering as known:
        headers = known.headers
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=60) as client:
        ticket = (await client.post("/api/chat/ticket")).json()["ticket"]
        url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
        async with connect(url, compression=None, ping_interval=None, max_queue=None) as socket:
            member = Member(socket)
            await member.next("welcome")
            yield client, member


async def frames(member: Member, kind: str, content: str) -> list[dict[str, Any]]:
    """What a socket is sent up to a message, of one kind."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while True:
            frame = json.loads(await member.socket.recv())
            if frame["type"] == "message" and frame["data"]["content"] == content:
                return found
            if frame["type"] == kind:
                found.append(frame)


async def test_messages_and_launches_go_on_while_the_rest_is_shed(server: RunningServer) -> None:
    async with entered(server, "fern", "instructor") as (fern, hers), entered(server, "ada") as (ada, member):
        for number in range(100):
            assert (await fern.post("/api/chat/message", json={"content": f"{number} {'x' * 2000}"})).is_success
        created = await media.create(fern, 9000)
        address = created.headers["location"]
        token = fern.headers["authorization"].removeprefix("Bearer ")
        with flood(server.url, PAGE, token):
            shown = await until_level(fern, 3)
            assert [one["now"] for one in shown["classes"]] == [True, True, True]
            refused = [
                await ada.post("/api/analytics/events", json=EVENTS),
                await fern.post("/api/video/upload", files={"file": ("a.mp4", bytes(3_000_000))}),
                await media.create(fern, 9000),
                await media.patch(fern, address, 0, bytes(9000)),
            ]
            await member.send("typing")
            began = time.monotonic()
            posted = await ada.post("/api/chat/message", json={"content": "heard"})
            typed = await frames(hers, "typing", "heard")
            heard = time.monotonic() - began
            launch = await launched(server.url)
            shown = await shedding(fern)
        assert [answer.status_code for answer in refused] == [503] * 4
        assert {answer.json()["error"]["code"] for answer in refused} == {"OVERLOADED"}
        assert all(10 <= int(answer.headers["retry-after"]) <= 20 for answer in refused)
        assert (posted.status_code, typed) == (201, [])
        assert heard < 30
        assert launch.status_code == 200
        assert 'name="atomic-guide-code"' in launch.text
        assert {one["name"]: one["shed"] for one in shown["classes"]} == {"typing": 1, "analytics": 1, "uploads": 3}

        shown = await until_level(fern, 0)
        assert (await ada.post("/api/analytics/events", json=EVENTS)).status_code == 202
        assert (await media.patch(fern, address, 0, bytes(100))).status_code == 204
        assert (await media.create(fern, 9000)).status_code == 201
        await member.send("typing")
        assert (await hers.next("typing"))["data"]["id"] == "ada"
        steps = [(one["before"], one["after"]) for one in reversed(shown["changes"])]
        assert steps[:3] == [(0, 1), (1, 2), (2, 3)]
        assert steps[-3:] == [(3, 2), (2, 1), (1, 0)]
        assert all(one["reason"] for one in shown["changes"])


async def test_decisions_are_in_the_log_of_scaling_and_counts_in_the_metrics(server: RunningServer) -> None:
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        noted = (await shedding(client))["log"]
        assert noted
        assert noted[-1]["who"].endswith("/supervisor")
        assert noted[-1]["details"]["after"] == 1
        assert noted[-1]["details"]["reason"]
        metrics = (await client.get("/metrics", headers=OPERATOR)).text
        assert 'atomic_guide_shed_total{class="uploads"} 3.0' in metrics
        assert "atomic_guide_shedding_level 0.0" in metrics
        assert "atomic_guide_loop_lag_seconds" in metrics
