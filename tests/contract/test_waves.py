"""Many moves, pins and draining, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.layout import change, pins
from atomic_guide.engines.data.layout.drain import finish_drain, leaving, remove
from atomic_guide.engines.data.layout.measure import QUERIES, measure_shards
from atomic_guide.engines.data.layout.view import registered
from atomic_guide.engines.data.layout.waves import Report, Wanted, Waves
from atomic_guide.engines.data.moves import Mover, Scope, verify
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.errors import Conflict, NotFound
from tests.engines import ENGINES
from tests.layouts import NOW, Layout, layout
from tests.postgres import Cluster

QUERIES_HERE = parse_queries(
    """
-- name: courses
-- purpose: Some courses.
SELECT bucket, tenant, course, context, title, last_seq, created_at FROM courses
-- name: copy_course
-- purpose: A row that no move brought.
INSERT INTO courses (bucket, tenant, course, context, title, last_seq, created_at)
VALUES (:bucket, :tenant, :course, :context, :title, :last_seq, :created_at)
-- name: age
-- purpose: Let a move have ended long ago.
UPDATE moves SET updated_at = 0 WHERE id = :id
""",
    "test_waves",
)
COURSES, COPY_COURSE, AGE = QUERIES_HERE["courses"], QUERIES_HERE["copy_course"], QUERIES_HERE["age"]


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Layout]:
    async with layout(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


class Heard:
    """Waves whose reports are kept; `stop_after` that many ended moves."""

    def __init__(self, site: Layout, stop_after: int | None = None) -> None:
        self.reports: list[Report] = []
        self._stop_after = stop_after
        self.waves = Waves(Mover(site.shards, "test"), 1, self._take)

    def _take(self, report: Report) -> None:
        self.reports.append(report)
        if report.ended == self._stop_after:
            self.waves.stop.set()


def at(site: Layout, key: CourseKey) -> str:
    return site.shards.place(key).shard.name


def other(site: Layout, key: CourseKey) -> str:
    return "shard-1" if at(site, key) == "shard-0" else "shard-0"


async def test_moves_keep_everything_and_report_how_far_they_are(site: Layout) -> None:
    keys = (await site.fill(3))[:3]
    wanted = [Wanted(Scope("default", key.bucket), other(site, key)) for key in keys]
    heard = Heard(site)
    outcome = await heard.waves.carry_out(wanted)
    assert (len(outcome.done), outcome.failed, outcome.left) == (3, (), 0)
    assert outcome.rows >= 3 * 4
    assert [at(site, key) for key in keys] == [one.target for one in wanted]
    assert [await site.messages(key) for key in keys] == [3, 3, 3]
    assert (heard.reports[-1].ended, heard.reports[-1].total) == (3, 3)


async def test_what_was_stopped_is_found_and_ended(site: Layout) -> None:
    keys = await site.fill(3)
    first = Heard(site, stop_after=1)
    outcome = await first.waves.carry_out([Wanted(Scope("default", key.bucket), other(site, key)) for key in keys])
    assert (len(outcome.done), outcome.left) == (1, 2)
    second = Heard(site)
    unfinished = await second.waves.unfinished()
    assert [move.state for move in unfinished] == ["planned", "planned"]
    given_up = await second.waves.abandon(unfinished[:1])
    assert given_up.failed == ()
    outcome = await second.waves.finish(unfinished[1:])
    assert outcome.failed == ()
    assert await second.waves.unfinished() == []
    assert [await site.messages(key) for key in keys] == [3, 3, 3]


async def test_the_same_wish_again_ends_the_move_that_was_begun(site: Layout) -> None:
    (key,) = await site.fill(1)
    wanted = Wanted(Scope("default", key.bucket), other(site, key))
    begun = await Mover(site.shards, "killed").start(*wanted)
    outcome = await Heard(site).waves.carry_out([wanted])
    assert ([move.id for move in outcome.done], outcome.failed) == ([begun.id], ())
    assert at(site, key) == wanted.target


async def test_two_courses_of_a_bucket_move_one_after_the_other(site: Layout) -> None:
    keys = [CourseKey("t1", name, 7) for name in ("one", "two")]
    for key in keys:
        await site.add_course(key, key.course, 2)
    target = other(site, keys[0])
    outcome = await pins.pin(site.shards, Heard(site).waves, keys, target)
    assert (len(outcome.done), outcome.failed, outcome.pinned) == (2, (), 2)
    assert [at(site, key) for key in keys] == [target, target]


async def test_a_pinned_course_weighs_where_it_is_and_stays_when_its_bucket_moves(site: Layout) -> None:
    hot, cool = CourseKey("t1", "hot", 7), CourseKey("t1", "cool", 7)
    await site.add_course(hot, "hot", 9)
    await site.add_course(cool, "cool", 1)
    home, away = at(site, hot), other(site, hot)
    # In place: its bucket is there too.
    assert (await pins.pin(site.shards, Heard(site).waves, [hot], home)).pinned == 1
    assert (await pins.pin(site.shards, Heard(site).waves, [hot], home)).pinned == 1
    measured = await measure_shards(site.shards, NOW)
    assert (measured.pins["t1", "hot"].rows, measured.buckets["default"][7].rows) == (10, 2)
    await site.add_course(CourseKey("t1", "late", 7), "late", 1)
    assert await site.messages(hot) == 9
    outcome = await Heard(site).waves.carry_out([Wanted(Scope("default", 7), away)])
    assert outcome.failed == ()
    assert (at(site, hot), at(site, cool)) == (home, away)
    assert (await site.messages(hot), await site.messages(cool)) == (9, 1)
    measured = await measure_shards(site.shards, NOW)
    assert (measured.pins["t1", "hot"].rows, measured.buckets["default"][7].rows) == (10, 4)
    # And back to its bucket.
    assert (await pins.unpin(site.shards, Heard(site).waves, [hot])).failed == ()
    assert at(site, hot) == away
    assert await site.messages(hot) == 9
    assert site.shards.map.overrides == {}


async def test_a_course_that_was_pinned_in_place_goes_with_its_bucket_again(site: Layout) -> None:
    hot = CourseKey("t1", "hot", 7)
    await site.add_course(hot, "hot", 9)
    home, away = at(site, hot), other(site, hot)
    await pins.pin(site.shards, Heard(site).waves, [hot], home)
    await pins.unpin(site.shards, Heard(site).waves, [hot])
    assert site.shards.map.overrides == {}
    await Heard(site).waves.carry_out([Wanted(Scope("default", 7), away)])
    assert at(site, hot) == away
    assert await site.messages(hot) == 9


async def test_a_tenant_has_a_shard_of_its_own(site: Layout) -> None:
    keys = await site.fill(6, tenant="large")
    await site.fill(2, tenant="small")
    await change.add(site.shards, "shard-2", None, NOW)
    found = await pins.courses_of(site.shards, "large")
    assert sorted(found) == sorted(keys)
    outcome = await pins.pin(site.shards, Heard(site).waves, found, "shard-2")
    assert (outcome.failed, outcome.pinned) == ((), 6)
    assert {at(site, key) for key in keys} == {"shard-2"}
    with pytest.raises(NotFound, match="nobody"):
        await pins.courses_of(site.shards, "nobody")
    assert len(await pins.pinned_of(site.shards, "large", None)) == 6
    assert [key.course for key in await pins.pinned_of(site.shards, "large", "context-1")] == [keys[1].course]


async def test_a_shard_drains_to_the_end_pinned_courses_too(site: Layout) -> None:
    keys = await site.fill(3)
    await change.add(site.shards, "shard-2", None, NOW)
    waves = Heard(site).waves
    buckets = [Wanted(Scope("default", key.bucket), "shard-2") for key in keys[:2]]
    assert (await waves.carry_out(buckets)).failed == ()
    assert (await pins.pin(site.shards, waves, [keys[2]], "shard-2")).failed == ()
    assert len(await leaving(site.shards, "shard-2", "bytes")) == 3
    outcome = await finish_drain(site.shards, Heard(site).waves, "shard-2", "bytes")
    assert (len(outcome.done), outcome.failed) == (3, ())
    assert [one.state for one in await registered(site.shards)] == ["active", "active", "drained"]
    assert "shard-2" not in {at(site, key) for key in keys}
    assert [await site.messages(key) for key in keys] == [3, 3, 3]
    refused = await Heard(site).waves.carry_out(buckets)
    assert len(refused.failed) == 2
    assert "drained" in refused.failed[0]


async def test_a_drained_shard_is_removed_and_no_process_has_it_any_more(site: Layout) -> None:
    keys = await site.fill(2)
    await change.add(site.shards, "shard-2", None, NOW)
    await Heard(site).waves.carry_out([Wanted(Scope("default", keys[0].bucket), "shard-2")])
    with pytest.raises(Conflict, match="is active"):
        await remove(site.shards, "shard-2")
    await finish_drain(site.shards, Heard(site).waves, "shard-2", "bytes")
    await remove(site.shards, "shard-2")
    assert [one.name for one in await registered(site.shards)] == ["shard-0", "shard-1"]
    assert [shard.name for shard in site.shards.all()] == ["shard-0", "shard-1"]
    assert [await site.messages(key) for key in keys] == [3, 3]
    assert await verify(site.shards) == []
    with pytest.raises(NotFound, match="shard-2"):
        await remove(site.shards, "shard-2")


async def test_a_shard_with_rows_that_nothing_leads_to_is_not_removed(site: Layout) -> None:
    (key,) = await site.fill(1)
    await change.add(site.shards, "shard-2", None, NOW)
    await finish_drain(site.shards, Heard(site).waves, "shard-2", "bytes")
    rows = await site.shards.named(at(site, key)).read(COURSES)
    await site.shards.named("shard-2").write(lambda tx: tx.execute_many(COPY_COURSE, [dict(row) for row in rows]))
    with pytest.raises(Conflict, match="still has"):
        await remove(site.shards, "shard-2")


async def test_moves_that_ended_long_ago_are_forgotten_and_others_are_not(site: Layout) -> None:
    keys = await site.fill(2)
    waves = Heard(site).waves
    await waves.carry_out([Wanted(Scope("default", key.bucket), other(site, key)) for key in keys])
    old, kept = await Mover(site.shards, "look").list_moves()
    await site.shards.directory.write(lambda tx: tx.execute(AGE, {"id": old.id}))
    moved = await waves.carry_out([Wanted(Scope("default", keys[0].bucket), other(site, keys[0]))])
    assert moved.failed == ()
    assert {move.id for move in await Mover(site.shards, "look").list_moves()} == {kept.id, moved.done[-1].id}


async def test_a_pin_waits_for_a_bucket_that_moves(site: Layout) -> None:
    (key,) = await site.fill(1)
    await Mover(site.shards, "other").start(Scope("default", key.bucket), other(site, key))
    with pytest.raises(Conflict, match="has begun to move"):
        await pins.pin(site.shards, Heard(site).waves, [key], at(site, key))


async def test_a_pin_that_crashed_between_its_steps_is_found_and_completed(site: Layout) -> None:
    hot = CourseKey("t1", "hot", 7)
    await site.add_course(hot, "hot", 9)
    home, away = at(site, hot), other(site, hot)
    row = {**hot.columns, "shard": home, "epoch": site.shards.place(hot).epoch}
    # The directory's step alone.
    await site.shards.directory.write(lambda tx: tx.execute(QUERIES["add_pin"], row))
    await site.shards.refresh()
    assert await site.messages(hot) == 9
    assert (await Heard(site).waves.carry_out([Wanted(Scope("default", 7), away)])).failed == ()
    assert "t1/hot" in (await verify(site.shards))[0].text
    await pins.pin(site.shards, Heard(site).waves, [hot], home)
    assert at(site, hot) == home
    assert await site.messages(hot) == 9
    assert await verify(site.shards) == []


async def test_an_unpinning_that_crashed_between_its_steps_is_completed(site: Layout) -> None:
    hot = CourseKey("t1", "hot", 7)
    await site.add_course(hot, "hot", 9)
    home, away = at(site, hot), other(site, hot)
    await pins.pin(site.shards, Heard(site).waves, [hot], home)
    await site.shards.named(home).write(lambda tx: tx.execute(QUERIES["drop_course_entry"], hot.columns))
    assert await site.messages(hot) == 9
    await pins.unpin(site.shards, Heard(site).waves, [hot])
    assert site.shards.map.overrides == {}
    assert (await Heard(site).waves.carry_out([Wanted(Scope("default", 7), away)])).failed == ()
    assert await site.messages(hot) == 9
    assert await verify(site.shards) == []
