"""Pages of the console about data, on servers with replicas: a rebalance, a drain, copies, the cache, limits."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.sync_api import Browser, Page, expect

from atomic_guide.engines.data.moves import Mover, Scope
from atomic_guide.engines.data.postgres import PostgresDatabase
from atomic_guide.engines.data.servers import open_servers
from atomic_guide.engines.data.settings import DataSettings, ShardSettings
from atomic_guide.operations.scaling.model import DATABASE, Key, Sample
from atomic_guide.operations.scaling.series import FINEST, Series
from tests.e2e.console import TOKEN, go, sign_in
from tests.e2e.inspector import Inspector
from tests.e2e.people import LIMIT, Meet, meeting
from tests.engines import DIRECTORY, SHARD, declared
from tests.postgres import Cluster, fresh_database, fresh_databases
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)

MOVES_LIMIT = 60_000
"""Milliseconds that ten moves may take on two busy cores."""

REGIONS = [
    {"name": "eu-central", "coordinates": [50.1, 8.7], "address": "http://127.0.0.3:9"},
    {"name": "eu-north", "coordinates": [59.3, 18.1], "roles": ["web", "analytics"], "address": "http://127.0.0.1:9"},
]
PAGES = {
    "Shards and moves": "Load of each shard",
    "Replicas": "Lag of shard-0-replica-1",
    "Regions, assets": "Where a country's logins go",
    "Cache": "Where answers came from",
    "Limits and dependencies": "How each is bounded",
}
"""Each with a card that is there when everything is."""

LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 720}, "has_touch": True},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, postgres_cluster: Cluster) -> Iterator[RunningServer]:
    """Two shards with replicas and a small third one without its share yet, two regions, and a store of copies."""
    folder = tmp_path_factory.mktemp("console-data")
    (folder / "archive").mkdir()
    with asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        opened = AsyncExitStack()
        stack.callback(lambda: runner.run(opened.aclose()))
        databases = runner.run(
            opened.enter_async_context(fresh_databases(postgres_cluster, directory=DIRECTORY, shard=SHARD))
        )
        third = runner.run(opened.enter_async_context(fresh_database(postgres_cluster.shards[0], SHARD)))
        servers = (*declared(databases).servers, ShardSettings("shard-2", third))
        archive = {"name": "archive", "region": "eu-north", "directory": str(folder / "archive")}
        settings = {
            "OPERATOR_TOKEN": TOKEN,
            "DATABASES_DIRECTORY": databases.directory.primary,
            "DATABASES_REGION": "eu-central",
            "REGIONS_DECLARED": json.dumps(REGIONS),
            # Nobody answers at the other address; that is not found out while these tests run.
            "REGIONS_PROBES_DOWN": "100",
            "ASSETS_STORES": json.dumps([archive]),
        }
        two = {**settings, "DATABASES_SERVERS": msgspec.json.encode(servers[:2]).decode()}
        three = {**settings, "DATABASES_SERVERS": msgspec.json.encode(servers).decode()}
        command(folder, two, "shards", "list")
        command(folder, three, "shards", "add", "shard-2", "--weight", "0.005")
        runner.run(record(databases.directory.primary))
        (folder / "servers.json").write_bytes(msgspec.json.encode([databases.directory.primary, servers]))
        found = stack.enter_context(running_server(folder / "data", three))
        with found.enter("teacher", role="instructor") as teacher:
            score = {"user": "ada", "activity": "Quiz", "score": 7, "max": 10, "at": "2026-11-01T10:00:00Z"}
            teacher.post("/api/analytics/performance", json={"scores": [score]}).raise_for_status()
        yield found


def command(folder: Path, settings: dict[str, str], *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment |= {f"ATOMIC_GUIDE_{name}": value for name, value in settings.items()}
    program = [sys.executable, "-m", "atomic_guide.cli", *arguments, "--data", str(folder / "data")]
    done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


async def record(directory: str) -> None:
    """Half an hour of a replica's lag, with two minutes over what is allowed, and a gap."""
    database = PostgresDatabase("directory", directory)
    series, key = Series(database), Key(DATABASE, "replica_lag", "shard-0-replica-1")
    now = time.time()
    for slot in range(120):
        if not 40 <= slot < 50:
            lag = 12.0 if 60 <= slot < 68 else 0.2
            await series.store(now - 1800 + slot * FINEST, [Sample(key, lag)])
    await database.close()


# Before the browser: while that runs, no other loop runs in this thread.
@pytest.fixture
def meet(server: RunningServer, browser: Browser) -> Iterator[Meet]:
    expect.set_options(timeout=LIMIT)
    with meeting(browser, server) as found:
        yield found
    expect.set_options(timeout=None)


def test_shards_are_levelled_after_a_dry_run(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/shards", "Shards and moves")
    plan = page.get_by_role("region", name="Plan", exact=True)
    plan.get_by_role("button", name="Buckets").click()
    expect(page.get_by_text("shard-2 carries 0% of the buckets")).to_be_visible()
    plan.get_by_role("button", name="Dry run of a rebalance").click()
    expect(plan.get_by_text("Nothing changed yet")).to_be_visible()
    plan.get_by_role("button", name="Start 10 moves").click()
    dialog = page.get_by_role("dialog", name="Start 10 moves?")
    dialog.get_by_role("button", name="Start 10 moves").click()
    moves = page.get_by_role("region", name="Moves that have ended")
    expect(moves.get_by_text("Moved", exact=True)).to_have_count(10, timeout=MOVES_LIMIT)
    expect(
        page.get_by_text("Every shard is within 5% of its share of the buckets. Nothing would move.")
    ).to_be_visible()
    expect(page.get_by_role("region", name="Shards", exact=True).get_by_role("row", name="shard-2")).to_contain_text(
        "10"
    )


def plan_move(server: RunningServer) -> int:
    """Write a move down that nobody begins; its bucket. In a thread: in this one Playwright's loop runs."""
    given = (server.data.parent / "servers.json").read_bytes()
    directory, servers = msgspec.json.decode(given, type=tuple[str, tuple[ShardSettings, ...]])

    async def plan() -> int:
        shards = await open_servers(DataSettings(directory=directory, servers=servers))
        buckets = shards.map.buckets["default"]
        bucket = next(number for number, (shard, _) in enumerate(buckets) if shard == "shard-0")
        await Mover(shards, "test").start(Scope("default", bucket), "shard-1")
        await shards.close()
        return bucket

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(plan())).result(30)


def test_a_move_that_waits_is_paused_resumed_and_cancelled(meet: Meet, server: RunningServer) -> None:
    page = sign_in(meet(), "/ops/shards", "Shards and moves")
    bucket = plan_move(server)
    row = page.get_by_role("region", name="Moves that wait").locator("tbody tr")
    expect(row).to_contain_text(f"Bucket {bucket}", timeout=LIMIT)
    row.get_by_role("button", name=f"Pause bucket {bucket}").click()
    expect(row).to_contain_text("Paused by operator")
    inspector = Inspector()
    inspector.look("a paused move", page)
    page.set_viewport_size({"width": 360, "height": 720})
    inspector.look("a paused move on a phone", page)
    assert inspector.found == []
    row.get_by_role("button", name=f"Resume bucket {bucket}").click()
    expect(row).to_contain_text("Waits")
    row.get_by_role("button", name=f"Cancel bucket {bucket}").click()
    dialog = page.get_by_role("dialog", name=f"Cancel the move of bucket {bucket}?")
    expect(dialog).to_contain_text("shard-0 owns it as before")
    dialog.get_by_role("button", name=f"Cancel bucket {bucket}").click()
    expect(page.get_by_role("region", name="Moves that wait")).to_have_count(0)
    expect(page.get_by_role("region", name="Moves that have ended")).to_contain_text("called off by operator")
    go(page, "Audit log")
    acts = page.get_by_role("region", name="Acts of operators").locator("tbody tr")
    expect(acts.first).to_contain_text("Cancel move")
    bucket = plan_move(server)
    go(page, "Shards and moves")
    expect(row).to_contain_text(f"Bucket {bucket}", timeout=LIMIT)
    page.get_by_role("button", name="Forget 1 waiting move").click()
    page.get_by_role("dialog", name="Forget 1 waiting move?").get_by_role(
        "button", name="Forget 1 waiting move"
    ).click()
    expect(page.get_by_role("region", name="Moves that wait")).to_have_count(0)


def test_replicas_show_their_lag_beside_the_most_that_is_allowed(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/replicas", "Replicas")
    expect(page.get_by_role("region", name="Replicas", exact=True).get_by_text("Answers reads")).not_to_have_count(0)
    card = page.get_by_role("region", name="Lag of shard-0-replica-1", exact=True)
    expect(card.get_by_role("img")).to_have_accessible_name(re.compile("at most 12 s.*Measured in"))
    expect(card.get_by_text("2 min over 10 s")).to_be_visible()
    card.get_by_role("button", name="Table").click()
    numbers = page.get_by_role("region", name="Numbers of Lag of shard-0-replica-1")
    expect(numbers.get_by_text("12 s").first).to_be_attached()
    expect(numbers.get_by_text("no data").first).to_be_attached()


def test_a_region_is_drained_by_its_name_and_taken_back(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/regions", "Regions, assets")
    page.get_by_role("button", name="Drain eu-north").click()
    dialog = page.get_by_role("dialog", name="Send no new visits to eu-north?")
    expect(dialog.get_by_role("button", name="Drain eu-north")).to_be_disabled()
    dialog.get_by_label("Why").fill("new machines")
    dialog.get_by_role("button", name="Drain eu-north").click()
    expect(page.get_by_text("eu-north gets no new visits.")).to_be_visible()
    log = page.get_by_role("region", name="Log of regions")
    expect(log.get_by_text(re.compile("^drained by .*: new machines$"))).to_be_visible()
    page.get_by_label("Country, by its ISO code").fill("se")
    away = page.get_by_text(re.compile("^eu-north, .*away or drained"))
    for _ in range(50):
        # Every process knows of a drain within a second.
        page.get_by_role("button", name="Say where").click()
        page.get_by_text("Sweden").wait_for()
        if away.count():
            break
        page.wait_for_timeout(100)
    expect(away).to_be_visible()
    page.get_by_role("button", name="Send visits to eu-north again").click()
    expect(page.get_by_text("eu-north gets no new visits.")).to_have_count(0)


def test_copies_are_looked_over_and_a_value_is_warmed_and_dropped(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/regions", "Regions, assets")
    page.get_by_role("button", name="Repair archive").click()
    page.get_by_role("dialog", name="Read all copies of archive again?").get_by_role(
        "button", name="Repair archive"
    ).click()
    expect(page.get_by_text("0 copies of archive will be read again.")).to_be_visible()
    go(page, "Cache")
    page.get_by_label("Tenant").fill("t-test")
    page.get_by_label("Course", exact=True).fill("course-1")
    page.get_by_role("button", name="Warm this value").click()
    expect(page.get_by_text("It is remembered now")).to_be_visible()
    page.get_by_role("button", name="Look where it lies").click()
    expect(page.get_by_text("In the memory of the process that answers")).to_be_visible()
    page.get_by_role("button", name="Drop this course's values").click()
    expect(page.get_by_text(re.compile("^Dropped 1 value in this process"))).to_be_visible()
    expect(
        page.get_by_role("region", name="Log of the cache").get_by_text("cache dropped: course-1 of t-test")
    ).to_be_visible()


def test_a_limit_is_found_by_its_setting(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/limits", "Limits and dependencies")
    page.get_by_role("searchbox", name="Find a limit").fill("rooms.room_sockets")
    table = page.get_by_role("region", name="Limits", exact=True).get_by_role("table")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(page.get_by_role("region", name="Dependencies of this process")).to_contain_text("shard-0")
    page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("Limits", "Bounds of dependencies"):
        region = page.get_by_role("region", name=name, exact=True).filter(has=page.get_by_role("table")).last
        assert region.evaluate("(one) => one.scrollWidth <= one.clientWidth"), f"{name} is cut"


@pytest.mark.parametrize("look", LOOKS)
def test_everybody_can_use_these_pages(meet: Meet, look: str) -> None:
    inspector = Inspector()
    page = sign_in(meet(**LOOKS[look]), "/ops/alerts", "Alerts")
    for name, card in PAGES.items():
        open_page(page, name, card)
        inspector.look(f"{name}, {look}", page)
    page.get_by_role("region", name="Limits", exact=True).get_by_role("button", name="Near or refusing").click()
    inspector.look(f"a choice, {look}", page)
    assert not inspector.found, "\n".join(inspector.found)


def open_page(page: Page, name: str, card: str) -> None:
    go(page, name)
    expect(page.get_by_role("heading", name=card)).to_be_visible()
