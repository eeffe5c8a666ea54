"""Notifications over HTTP, and e-mail from the row to a mail server: once where all goes well, never lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.notifications.assembly import Notifications, build_notifications
from atomic_guide.course.notifications.feed import MAIL as KIND
from atomic_guide.course.notifications.feed import QUEUE
from atomic_guide.course.notifications.mail import handlers
from atomic_guide.course.notifications.notice import Notice, video_ready
from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.embedded import open_embedded
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.deadletter import DeadLetters
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueRules, QueueSettings
from atomic_guide.engines.queues.worker import Worker
from atomic_guide.web.idempotency import Answers
from atomic_guide.web.notifications import calls
from atomic_guide.web.server import create_app
from atomic_guide.web.sessions import Session, Sessions
from atomic_guide.web.settings import RepeatSettings, SessionSettings
from atomic_guide.web.tool import Tool
from tests.engines import installed
from tests.mailserver import MailBox, mail_server

JOBS = Query("jobs", "Every job.", {None: "SELECT kind, queue FROM jobs"})
KEY = CourseKey.of("t-1", "waves")
ADA = "ada@example.edu"
QUICK = QueueSettings(
    lease_seconds=5,
    heartbeat_seconds=0.5,
    poll_seconds=0.05,
    handover_seconds=0,
    trouble_wait_seconds=0.1,
    notifications=QueueRules(retry_first_seconds=0.01, retry_most_seconds=0.05, max_attempts=4),
)


class School:
    """A small installation with a mail server."""

    def __init__(
        self, shards: Shards, clock: ManualClock, parts: Notifications, queues: Queues, sessions: Sessions
    ) -> None:
        self.shards = shards
        self.clock = clock
        self.parts = parts
        self.queues = queues
        self.sessions = sessions
        self.told: list[dict[str, Any]] = []
        parts.feed.on_tell = lambda _key, user, data: self.told.append({"user": user, **data})
        tool = SimpleNamespace(
            clock=clock,
            shards=shards,
            sessions=sessions,
            notifications=parts,
            answers=Answers(shards, clock, RepeatSettings()),
        )
        self.app = create_app(cast("Tool", tool), calls.declared)

    async def enter(self, user: str, email: str = "", locale: str = "en") -> None:
        arrival = Arrival(
            key=KEY,
            platform="p",
            context="waves",
            title="Waves",
            return_url="https://lms.example/c/1",
            user=user,
            name=user,
            role="learner",
            services=Services(),
            email=email,
            locale=locale,
        )
        await enrol(self.shards, self.clock, self.queues, arrival, mailed=self.parts.contacts.on)

    async def tell(self, *notices: Notice) -> None:
        async def work(tx: Transaction) -> list[Any]:
            return await self.parts.feed.add(tx, KEY, notices)

        self.clock.advance(1)
        self.parts.feed.tell(KEY, await self.shards.of(KEY).write(work))

    async def client(self, user: str, key: CourseKey = KEY) -> httpx.AsyncClient:
        session = Session(
            key.tenant, key.course, key.bucket, user, user, "learner", "en", "Waves", self.clock.now() + 9e3
        )
        tokens = await self.sessions.refresh(session)
        return self.browser(Authorization=f"Bearer {tokens.token}")

    def browser(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="https://tool.test", headers=headers)

    @contextlib.asynccontextmanager
    async def mailing(self) -> AsyncIterator[None]:
        """A worker for e-mail meanwhile, with the clock running fast."""
        own = {QUEUE: handlers(self.parts.mail)}
        worker = Worker(self.shards, own, clock=self.clock, settings=QUICK)
        self.queues.on_wake(worker.wake)
        tasks = [asyncio.create_task(worker.run()), asyncio.create_task(self._hurry())]
        try:
            yield
        finally:
            worker.stop()
            await asyncio.wait_for(tasks[0], 10)
            tasks[1].cancel()

    async def _hurry(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.clock.advance(0.2)

    async def letters(self) -> list[str]:
        return [letter.reason for letter in (await DeadLetters(self.shards).list()).letters]

    async def until_buried(self) -> str:
        for _ in range(400):
            if found := await self.letters():
                return found[0]
            await asyncio.sleep(0.02)
        pytest.fail("no dead letter came")


@contextlib.asynccontextmanager
async def school(folder: Path, **mail: Any) -> AsyncIterator[School]:
    shards = await open_embedded(installed(folder, 2), DataSettings(shards=2))
    try:
        clock = ManualClock()
        queues = Queues(shards, clock, QUICK)
        chosen = MailSettings(sender="guide@tool.example", security="none", timeout_seconds=1.0, **mail)
        parts = await build_notifications(shards, clock, queues, "https://tool.test", (NotificationSettings(), chosen))
        sessions = Sessions(shards.directory, clock, SessionSettings())
        yield School(shards, clock, parts, queues, sessions)
        await parts.mail.close()
    finally:
        await shards.close()


@contextlib.asynccontextmanager
async def mailing_school(folder: Path, **mail: Any) -> AsyncIterator[tuple[School, MailBox]]:
    async with (
        mail_server("none", folder) as box,
        school(folder / "data", host="127.0.0.1", port=box.port, **mail) as opened,
    ):
        await opened.enter("ada", ADA)
        yield opened, box


def ready(video: str = "v1", user: str = "ada", *, captions: bool = True) -> list[Notice]:
    return video_ready(video, f"Lecture {video}", user, "j1", captions=captions)


async def test_the_feed_is_the_caller_s_own(tmp_path: Path) -> None:
    async with school(tmp_path) as opened:
        await opened.tell(*ready(captions=False), *ready("v2", "bob"))
        ada = await opened.client("ada")
        page = (await ada.get("/api/notifications")).json()
        entries = sorted((one["kind"], one["subject"], one["read"]) for one in page["notifications"])
        assert entries == [("captions.missing", "v1", False), ("video.ready", "v1", False)]
        assert page["unread"] == 2
        assert page["next"] is None
        assert page["mail"] == {"available": False, "on": False}
        elsewhere = await opened.client("ada", CourseKey.of("t-2", "waves"))
        assert (await elsewhere.get("/api/notifications")).json()["notifications"] == []
        bob = await opened.client("bob")
        theirs = page["notifications"][0]["id"]
        assert (await bob.post("/api/notifications/read", json={"ids": [theirs]})).json() == {"unread": 1}
        assert (await ada.get("/api/notifications")).json()["unread"] == 2
        assert (await opened.browser().get("/api/notifications")).status_code == 401


async def test_entries_are_marked_read_one_by_one_or_all_that_were_seen(tmp_path: Path) -> None:
    async with school(tmp_path) as opened:
        for number in range(5):
            await opened.tell(*ready(f"v{number}"))
        ada = await opened.client("ada")
        page = (await ada.get("/api/notifications", params={"limit": 2})).json()
        assert [one["subject"] for one in page["notifications"]] == ["v4", "v3"]
        more = (await ada.get("/api/notifications", params={"limit": 2, "after": page["next"]})).json()
        assert [one["subject"] for one in more["notifications"]] == ["v2", "v1"]
        newest = page["notifications"][0]["id"]
        read = {"Idempotency-Key": "k1"}
        first = await ada.post("/api/notifications/read", json={"ids": [newest]}, headers=read)
        await opened.tell(*ready("v9"))
        assert first.json() == {"unread": 4}
        assert (await ada.post("/api/notifications/read", json={"ids": [newest]}, headers=read)).json() == first.json()
        assert (await ada.post("/api/notifications/read", json={"until": newest})).json() == {"unread": 1}
        both: dict[str, Any] = {"ids": ["a"], "until": "b"}
        wrongs: list[dict[str, Any]] = [{}, {"ids": [], "until": None}, both, {"ids": ["x"] * 101}, {"id": "a"}]
        for wrong in wrongs:
            assert (await ada.post("/api/notifications/read", json=wrong)).status_code == 400
        assert (await ada.get("/api/notifications", params={"after": "yesterday"})).status_code == 400


async def test_a_notification_becomes_one_e_mail_to_one_person(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        await opened.enter("bob", "bob@example.edu", "ar-EG")
        await opened.tell(*ready(captions=False), *ready("v2", "bob"), *ready("v3", "nobody"))
        await opened.tell(*ready(captions=False))
        await box.until(2)
        assert sorted(box.recipients) == [ADA, "bob@example.edu"]
        to = {message["To"]: message for message in box.received}
        assert to[ADA]["Subject"] == "“Lecture v1” is ready"
        assert to["bob@example.edu"]["Content-Language"] == "ar"
        assert await opened.letters() == []


async def test_a_mail_that_is_refused_for_a_while_comes_later_under_the_same_id(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        box.rcpt.append("451 4.7.1 come back later")
        box.data.append("421 4.3.0 not now")
        box.hangs = 1
        await opened.tell(*ready())
        await box.until(1)
        assert box.attempts == 4


async def test_a_server_that_dies_after_the_message_gets_it_twice_and_a_mailbox_can_tell(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        box.dies = 1
        await opened.tell(*ready())
        await box.until(2)
        first, second = box.received
        assert first["Message-ID"] == second["Message-ID"]
        assert first["Date"] == second["Date"]


async def test_a_mail_that_is_refused_for_good_is_a_dead_letter_that_names_no_address(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        box.rcpt.append(f"550 5.1.1 no mailbox {ADA}")
        await opened.tell(*ready())
        assert await opened.until_buried() == "the mail server refused the recipient (550 5.1.1)"
        assert box.attempts == 1
    assert ADA not in "".join(capsys.readouterr())


async def test_a_server_that_is_away_costs_no_attempts(tmp_path: Path) -> None:
    async with school(tmp_path / "data", host="127.0.0.1", port=9) as away:
        await away.enter("ada", ADA)
        await away.tell(*ready())
        async with away.mailing():
            await asyncio.sleep(0.5)
            assert await away.letters() == []
            rows = [row for shard in away.shards.all() for row in await shard.read(JOBS)]
            assert [(row["kind"], row["queue"]) for row in rows] == [(KIND, QUEUE)]
    async with (
        mail_server("none", tmp_path) as box,
        school(tmp_path / "data", host="127.0.0.1", port=box.port) as back,
        back.mailing(),
    ):
        back.clock.advance(120)
        await box.until(1)


async def test_nobody_is_mailed_who_has_read_it_or_wants_none_any_more(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box):
        await opened.enter("bob", "bob@example.edu")
        await opened.enter("eve", "eve@example.edu")
        await opened.tell(*ready(), *ready("v2", "bob"), *ready("v3", "eve"))
        ada, bob = await opened.client("ada"), await opened.client("bob")
        page = (await ada.get("/api/notifications")).json()
        assert page["mail"] == {"available": True, "on": True}
        await ada.post("/api/notifications/read", json={"until": page["notifications"][0]["id"]})
        assert (await bob.post("/api/notifications/mail", json={"on": False})).json() == {
            "available": True,
            "on": False,
        }
        async with opened.mailing():
            await box.until(1)
            await asyncio.sleep(0.3)
        assert box.recipients == ["eve@example.edu"]


async def test_the_language_of_the_page_is_the_language_of_the_mail(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        ada = await opened.client("ada")
        await ada.post("/api/notifications/mail", json={"language": "ar"})
        assert (await ada.post("/api/notifications/mail", json={"language": "xx"})).status_code == 400
        await opened.enter("ada", ADA)
        await opened.tell(*ready())
        await box.until(1)
        assert box.received[0]["Content-Language"] == "ar"


async def test_the_link_in_a_mail_asks_and_the_button_ends_e_mail(tmp_path: Path) -> None:
    async with mailing_school(tmp_path) as (opened, box), opened.mailing():
        await opened.tell(*ready())
        await box.until(1)
        link = box.received[0]["List-Unsubscribe"].strip("<>").removeprefix("https://tool.test")
        browser, ada = opened.browser(), await opened.client("ada")
        asked = await browser.get(link)
        assert asked.status_code == 200
        assert '<form method="post">' in asked.text
        assert (await ada.get("/api/notifications")).json()["mail"]["on"] is True
        done = await browser.post(link, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
        assert (await ada.get("/api/notifications")).json()["mail"]["on"] is False
        assert (await browser.post(f"{link[:-2]}AA")).status_code == 404


async def test_without_a_mail_server_no_address_is_kept(tmp_path: Path) -> None:
    async with school(tmp_path) as opened:
        await opened.enter("ada", ADA)
        await opened.tell(*ready())
        assert await opened.parts.contacts.of(KEY, "ada") == (False, True)
        rows = [row for shard in opened.shards.all() for row in await shard.read(JOBS)]
        assert rows == []
