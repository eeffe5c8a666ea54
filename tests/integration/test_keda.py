"""KEDA scales by the number that a server gives it: the last decision, never a guess, and none when it is too old."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from atomic_guide.app.build import operator_token
from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import database_files
from atomic_guide.engines.data.settings import DataSettings
from atomic_guide.engines.data.sqlite import SqliteDatabase
from atomic_guide.errors import Conflict, Invalid, NotFound, Unavailable
from atomic_guide.operations.scaling.fleet import Fleet
from atomic_guide.operations.scaling.model import Key, Sample
from atomic_guide.operations.scaling.series import Series
from atomic_guide.operations.scaling.wishes import Wishes
from atomic_guide.web.wanted import Count, Wanted
from tests.fakes.kubernetes import documents
from tests.kubernetes_fleets import WORKER, WORKERS_BY_KEDA, World, world
from tests.running import RunningServer, running_server

TOKEN = "reads-wanted-counts-only"
PATH = "/api/ops/scaling/wanted/workers"


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        [shipped] = [one for one in documents("scaledobject.yaml") if one["kind"] == "ScaledObject"]
        made.cluster.put("scaledobjects", WORKER, shipped["spec"])
        yield made._replace(settings=msgspec.structs.replace(made.settings, workers=WORKERS_BY_KEDA))
        assert made.cluster.problems == []
        assert made.cluster.writes() == []


def served(here: World) -> Wanted:
    return Wanted(here.wishes, here.clock, here.settings)


async def measured(here: World) -> None:
    await Series(here.directory).store(here.clock.now(), [Sample(Key("workers", "demand"), 3.0)])


async def test_a_decision_is_the_number_that_keda_reads(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
    count = await served(here).of("workers")
    assert (count.fleet, count.value, count.age_seconds) == ("workers", 7, 0.0)


async def test_what_runs_is_the_number_before_anything_was_decided(here: World) -> None:
    with pytest.raises(Unavailable, match="not known yet"):
        await served(here).of("workers")
    async with here.targets() as targets:
        await targets["workers"].look()
    assert (await served(here).of("workers")).value == 4


async def test_a_number_that_keda_has_not_yet_read_counts_as_starting(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
        assert await targets["workers"].look() == Fleet(4, 3, 0, 20, 1.0)
        here.cluster.deployment(WORKER, 7, ready=5)
        assert await targets["workers"].look() == Fleet(5, 2, 0, 20, 1.0)
        await targets["workers"].scale(2, "event-2")
        assert await targets["workers"].look() == Fleet(5, 2, 0, 20, 1.0)


async def test_the_same_key_again_changes_nothing(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
        await targets["workers"].scale(8, "event-1")
        with pytest.raises(Invalid, match="out of the bounds"):
            await targets["workers"].scale(21, "event-2")
    assert (await served(here).of("workers")).value == 7


async def test_a_number_that_was_taken_back_does_not_return(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
        await targets["workers"].scale(4, "event-1/back")
        await targets["workers"].scale(7, "event-1")
    assert (await served(here).of("workers")).value == 4


async def test_the_last_number_stays_while_nothing_is_measured_and_then_there_is_none(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(7, "event-1")
    here.clock.advance(3600)
    await measured(here)
    assert (await served(here).of("workers")).value == 7
    here.clock.advance(590)
    late = await served(here).of("workers")
    assert (late.value, late.age_seconds >= 590) == (7, True)
    here.clock.advance(30)
    with pytest.raises(Unavailable, match=r"last measured 6.. s ago, over kubernetes.keda_stale_seconds") as caught:
        await served(here).of("workers")
    assert caught.value.retry_after
    await measured(here)
    assert (await served(here).of("workers")).value == 7


async def test_none_at_all_is_wanted_only_while_somebody_looks(here: World) -> None:
    async with here.targets() as targets:
        await targets["workers"].scale(0, "event-1")
    assert (await served(here).of("workers")).value == 0
    here.clock.advance(300)
    assert (await served(here).of("workers")).value == 1


async def test_a_fleet_that_keda_does_not_scale_has_no_number(here: World) -> None:
    for fleet in ("web", "replicas/shard-1", "nonsense"):
        with pytest.raises(NotFound, match=f"no fleet {fleet} is scaled by KEDA"):
            await served(here).of(fleet)


async def test_a_scaled_object_that_is_removed_later_stops_the_decisions_and_keeps_the_number(here: World) -> None:
    async with here.targets(check_seconds=1.0) as targets:
        await targets["workers"].scale(7, "event-1")
        del here.cluster.objects["scaledobjects", WORKER]
        await asyncio.sleep(1.5)
        with pytest.raises(Conflict, match="needs exactly one ScaledObject"):
            await targets["workers"].scale(8, "event-2")
    assert (await served(here).of("workers")).value == 7


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    variables = {
        "KUBERNETES_WORKERS_DEPLOYMENT": WORKER,
        "KUBERNETES_WORKERS_WRITER": "keda",
        "KUBERNETES_KEDA_TOKEN": TOKEN,
    }
    # KEDA asks a process that answers requests; the one with the role control sets the numbers.
    with running_server(tmp_path_factory.mktemp("keda") / "data", variables, role="web") as running:
        yield running


def ask(server: RunningServer, token: str, path: str = PATH) -> httpx.Response:
    return httpx.get(f"{server.url}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=20)


def decide(server: RunningServer, units: int) -> None:
    """A leader beside the server has decided."""

    async def work() -> None:
        directory = SqliteDatabase(database_files(server.data, DataSettings())[0])
        await Wishes(directory, SystemClock()).make("workers", "event-1", units, before=4, done=True)
        await directory.close()

    asyncio.run(work())


def test_a_server_answers_keda_with_its_own_token_and_nobody_else(server: RunningServer) -> None:
    early = ask(server, TOKEN)
    assert (early.status_code, early.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert int(early.headers["Retry-After"]) >= 1
    decide(server, 6)
    answer = ask(server, TOKEN)
    assert answer.status_code == 200
    assert msgspec.json.decode(answer.content, type=Count).value == 6
    assert answer.headers["Cache-Control"] == "no-store"
    assert ask(server, operator_token(server.data)).json()["value"] == 6
    for wrong in ("x" * len(TOKEN), "none", token_of_a_student(server)):
        assert ask(server, wrong).status_code == 401
    assert ask(server, TOKEN, "/api/ops/scaling/wanted/web").status_code == 404
    assert httpx.post(f"{server.url}{PATH}", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 405


def token_of_a_student(server: RunningServer) -> str:
    with server.enter() as student:
        return student.headers["Authorization"].removeprefix("Bearer ")


def test_the_token_of_keda_opens_nothing_else(server: RunningServer) -> None:
    for path in ("/api/ops/rooms/laggards", "/api/chat/messages", "/api/notifications"):
        assert ask(server, TOKEN, path).status_code == 401
