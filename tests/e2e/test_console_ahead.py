"""The console's pages of the time ahead in a browser: a simulation, the forecast, the capacity plan, what is saved."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import FilePayload, Page, expect

from atomic_guide.operations.scaling.model import Key
from atomic_guide.operations.scaling.policies.named import NAMES
from tests.e2e.console import TOKEN, go, sign_in
from tests.e2e.inspector import Inspector
from tests.e2e.people import LIMIT, Meet
from tests.recorded import record_into, slots, usual, week
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(180)

DAYS = 40
LONG = 40_000
"""Milliseconds for what the server does between its ticks: a forecast, a replay of two weeks."""
TIMES = "\N{MULTIPLICATION SIGN}"
PAGES = [
    ("/ops/forecast", "Forecast, schedule"),
    ("/ops/simulator", "Simulator"),
    ("/ops/capacity", "Capacity plan"),
    ("/ops/costs", "Costs"),
]
SETTINGS = {
    "OPERATOR_TOKEN": TOKEN,
    "COSTS_PRICES": "own-hardware",
    # A second worker that has nothing to do: something to save.
    "SCALING_WORKERS_MIN": "2",
    "PROCESSES_WORKER": "1",
    "SCALING_QUIET_HOURS": "",
}


def series(at: float) -> dict[Key, Any]:
    """Weeks of a server with web processes that are used by day, and workers that are idle."""
    times = slots(at, DAYS)
    flat = np.ones(len(times))
    return {
        **usual(times),
        Key("workers", "demand"): week(times, 0.1, seed=8),
        Key("workers", "work", "media"): week(times, 0.1, seed=9),
        Key("costs", "units", "web"): flat,
        Key("costs", "units", "workers"): flat,
    }


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with weeks on record and an entry in its schedule."""
    data = tmp_path_factory.mktemp("ahead") / "data"
    data.mkdir(mode=0o700)
    now = time.time()
    # In a thread of its own: Playwright's loop is in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(record_into(data, now, DAYS, series(now)))).result()
    with running_server(data, SETTINGS) as found:
        begins = datetime.fromtimestamp(now, UTC) + timedelta(days=2)
        run("schedule", "add", "--from", f"{begins:%Y-%m-%dT%H:00}", "--until", f"{begins:%Y-%m-%d}T23:59",
            "--units", "3", "--note", "open day", data=data)  # fmt: skip
        yield found


def run(*arguments: str, data: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "atomic_guide.cli", "scale", *arguments, "--data", str(data)],
        check=True, timeout=60, capture_output=True,
    )  # fmt: skip


def asked(server: RunningServer, path: str, **more: Any) -> Any:
    answer = httpx.get(f"{server.url}{path}", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, **more)
    return answer.raise_for_status().json()


def choose_policies(page: Page, *names: str) -> None:
    summary = page.locator("summary").filter(has_text="Policies")
    summary.click()
    group = page.get_by_role("group", name="Policies")
    for box in group.get_by_role("checkbox").all():
        box.set_checked((box.get_attribute("value") or "") in names)
    summary.click()


def test_a_simulation_shows_the_same_in_charts_in_words_and_in_the_table(meet: Meet, server: RunningServer) -> None:
    page = sign_in(meet(), "/ops/simulator", "Simulator")
    page.get_by_label("Trace").select_option(label="A flash crowd")
    choose_policies(page, "default", "hpa-60")
    page.get_by_role("button", name="Run the simulation").click()
    table = page.get_by_role("region", name="The policies in figures")
    expect(table).to_be_visible(timeout=LONG)
    answer = httpx.post(
        f"{server.url}/api/ops/scaling/simulations",
        json={"trace": {"name": "flash-crowd"}, "policies": ["default", "hpa-60"], "wait": 20},
        headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60,
    )  # fmt: skip
    found = {one["name"]: one for one in answer.raise_for_status().json()["policies"]}
    assert set(found) == {"default", "hpa-60"}
    for name, one in found.items():
        cells = table.get_by_role("row").filter(has_text=name).get_by_role("cell")
        assert cells.nth(1).inner_text() == str(one["violation_minutes"])
        assert cells.nth(2).inner_text() == f"{one['cost_ratio']:.2f}"
        words = f"{one['violation_minutes']} minute{'' if one['violation_minutes'] == 1 else 's'} over"
        said = words if one["violation_minutes"] else "never over"
        heading = page.get_by_role("heading", level=3, name=name)
        expect(heading).to_contain_text(said)
        expect(page.get_by_role("img", name=f"Under {name} from")).to_have_attribute(
            "aria-label", f"Under {name} from 1 Jan on: {said}, cost {one['cost_ratio']:.2f}{TIMES} the least."
        )
    expect(page.locator("main").get_by_text("” does best.")).to_be_visible()
    page.get_by_role("group", name="How the replay is shown").get_by_role("button", name="Table").click()
    numbers = page.get_by_role("region", name="Demand and ready capacity of each policy")
    expect(numbers.get_by_role("columnheader")).to_have_text(
        ["Time, UTC", "demand, requests/s", "default, ready, requests/s", "hpa-60, ready, requests/s"]
    )
    # Another one is called off; the first is opened again, by its row and by its address.
    earlier = page.get_by_role("region", name="Earlier simulations", exact=True).locator("tbody tr")
    expect(earlier.filter(has_text="default, hpa-60").first).to_contain_text("done in")
    page.get_by_label("Trace").select_option(label="A day of lectures")
    choose_policies(page, *NAMES)
    page.get_by_text("More", exact=True).click()
    page.get_by_label("Decides each").fill("1")
    page.get_by_role("button", name="Run again").click()
    page.get_by_role("button", name="Call it off").click()
    expect(page.get_by_text("it was called off by operator", exact=True)).to_be_visible()
    expect(earlier.first).to_contain_text("called off: it was called off by operator")
    cancelled = page.url
    assert "/ops/simulator?run=" in cancelled
    earlier.filter(has_text="done in").last.get_by_role("button").click()
    page.wait_for_url(lambda url: url != cancelled)
    page.reload()
    expect(table.get_by_role("row").filter(has_text="hpa-60")).to_be_visible(timeout=LONG)


def test_a_fleet_s_record_is_replayed_and_the_fleet_set_to_shadow(meet: Meet, server: RunningServer) -> None:
    page = sign_in(meet(), "/ops/simulator", "Simulator")
    page.get_by_label("Trace").select_option("history:workers")
    page.get_by_label("Last").fill("2")
    choose_policies(page, "default")
    page.get_by_label("Start delay").fill("-5")
    page.get_by_role("button", name="Run the simulation").click()
    expect(page.get_by_role("alert")).to_have_text("The start delay: -5 is not possible; write from 0 to 86,400 s.")
    page.get_by_label("Start delay").fill("")
    page.get_by_role("button", name="Run the simulation").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text("“default” alone.")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Try in shadow").click()
    dialog = page.get_by_role("dialog", name="Set workers to shadow?")
    dialog.get_by_role("button", name="Try in shadow").click()
    expect(page.get_by_text("What default would do with workers is now decided and judged")).to_be_visible()
    fleets = {one["fleet"]: one for one in asked(server, "/api/ops/scaling")["fleets"]}
    assert fleets["workers"]["mode"] == "shadow"
    run("mode", "workers", "settings", data=server.data)


def test_a_trace_of_one_s_own_is_refused_with_its_line(meet: Meet) -> None:
    person = meet()
    person.expected = [r"status of 400"]
    page = sign_in(person, "/ops/simulator", "Simulator")
    page.get_by_label("Trace").select_option("file")
    expect(page.get_by_role("button", name="Run the simulation")).to_be_disabled()
    wrong = FilePayload(name="mine.csv", mimeType="text/csv", buffer=b"timestamp,value\n0,5\nsoon,7\n")
    page.get_by_label("File", exact=True).set_input_files(wrong)
    page.get_by_role("button", name="Run the simulation").click()
    expect(page.get_by_role("alert")).to_contain_text("line 3")


def test_the_forecast_stands_beside_what_came_with_the_week_ahead(meet: Meet, server: RunningServer) -> None:
    ends = time.monotonic() + LONG / 1000
    while not (found := asked(server, "/api/ops/scaling/forecast"))["ahead"]:
        assert time.monotonic() < ends, found["why"]
        time.sleep(0.5)
    page = sign_in(meet(), "/ops/forecast", "Forecast, schedule")
    expect(page.get_by_text("The forecast of web is not relied on:")).to_be_visible()
    expect(page.get_by_role("img", name="Demand of web")).to_be_visible()
    page.get_by_role("group", name="How Demand of web, by the hour is shown").get_by_role(
        "button", name="Table"
    ).click()
    rows = page.get_by_role("region", name="Numbers of Demand of web, by the hour").get_by_role("row")
    expect(rows.last.get_by_role("cell").last).to_have_text("no data")
    plan = page.get_by_role("region", name="The week ahead").last
    expect(plan.get_by_role("row").filter(has_text="At least 3 units: open day")).to_be_visible()
    expect(plan.get_by_role("row").filter(has_text="Peak of up to").first).to_be_visible()
    page.get_by_role("group", name="Whose demand").get_by_role("button", name="workers").click()
    expect(page.get_by_role("heading", name="Demand of workers, by the hour")).to_be_visible(timeout=LIMIT)


def test_the_capacity_plan_says_first_what_the_server_says_and_is_taken_along(
    meet: Meet, server: RunningServer
) -> None:
    page = sign_in(meet(), "/ops/capacity", "Capacity plan")
    page.get_by_label("Growth").select_option(label=f"3{TIMES} a year")
    plan = asked(server, "/api/ops/capacity/plan", params={"growth": "3x/year"})
    name = plan["first"]["component"]
    expect(page.get_by_text(f"{name.capitalize()} runs out first,")).to_be_visible(timeout=LONG)
    rows = page.get_by_role("region", name="What runs out, in order").get_by_role("row")
    assert rows.nth(1).get_by_role("button").inner_text() == name
    assert len(rows.all()) == len(plan["components"]) + 1
    storage = page.get_by_role("button", name="storage", exact=True)
    storage.click()
    expect(page.get_by_role("img", name="storage: a need of")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export as CSV").click()
    lines = Path(taken.value.path()).read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith(f"{name},")
    assert len(lines) == len(plan["components"]) + 1


def test_what_could_be_saved_is_applied_with_a_question_and_taken_back(meet: Meet, server: RunningServer) -> None:
    page = sign_in(meet(), "/ops/costs", "Costs")
    expect(page.get_by_text("at the pace of now.")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="Explain workers-fewest-1").click()
    expect(page.get_by_text("What was checked")).to_be_visible()
    page.get_by_role("button", name="Apply workers-fewest-1").click()
    page.get_by_role("dialog", name="Apply workers-fewest-1?").get_by_role("button", name="Apply").click()
    # A change in force is advised no longer: it stands among the changes, to be taken back.
    expect(page.get_by_role("button", name="Roll back workers-fewest-1")).to_be_visible(timeout=LIMIT)
    expect(page.get_by_role("button", name="Apply workers-fewest-1")).to_have_count(0)
    assert [one["id"] for one in asked(server, "/api/ops/costs/changes")["changes"]] == ["workers-fewest-1"]
    page.get_by_role("button", name="Roll back workers-fewest-1").click()
    page.get_by_role("dialog", name="Roll back workers-fewest-1?").get_by_role("button", name="Roll back").click()
    audit = page.get_by_role("region", name="What was done about costs").get_by_role("row")
    expect(audit.nth(1)).to_contain_text("rolled back workers-fewest-1", timeout=LIMIT)
    assert asked(server, "/api/ops/costs/changes")["changes"] == []


@pytest.mark.parametrize(("scheme", "width"), [("dark", 1100), ("light", 360)], ids=["dark", "narrow"])
def test_the_pages_are_accessible_and_fit(meet: Meet, scheme: str, width: int) -> None:
    inspector = Inspector()
    page = sign_in(meet(color_scheme=scheme, viewport={"width": width, "height": 800}), *PAGES[0])
    for path, title in PAGES:
        if not page.url.endswith(path):
            go(page, title)
        if title == "Simulator":
            page.get_by_role("button", name="Run the simulation").click()
            expect(page.get_by_role("region", name="The policies in figures")).to_be_visible(timeout=LONG)
        page.wait_for_load_state("networkidle")
        expect(page.locator("main .verdict, main .empty").first).to_be_visible(timeout=LONG)
        inspector.look(f"{title}, {scheme} {width}", page)
    assert inspector.found == []
