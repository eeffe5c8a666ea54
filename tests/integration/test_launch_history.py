"""Launches of courses that the LMS made by copying others: what is asked for, and what is not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.queries import Query
from tests.fakes.platform import LTI, MEMBERSHIP, fake_platform
from tests.fakes.site import Site, launch_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with fake_platform() as platform, launch_site(tmp_path, platform) as opened:
        yield opened


def with_history(value: Any) -> dict[str, Any]:
    """A teacher's launch whose custom parameters say what its course was copied from."""
    roles = {f"{LTI}roles": [f"{MEMBERSHIP}#Instructor"]}
    return {**roles, f"{LTI}custom": {"context_id_history": value, "other": 5}}


async def copies_asked(site: Site) -> list[str]:
    """The courses that lectures are asked of."""
    look = Query("copies", "A test's look.", {None: "SELECT payload FROM jobs WHERE kind = 'video.copy'"})
    rows = [row for shard in site.shards.all() for row in await shard.read(look)]
    return [one["course"] for row in rows for one in json.loads(row["payload"])["sources"]]


async def test_a_copied_course_asks_for_the_lectures_of_those_before_it(site: Site) -> None:
    tenant = next(iter((await site.lti.platforms.all())[0].deployments.values()))
    assert (await site.launch(**with_history("old%2C1,older, ,old%2C1"))).status_code == 200
    assert await copies_asked(site) == [CourseKey.of(tenant, name).course for name in ("old,1", "older")]


@pytest.mark.parametrize("value", ["", "$Context.id.history", None, 7, ["x"], "course-1", "\x00", "x" * 300])
async def test_a_history_that_says_nothing_asks_for_nothing(site: Site, value: Any) -> None:
    assert (await site.launch(**with_history(value))).status_code == 200
    assert await copies_asked(site) == []


async def test_a_learners_launch_asks_for_nothing(site: Site) -> None:
    changes = {**with_history("old"), f"{LTI}roles": [f"{MEMBERSHIP}#Learner"]}
    assert (await site.launch(**changes)).status_code == 200
    assert await copies_asked(site) == []
