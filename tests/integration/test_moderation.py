"""What instructors may do in a room, decided in its shard, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide import errors
from atomic_guide.clock import ManualClock
from atomic_guide.course.chat.history import MessageHistory
from atomic_guide.course.chat.live import is_live
from atomic_guide.course.chat.message import Author
from atomic_guide.course.chat.moderation import Moderation
from atomic_guide.course.chat.settings import ChatSettings
from atomic_guide.course.chat.state import RoomState, read_room
from atomic_guide.course.chat.store import Messages, Posted
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.keeping.retention import Retention
from atomic_guide.course.keeping.settings import KeepingSettings
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.videos import Parts, Videos
from atomic_guide.engines.assets.directory import DirectoryStore
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.queues.jobs import Queues
from atomic_guide.engines.queues.settings import QueueSettings
from tests.engines import ENGINES, opened_shards
from tests.keeping import put
from tests.postgres import Cluster

KEY = CourseKey.of("t1", "waves")
ADA, BEN = Author("ada", "Ada"), Author("ben", "Ben")
FERN = Author("fern", "Dr. Fern", "instructor")


class Site:
    """An installation with a course of two students and an instructor."""

    def __init__(self, shards: Shards, folder: Path) -> None:
        self.clock = ManualClock()
        self.shards = shards
        self.folder = folder
        self.told: list[int] = []
        self.holds = Holds(shards.directory, self.clock)
        self.history = MessageHistory(shards, self.clock)
        self.messages = Messages(shards, self.clock, lambda _key, _message: None)
        self.moderation = Moderation(
            shards, self.clock, self.holds, ChatSettings(), lambda _key, revision: self.told.append(revision)
        )

    async def fill(self) -> None:
        now = self.clock.now()
        await put(self.shards, KEY, "courses", context="waves", title="Waves", created_at=now)
        for author in (ADA, BEN, FERN):
            member = {"name": author.name, "role": author.role, "created_at": now, "seen_at": now}
            await put(self.shards, KEY, "members", user=author.id, **member)

    async def say(self, author: Author, content: str, identifier: str | None = None) -> Posted:
        return await self.messages.post(KEY, author, content, identifier)

    async def delete(self, by: Author, seq: int) -> None:
        await self.moderation.delete(KEY, by.id, seq)

    async def state(self) -> RoomState:
        return await read_room(self.shards, self.clock, KEY)

    async def shown(self) -> list[tuple[int, str, str, bool]]:
        """What everybody sees: (seq, author, content, deleted)."""
        page = await self.history.page(KEY, after=0)
        return [(one.seq, one.author.id, one.content, one.deleted) for one in page.messages]

    async def stored(self, column: str) -> list[Any]:
        """What the rows hold."""
        course = "bucket = :bucket AND tenant = :tenant AND course = :course"
        sql = f"SELECT {column} FROM messages WHERE {course} ORDER BY seq"  # noqa: S608 - a test's own name
        rows = await self.shards.of(KEY).read(Query("rows", "A test's look.", {None: sql}), KEY.columns)
        return [row[column] for row in rows]

    async def demote(self, author: Author) -> None:
        """The LMS says that an instructor is a learner now."""
        course = "bucket = :bucket AND tenant = :tenant AND course = :course"
        sql = f"UPDATE members SET role = 'learner' WHERE {course} AND \"user\" = :user"  # noqa: S608 - as above
        query, params = Query("demote", "A test's change.", {None: sql}), {**KEY.columns, "user": author.id}

        async def work(tx: Any) -> None:
            await tx.execute(query, params)

        await self.shards.of(KEY).write(work)

    async def retain(self, **settings: Any) -> None:
        """A turn of retention."""
        queues = Queues(self.shards, self.clock, QueueSettings())
        parts = Parts(self.shards, DirectoryStore(self.folder / "objects"), queues, VideoSettings(), self.clock)
        chosen = KeepingSettings(**settings)
        await Retention(
            parts, Videos(parts), self.holds, chosen, lambda _key, revision: self.told.append(revision)
        ).turn()


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Site]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        made = Site(shards, tmp_path)
        await made.fill()
        yield made


async def test_a_deleted_message_is_a_tombstone_and_is_not_posted_again(site: Site) -> None:
    for number in range(3):
        await site.say(ADA, f"message {number + 1}", f"id-{number + 1}")
    await site.delete(FERN, 2)
    assert await site.shown() == [(1, "ada", "message 1", False), (2, "", "", True), (3, "ada", "message 3", False)]
    again = await site.say(ADA, "message 2", "id-2")
    assert (again.fresh, again.message.seq, again.message.deleted, again.message.content) == (False, 2, True, "")
    assert (await site.say(ADA, "message 4")).message.seq == 4
    assert await site.stored("content") == ["message 1", "", "message 3", "message 4"]


async def test_an_action_is_told_and_noted_once_and_says_nothing_of_the_content(site: Site) -> None:
    await site.say(ADA, "a secret")
    await site.delete(FERN, 1)
    await site.delete(FERN, 1)
    await site.moderation.set_open(KEY, "fern", is_open=False)
    await site.moderation.set_open(KEY, "fern", is_open=False)
    assert site.told == [1, 2]
    log = await site.moderation.log(KEY, 10, 10)
    assert [(one.revision, one.by, one.action, one.user, one.seq) for one in log] == [
        (2, "fern", "closed", "", None),
        (1, "fern", "deleted", "ada", 1),
    ]
    assert "secret" not in repr(log)


async def test_authors_delete_their_own_for_a_while_and_nobody_elses(site: Site) -> None:
    await site.say(ADA, "a slip")
    await site.say(ADA, "to stay")
    with pytest.raises(errors.Forbidden, match="others have written"):
        await site.delete(BEN, 1)
    await site.delete(ADA, 1)
    site.clock.advance(15 * 60.0)
    with pytest.raises(errors.Forbidden, match="15 minutes") as refusal:
        await site.delete(ADA, 2)
    assert refusal.value.details == {"own_deletion_minutes": 15}
    await site.delete(ADA, 1)
    await site.delete(FERN, 2)
    assert [deleted for *_, deleted in await site.shown()] == [True, True]
    with pytest.raises(errors.NotFound):
        await site.delete(FERN, 3)


async def test_the_role_of_now_decides(site: Site) -> None:
    await site.say(ADA, "hello")
    await site.moderation.set_open(KEY, "fern", is_open=False)
    await site.say(FERN, "only I may")
    await site.demote(FERN)
    for attempt in (
        site.moderation.delete(KEY, "fern", 1),
        site.moderation.mute(KEY, "fern", "ada", None),
        site.moderation.unmute(KEY, "fern", "ada"),
        site.moderation.set_open(KEY, "fern", is_open=True),
        site.moderation.set_live(KEY, "fern", is_live=True),
    ):
        with pytest.raises(errors.Forbidden):
            await attempt
    # The session may still say instructor.
    with pytest.raises(errors.RoomClosed):
        await site.say(FERN, "no more")
    assert site.told == [1]


async def test_a_muted_person_cannot_write_until_the_time_or_the_lifting(site: Site) -> None:
    first = await site.say(ADA, "before", "id-1")
    await site.moderation.mute(KEY, "fern", "ada", 10)
    with pytest.raises(errors.Muted, match="muted you in this room, until 20") as refused:
        await site.say(ADA, "no")
    assert [(mute.id, mute.name) for mute in (await site.state()).mutes] == [("ada", "Ada")]
    assert refused.value.details["until"] == (await site.state()).mutes[0].until
    # What was acknowledged stays so, and the others are not concerned.
    assert (await site.say(ADA, "before", "id-1")).message == first.message
    await site.say(BEN, "I may")
    site.clock.advance(600.0)
    await site.say(ADA, "again")
    assert (await site.state()).mutes == []
    await site.moderation.mute(KEY, "fern", "ada", None)
    site.clock.advance(10_000_000.0)
    with pytest.raises(errors.Muted, match="until an instructor lifts it"):
        await site.say(ADA, "no")
    await site.moderation.unmute(KEY, "fern", "ada")
    await site.moderation.unmute(KEY, "fern", "ada")
    assert (await site.say(ADA, "back")).fresh
    assert site.told == [1, 2, 3]


async def test_whom_one_cannot_mute(site: Site) -> None:
    with pytest.raises(errors.Conflict, match="instructor"):
        await site.moderation.mute(KEY, "fern", "fern", 5)
    with pytest.raises(errors.NotFound):
        await site.moderation.mute(KEY, "fern", "nobody", 5)
    for minutes in (0, 10_081):
        with pytest.raises(errors.Invalid):
            await site.moderation.mute(KEY, "fern", "ada", minutes)
    with pytest.raises(errors.NotFound):
        await site.moderation.set_open(CourseKey.of("t1", "empty"), "fern", is_open=False)


async def test_in_a_closed_room_only_instructors_write(site: Site) -> None:
    await site.moderation.set_open(KEY, "fern", is_open=False)
    assert not (await site.state()).open
    with pytest.raises(errors.RoomClosed):
        await site.say(ADA, "no")
    await site.say(FERN, "the room opens on Monday")
    await site.moderation.set_open(KEY, "fern", is_open=True)
    await site.say(ADA, "good morning")
    assert len(await site.shown()) == 2


async def test_a_live_session_begins_once_and_ends_by_itself(site: Site) -> None:
    await site.moderation.set_live(KEY, "fern", is_live=True)
    began = (await site.state()).live
    assert began is not None
    assert began.by == {"id": "fern", "name": "Dr. Fern"}
    site.clock.advance(3600.0)
    await site.moderation.set_live(KEY, "fern", is_live=True)
    assert (await site.state()).live == began
    assert await is_live(site.shards.of(KEY), KEY, site.clock.now())
    ends_at = (await site.state()).ends_at
    assert ends_at == pytest.approx(site.clock.now() + 180 * 60.0)
    site.clock.advance(180 * 60.0)
    assert (await site.state()).live is None
    assert not await is_live(site.shards.of(KEY), KEY, site.clock.now())
    await site.moderation.set_live(KEY, "fern", is_live=True)
    await site.moderation.set_live(KEY, "fern", is_live=False)
    await site.moderation.set_live(KEY, "fern", is_live=False)
    assert (await site.state()).live is None
    assert [one.action for one in await site.moderation.log(KEY, 10, 10)] == ["ended", "live", "live"]


@pytest.mark.parametrize("scope", [("", ""), (KEY.course, ""), ("", "ada")])
async def test_a_held_message_keeps_its_content_unseen_while_it_is_held(site: Site, scope: tuple[str, str]) -> None:
    hold = await site.holds.add("t1", *scope, "case 11")
    await site.say(ADA, "evidence", "id-1")
    await site.delete(FERN, 1)
    assert await site.stored("content") == ["evidence"]
    assert await site.shown() == [(1, "", "", True)]
    assert (await site.say(ADA, "evidence", "id-1")).message.content == ""
    assert b"evidence" not in (await site.history.frames(KEY, 0, 10))[0][1]
    await site.retain()
    assert await site.stored("content") == ["evidence"]
    await site.holds.lift(hold.id)
    await site.retain(dead_letters_days=None)
    assert await site.stored("content") == [""]


async def test_retention_tells_of_its_tombstones_and_empties_deleted_ones(site: Site) -> None:
    for number in range(3):
        await site.say(ADA, f"message {number}", f"id-{number}")
    await site.delete(FERN, 1)
    before = await site.history.standing(KEY)
    site.clock.advance(20 * 86400.0)
    await site.retain(messages_days=10)
    assert await site.stored("author") == ["", "", ""]
    changes = await site.history.changes(KEY, before.revision)
    assert [deletion.seq for deletion in changes.deletions] == [1, 2, 3]
    assert changes.revision > before.revision
    site.clock.advance(2 * 86400.0)
    await site.retain(messages_days=10, moderation_days=10)
    assert await site.moderation.log(KEY, 10, 10) == []
