"""A plan over both kinds of databases: what is counted in shards, and what is recorded in the directory."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atomic_guide.app.capacity import made_capacity
from atomic_guide.config import load_settings
from atomic_guide.engines.data.database import Transaction
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import parse_queries
from atomic_guide.operations.capacity.capacity import Capacity
from atomic_guide.operations.capacity.component import Component
from atomic_guide.operations.capacity.kept import storage
from atomic_guide.operations.capacity.planner import Asked
from atomic_guide.operations.capacity.record import Record
from atomic_guide.operations.capacity.sight import Sight
from atomic_guide.operations.scaling.series import Series
from tests.engines import ENGINES
from tests.layouts import NOW, Layout, layout
from tests.postgres import Cluster
from tests.recorded import write_record

QUERIES = parse_queries(
    """
-- name: add_member
-- purpose: Somebody in a course.
INSERT INTO members (bucket, tenant, course, "user", name, role, created_at, seen_at)
VALUES (:bucket, :tenant, :course, :user, 'Somebody', 'learner', 1, 1)
""",
    "tests/contract/test_capacity_counts",
)


@pytest.fixture(params=ENGINES)
async def site(request: pytest.FixtureRequest, tmp_path: Path, postgres_cluster: Cluster) -> AsyncIterator[Layout]:
    async with layout(request.param, tmp_path, postgres_cluster) as opened:
        yield opened


async def test_people_courses_and_lectures_are_counted_where_they_are(site: Layout, tmp_path: Path) -> None:
    keys = await site.fill(12)
    for number, key in enumerate(keys):
        await _join(site, key, ("lecturer", f"user-{number}"))
    await write_record(site.shards.directory, NOW, 42)
    capacity = made_capacity(load_settings({}, data=str(tmp_path)), site.shards)
    plan = await capacity.plan(Asked("+12 courses/month", 6, NOW))
    shards = {site.shards.place(key).shard.name for key in keys}
    assert plan.drivers["courses"] == 12
    assert plan.drivers["users"] == 12 + len(shards), "who is in several courses of a shard counts once in it"
    assert plan.drivers["lectures"] == 0
    web = next(one for one in plan.components if one.name == "web")
    assert web.per_driver is not None
    assert web.per_driver.middle == pytest.approx(web.need_now.middle / plan.drivers["users"])
    await _lectures_are_spoken_of_from_ten_on(site, capacity)
    assert {"web", "workers", "rooms", "sockets", "storage", "memory"} <= {one.name for one in plan.components}


async def _lectures_are_spoken_of_from_ten_on(site: Layout, capacity: Capacity) -> None:
    installed = await capacity._installed(NOW)
    for lectures, says in ((9, []), (10, ["a lecture takes 410 MB in the mean"])):
        record = Record(Series(site.shards.directory), NOW, (), 1.6, trends=False)
        there = installed._replace(drivers={"lectures": lectures})
        part = await storage(Sight(record, there, capacity.settings, None, 30, trends=False))
        assert isinstance(part, Component)
        assert [note for note in part.notes if "lecture" in note] == says


async def _join(site: Layout, key: CourseKey, users: tuple[str, ...]) -> None:
    async def work(tx: Transaction) -> None:
        for user in users:
            await tx.execute(QUERIES["add_member"], {**key.columns, "user": user})

    await site.shards.of(key).write(work)
