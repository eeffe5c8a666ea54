"""The feed of notifications, on every database."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.analytics.ingest import Scores
from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.course.enrolment import Arrival, Services, enrol
from atomic_guide.course.notifications.assembly import Notifications, build_notifications
from atomic_guide.course.notifications.feed import Posted
from atomic_guide.course.notifications.notice import Notice, video_ready
from atomic_guide.course.notifications.settings import MailSettings, NotificationSettings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from atomic_guide.errors import Invalid, NotFound
from tests.engines import ENGINES, opened_shards
from tests.postgres import Cluster

KEY, OTHER = CourseKey.of("t-1", "waves"), CourseKey.of("t-2", "waves")
MAIL = MailSettings(host="127.0.0.1", sender="guide@tool.example")
JOBS = Query(
    "jobs", "Every job.", {None: "SELECT kind, subject, payload, unique_key, queue FROM jobs ORDER BY subject"}
)
AT = "2023-11-01T10:00:00Z"


class Installation:
    """A feed over databases, with what it told."""

    def __init__(self, shards: Shards, clock: ManualClock, parts: Notifications, queues: Queues) -> None:
        self.shards = shards
        self.clock = clock
        self.parts = parts
        self.queues = queues
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        parts.feed.on_tell = lambda key, user, data: self.told.append((key.tenant, user, data))
        self.scores = Scores(shards, clock, AnalyticsSettings(), posts=parts.feed)

    async def enter(self, user: str, email: str = "", role: str = "learner", key: CourseKey = KEY) -> None:
        arrival = Arrival(
            key=key,
            platform="p",
            context="waves",
            title="Waves",
            return_url=None,
            user=user,
            name=user,
            role="instructor" if role == "instructor" else "learner",
            services=Services(),
            email=email,
        )
        await enrol(self.shards, self.clock, self.queues, arrival, mailed=True)

    async def add(self, *notices: Notice, key: CourseKey = KEY) -> list[Posted]:
        async def work(tx: Transaction) -> list[Posted]:
            return await self.parts.feed.add(tx, key, notices)

        self.clock.advance(1)
        return await self.shards.of(key).write(work)

    async def entries(self, user: str, key: CourseKey = KEY) -> list[str]:
        page = await self.parts.feed.page(key, user, None, 100)
        return [f"{one.kind} {one.subject}".strip() for one in page.entries]

    async def jobs(self) -> list[Any]:
        return [row for shard in self.shards.all() for row in await shard.read(JOBS)]


@pytest.fixture(params=ENGINES)
async def installation(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster
) -> AsyncIterator[Installation]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        clock = ManualClock()
        queues = Queues(shards, clock, QueueSettings())
        settings = (NotificationSettings(keep=10), MAIL)
        yield Installation(
            shards, clock, await build_notifications(shards, clock, queues, "https://tool", settings), queues
        )


def ready(video: str, user: str = "ada", run: str = "j1", *, captions: bool = True) -> list[Notice]:
    return video_ready(video, f"Lecture {video}", user, run, captions=captions)


def score(user: str, activity: str = "E1", value: float = 7, **more: Any) -> dict[str, Any]:
    return {"user": user, "activity": activity, "score": value, "max": 10, "at": AT, **more}


async def post(installation: Installation, scores: Sequence[dict[str, Any]]) -> list[str]:
    """Post scores as JSON; whom it told."""
    installation.told.clear()
    await installation.scores.take_json(KEY, msgspec.json.encode({"scores": list(scores)}))
    return [user for _, user, _ in installation.told]


async def test_a_cause_tells_once_and_what_is_told_stands_in_the_feed(installation: Installation) -> None:
    first = await installation.add(*ready("v1", captions=False))
    assert await installation.add(*ready("v1", captions=False)) == []
    await installation.add(*ready("v1", run="j2"))
    assert await installation.entries("ada") == ["video.ready v1", "captions.missing v1", "video.ready v1"]
    page = await installation.parts.feed.page(KEY, "ada", None, 100)
    assert page.unread == 3
    installation.parts.feed.tell(KEY, first)
    assert {data["id"] for _, _, data in installation.told} <= {one.id for one in page.entries}
    (told, *_) = [data for _, _, data in installation.told]
    assert told["data"]["title"] == "Lecture v1"


async def test_what_is_rolled_back_tells_nobody(installation: Installation) -> None:
    await installation.enter("ada", "ada@example.edu")

    async def work(tx: Transaction) -> None:
        await installation.parts.feed.add(tx, KEY, ready("v1"))
        raise NotFound("the video is gone")

    with pytest.raises(NotFound):
        await installation.shards.of(KEY).write(work)
    assert await installation.entries("ada") == []
    assert await installation.jobs() == []


async def test_nobody_sees_or_reads_the_feed_of_others(installation: Installation) -> None:
    (posted,) = await installation.add(*ready("v1"))
    await installation.add(*ready("v1"), key=OTHER)
    assert await installation.entries("bob") == []
    feed = installation.parts.feed
    assert await feed.mark_read(KEY, "bob", [posted.entry.id]) == 0
    assert await feed.mark_read_until(OTHER, "ada", posted.entry.id) == 0
    assert await feed.unread(KEY, "ada") == 1
    assert await feed.unread(OTHER, "ada") == 0


async def test_the_feed_of_a_person_is_bounded_by_letting_go_of_the_oldest(installation: Installation) -> None:
    for number in range(25):
        await installation.add(*ready(f"v{number}"), *ready(f"w{number}", "bob"))
    assert await installation.entries("ada") == [f"video.ready v{number}" for number in range(24, 14, -1)]
    assert len(await installation.entries("bob")) == 10


async def test_pages_follow_one_another_without_gap_or_repetition(installation: Installation) -> None:
    await installation.add(*(one for number in range(7) for one in ready(f"v{number}")))
    seen: list[str] = []
    following: str | None = None
    for _ in range(4):
        page = await installation.parts.feed.page(KEY, "ada", following, 2)
        seen += [one.subject for one in page.entries]
        following = page.following
    assert following is None
    assert sorted(seen) == [f"v{number}" for number in range(7)]
    with pytest.raises(Invalid):
        await installation.parts.feed.page(KEY, "ada", "nonsense", 2)


async def test_reading_counts_down_and_is_told_to_the_other_pages(installation: Installation) -> None:
    posted = [one for number in range(4) for one in await installation.add(*ready(f"v{number}"))]
    feed = installation.parts.feed
    assert await feed.mark_read(KEY, "ada", [posted[3].entry.id, "nothing"]) == 3
    assert await feed.mark_read_until(KEY, "ada", posted[1].entry.id) == 1
    assert await feed.mark_read_until(KEY, "ada", posted[1].entry.id) == 1
    assert [one.read for one in (await feed.page(KEY, "ada", None, 9)).entries] == [True, False, True, True]
    assert installation.told[-1] == ("t-1", "ada", {"unread": 1})


async def test_what_is_asked_for_is_settled_and_what_is_gone_is_withdrawn(installation: Installation) -> None:
    await installation.add(*ready("v1", captions=False), *ready("v2", captions=False))

    async def work(tx: Transaction) -> None:
        await installation.parts.feed.settle(tx, KEY, "captions.missing", "v1")
        await installation.parts.feed.withdraw(tx, KEY, "v2")

    await installation.shards.of(KEY).write(work)
    page = await installation.parts.feed.page(KEY, "ada", None, 9)
    assert {one.kind: one.read for one in page.entries} == {"video.ready": False, "captions.missing": True}


async def test_a_mail_is_a_job_of_the_same_transaction_for_who_has_an_address_and_wants_it(
    installation: Installation,
) -> None:
    await installation.enter("ada", "ada@example.edu")
    await installation.enter("bob")
    await installation.enter("eve", "eve@example.edu")
    await installation.parts.contacts.choose(KEY, "eve", wanted=False)
    for user in ("ada", "bob", "eve", "unknown"):
        await installation.add(*ready("v1", user, captions=False))
        await installation.add(*ready("v1", user, captions=False))
    (job,) = await installation.jobs()
    assert (job["queue"], job["kind"]) == ("notifications", "notification.mail")
    assert '"user":"ada"' in job["payload"]
    assert "@" not in job["payload"]


async def test_a_later_launch_keeps_the_wish_and_the_address_that_it_does_not_tell(installation: Installation) -> None:
    await installation.enter("ada", "ada@example.edu")
    await installation.parts.contacts.choose(KEY, "ada", wanted=False)
    await installation.enter("ada")
    assert await installation.parts.contacts.of(KEY, "ada") == (True, False)
    await installation.enter("ada", "a b@example.edu")
    assert await installation.parts.contacts.of(KEY, "ada") == (True, False)
    assert await installation.parts.contacts.of(KEY, "bob") == (False, True)


async def test_learners_who_have_been_here_are_told_of_their_scores_once_for_a_transfer(
    installation: Installation,
) -> None:
    for user in ("ada", "bob"):
        await installation.enter(user)
    await installation.enter("teacher", role="instructor")
    rows = [score(user, f"E{number}") for number in range(3) for user in ("ada", "bob", "teacher", "stranger")]
    assert await post(installation, rows) == ["ada", "bob"]
    assert installation.told[0][2]["data"] == {}
    assert await post(installation, rows) == []
    assert await post(installation, [*rows, score("bob", "E9")]) == ["bob"]
    assert await post(installation, [score("ada", "E1", 9), score("bob", "E1")]) == ["ada"]
    assert installation.told[0][2]["data"] == {"activity": "E1"}
    assert await installation.entries("ada") == ["scores.posted"] * 2


async def test_scores_with_ids_of_their_own_tell_once_too(installation: Installation) -> None:
    await installation.enter("ada")
    assert await post(installation, [score("ada", id="s1"), score("ada", id="s2", at="2023-11-02")]) == ["ada"]
    assert await post(installation, [score("ada", id="s1"), score("ada", id="s2", at="2023-11-02")]) == []
    assert await post(installation, [score("ada", id="s1"), score("ada", id="s3", at="2023-11-03")]) == ["ada"]


async def test_a_large_sheet_tells_each_learner_once_and_strangers_cost_nothing(installation: Installation) -> None:
    learners = [f"u{number:03}" for number in range(40)]
    for user in learners:
        await installation.enter(user)
    lines = ["user,activity,score,max,at"]
    lines += [f"u{number % 400:03},E{number},7,10,{AT}" for number in range(12_000)]

    async def pieces() -> AsyncIterator[bytes]:
        yield "\n".join(lines).encode()

    taking = await installation.scores.take_csv(KEY, pieces())
    assert taking.accepted == 12_000
    assert sorted(user for _, user, _ in installation.told) == learners


async def test_one_mail_about_scores_waits_for_a_person_however_many_transfers_come(installation: Installation) -> None:
    await installation.enter("ada", "ada@example.edu")
    for number in range(5):
        assert await post(installation, [score("ada", f"E{number}")]) == ["ada"]
    assert len(await installation.jobs()) == 1


async def test_two_who_add_the_same_at_once_add_it_once(installation: Installation) -> None:
    await installation.enter("ada", "ada@example.edu")
    await asyncio.gather(*(installation.add(*ready("v1")) for _ in range(6)))
    assert await installation.entries("ada") == ["video.ready v1"]
    assert len(await installation.jobs()) == 1


async def test_the_address_that_ends_e_mail_is_good_for_one_person_and_cannot_be_made_up(
    installation: Installation,
) -> None:
    contacts = installation.parts.contacts
    token = contacts.stop_url(KEY, "ada").rpartition("/")[2]
    assert contacts.read_stop(token) == (KEY, "ada")
    assert contacts.stop_url(KEY, "bob").rpartition("/")[2] != token
    altered = ("B" if token[0] == "A" else "A") + token[1:]
    for wrong in ("", token[:-1], altered, f"{token}AA", "é", token.swapcase()):
        assert contacts.read_stop(wrong) is None
