"""Reports of two processes that share them over NATS, on both engines: never older than a caller may see."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from atomic_guide.course.analytics.settings import AnalyticsSettings
from atomic_guide.engines.cache.keys import Scope
from atomic_guide.engines.data.moves import Mover
from atomic_guide.engines.data.moves import Scope as Moved
from atomic_guide.engines.data.placement import CourseKey
from atomic_guide.engines.data.settings import DEFAULT_ZONE
from atomic_guide.engines.data.shards import Shards
from atomic_guide.engines.nats.connection import Connection
from atomic_guide.engines.nats.server import NatsServer
from atomic_guide.engines.nats.settings import NatsSettings
from tests.caching import running_cache
from tests.engines import ENGINES, opened_shards
from tests.moving import FOLLOWING, other, query
from tests.postgres import Cluster
from tests.reporting import URL, Reporting, rows

pytestmark = pytest.mark.timeout(120)
KEY = CourseKey.of("t1", "course-1")
PUT_BACK = query(
    "UPDATE gradebooks SET version = 1 WHERE bucket = :bucket AND tenant = :tenant AND course = :course AND version > 1"
)


class Sites:
    """Two processes over the same databases and NATS."""

    def __init__(self, shards: Shards, nats: NatsServer, one: Reporting, two: Reporting) -> None:
        self.shards = shards
        self.nats = nats
        self.one = one
        self.two = two

    async def give(self, site: Reporting, scores: dict[str, list[float | None]]) -> str:
        """Scores by way of a process; the bookmark of the teacher who gave them."""
        async with await site.client("prof", "instructor") as teacher:
            answer = await teacher.post(URL, json={"scores": rows(scores)})
        assert answer.status_code == 200, answer.text
        return answer.headers["Atomic-Guide-Bookmark"]

    async def settled(self, puts: int = 1) -> None:
        """Until what was made is on NATS."""
        async with asyncio.timeout(10):
            while self.one.cache.counts.puts + self.two.cache.counts.puts < puts:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.005)


@pytest.fixture(params=ENGINES)
async def sites(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Sites]:
    cluster: Cluster | None = request.getfixturevalue("postgres_cluster") if request.param == "postgresql" else None
    nats = NatsServer(tmp_path, NatsSettings())
    await nats.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(nats.stop)
        shards = await stack.enter_async_context(opened_shards(request.param, tmp_path, cluster))  # type: ignore[arg-type]
        made = []
        for _ in range(2):
            cache = await stack.enter_async_context(running_cache(Connection(tmp_path, NatsSettings())))
            made.append(Reporting(shards, AnalyticsSettings(), cache))
        yield Sites(shards, nats, *made)
        for site in made:
            await site.reads.close()


async def read(site: Reporting, bookmark: str = "", **who: str) -> dict[str, Any]:
    async with await site.client(who.pop("user", "prof"), who.pop("role", "instructor"), **who) as client:  # type: ignore[arg-type]
        headers = {"Atomic-Guide-Bookmark": bookmark} if bookmark else {}
        answer: httpx.Response = await client.get(URL, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def means(report: dict[str, Any]) -> dict[str, float]:
    return {row["user"]: row["mean"] for row in report["students"]}


async def test_one_process_makes_a_report_and_the_other_finds_it(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20], "ben": [10]})
    first = await read(sites.one)
    await sites.settled()
    assert await read(sites.two) == first
    assert (sites.two.cache.counts.loads, sites.two.cache.counts.shared_hits) == (0, 1)
    for _ in range(3):
        assert await read(sites.two) == first
    assert sites.two.cache.usage.hits >= 3
    assert sites.one.cache.counts.loads == 1


async def test_a_score_shows_on_the_other_process_in_the_next_call(sites: Sites) -> None:
    for score in range(1, 8):
        giver, reader = (sites.one, sites.two) if score % 2 else (sites.two, sites.one)
        bookmark = await sites.give(giver, {"ada": [float(score)]})
        for site in (reader, giver):
            assert means(await read(site, bookmark)) == {"ada": score / 20}
            assert means(await read(site)) == {"ada": score / 20}
    own = await read(sites.two, user="ada", role="learner")
    assert own["scores"][0]["score"] == 7


async def test_a_name_and_a_role_show_in_the_next_call(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20], "ben": [10]})
    for site in (sites.one, sites.two):
        assert [row["name"] for row in (await read(site))["students"]] == [None, None]
    await sites.one.enrol("ada")
    for site in (sites.two, sites.one):
        assert [row["name"] for row in (await read(site))["students"]] == ["Name of ada", None]
    loads = sites.one.cache.counts.loads + sites.two.cache.counts.loads
    await sites.one.enrol("ada")
    await read(sites.one)
    await read(sites.two)
    assert sites.one.cache.counts.loads + sites.two.cache.counts.loads == loads, "who is here again changes no figure"
    await sites.two.enrol("ben", "instructor")
    for site in (sites.one, sites.two):
        assert means(await read(site)) == {"ada": 1.0}


async def test_without_nats_nothing_old_is_shown_either(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20]})
    for site in (sites.one, sites.two):
        assert means(await read(site)) == {"ada": 1.0}
    await sites.nats.stop()
    for score in range(1, 5):
        await sites.give(sites.one, {"ada": [float(score)]})
        for site in (sites.two, sites.one):
            assert means(await read(site)) == {"ada": score / 20}
    await sites.nats.start()
    await sites.give(sites.two, {"ada": [19]})
    for site in (sites.one, sites.two):
        assert means(await read(site)) == {"ada": 0.95}


async def test_tenants_with_the_same_course_share_nothing(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20]})
    assert means(await read(sites.one)) == {"ada": 1.0}
    for site in (sites.one, sites.two):
        assert (await read(site, tenant="t2"))["students"] == []
        assert means(await read(site)) == {"ada": 1.0}


async def test_a_course_that_moves_shows_the_same_and_what_comes_after(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20]})
    await read(sites.two)
    mover = Mover(sites.shards, "mover", limits=FOLLOWING)
    move = await mover.start(Moved.of_course(DEFAULT_ZONE, KEY), other(sites.shards, KEY))
    assert (await mover.carry_out(move.id)).state == "done"
    for site in (sites.one, sites.two):
        assert means(await read(site)) == {"ada": 1.0}
    await sites.give(sites.two, {"ada": [10]})
    for site in (sites.one, sites.two):
        assert means(await read(site)) == {"ada": 0.5}


async def test_scores_of_before_a_backup_was_put_back_are_not_shown_for_long(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20]})
    await sites.give(sites.one, {"ada": [10]})
    assert means(await read(sites.one)) == {"ada": 0.5}
    await sites.settled()
    await sites.shards.of(KEY).write(lambda tx: tx.execute(PUT_BACK, KEY.columns))
    loads = sites.one.cache.counts.loads + sites.two.cache.counts.loads
    for site in (sites.one, sites.two):
        site.clock.advance(61)
        await read(site)
    assert sites.one.cache.counts.loads + sites.two.cache.counts.loads > loads


async def test_what_is_dropped_is_on_no_process_and_not_on_nats(sites: Sites) -> None:
    await sites.give(sites.one, {"ada": [20]})
    for _ in range(2):
        await read(sites.one)
        await sites.settled()
        await read(sites.two)
    space, name = sites.one.performance.space, sites.one.performance.name(KEY)
    shared = sites.one.cache.shared
    assert shared is not None
    assert await shared.lying(space.digest(name)) is not None
    assert await sites.one.cache.drop(Scope("t1", KEY.course))
    assert await shared.lying(space.digest(name)) is None
    async with asyncio.timeout(5):
        while sites.two.cache.memory.entry(name) is not None:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.005)
    assert sites.one.cache.memory.entry(name) is None


async def test_a_long_page_is_kept_packed_and_sent_whole(sites: Sites) -> None:
    many: dict[str, list[float | None]] = {f"student-{number}": [float(number % 20)] for number in range(2500)}
    await sites.give(sites.one, many)
    first = await read(sites.one)
    await sites.settled()
    assert len(first["students"]) == 2500
    assert await read(sites.two) == first
    assert sites.two.cache.counts.loads == 0
    assert sites.two.cache.usage.bytes < 200_000
    own = await read(sites.two, user="student-19", role="learner")
    assert own["students"][0]["mean"] == 0.95
