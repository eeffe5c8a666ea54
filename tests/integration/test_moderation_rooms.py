"""Moderation as members and callers see it, over two server processes: with NATS, and with nothing between them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from atomic_guide.clock import ManualClock, SystemClock
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.keeping.retention import Retention
from atomic_guide.course.keeping.settings import KeepingSettings
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.videos import Parts, Videos
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.engines.rooms.settings import RoomSettings
from tests.integration.chat_server import Course, key, nats_beside, running
from tests.integration.members import Member, caller, member
from tests.keeping import put

QUICK = RoomSettings(check_connected_seconds=1, leave_seconds=0.05, presence_seconds=1)
PEOPLE = {"ada": "learner", "ben": "learner", "fern": "instructor"}


@asynccontextmanager
async def courses(data: Path, *, nats: bool, rooms: RoomSettings = QUICK) -> AsyncIterator[tuple[Course, Course]]:
    """Two servers over one data directory, with the members of a course."""
    async with AsyncExitStack() as stack:
        pair = [await stack.enter_async_context(running(data, rooms=rooms, nats=nats)) for _ in range(2)]
        shards, place = pair[0].chat._shards, key()
        await put(shards, place, "courses", context="algebra", title="Algebra", created_at=0.0)
        for user, role in PEOPLE.items():
            named = {"user": user, "name": user.title(), "role": role}
            await put(shards, place, "members", **named, created_at=0.0, seen_at=0.0)
        yield pair[0], pair[1]


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[None]:
    async with nats_beside(tmp_path):
        yield


@pytest.fixture
async def pair(tmp_path: Path, nats: None) -> AsyncIterator[tuple[Course, Course]]:
    async with courses(tmp_path, nats=True) as made:
        yield made


async def act(client: httpx.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    answer = await client.post(f"/api/chat/{path}", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def say(client: httpx.AsyncClient, content: str) -> int:
    answer = await client.post("/api/chat/message", json={"content": content})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["seq"])


async def delete(client: httpx.AsyncClient, seq: int) -> int:
    return (await client.delete(f"/api/chat/messages/{seq}")).status_code


async def test_every_member_in_every_process_sees_it(pair: tuple[Course, Course]) -> None:
    one, other = pair
    async with (
        member(one, "ada") as ada,
        member(other, "ben") as ben,
        caller(one, "fern", role="instructor") as fern,
        caller(other, "ada") as hers,
    ):
        for each in (ada, ben):
            await each.next("welcome")
        await say(hers, "an insult")
        assert await delete(fern, 1) == 204
        for each in (ada, ben):
            assert (await each.next("deleted"))["data"] == {"seq": 1, "revision": 1}
        await act(fern, "mutes", user="ada", minutes=5)
        for each in (ada, ben):
            told = (await each.next("muted"))["data"]
            assert (told["id"], told["name"], told["muted"]) == ("ada", "Ada", True)
        await ada.send("message", "m1", content="I am not done")
        refused = await ada.next("error")
        assert (refused["data"]["code"], refused["id"]) == ("MUTED", "m1")
        assert (await hers.post("/api/chat/message", json={"content": "here neither"})).status_code == 403
        await act(fern, "mutes/lift", user="ada")
        await act(fern, "room", open=False)
        await act(fern, "live", live=True)
        for each in (ada, ben):
            assert (await each.next("muted"))["data"]["muted"] is False
            assert (await each.next("room"))["data"]["open"] is False
            room = (await each.next("room"))["data"]
            assert room["live"]["by"] == {"id": "fern", "name": "Fern"}
        await ben.send("message", "m2", content="hello?")
        assert (await ben.next("error"))["data"]["code"] == "ROOM_CLOSED"
        async with member(other, "ben") as late:
            welcome = (await late.next("welcome"))["data"]
            assert (welcome["open"], welcome["muted"], welcome["mutes"]) == (False, False, [])
            assert welcome["live"] == room["live"]
            assert welcome["revision"] == room["revision"]


async def test_processes_that_hear_nothing_of_each_other_find_out(tmp_path: Path) -> None:
    async with (
        courses(tmp_path, nats=False) as (one, other),
        member(other, "ben") as ben,
        caller(one, "fern", role="instructor") as fern,
    ):
        await ben.next("welcome")
        await say(fern, "a mistake")
        await ben.next("message")
        await delete(fern, 1)
        await act(fern, "room", open=False)
        assert (await ben.next("deleted"))["data"] == {"seq": 1, "revision": 1}
        assert (await ben.next("room"))["data"]["open"] is False


async def test_who_was_away_hears_what_was_deleted_meanwhile(pair: tuple[Course, Course]) -> None:
    one, other = pair
    async with caller(one, "fern", role="instructor") as fern:
        for number in range(4):
            await say(fern, f"message {number + 1}")
        await delete(fern, 1)
        async with member(other, "ben") as ben:
            revision = (await ben.next("welcome"))["data"]["revision"]
        assert revision == 1
        await delete(fern, 2)
        await say(fern, "message 5")
        await delete(fern, 5)
        # Without a revision, everything of lately is told, which harms nobody who knows it.
        for known, seqs in ((revision, [2]), (None, [1, 2]), (3, [])):
            async with back(other, "ben", 4, known) as again:
                assert (await again.next("welcome"))["data"]["resumed"] is True
                for seq in seqs:
                    assert (await again.next())["data"] == {"seq": seq, "revision": seq}
                missed = (await again.next("message"))["data"]
                assert (missed["seq"], missed["deleted"], missed["content"]) == (5, True, "")
                assert missed["author"] == {"id": "", "name": "", "role": "learner"}
                await again.send("history", "h1", before=3)
                page = (await again.next("history"))["data"]["messages"]
                assert [one["content"] for one in page] == ["", ""]
        async with back(other, "ben", 4, 99) as stranger:
            assert (await stranger.next("welcome"))["data"]["resumed"] is False


async def test_members_learn_at_once_of_what_retention_lets_go(tmp_path: Path, nats: None) -> None:
    never = RoomSettings(check_connected_seconds=3600)
    async with (
        courses(tmp_path, nats=True, rooms=never) as (one, other),
        member(one, "ada") as ada,
        member(other, "ben") as ben,
        caller(one, "fern", role="instructor") as fern,
    ):
        for each in (ada, ben):
            await each.next("welcome")
        for number in range(5):
            await say(fern, str(number))
        shards, later = one.chat._shards, ManualClock(SystemClock().now() + 100 * 86400.0)
        queues = Queues(shards, later, QueueSettings())
        parts = Parts(shards, DirectoryStore(tmp_path / "objects"), queues, VideoSettings(), later)
        settings = KeepingSettings(messages_days=10)
        holds = Holds(shards.directory, later)
        done = await Retention(parts, Videos(parts), holds, settings, one.chat.rooms.changed).turn()
        assert done.messages == 5
        for each in (ada, ben):
            told = [(await each.next("deleted"))["data"] for _ in range(5)]
            assert told == [{"seq": seq, "revision": 1} for seq in range(1, 6)]


@asynccontextmanager
async def back(course: Course, user: str, after: int, revision: int | None) -> AsyncIterator[Member]:
    """A socket that says what it knows already."""
    url = course.socket_url(await course.ticket(user), after)
    if revision is not None:
        url += f"&revision={revision}"
    async with connect(url, compression=None, ping_interval=None) as socket:
        yield Member(socket)


async def test_what_learners_and_mistaken_callers_are_told(tmp_path: Path) -> None:
    async with (
        courses(tmp_path, nats=False) as (one, _),
        caller(one, "ada") as ada,
        caller(one, "fern", role="instructor") as fern,
        caller(one, "mallory", role="instructor") as mallory,
    ):
        await say(fern, "hello")
        for path, body in (("room", {"open": False}), ("live", {"live": True}), ("mutes", {"user": "ben"})):
            assert (await ada.post(f"/api/chat/{path}", json=body)).status_code == 403
            # The token says instructor; the course does not know one of that name.
            assert (await mallory.post(f"/api/chat/{path}", json=body)).status_code == 403
        assert (await ada.get("/api/chat/moderation")).status_code == 403
        assert await delete(ada, 1) == 403
        assert await delete(fern, 2) == 404
        assert (await fern.delete("/api/chat/messages/one")).status_code == 400
        assert (await fern.post("/api/chat/mutes", json={"user": "fern"})).status_code == 409
        assert (await fern.post("/api/chat/mutes", json={"user": "ben", "minutes": 0})).status_code == 400
        assert (await ada.get("/api/chat/room")).json() == {"open": True, "live": None, "mutes": [], "revision": 0}


async def test_an_action_under_a_key_is_done_once(tmp_path: Path) -> None:
    async with courses(tmp_path, nats=False) as (one, _), caller(one, "fern", role="instructor") as fern:
        headers = {"Idempotency-Key": "mute-1"}
        first = await fern.post("/api/chat/mutes", json={"user": "ada", "minutes": 5}, headers=headers)
        await act(fern, "mutes/lift", user="ada")
        again = await fern.post("/api/chat/mutes", json={"user": "ada", "minutes": 5}, headers=headers)
        assert (again.status_code, again.json()) == (200, first.json())
        assert (await fern.get("/api/chat/room")).json()["mutes"] == []
        other = await fern.post("/api/chat/mutes", json={"user": "ben", "minutes": 5}, headers=headers)
        assert other.status_code == 422
        log = (await fern.get("/api/chat/moderation")).json()["actions"]
        assert [(entry["action"], entry["user"]) for entry in log] == [("unmuted", "ada"), ("muted", "ada")]
