"""The room between two browsers: order, typing, a lost connection, a reload, a second tab."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.e2e.people import LIMIT, Meet, live, meeting, messages, say
from tests.running import RunningServer, running_server

LOST = (
    "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to|ERR_INTERNET_DISCONNECTED|ERR_NETWORK_CHANGED"
)


def texts(course: Frame | Page) -> list[str]:
    """What the messages say, without names and times."""
    return messages(course).locator(".text").all_inner_texts()


def test_what_is_written_is_seen_by_both_in_order_and_once(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 4")
    for course in (teacher, student):
        expect(live(course)).to_be_visible()
        expect(course.get_by_text("2 here").first).to_be_visible()
    written = []
    for number in range(4):
        for course, name in ((teacher, "teacher"), (student, "student")):
            written.append(f"{name} says {number}")
            say(course, written[-1])
            for reader in (teacher, student):
                expect(reader.get_by_role("log").get_by_text(written[-1], exact=True)).to_be_visible()
    assert texts(teacher) == texts(student) == written
    expect(messages(student).first).to_contain_text("Instructor")
    expect(messages(student).nth(1)).to_contain_text("You")
    expect(messages(teacher).nth(1)).to_contain_text("Student 4")
    say(student, "<img src=x onerror=alert(1)> & <b>not bold</b>")
    expect(messages(teacher).last).to_contain_text("<img src=x onerror=alert(1)> & <b>not bold</b>")


def test_who_is_writing_is_shown_to_the_other(meet: Meet) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 7")
    expect(live(teacher)).to_be_visible()
    expect(live(student)).to_be_visible()
    student.get_by_role("textbox", name="Message the room").press_sequentially("Is the")
    expect(teacher.get_by_text("Student 7 is writing…")).to_be_visible()
    expect(teacher.get_by_text("Student 7 is writing…")).to_be_hidden(timeout=LIMIT)


def test_enter_sends_and_shift_enter_begins_a_line(meet: Meet) -> None:
    student = meet().in_frame("Student 4")
    expect(live(student)).to_be_visible()
    box = student.get_by_role("textbox", name="Message the room")
    box.press_sequentially("one")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    box.press("Enter")
    expect(messages(student).last.locator(".text")).to_have_text("one\ntwo", use_inner_text=True)
    expect(box).to_have_value("")


def test_a_reload_and_a_second_tab_keep_working(meet: Meet) -> None:
    person = meet()
    window = person.in_window("Student 4")
    expect(live(window)).to_be_visible()
    say(window, "before the reload")
    expect(messages(window).last).to_contain_text("before the reload")
    for _ in range(2):
        window.reload()
        expect(live(window)).to_be_visible()
        expect(messages(window).last).to_contain_text("before the reload")
    second = person.in_frame("Student 4")
    expect(live(second)).to_be_visible()
    say(second, "from the second tab")
    expect(messages(window).last).to_contain_text("from the second tab")
    say(window, "from the first")
    expect(messages(second).last).to_contain_text("from the first")


def test_a_page_that_stole_a_used_code_gets_a_clear_way_back(meet: Meet) -> None:
    person = meet()
    person.expected.append("status of 401")
    window = person.in_window("Student 4")
    expect(live(window)).to_be_visible()
    window.evaluate("sessionStorage.setItem('atomic-guide.resume', 'used-long-ago')")
    window.reload()
    expect(window.get_by_role("heading", name="This session has ended")).to_be_visible()
    back = window.get_by_role("link", name="Back to the LMS")
    back.click()
    expect(window.get_by_role("heading", name="Practice LMS")).to_be_visible()


class TestARestart:
    """The server goes away and comes back at the same address."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        return tmp_path / "data"

    @pytest.fixture
    def first(self, place: Path) -> Iterator[RunningServer]:
        with running_server(place) as found:
            yield found

    @pytest.mark.timeout(120)
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_what_was_written_meanwhile_is_kept_and_sent(
        self, browser: Browser, first: RunningServer, place: Path, end: str
    ) -> None:
        with meeting(browser, first) as meet:
            people = [meet(), meet()]
            for person in people:
                person.expected += [LOST, "status of 503"]
            teacher, student = people[0].in_frame("Instructor"), people[1].in_window("Student 4")
            expect(live(student)).to_be_visible()
            say(teacher, "before the restart")
            expect(messages(student).last).to_contain_text("before the restart")
            getattr(first, end)()
            banner = student.get_by_role("status").filter(has_text="Connection lost")
            expect(banner).to_contain_text(re.compile(r"Trying (again in \d+ s|now)"))
            say(student, "kept while away")
            waiting = messages(student).filter(has_text="kept while away")
            expect(waiting).to_contain_text("waiting to send")
            expect(banner).to_contain_text("Your message is kept.")
            expect(messages(student).filter(has_text="before the restart")).to_be_visible()
            with running_server(place, port=int(first.url.rpartition(":")[2])):
                self._both_are_back(teacher, student)

    def _both_are_back(self, teacher: Frame, student: Page) -> None:
        for course in (teacher, student):
            # At once, and only where it is still there: the page may just have come back by itself.
            course.get_by_role("button", name="Try now").evaluate_all("(found) => found.forEach((one) => one.click())")
            expect(live(course)).to_be_visible(timeout=30_000)
        expect(messages(student).last).not_to_contain_text("waiting to send")
        say(teacher, "all here")
        for course in (teacher, student):
            expect(messages(course).last).to_contain_text("all here")
            assert texts(course) == ["before the restart", "kept while away", "all here"]
            expect(course.get_by_text("Connection lost")).to_be_hidden()


def test_what_came_while_offline_stands_below_a_line_that_counts_it(meet: Meet) -> None:
    teacher, away = meet().in_frame("Instructor", "Empty course"), meet()
    away.expected.append(LOST)
    student = away.in_window("Student 4", "Empty course")
    expect(live(student)).to_be_visible()
    say(teacher, "read by everybody")
    expect(messages(student).last).to_contain_text("read by everybody")
    student.close()
    for number in range(3):
        say(teacher, f"missed {number}")
        expect(messages(teacher).last).to_contain_text(f"missed {number}")
    later = away.in_window("Student 4", "Empty course")
    expect(later.get_by_text("3 new since you left")).to_be_visible()
    order = later.get_by_role("log").inner_text()
    assert order.index("read by everybody") < order.index("3 new since you left") < order.index("missed 0")
