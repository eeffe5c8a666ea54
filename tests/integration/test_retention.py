"""Letting go of what is older than the settings say, except of what is held."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.clock import ManualClock
from atomic_guide.course.keeping import retention
from atomic_guide.course.keeping.holds import Holds
from atomic_guide.course.keeping.retention import Released, Retention
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

DAY = 86400.0
KEY = CourseKey.of("t1", "waves")
OTHER = CourseKey.of("t1", "optics")


class Site:
    """An installation with a clock that a test turns."""

    def __init__(self, shards: Shards, folder: Path) -> None:
        self.clock = ManualClock()
        self.shards = shards
        queues = Queues(shards, self.clock, QueueSettings())
        self.parts = Parts(shards, DirectoryStore(folder / "objects"), queues, VideoSettings(), self.clock)
        self.holds = Holds(shards.directory, self.clock)
        self.told: list[tuple[CourseKey, int]] = []

    async def turn(self, **settings: Any) -> Released:
        chosen = KeepingSettings(**settings)
        return await Retention(self.parts, Videos(self.parts), self.holds, chosen, self.tell).turn()

    def tell(self, key: CourseKey, revision: int) -> None:
        self.told.append((key, revision))

    async def rows(self, table: str, *columns: str, key: CourseKey = KEY) -> list[tuple[Any, ...]]:
        names = ", ".join(f'"{column}"' for column in columns)
        course = "bucket = :bucket AND tenant = :tenant AND course = :course"
        text = f"SELECT {names} FROM {table} WHERE {course} ORDER BY {names}"  # noqa: S608 - a test's own names
        found = await self.shards.of(key).read(Query("rows", "A test's look.", {None: text}), key.columns)
        return [tuple(row[column] for column in columns) for row in found]

    async def fill(self, key: CourseKey = KEY) -> None:
        now = self.clock.now()
        await put(self.shards, key, "courses", context="x", title="x", last_seq=4, created_at=now)
        for seq in range(1, 5):
            said = {"author": f"u{seq % 2}", "id": f"m{seq}", "content": f"c{seq}"}
            await put(self.shards, key, "messages", seq=seq, created_at=now + seq * DAY, **said)
        for day in range(1, 5):
            at = now + day * DAY
            values: dict[str, Any] = {"id": "", "score": 1.0, "maximum": 2.0}
            await put(self.shards, key, "scores", user=f"u{day % 2}", activity=f"E{day}", at=at, **values)
            await put(self.shards, key, "record_reads", at=at, reader="t", call="performance", subject="", reads=1)
        text = {"steps": "[]", "renditions": "[]", "captions": "[]", "chapters": "[]"}
        video = {"id": "v" + "0" * 16, "title": "t", "filename": "f", "uploader": "u1", "status": "ready"}
        counted = {"progress": 1.0, "size": 5, "derived": 0, "poster": False, "created_at": now}
        await put(self.shards, key, "videos", **video, **counted, **text)


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Site]:
    async with opened_shards(request.param, tmp_path, postgres_cluster) as shards:
        made = Site(shards, tmp_path)
        await made.fill()
        yield made


async def test_what_is_old_goes_and_what_is_young_stays(site: Site) -> None:
    site.clock.advance(12.5 * DAY)
    done = await site.turn(messages_days=10, scores_days=10, videos_days=10, reads_days=10)
    assert done == Released(messages=2, scores=2, videos=1, others=2)
    assert await site.rows("messages", "seq", "author", "content") == [
        (1, "", ""),
        (2, "", ""),
        (3, "u1", "c3"),
        (4, "u0", "c4"),
    ]
    assert [activity for (activity,) in await site.rows("scores", "activity")] == ["E3", "E4"]
    assert await site.rows("gradebooks", "version") == [(1,)]
    assert await site.rows("videos", "id") == []
    assert len(await site.rows("record_reads", "at")) == 2


async def test_without_a_setting_nothing_goes(site: Site) -> None:
    site.clock.advance(10_000 * DAY)
    assert await site.turn(dead_letters_days=None) == Released()
    assert await site.turn() == Released()
    assert len(await site.rows("messages", "content")) == 4


async def test_a_course_is_looked_at_once_a_day(site: Site) -> None:
    site.clock.advance(11.5 * DAY)
    assert (await site.turn(messages_days=10)).messages == 1
    site.clock.advance(0.9 * DAY)
    assert (await site.turn(messages_days=10)).messages == 0
    site.clock.advance(0.2 * DAY)
    assert (await site.turn(messages_days=10)).messages == 1


async def test_a_turn_is_bounded_and_the_next_one_goes_on(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    monkeypatch.setattr(retention, "TURN", 1)
    site.clock.advance(100 * DAY)
    for _ in range(4):
        assert (await site.turn(messages_days=10)).messages == 1
    assert {content for (content,) in await site.rows("messages", "content")} == {""}


async def test_rooms_are_told_of_each_batch_of_messages_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    site.clock.advance(100 * DAY)
    await site.turn(messages_days=10, scores_days=10)
    assert site.told == [(KEY, 1), (KEY, 2)]
    assert await site.rows("messages", "seq", "revision") == [(1, 1), (2, 1), (3, 2), (4, 2)]
    site.clock.advance(2 * DAY)
    await site.turn(messages_days=10, scores_days=10)
    assert len(site.told) == 2


@pytest.mark.parametrize("scope", [("", ""), (KEY.course, "")])
async def test_a_held_course_keeps_everything(site: Site, scope: tuple[str, str]) -> None:
    await site.fill(OTHER)
    hold = await site.holds.add("t1", *scope, "case 9")
    site.clock.advance(100 * DAY)
    everything = {"messages_days": 10, "scores_days": 10, "videos_days": 10, "reads_days": 10}
    done = await site.turn(**everything)
    assert done.messages == (4 if scope[0] else 0)
    assert len(await site.rows("scores", "activity")) == 4
    assert len(await site.rows("videos", "id")) == 1
    assert {content for (content,) in await site.rows("messages", "content")} == {"c1", "c2", "c3", "c4"}
    await site.holds.lift(hold.id)
    site.clock.advance(1.1 * DAY)
    assert (await site.turn(**everything)).messages == (4 if scope[0] else 8)


async def test_a_held_person_keeps_what_is_theirs(site: Site) -> None:
    await site.holds.add("t1", "", "u1", "case 10")
    site.clock.advance(100 * DAY)
    await site.turn(messages_days=10, scores_days=10, videos_days=10, reads_days=10)
    assert [content for (content,) in await site.rows("messages", "content")] == ["", "", "c1", "c3"]
    assert {user for (user,) in await site.rows("scores", "user")} == {"u1"}
    assert len(await site.rows("videos", "id")) == 1
    assert len(await site.rows("record_reads", "at")) == 4


async def test_rates_of_a_minute_that_is_over_are_forgotten(site: Site) -> None:
    await site.fill()
    now = site.clock.now()
    for user, mark in (("past", now - 1), ("spent", now + 30)):
        await put(site.shards, KEY, "posting_marks", user=user, mark=mark)
    await site.turn()
    assert await site.rows("posting_marks", "user") == [("spent",)]
