"""Operators in a browser: signing in with the token and at a provider, what was done, and the settings in force."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.console import TOKEN, go, sign_in
from tests.e2e.inspector import Inspector
from tests.e2e.people import LIMIT, Meet
from tests.fakes.provider import CLIENT, SECRET, FakeProvider, provider
from tests.running import RunningServer, running_server

ACTS = {"Alerts", "Decisions", "Queues and jobs", "Dead letters", "Shards and moves", "Cache", "Simulator"}
"""Pages on which an operator can do something also where nothing has happened yet."""


@pytest.fixture(scope="module")
def at() -> Iterator[FakeProvider]:
    """A provider on another site than the tool's, in a thread of its own."""
    begun, ending = threading.Event(), threading.Event()
    made: list[FakeProvider] = []

    async def run() -> None:
        async with provider() as one:
            one.url = one.url.replace("127.0.0.1", "localhost")
            made.append(one)
            begun.set()
            await asyncio.to_thread(ending.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert begun.wait(20)
    yield made[0]
    ending.set()
    thread.join(20)
    assert made[0].problems == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, at: FakeProvider) -> Iterator[RunningServer]:
    settings = {
        "OPERATOR_TOKEN": TOKEN,
        "OPERATORS_ISSUER": at.url,
        "OPERATORS_CLIENT_ID": CLIENT,
        "OPERATORS_CLIENT_SECRET": SECRET,
        "OPERATORS_PROVIDER_NAME": "Example University",
        "OPERATORS_OPERATOR_VALUES": "guide-operators",
        "OPERATORS_READ_ONLY_VALUES": "guide-readers",
        "OPERATORS_TWO_PERSON": "true",
    }
    with running_server(tmp_path_factory.mktemp("record") / "data", settings) as found:
        yield found


def command(server: RunningServer, *words: str) -> Any:
    """What a command answers, in a process of its own: while Playwright runs, no other loop runs in this thread."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ATOMIC_GUIDE_")}
    environment["ATOMIC_GUIDE_OPERATORS_TWO_PERSON"] = "true"
    line = [sys.executable, "-m", "atomic_guide.cli", *words, "--data", str(server.data), "--json"]
    return json.loads(subprocess.run(line, env=environment, timeout=60, check=True, stdout=subprocess.PIPE).stdout)


def by_provider(page: Page, server: RunningServer, path: str = "/ops") -> None:
    page.goto(f"{server.url}{path}")
    page.get_by_role("link", name="Sign in with Example University").click()


def test_a_wrong_token_is_named_and_the_right_one_opens_the_page_that_was_asked_for(meet: Meet) -> None:
    person = meet()
    person.expected.append("401")
    page = person.context.new_page()
    page.goto(f"{person.server.url}/ops/audit")
    page.get_by_label("Operators' token").fill("not-the-token-of-this-installation")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("This is not the token of this installation.")
    page.get_by_label("Operators' token").fill(TOKEN)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1, name="Audit log")).to_be_visible(timeout=LIMIT)
    row = page.get_by_role("region", name="Acts of operators").get_by_role("row").nth(1)
    expect(row.get_by_text("Sign in")).to_be_visible()
    # The cookie is nothing that a script reads.
    assert page.evaluate("document.cookie") == ""


def test_somebody_signs_in_at_the_provider_acts_by_name_and_is_found_in_the_log(
    meet: Meet, server: RunningServer
) -> None:
    page = meet().context.new_page()
    by_provider(page, server)
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible(timeout=LIMIT)
    answer = page.evaluate("""async () => (await fetch('/api/ops/scaling/pause', {
      method: 'POST', headers: {'Content-Type': 'application/json', 'Atomic-Guide-Console': '1'},
      body: JSON.stringify({fleet: 'workers', seconds: 3600, why: 'the rack moves'})})).status""")
    assert answer == 200
    go(page, "Audit log")
    table = page.get_by_role("region", name="Acts of operators")
    row = table.get_by_role("row").filter(has_text="Pause fleet")
    for text in ("Ada Lovelace", "fleet workers", "the rack moves", "Done"):
        expect(row.get_by_text(text)).to_be_visible()
    page.get_by_label("What", exact=True).fill("sign in")
    page.get_by_label("Who", exact=True).fill("Ada Lovelace")
    page.get_by_role("button", name="Find acts").click()
    expect(table.get_by_role("row").filter(has_text="Pause fleet")).to_have_count(0)
    expect(table.get_by_role("row").filter(has_text="Sign in").first).to_be_visible()
    page.get_by_label("Who", exact=True).fill("Nobody")
    page.get_by_role("button", name="Find acts").click()
    expect(page.get_by_role("heading", name="Nobody did that")).to_be_visible()
    page.get_by_role("button", name="Show every act").click()
    expect(table.get_by_role("row").filter(has_text="Pause fleet")).to_be_visible()


def test_what_takes_two_operators_is_agreed_to_by_another_one(meet: Meet, server: RunningServer) -> None:
    ways = [("shards", "move", "7", "--to", name) for name in ("shard-2", "shard-3")]
    order = next(way for way in ways if command(server, *way, "--dry-run")["moves"])
    assert [command(server, *order)["begun"] for _ in range(2)] == [False, False], "the same person twice is one"
    page = meet().context.new_page()
    # Signed in, one is where one wanted to be.
    by_provider(page, server, "/ops/shards")
    notice = page.get_by_role("region", name="Plan", exact=True).get_by_role("status")
    expect(notice).to_contain_text("1 of 2 operators agree", timeout=LIMIT)
    inspector = Inspector()
    inspector.look("an order that waits", page)
    page.set_viewport_size({"width": 360, "height": 720})
    inspector.look("an order that waits, on a phone", page)
    page.get_by_role("button", name="Agree to this order").click()
    dialog = page.get_by_role("dialog", name=re.compile("^Agree to "))
    expect(dialog).to_contain_text("bucket=7")
    inspector.look("the question, on a phone", page)
    dialog.get_by_role("button", name="Agree to this order").click()
    expect(notice).to_contain_text("2 of 2 operators agree")
    expect(notice).to_contain_text("Ada Lovelace")
    assert inspector.found == []
    assert command(server, *order)["moved"] == 1
    page.reload()
    expect(page.get_by_role("region", name="Plan", exact=True)).to_be_visible(timeout=LIMIT)
    expect(notice).to_have_count(0)


def test_who_may_only_look_is_told_so_and_who_is_removed_is_out_at_once(
    meet: Meet, server: RunningServer, at: FakeProvider
) -> None:
    at.changes = {"sub": "user-8", "name": "Eve Reader", "email": "eve@example.edu", "groups": ["guide-readers"]}
    person = meet()
    person.expected += ["401", "403"]
    page = person.context.new_page()
    by_provider(page, server, "/ops/decisions")
    expect(page.get_by_role("banner").get_by_role("status")).to_have_text("Live", timeout=LIMIT)
    refused = page.evaluate("""async () => (await (await fetch('/api/ops/scaling/resume', {
      method: 'POST', headers: {'Content-Type': 'application/json', 'Atomic-Guide-Console': '1'},
      body: JSON.stringify({fleet: 'workers'})})).json()).error.code""")
    assert refused == "READ_ONLY"
    sent, seen = list[str](), set[str]()
    page.on("request", lambda one: sent.append(one.url) if one.method != "GET" else None)
    links = page.get_by_role("navigation", name="Console").get_by_role("link")
    for link in [*links.all()]:
        # By its script: a dialog of the page before may be open.
        name = link.evaluate("(one) => { one.click(); return one.firstChild.textContent.trim(); }")
        expect(link).to_have_attribute("aria-current", "page")
        expect(page.get_by_role("heading", level=1, name=name)).to_be_visible()
        expect(page.locator("main .waiting")).to_have_count(0)
        expect(page.get_by_role("alert")).to_have_count(0)
        # What changes something cannot be pressed, and says why; whatever can be is pressed, and changes nothing.
        locked = page.locator("main").get_by_title("Locked: you may look only; operators can do this.")
        if name in ACTS:
            expect(locked.first).to_be_disabled()
        expect(locked.and_(page.locator(":enabled"))).to_have_count(0)
        page.evaluate("document.querySelectorAll('main button:enabled').forEach((one) => one.click())")
        seen.add(name)
    assert seen > ACTS
    assert sent == []
    command(server, "operators", "remove", "eve@example.edu")
    expect(page.get_by_label("Operators' token")).to_be_visible(timeout=LIMIT)
    by_provider(page, server)
    expect(page.get_by_role("heading", name="You are not signed in to the console")).to_be_visible()
    expect(page.get_by_text("eve@example.edu is no operator here")).to_be_visible()
    at.changes = {}


def test_settings_are_found_and_their_origin_is_told(meet: Meet) -> None:
    page = sign_in(meet(), "/ops/settings", "Settings")
    page.get_by_label("Only what differs from its default").check()
    page.get_by_role("searchbox", name="Find").fill("operators.issuer")
    table = page.get_by_role("region", name="Settings of operators")
    row = table.get_by_role("row").filter(has_text="operators.issuer")
    expect(row.get_by_text("environment ATOMIC_GUIDE_OPERATORS_ISSUER")).to_be_visible()
    page.get_by_role("searchbox", name="Find").fill("client_secret")
    expect(table.get_by_role("row").filter(has_text="client_secret").get_by_text("(set)")).to_be_visible()
    assert SECRET not in page.content()
    page.get_by_role("searchbox", name="Find").fill("no such thing")
    page.get_by_role("button", name="Show every setting").click()
    # All sections are there, closed; the keyboard opens one.
    section = page.get_by_role("main").locator("summary").filter(has_text="server").first
    expect(section).to_contain_text("not at the default")
    expect(page.get_by_role("main").get_by_role("table")).to_have_count(0)
    section.press("Enter")
    expect(page.get_by_role("region", name="Settings of server", exact=True)).to_be_visible()


def test_nothing_is_in_the_way_of_anybody(browser: Browser, meet: Meet) -> None:
    inspector = Inspector()
    person = meet()
    page = person.context.new_page()
    page.goto(f"{person.server.url}/ops")
    expect(page.get_by_label("Operators' token")).to_be_visible()
    inspector.look("sign in", page)
    page = sign_in(person, "/ops/audit", "Audit log")
    for width, height in ((1440, 900), (360, 720)):
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for name in ("Audit log", "Settings"):
                go(page, name)
                if name == "Settings":
                    page.get_by_role("main").locator("summary").first.click()
                expect(page.get_by_role("main").get_by_role("row").nth(1)).to_be_visible()
                inspector.look(f"{name}, {width} wide, {scheme}", page)
    assert inspector.found == []
