"""Notifications of a whole server: live on every process, and e-mail that outlives a kill."""

import asyncio
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from atomic_guide.clock import SystemClock
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from tests.integration.members import Member
from tests.mailserver import MailBox, mail_server
from tests.running import RunningServer, running_server

KEY = CourseKey.of("t-test", "course-1")
pytestmark = pytest.mark.timeout(120)


async def launched(data: Path, *users: str) -> None:
    """Do beside the running server what launches of students in another process would."""
    shards = await open_embedded(data)
    clock = SystemClock()
    for user in users:
        arrival = Arrival(
            key=KEY,
            platform="p",
            context="course-1",
            title="Waves",
            return_url=None,
            user=user,
            name=user,
            role="learner",
            services=Services(),
            email=f"{user}@example.edu",
        )
        await enrol(shards, clock, Queues(shards, clock, QueueSettings()), arrival, mailed=True)
    await shards.close()


def client_of(server: RunningServer, user: str, role: Any = "learner") -> httpx.AsyncClient:
    with server.enter(user, role=role) as client:
        return httpx.AsyncClient(base_url=server.url, headers=client.headers, timeout=20)


def scores(*users: str, activity: str = "E1") -> dict[str, Any]:
    rows = [{"user": user, "activity": activity, "score": 7, "max": 10, "at": "2024-11-01"} for user in users]
    return {"scores": rows}


async def test_every_socket_of_a_person_hears_it_on_every_process_and_nobody_else(tmp_path: Path) -> None:
    with running_server(tmp_path / "data", PROCESSES_WEB="2") as server:
        await launched(tmp_path / "data", "ada", "bob")
        async with AsyncExitStack() as stack:
            sockets: dict[str, list[Member]] = {"ada": [], "bob": []}
            for user in ("ada", "ada", "ada", "ada", "bob", "bob"):
                client = await stack.enter_async_context(await asyncio.to_thread(client_of, server, user))
                ticket = (await client.post("/api/chat/ticket")).json()["ticket"]
                url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
                sockets[user].append(Member(await stack.enter_async_context(connect(url, compression=None))))
                await sockets[user][-1].next("welcome")
            teacher = await stack.enter_async_context(await asyncio.to_thread(client_of, server, "t", "instructor"))
            assert (await teacher.post("/api/analytics/performance", json=scores("ada"))).status_code == 200
            heard = [(await each.next("notification"))["data"] for each in sockets["ada"]]
            assert {one["kind"] for one in heard} == {"scores.posted"}
            assert len({one["id"] for one in heard}) == 1
            # Frames keep their order: nothing of ada's came before bob's own.
            assert (await teacher.post("/api/analytics/performance", json=scores("bob"))).status_code == 200
            for each in sockets["bob"]:
                assert (await each.next("notification"))["data"]["id"] != heard[0]["id"]
            ada = await stack.enter_async_context(await asyncio.to_thread(client_of, server, "ada"))
            page = (await ada.get("/api/notifications")).json()
            assert [one["id"] for one in page["notifications"]] == [heard[0]["id"]]
            await ada.post("/api/notifications/read", json={"ids": [heard[0]["id"]]})
            for each in sockets["ada"]:
                assert (await each.next("notification"))["data"] == {"unread": 0}


def imported(data: Path, folder: Path, settings: dict[str, str], *users: str) -> subprocess.CompletedProcess[str]:
    """What `scores import` does beside the running server, with its settings."""
    file = folder / "sheet.csv"
    file.write_text(
        "\n".join(["user,activity,score,max,at", *(f"{user},E2,7,10,2024-11-02" for user in users)]), "ascii"
    )
    course = ("--tenant", "t-test", "--context", "course-1", "--data", str(data), "--json")
    command = [sys.executable, "-m", "atomic_guide.cli", "scores", "import", str(file), *course]
    env = os.environ | {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=env)


async def test_an_import_beside_the_server_is_told_live_on_every_process(tmp_path: Path) -> None:
    async with mail_server("none", tmp_path) as box:
        # A worker that is not woken looks in a minute.
        settings = {"PROCESSES_WEB": "2", "QUEUES_POLL_SECONDS": "60", "MAIL_SCORES_DELAY_SECONDS": "0", **mail(box)}
        with running_server(tmp_path / "data", settings) as server:
            await launched(tmp_path / "data", "ada", "bob")
            async with AsyncExitStack() as stack:
                sockets = [await listening(stack, server, user) for user in ("ada", "ada", "ada", "bob")]
                done = await asyncio.to_thread(imported, tmp_path / "data", tmp_path, settings, "ada")
                assert done.returncode == 0, done.stderr
                heard = [(await each.next("notification"))["data"] for each in sockets[:3]]
                assert {(one["kind"], one["read"]) for one in heard} == {("scores.posted", False)}
                assert len({one["id"] for one in heard}) == 1
                await box.until(1)
                # Frames keep their order: nothing of ada's came before bob's own.
                done = await asyncio.to_thread(imported, tmp_path / "data", tmp_path, settings, "bob")
                assert done.returncode == 0
                assert (await sockets[3].next("notification"))["data"]["id"] != heard[0]["id"]


def mail(box: MailBox) -> dict[str, str]:
    """Settings that have e-mail sent there."""
    address = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(box.port)}
    return {**address, "MAIL_SECURITY": "none", "MAIL_SENDER": "guide@tool.example"}


async def listening(stack: AsyncExitStack, server: RunningServer, user: str) -> Member:
    """A socket of a person, once it is welcome."""
    client = await stack.enter_async_context(await asyncio.to_thread(client_of, server, user))
    ticket = (await client.post("/api/chat/ticket")).json()["ticket"]
    url = f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}"
    member = Member(await stack.enter_async_context(connect(url, compression=None)))
    await member.next("welcome")
    return member


async def test_an_e_mail_outlives_a_kill_of_the_server(tmp_path: Path) -> None:
    async with mail_server("none", tmp_path) as box:
        data = tmp_path / "data"
        settings = {
            "MAIL_HOST": "127.0.0.1",
            "MAIL_PORT": str(box.port),
            "MAIL_SECURITY": "none",
            "MAIL_SENDER": "guide@tool.example",
            "MAIL_SCORES_DELAY_SECONDS": "0",
            "QUEUES_LEASE_SECONDS": "3",
            "QUEUES_HEARTBEAT_SECONDS": "1",
        }
        # The first delivery never ends; the server dies in the middle of it.
        box.hangs = 1
        with running_server(data, settings) as server:
            await launched(data, "ada")
            async with await asyncio.to_thread(client_of, server, "t", "instructor") as teacher:
                assert (await teacher.post("/api/analytics/performance", json=scores("ada"))).status_code == 200
            for _ in range(500):
                if box.attempts:
                    break
                await asyncio.sleep(0.02)
            await asyncio.to_thread(server.kill)
        assert box.received == []
        with running_server(data, settings):
            await box.until(1)
        assert box.recipients == ["ada@example.edu"]
