"""One course in several server processes: announcements over NATS, the database where NATS is away, kills."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.protocol import State

from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from atomic_guide.engines.rooms.bus import Notice, encode
from atomic_guide.engines.rooms.presence import Here, Person
from atomic_guide.engines.rooms.settings import RoomSettings
from tests.integration.chat_server import Course, key, nats_beside, running
from tests.integration.members import SECONDS, Member, caller, member
from tests.running import RunningServer, running_server

QUICK = RoomSettings(check_seconds=0.5, leave_seconds=0.05, presence_seconds=1)


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    async with nats_beside(tmp_path) as server:
        yield server


@pytest.fixture
async def pair(tmp_path: Path, nats: NatsServer) -> AsyncIterator[tuple[Course, Course]]:
    """Two servers over one data directory."""
    async with running(tmp_path, rooms=QUICK, nats=True) as one, running(tmp_path, rooms=QUICK, nats=True) as other:
        yield one, other


async def say(client: httpx.AsyncClient, content: str, identifier: str | None = None) -> dict[str, Any]:
    answer = await client.post("/api/chat/message", json={"content": content, "id": identifier})
    assert answer.status_code in {200, 201}, answer.text
    return dict(answer.json())


async def test_members_of_two_processes_share_messages_order_and_people(pair: tuple[Course, Course]) -> None:
    one, other = pair
    async with member(one, "ada") as ada:
        await ada.next("welcome")
        async with member(other, "ben") as ben:
            joined = await ada.next("joined")
            assert joined["data"] == {"id": "ben", "name": "Ben", "role": "learner", "count": 2}
            await ben.send("typing")
            assert (await ada.next("typing"))["data"]["id"] == "ben"
            async with caller(one, "t", role="instructor") as here, caller(other, "t", role="instructor") as there:
                posts = [say(here if number % 2 else there, str(number)) for number in range(100)]
                await asyncio.gather(*posts)
            mine, theirs = await ada.messages(100), await ben.messages(100)
            assert [message["seq"] for message in mine] == list(range(1, 101))
            assert mine == theirs
            async with member(other, "cyd") as cyd:
                people = (await cyd.next("welcome"))["data"]
                assert people["count"] == 3
                assert [person["id"] for person in people["members"]].count("ada") == 1
        assert (await ada.next("left"))["data"]["id"] in {"ben", "cyd"}


async def test_other_parts_reach_everybody_or_one_person_in_every_process(pair: tuple[Course, Course]) -> None:
    one, other = pair
    async with member(one, "ada") as ada, member(other, "ada") as far, member(other, "ben") as ben:
        for each in (ada, far, ben):
            await each.next("welcome")
        one.chat.rooms.announce(key(), "video", {"id": "v1", "status": "ready", "progress": 1.0}, user="ada")
        one.chat.rooms.announce(key(), "notification", {"text": "Exam on Friday"})
        for each in (ada, far):
            assert (await each.next("video"))["data"]["id"] == "v1"
            assert (await each.next("notification"))["data"] == {"text": "Exam on Friday"}
        while (frame := await ben.next())["type"] != "notification":
            assert frame["type"] in {"joined", "left"}


async def test_killing_nats_loses_nothing(pair: tuple[Course, Course], nats: NatsServer) -> None:
    one, other = pair
    async with member(one, "ada") as ada, member(other, "ben") as ben, caller(one, "t", role="instructor") as teacher:
        await ada.next("welcome")
        await ben.next("welcome")
        for number in range(60):
            if number in {20, 40}:
                pid = await started(nats, number // 20, one)
                os.kill(pid, signal.SIGKILL)
            await say(teacher, str(number))
        for each in (ada, ben):
            assert [message["seq"] for message in await each.messages(60)] == list(range(1, 61))
        await started(nats, 3, one)
        assert nats.starts == 3


async def test_while_nats_is_silent_members_are_told_and_nothing_is_lost(
    pair: tuple[Course, Course], nats: NatsServer
) -> None:
    """A paused server: its connections stay open and nothing comes through them."""
    one, other = pair
    pid = await started(nats, 1, one)
    async with member(one, "ada") as ada, member(other, "ben") as ben, caller(one, "t", role="instructor") as teacher:
        await ada.next("welcome")
        await ben.next("welcome")
        await ada.next("joined")
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(20):
                await say(teacher, str(number))
                await asyncio.sleep(0.4)
            frames = [await ben.next()]
            while frames[-1]["data"].get("seq") != 20:
                frames.append(await ben.next())
        finally:
            os.kill(pid, signal.SIGCONT)
        late = [frame["data"] for frame in frames if frame["type"] == "behind"]
        assert [data["late"] for data in late] == [True]
        assert [frame["data"]["seq"] for frame in frames if frame["type"] == "message"] == list(range(1, 21))
        assert (await ben.next("behind"))["data"] == {"last_seq": 20, "late": False}
        await say(teacher, "21")
        assert (await ben.next())["data"]["seq"] == 21


async def started(nats: NatsServer, times: int, course: Course) -> int:
    """The server's process once it was started so often and the course is connected to it."""
    async with asyncio.timeout(SECONDS):
        while nats.starts < times or nats.pid is None or not course.chat.rooms.bus.connected:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    return nats.pid


async def test_without_nats_the_database_carries_messages_between_processes(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(tmp_path, rooms=QUICK, nats=True)) for _ in range(2)]
        ada, ben = [await stack.enter_async_context(member(server, "ada")) for server in servers]
        await ada.next("welcome")
        await ben.next("welcome")
        for number in range(10):
            await ada.send("message", content=str(number))
        for each in (ada, ben):
            assert [message["seq"] for message in await each.messages(10)] == list(range(1, 11))


async def test_people_of_a_dead_process_leave(tmp_path: Path, nats: NatsServer) -> None:
    async with running(tmp_path, rooms=QUICK, nats=True) as one, member(one, "ada") as ada:
        await ada.next("welcome")
        ghost = Connection(tmp_path, NatsSettings())
        await ghost.open()
        room = next(iter(one.chat.rooms._rooms.values()))
        ghost.publish(
            room.subject, encode(Notice("ghost", "here", people=[Here(Person("dead", "Dead", "learner"))], revision=1))
        )
        assert (await ada.next("joined"))["data"]["count"] == 2
        assert (await ada.next("left"))["data"] == {"id": "dead", "name": "Dead", "role": "learner", "count": 1}
        await ghost.close()


async def test_sigkill_while_messages_flow_keeps_every_acknowledged_one(tmp_path: Path) -> None:
    """Real servers: what was answered is there after the crash, numbers have no gap, a repeated id no double."""
    acknowledged: dict[str, dict[str, Any]] = {}
    sent: dict[str, str] = {}
    data = tmp_path / "data"
    with running_server(data) as server:

        async def talk(user: str, client: httpx.AsyncClient) -> None:
            for number in range(10_000):
                identifier = f"{user}-{number}"
                sent[identifier] = f"message {number} of {user}"
                answer = await client.post("/api/chat/message", json={"id": identifier, "content": sent[identifier]})
                acknowledged[identifier] = answer.json()
                if len(acknowledged) == 150:
                    server.kill()

        async with AsyncExitStack() as stack:
            clients = []
            for number in range(8):
                client = await asyncio.to_thread(entered, server, f"user {number}")
                clients.append(await stack.enter_async_context(client))
            talks = [asyncio.create_task(talk(f"u{n}", client)) for n, client in enumerate(clients)]
            ended = await asyncio.wait_for(asyncio.gather(*talks, return_exceptions=True), 40)
            assert all(isinstance(error, httpx.TransportError) for error in ended)
    with running_server(data) as server:
        async with await asyncio.to_thread(entered, server, "user 0") as client:
            stored: list[dict[str, Any]] = []
            while page := (await client.get(f"/api/chat/messages?after={len(stored)}&limit=200")).json()["messages"]:
                stored += page
            assert [message["seq"] for message in stored] == list(range(1, len(stored) + 1))
            by_id = {message["id"]: message for message in stored}
            assert len(by_id) == len(stored)
            assert len(acknowledged) >= 150
            for identifier, answer in acknowledged.items():
                assert by_id[identifier]["seq"] == answer["seq"]
                assert by_id[identifier]["content"] == answer["content"] == sent[identifier]
            mine = [identifier for identifier in sent if identifier.startswith("u0-")]
            again = await client.post("/api/chat/message", json={"id": mine[0], "content": "again"})
            assert (again.status_code, again.json()["content"]) == (200, sent[mine[0]])


def entered(server: RunningServer, user: str) -> httpx.AsyncClient:
    """An instructor of a running server's course."""
    with server.enter(user, role="instructor") as client:
        return httpx.AsyncClient(base_url=server.url, headers=client.headers, timeout=20)


async def test_one_room_over_the_processes_of_one_server(tmp_path: Path) -> None:
    """`serve` with two web processes on one port: whoever a member is connected to, all of it in order."""
    with running_server(tmp_path / "data", PROCESSES_WEB="2") as server:
        async with AsyncExitStack() as stack:
            teacher = await stack.enter_async_context(await asyncio.to_thread(entered, server, "teacher"))
            sockets = []
            for number in range(8):
                client = await stack.enter_async_context(await asyncio.to_thread(entered, server, f"user {number}"))
                ticket = (await client.post("/api/chat/ticket")).json()["ticket"]
                url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
                sockets.append(Member(await stack.enter_async_context(connect(url, compression=None, max_queue=None))))
                assert (await sockets[-1].next())["type"] == "welcome"
            for number in range(40):
                await say(teacher, str(number))
            for each in sockets:
                assert [message["content"] for message in await each.messages(40)] == [str(n) for n in range(40)]
            # Asked to stop, every process says goodbye to its own.
            server.process.send_signal(signal.SIGTERM)
            for each in sockets:
                assert (await each.next("bye"))["data"]["reason"] == "restart"
                assert await each.closed() == 1012
        assert await asyncio.to_thread(server.process.wait, 30) == 0


async def test_a_person_has_five_sockets_over_the_processes_of_one_server(tmp_path: Path) -> None:
    """Whether they come one after another or at once, to whichever process."""
    with running_server(tmp_path / "data", PROCESSES_WEB="3") as server:
        async with AsyncExitStack() as stack:
            patient, hasty = [
                await stack.enter_async_context(await asyncio.to_thread(entered, server, user))
                for user in ("ada", "ben")
            ]

            async def tab(client: httpx.AsyncClient) -> Member:
                ticket = (await client.post("/api/chat/ticket")).json()["ticket"]
                url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
                return Member(await stack.enter_async_context(connect(url, compression=None, max_queue=None)))

            slowly = []
            for _ in range(9):
                slowly.append(await tab(patient))
                await asyncio.sleep(0.2)
            at_once = await asyncio.gather(*(tab(hasty) for _ in range(11)))
            refused = [*slowly[5:], *await settled(at_once, 5)]
            for one in refused:
                assert (await one.next("bye"))["data"]["reason"] == "tabs"
                assert await one.closed() == 1013
            assert all(one.socket.state is State.OPEN for one in slowly[:5])
            assert len(refused) == 4 + 6
            # A place that is given up is free again, wherever the next one comes in.
            await slowly[0].socket.close()
            await asyncio.sleep(0.5)
            assert (await (await tab(patient)).next())["type"] == "welcome"


async def settled(tabs: list[Member], places: int) -> list[Member]:
    """Those that were closed, once so many are left."""
    async with asyncio.timeout(SECONDS):
        while sum(one.socket.state is State.OPEN for one in tabs) > places:  # noqa: ASYNC110 - any of them may be told
            await asyncio.sleep(0.05)
    return [one for one in tabs if one.socket.state is not State.OPEN]
