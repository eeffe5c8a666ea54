"""Seeing and changing which shard has what, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.engines.data.layout import change
from atomic_guide.engines.data.layout.measure import SIZES, Load, heaviest_courses, measure_shards
from atomic_guide.engines.data.layout.view import look, registered, zone_now
from atomic_guide.engines.data.placement import BUCKETS, CourseKey
from atomic_guide.engines.data.plan import plan_zone
from atomic_guide.errors import Conflict, NotFound, Unavailable
from tests.engines import ENGINES
from tests.layouts import NOW, Layout, layout
from tests.postgres import Cluster


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Layout]:
    async with layout(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def test_load_is_measured_where_the_map_says(site: Layout) -> None:
    keys = await site.fill(20, messages=3)
    await site.add_course(CourseKey.of("t2", "old"), "old", 5, at=NOW - 200_000)
    measured = await measure_shards(site.shards, NOW)
    found = measured.buckets["default"]
    assert len(found) == BUCKETS
    own = [key for key in keys if key.bucket == keys[0].bucket]
    assert found[keys[0].bucket].courses == len(own)
    everything = Load()
    for load in found:
        everything = everything.plus(load)
    assert everything.courses == 21
    assert everything.rows == 21 + 20 * 3 + 5
    assert everything.writes == 60
    assert everything.bytes == 21 * SIZES["courses"] + 65 * SIZES["messages"]


async def test_the_view_adds_up(site: Layout) -> None:
    await site.fill(20)
    views = await look(site.shards, [], NOW)
    assert [view.name for view in views] == ["shard-0", "shard-1"]
    assert sum(view.buckets for view in views) == BUCKETS
    assert sum(view.courses for view in views) == 20
    assert sum(view.share for view in views) == pytest.approx(1)
    assert [view.target for view in views] == [0.5, 0.5]
    assert [view.epochs for view in views] == [(1, 1), (1, 1)]


async def test_the_heaviest_courses_are_the_busiest_then_the_largest(site: Layout) -> None:
    keys = {name: CourseKey("t1", name, 7) for name in ("large", "busy", "small")}
    await site.add_course(keys["large"], "large", 50, at=NOW - 500_000)
    await site.add_course(keys["busy"], "busy", 9)
    await site.add_course(keys["small"], "small", 1, at=NOW - 500_000)
    found = await heaviest_courses(site.shards, site.shards.place(keys["large"]).shard.name, 2, NOW)
    assert [(one.context, one.load.writes) for one in found] == [("busy", 9), ("large", 0)]


async def test_a_shard_is_added_empty_and_then_planned_for(site: Layout) -> None:
    assert await change.add(site.shards, "shard-2", 2.0, NOW)
    assert not await change.add(site.shards, "shard-2", None, NOW)
    views = await look(site.shards, [], NOW)
    assert [(view.name, view.buckets, view.state) for view in views][2] == ("shard-2", 0, "active")
    assert views[2].target == 0.5
    measured = await measure_shards(site.shards, NOW)
    plan = plan_zone(await zone_now(site.shards, "default", [], measured, "bytes"))
    assert {move.target for move in plan.moves} == {"shard-2"}
    assert len(plan.moves) == BUCKETS // 2
    with pytest.raises(Unavailable, match="shard-9"):
        await change.add(site.shards, "shard-9", None, NOW)


async def test_another_process_sees_a_change_of_the_map(site: Layout) -> None:
    before = site.shards.map.number
    await change.weigh(site.shards, "shard-1", 3.0)
    assert [one.weight for one in await registered(site.shards)] == [1.0, 3.0]
    await site.shards.look()
    assert site.shards.map.number > before
    with pytest.raises(NotFound, match="shard-7"):
        await change.weigh(site.shards, "shard-7", 1.0)


async def test_the_last_active_shard_cannot_be_drained(site: Layout) -> None:
    await change.mark(site.shards, "shard-0", "draining")
    with pytest.raises(Conflict, match="last active"):
        await change.mark(site.shards, "shard-1", "draining")
    assert await change.add(site.shards, "shard-0", None, NOW)
    assert [one.state for one in await registered(site.shards)] == ["active", "active"]


async def test_a_zone_that_does_not_exist_is_named(site: Layout) -> None:
    with pytest.raises(NotFound, match="there is no zone mars"):
        await change.assign_zone(site.shards, "t1", "mars")
    with pytest.raises(NotFound, match="there is no zone mars"):
        await zone_now(site.shards, "mars", [], None, "buckets")
