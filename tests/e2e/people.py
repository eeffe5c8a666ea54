"""People in a browser: each has a context of their own, comes through the practice LMS and notes what goes wrong."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    ConsoleMessage,
    Frame,
    Locator,
    Page,
    Playwright,
    WebError,
    expect,
)

from tests.running import RunningServer
from tools import browser as chromium

LIMIT = 15_000
"""Milliseconds that anything a user waits for may take on two busy cores."""

_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # As browsers that refuse third-party cookies do: only a partitioned one comes back to a frame.
    "--test-third-party-cookie-phaseout",
]
_REPORT_VIOLATIONS = """document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`CSP: ${event.violatedDirective} blocked ${event.blockedURI} in ${event.sourceFile}`))"""


def start_browser(playwright: Playwright, path: str) -> Browser:
    """Start an installed Chromium."""
    kind: BrowserType = playwright.chromium
    return kind.launch(executable_path=path, args=_ARGUMENTS, timeout=30_000)


def find_browser(given: str | None) -> str | None:
    """The browser that `dev.py test` found, or an installed one where pytest was started alone."""
    return chromium.find() if given is None else given or None


def practice_address(server: RunningServer) -> str:
    """The practice LMS: another site than the tool's."""
    return server.url.replace("127.0.0.1", "localhost") + "/practice"


class Person:
    """Somebody with a browser. `expected` are patterns of console messages that a test provokes."""

    def __init__(self, context: BrowserContext, server: RunningServer) -> None:
        self.context = context
        self.server = server
        self.expected: list[str] = []
        self._problems: list[str] = []
        context.set_default_timeout(LIMIT)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._hear)
        context.on("weberror", self._fail)

    @property
    def problems(self) -> list[str]:
        """Errors and warnings of the console that no test provoked."""
        return [text for text in self._problems if not any(re.search(known, text) for known in self.expected)]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._problems.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    def _fail(self, error: WebError) -> None:
        self._problems.append(f"uncaught: {error.error.message}")

    def practice(self, name: str = "Instructor", course: str = "Waves and Optics 101") -> Page:
        """The practice LMS's page with the choices made."""
        page = self.context.new_page()
        page.goto(practice_address(self.server))
        page.get_by_role("radio", name=course).check()
        page.get_by_role("radio", name=re.compile(f"^{name}")).check()
        return page

    def in_frame(self, name: str = "Instructor", course: str = "Waves and Optics 101") -> Frame:
        """The course inside the LMS's page."""
        page = self.practice(name, course)
        page.get_by_role("button", name=f"Launch as {name}").click()
        return course_frame(page)

    def in_window(self, name: str = "Instructor", course: str = "Waves and Optics 101") -> Page:
        """The course in a window of its own."""
        page = self.practice(name, course)
        page.get_by_role("radio", name="New window").check()
        with self.context.expect_page() as opened:
            page.get_by_role("button", name=f"Launch as {name}").click()
        window = opened.value
        expect(window.get_by_role("heading", level=1, name=course)).to_be_visible(timeout=LIMIT)
        page.close()
        return window


Meet = Callable[..., Person]


@contextmanager
def meeting(browser: Browser, server: RunningServer) -> Iterator[Meet]:
    """People of one test; none of their consoles may say anything that the test does not expect."""
    people: list[Person] = []

    def meet(**options: Any) -> Person:
        options = {"viewport": {"width": 1100, "height": 720}, "locale": "en-GB"} | options
        person = Person(browser.new_context(**options), server)
        people.append(person)
        return person

    yield meet
    for person in people:
        person.context.close()
    problems = [problem for person in people for problem in person.problems]
    assert not problems, "\n".join(problems)


def course_frame(page: Page) -> Frame:
    """The frame of the practice LMS once it shows a page of the tool."""
    expect(page.locator("iframe#course")).to_be_visible()
    expect(page.frame_locator("iframe#course").get_by_role("heading", level=1)).to_be_visible(timeout=LIMIT)
    frame = page.frame(name="course")
    assert frame is not None
    return frame


def live(course: Frame | Page) -> Locator:
    """The mark in the header that says that the room is connected."""
    return course.get_by_role("banner").get_by_text("Live", exact=True)


def say(course: Frame | Page, text: str) -> None:
    """Write into the room as a person does."""
    box = course.get_by_role("textbox", name="Message the room")
    box.fill(text)
    box.press("Enter")


def messages(course: Frame | Page) -> Locator:
    """The messages of the room, in the order of the page."""
    return course.get_by_role("log").get_by_role("article")


def tab(course: Frame | Page, name: str) -> Locator:
    """Open a part of the course; its panel."""
    course.get_by_role("tab", name=name).click()
    return course.get_by_role("tabpanel", name=name)


def play(course: Frame | Page, title: str, length: str) -> None:
    """Start a lecture; returns when its clock runs and its picture is there."""
    player = course.get_by_role("region", name=f"Player: {title}")
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_text(re.compile(rf"^0:0[1-9] / {length}$"))).to_be_visible(timeout=20_000)
    video = "document.querySelector('video')"
    assert course.evaluate(f"{video}.currentTime") >= 1
    assert course.evaluate(f"{video}.videoHeight") > 0
