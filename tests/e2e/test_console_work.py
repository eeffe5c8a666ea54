"""The console's pages about work: queues, jobs, dead letters, rooms, load tests, with what really happened."""

import asyncio
import importlib.util
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from playwright.sync_api import Locator, Page, expect

from atomic_guide.clock import SystemClock
from atomic_guide.engines.data.embedded import open_embedded
from tests.contract.test_dead_letters import KEYS, Office
from tests.contract.test_job_desk import spend
from tests.e2e.console import TOKEN, sign_in
from tests.e2e.inspector import Inspector
from tests.e2e.people import LIMIT, Meet
from tests.engines import installed
from tests.integration.test_dead_letters_many import Steady
from tests.load_testing import Test
from tests.media import clip
from tests.running import RunningServer, running_server

T = TypeVar("T")

pytestmark = pytest.mark.timeout(120)

_ESCAPE_AND_ENTER = """async (dialog) => {
  dialog.requestClose();
  // A task that is waiting runs before the browser's word that the dialog is closed.
  await Promise.resolve();
  document.activeElement.click();
}"""
"""What the keys Escape and Enter do, one at once after the other."""

REPORTED = 60_000
"""Milliseconds within which a process has reported what is in it: it does so each 15 s."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that had dead letters when it started, and gets one more by a broken lecture."""
    data = tmp_path_factory.mktemp("console") / "data"
    data.mkdir(mode=0o700)
    apart(lambda: asyncio.run(fill(data)))
    settings = {"OPERATOR_TOKEN": TOKEN, "QUEUES_BUSY_LOAD": "1000", "LOADTEST_TARGET": "true"}
    with running_server(data, settings) as found:
        broken = clip(data / "a.mp4", seconds=0.5).read_bytes()[:20_000]
        with apart(lambda: found.enter("ada", "instructor")) as ada:
            files = {"file": ("waves.mp4", broken, "video/mp4")}
            ada.post("/api/video/upload", data={"title": "Waves"}, files=files).raise_for_status()
        yield found


def apart(work: Callable[[], T]) -> T:
    """Do something in a thread of its own: in this one Playwright's loop runs, and no other can."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(60)


async def fill(data: Path) -> None:
    shards = await open_embedded(installed(data))
    office = Office(shards, Steady(SystemClock()))  # type: ignore[arg-type]
    for number in range(3):
        job = await office.letter(
            KEYS[number], "the mail server is silent", queue="notifications", kind="k", subject=f"s{number}"
        )
        await spend(shards, KEYS[number], job)
    carried = {"language": "de", "parts": 3}
    await office.letter(KEYS[3], "it has no such field", queue="assets", kind="k", payload=carried)
    await office.publish(KEYS[0], queue="rosters", kind="import", subject="the next term", delay=86_400.0)
    await shards.close()


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    """Nothing is wrong in any place that a test of this file looks at."""
    found = Inspector()
    yield found
    assert not found.found, "\n".join(found.found)


def lane(page: Page, name: str) -> Any:
    return page.get_by_role("region", name="Lanes of jobs").get_by_role("row").filter(has_text=name)


def letters(page: Page) -> Any:
    return page.get_by_role("region", name="Dead letters", exact=True).locator("tbody tr")


def test_a_lane_is_paused_and_says_by_whom(meet: Meet, inspector: Inspector) -> None:
    page = sign_in(meet(), "/ops/queues", "Queues and jobs")
    row = lane(page, "Notifications")
    expect(row).to_contain_text("On time")
    row.get_by_role("button", name="Pause Notifications").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Pause Notifications?")
    dialog.get_by_label("How long").select_option("for 2 hours")
    dialog.get_by_label("Why").fill("the mail server moves")
    dialog.get_by_role("button", name="Pause Notifications").click()
    expect(row).to_contain_text("Paused by operator until")
    inspector.look("queues", page)


def test_letters_are_tried_replayed_and_run_once_their_lane_goes_on(
    meet: Meet, server: RunningServer, inspector: Inspector
) -> None:
    page = sign_in(meet(), "/ops/dead-letters", "Dead letters")
    # The broken lecture's has come by itself.
    expect(letters(page)).to_have_count(5, timeout=LIMIT * 2)
    expect(page.get_by_role("button", name="May work again 3")).to_be_visible()
    expect(page.get_by_role("button", name="Needs a fix 2")).to_be_visible()
    page.get_by_role("searchbox", name="Find dead letters").fill("mail server")
    expect(letters(page)).to_have_count(3)
    for number in range(2):
        letters(page).nth(number).get_by_role("checkbox").check()
    page.get_by_role("searchbox", name="Find dead letters").fill("")
    expect(letters(page)).to_have_count(5)
    # A search begins anew: what is not seen is not chosen.
    expect(page.get_by_text("0 chosen")).to_be_visible()
    for number in range(5):
        letters(page).nth(number).get_by_role("checkbox").check()
    page.get_by_role("button", name="Dry run of replay").click()
    aside = page.get_by_role("complementary", name="Dry run")
    expect(aside).to_contain_text("3 would run now")
    expect(aside).to_contain_text("2 would likely die again")
    inspector.look("dry run", page)
    beside = page.context.new_page()
    beside.goto(f"{server.url}/ops/queues")
    expect(lane(beside, "Notifications").get_by_role("cell").nth(2)).to_have_text("0")
    aside.get_by_role("button", name="Replay the 3 that would run").click()
    expect(page.get_by_text("3 replayed.")).to_be_visible(timeout=LIMIT)
    # Who looks at the queues is told at once.
    expect(lane(beside, "Notifications").get_by_role("cell").nth(2)).to_have_text("3", timeout=2000)
    beside.close()
    expect(letters(page)).to_have_count(2)
    # They wait, since their lane is paused; it goes on, and they die of what they are.
    page.goto(f"{server.url}/ops/queues/notifications")
    expect(page.get_by_role("region", name="Jobs", exact=True).locator("tbody tr")).to_have_count(3)
    expect(page.get_by_text("the mail server moves")).to_be_visible()
    inspector.look("queue", page)
    page.get_by_role("button", name="Resume Notifications").click()
    expect(page.get_by_text("On time")).to_be_visible()
    page.get_by_role("link", name="Dead letters").click()
    expect(letters(page)).to_have_count(5, timeout=LIMIT * 2)
    expect(letters(page).filter(has_text="no part of this program runs jobs of the kind k")).to_have_count(3)


def test_a_letter_is_seen_whole_and_discarded_after_a_question(meet: Meet, inspector: Inspector) -> None:
    page = sign_in(meet(), "/ops/dead-letters?q=no such field", "Dead letters")
    expect(letters(page)).to_have_count(1)
    letters(page).get_by_role("link").click()
    expect(page.get_by_text("It failed for good: it has no such field.")).to_be_visible()
    expect(page.get_by_role("heading", name="What it carries")).to_be_visible()
    inspector.look("job", page)
    # It is found by its id, too.
    job = page.url.rpartition("/")[2]
    page.go_back()
    page.get_by_role("combobox", name="Find or go to a page").fill(job)
    page.get_by_role("combobox", name="Find or go to a page").press("Enter")
    expect(page.get_by_text("It failed for good: it has no such field.")).to_be_visible()
    # Replayed with another value, it dies of what it is, and the log says what was changed.
    carried = change_and_replay(page, inspector)
    expect(page.get_by_text("It failed for good: no part of this program runs jobs of the kind k")).to_be_visible(
        timeout=LIMIT
    )
    expect(carried).to_contain_text('"parts": 4')
    expect(page.get_by_text("operator · replayed with parts from 3 to 4")).to_be_visible()
    page.goto(page.url.rpartition("/ops/")[0] + f"/ops/dead-letters?q={job}")
    letters(page).get_by_role("checkbox").check()
    page.get_by_role("button", name="Discard 1 letter").click()
    dialog = page.get_by_role("dialog", name="Discard 1 dead letter?")
    inspector.look("discard", page)
    dialog.get_by_role("button", name="Discard 1 letter").click()
    expect(page.get_by_text("No dead letter is like that")).to_be_visible()
    log = page.get_by_role("region", name="Replays and discards")
    expect(log.locator("tbody tr").first).to_contain_text("Discarded")


def change_and_replay(page: Page, inspector: Inspector) -> Locator:
    """Give a field another value, by way of what is refused; what the job carries."""
    opener = page.get_by_role("button", name="Change and replay")
    opener.click()
    dialog = page.get_by_role("dialog", name="Change what ")
    # Escape and Enter right after it: the dialog opens anew, as its opener has the focus by then.
    dialog.evaluate(_ESCAPE_AND_ENTER)
    expect(dialog).to_be_visible()
    field, replay = dialog.get_by_role("textbox"), dialog.get_by_role("button", name="Change and replay")
    for text, problem in (
        ('{"language": "de", "parts": ', "This is not JSON: "),
        ('{"language": "de", "parts": 3}', "Nothing is changed yet."),
        ('{"language": "de", "parts": "4"}', "parts is a number in this job, and a text was given"),
    ):
        field.fill(text)
        replay.click()
        expect(field).to_have_accessible_description(re.compile(re.escape(problem)))
        expect(field).to_have_attribute("aria-invalid", "true")
    inspector.look("change a letter", page)
    field.fill('{"language": "de", "parts": 4}')
    expect(dialog.get_by_text("parts from 3 to 4")).to_be_visible()
    replay.click()
    expect(dialog).to_have_count(0)
    return page.get_by_role("region", name="What it carries")


def test_a_job_that_waits_is_called_off_after_a_question(meet: Meet, inspector: Inspector) -> None:
    page = sign_in(meet(), "/ops/queues/rosters", "Rosters")
    page.get_by_role("group", name="State of the jobs").get_by_role("button", name="Later").click()
    page.get_by_role("region", name="Jobs", exact=True).locator("tbody").get_by_role("link").click()
    expect(page.get_by_text("Later", exact=True)).to_be_visible()
    inspector.look("a job", page)
    page.get_by_role("button", name="Call off import").click()
    dialog = page.get_by_role("dialog", name=re.compile("Call off the job"))
    dialog.get_by_role("button", name="Call off import").click()
    expect(page.get_by_text("Called off", exact=True)).to_be_visible()
    expect(page.get_by_role("button", name="Call off import")).to_have_count(0)


def test_a_room_is_listed_with_its_people(meet: Meet, server: RunningServer, inspector: Inspector) -> None:
    page = sign_in(meet(), "/ops/rooms", "Rooms")
    expect(page.get_by_text("No room is open")).to_be_visible()
    inspector.look("no rooms", page)
    with apart(lambda: server.enter("ben", "learner", "rooms-1")) as ben:
        ticket = ben.post("/api/chat/ticket").json()["ticket"]
    page.evaluate(
        "(url) => new Promise((done) => { window.socket = new WebSocket(url); window.socket.onmessage = done })",
        f"{server.url.replace('http', 'ws')}/api/chat/ws?ticket={ticket}",
    )
    row = page.get_by_role("region", name="Open rooms", exact=True).locator("tbody tr").first
    expect(row).to_contain_text("None", timeout=REPORTED)
    expect(page.get_by_text("Nobody is slow")).to_be_visible()
    inspector.look("rooms", page)
    page.evaluate("window.socket.close()")


@pytest.mark.skipif(importlib.util.find_spec("locust") is None, reason="locust is not installed: the extra loadtest")
def test_a_load_test_is_watched_and_its_report_drawn(meet: Meet, server: RunningServer, inspector: Inspector) -> None:
    page = sign_in(meet(), "/ops/load-tests", "Load tests")
    expect(page.get_by_text("No load test was run from here")).to_be_visible()
    inspector.look("no load tests", page)
    token = server.data.parent / "token"
    token.write_text(TOKEN, encoding="utf-8")
    what = ("--rps", "5", "--duration", "300", "--ramp", "1", "--mix", "message=1", "--slo", "p95=10s,errors=50%")
    test = Test(server, *what, "--token-file", str(token))
    test.wait_for("arrivals begin")
    # It is seen without a reload, with its seconds from the first on and its objective.
    expect(page.get_by_role("heading", name=re.compile("^Running: "))).to_be_visible(timeout=LIMIT)
    expect(page.get_by_text("Sending", exact=True)).to_be_visible(timeout=LIMIT)
    expect(page.get_by_text("p95=10s, errors=50%")).to_be_visible()
    live = page.get_by_role("region", name="Latency").get_by_role("img")
    expect(live).to_have_accessible_name(re.compile("The objective is p95 of 10 s"), timeout=LIMIT)
    expect(page.get_by_text(re.compile("^held at 5 arrivals/s, "))).to_be_visible(timeout=LIMIT)
    inspector.look("running load test", page)
    page.get_by_role("button", name="Stop load test").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Stop load test "))
    dialog.get_by_role("button", name="Stop load test").click()
    expect(page.get_by_text("Ending", exact=True)).to_be_visible()
    report = test.report()
    assert report["notes"] == ["it was ended by operator"]
    link = page.get_by_role("link", name=report["id"])
    expect(link).to_be_visible(timeout=LIMIT * 2)
    link.click()
    # A busy machine adds that the tester was late.
    expect(
        page.get_by_text(re.compile(r"^It proves nothing, because .*it was ended before its time\.$"))
    ).to_be_visible()
    latency = page.get_by_role("region", name="Latency")
    expect(latency.get_by_role("img")).to_have_accessible_name(re.compile("The p95 of a second was at most"))
    latency.get_by_role("button", name="Table").click()
    expect(latency.get_by_role("row").nth(2)).to_be_visible()
    inspector.look("report", page)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("queues", "Queues and jobs"),
        ("queues/video", "Video"),
        ("dead-letters", "Dead letters"),
        ("rooms", "Rooms"),
        ("load-tests", "Load tests"),
    ],
)
def test_everything_fits_a_phone_in_the_dark(meet: Meet, inspector: Inspector, path: str, title: str) -> None:
    looks: dict[str, Any] = {"viewport": {"width": 360, "height": 720}, "has_touch": True, "color_scheme": "dark"}
    page = sign_in(meet(**looks), f"/ops/{path}", title)
    expect(page.get_by_text("Loading ")).to_have_count(0)
    inspector.look(f"{path} on a phone", page)
