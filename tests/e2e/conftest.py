"""A browser, a server and people for the end-to-end tests. Chromium absent: they are skipped, and say so."""

import os
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.e2e.people import Meet, find_browser, meeting, start_browser
from tests.running import RunningServer, running_server


# Not for the whole session: while it runs, Playwright's loop keeps any other from running in this thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = find_browser(os.environ.get("GUIDE_TEST_CHROMIUM"))
    if path is None:
        pytest.skip("no Chromium is installed")
    with sync_playwright() as playwright:
        found = start_browser(playwright, path)
        yield found
        found.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    # However busy the machine is with other tests, lectures are not held back for it.
    with running_server(tmp_path_factory.mktemp("e2e") / "data", QUEUES_BUSY_LOAD="1000") as found:
        yield found


@pytest.fixture
def meet(browser: Browser, server: RunningServer) -> Iterator[Meet]:
    with meeting(browser, server) as found:
        yield found
