"""Any process serves any request: what one has begun, another goes on with."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from tests.integration.members import Member
from tests.media import BYTES, clip, metadata
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)

OPERATOR = {"Authorization": "Bearer operator-token-of-the-test"}
SETTINGS = {"OPERATOR_TOKEN": "operator-token-of-the-test", "PROCESSES_WEB": "2"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("stateless") / "data", SETTINGS, patience=60) as server:
        yield server


@pytest.fixture(scope="module")
def both(server: RunningServer) -> Iterator[list[httpx.Client]]:
    """A client on a connection to each of two processes, which a connection stays with."""
    found: dict[str, httpx.Client] = {}
    tried = []
    for _ in range(200):
        client = httpx.Client(base_url=server.url, timeout=60, trust_env=False)
        tried.append(client)
        found.setdefault(process_of(client), client)
        if len(found) == 2:
            break
    assert len(found) == 2, "connections lead to one process only"
    yield list(found.values())
    for client in tried:
        client.close()


def process_of(client: httpx.Client) -> str:
    answer = client.get("/api/ops/rooms/laggards", headers=OPERATOR)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["process"])


def entered(server: RunningServer, first: httpx.Client, user: str, role: Any) -> dict[str, str]:
    """The headers of a session that one process has begun."""
    answer = first.post("/api/session", json={"code": server.code(server.session(user, role))})
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_a_session_and_a_kept_answer_of_one_are_known_to_the_other(
    server: RunningServer, both: list[httpx.Client]
) -> None:
    first, second = both
    mine = entered(server, first, "ada", "learner")
    keyed = {**mine, "Idempotency-Key": "k"}
    sent = [each.post("/api/analytics/events", json={"events": []}, headers=keyed) for each in both]
    assert [(one.status_code, one.json()) for one in sent] == [(202, sent[0].json())] * 2
    other = second.post("/api/analytics/events", json={"events": [{}]}, headers=keyed)
    assert other.status_code == 422
    posted = first.post("/api/chat/message", json={"content": "hello", "id": "m1"}, headers=mine)
    again = second.post("/api/chat/message", json={"content": "hello", "id": "m1"}, headers=mine)
    assert (posted.status_code, again.status_code, again.json()) == (201, 200, posted.json())
    resumed = second.post("/api/session/refresh", headers=mine)
    assert resumed.status_code == 200
    assert process_of(first) != process_of(second)


def test_an_upload_that_began_in_one_ends_in_the_other(
    server: RunningServer, both: list[httpx.Client], tmp_path: Path
) -> None:
    first, second = both
    mine = entered(server, second, "fern", "instructor")
    content = clip(tmp_path / "a.mp4", size="160x90", seconds=1).read_bytes()
    half = len(content) // 2
    head = {**mine, "Tus-Resumable": "1.0.0", "Upload-Length": str(len(content))}
    created = first.post(
        "/api/video/upload", headers={**head, "Upload-Metadata": metadata(title="L", filename="a.mp4")}
    )
    assert created.status_code == 201, created.text
    address = created.headers["location"]
    begun = first.patch(address, headers={**mine, **BYTES, "Upload-Offset": "0"}, content=content[:half])
    assert begun.status_code == 204
    told = second.head(address, headers={**mine, "Tus-Resumable": "1.0.0"})
    assert told.headers["upload-offset"] == str(half)
    ended = second.patch(address, headers={**mine, **BYTES, "Upload-Offset": str(half)}, content=content[half:])
    assert ended.status_code == 204
    shown = first.get(f"/api/video/{created.json()['id']}", headers=mine)
    assert shown.status_code == 200


def test_a_launch_that_began_in_one_ends_in_the_other(both: list[httpx.Client]) -> None:
    first, second = both
    opened = first.get("/practice/open", params={"course": "waves", "person": "student-4", "fault": ""})
    begun = first.get(opened.headers["location"])
    page = second.get(begun.headers["location"])
    fields = dict(re.findall(r'name="(state|id_token)" value="([^"]+)"', page.text))
    cookie = begun.headers["set-cookie"].partition(";")[0]
    launched = second.post("/lti/launch", data=fields, headers={"Cookie": cookie})
    code = re.search(r'name="atomic-guide-code" content="([^"]+)"', launched.text)
    assert code is not None, launched.text
    assert first.post("/api/session", json={"code": code[1]}).status_code == 200


async def test_a_socket_resumes_wherever_it_lands(server: RunningServer, both: list[httpx.Client]) -> None:
    first, second = both
    mine = await asyncio.to_thread(entered, server, first, "ben", "learner")
    before = await asyncio.to_thread(first.get, "/api/chat/messages", headers=mine)
    after = before.json()["last_seq"]
    for number, each in enumerate((first, second, first)):
        await asyncio.to_thread(each.post, "/api/chat/message", json={"content": f"missed {number}"}, headers=mine)
    async with AsyncExitStack() as stack:
        for each in (first, second, first, second):
            ticket = (await asyncio.to_thread(each.post, "/api/chat/ticket", headers=mine)).json()["ticket"]
            url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}&after={after}"
            member = Member(await stack.enter_async_context(connect(url, compression=None, max_queue=None)))
            missed = await member.messages(3)
            assert [one["content"] for one in missed] == ["missed 0", "missed 1", "missed 2"]
