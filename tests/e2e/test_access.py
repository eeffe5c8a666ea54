"""Everybody can use it: axe-core finds nothing, in light and dark, right to left and on a phone, in every part."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Frame, Page, expect

from tests.e2e.inspector import Inspector
from tests.e2e.people import LIMIT, Meet, Person, course_frame, live, meeting, messages, play, say, tab
from tests.e2e.teaching import add_scores, choose_video, scores_of, upload
from tests.media import clip
from tests.running import RunningServer

CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:06.000\nLight is a wave.\n"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "arabic": {},
    "phone": {"viewport": {"width": 360, "height": 720}, "has_touch": True},
}


@pytest.fixture(scope="module", autouse=True)
def _course(browser: Browser, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A course with a lecture, a failed one, scores and messages."""
    files = tmp_path_factory.mktemp("clips")
    lecture = clip(files / "lecture.mp4", size="640x480", seconds=6)
    with meeting(browser, server) as meet:
        teacher, student = meet().in_window("Instructor"), meet().in_window("Student 4")
        expect(live(teacher)).to_be_visible()
        upload(teacher, "The two slits", lecture, CAPTIONS, "0:00 Light\n0:03 Two slits")
        whole = lecture.read_bytes()
        (files / "cut.mp4").write_bytes(whole[: len(whole) // 3])
        panel = teacher.get_by_role("tabpanel", name="Upload")
        choose_video(panel, "Cut short", files / "cut.mp4")
        expect(panel.get_by_text("Failed", exact=True)).to_be_visible(timeout=LIMIT)
        tab(teacher, "Performance")
        add_scores(teacher, scores_of(range(1, 10)))
        tab(teacher, "Lecture and room")
        play(student, "The two slits", "0:06")
        say(teacher, "See 0:03 again before Friday.")
        say(student, "What happens with three slits?")
        expect(messages(teacher)).to_have_count(2)


@pytest.fixture(scope="module")
def _moderated(_course: None, browser: Browser, server: RunningServer) -> Iterator[None]:
    """A student who is muted, in a room that is closed, while there is a live session."""
    with meeting(browser, server) as meet:
        teacher = meet().in_window("Instructor")
        expect(live(teacher)).to_be_visible()
        teacher.locator(".room article:last-of-type .more").click()
        teacher.get_by_role("button", name="Mute Student 4").click()
        teacher.locator(".room .manage").click()
        for name in ("Close the room", "Start a live session"):
            teacher.get_by_role("dialog").get_by_role("button", name=name).click()
        expect(teacher.get_by_role("button", name="End the live session")).to_be_visible()
        yield


def enter(person: Person, look: str, name: str) -> Frame | Page:
    """The course as somebody sees it in a look; the student's in the frame of the LMS, but for a phone."""
    framed = name != "Instructor" and look != "phone"
    course: Frame | Page = person.in_frame(name) if framed else person.in_window(name)
    expect(live(course)).to_be_visible()
    expect(messages(course)).to_have_count(2)
    if look == "arabic":
        course.locator("header .tool").first.click()
        course.get_by_role("radio", name="العربية").check()
        course.get_by_role("dialog").press("Escape")
        expect(course.locator("html")).to_have_attribute("dir", "rtl")
    return course


@pytest.mark.timeout(120)
@pytest.mark.parametrize("look", LOOKS)
def test_the_instructors_parts_are_accessible(meet: Meet, look: str) -> None:
    inspector, course = Inspector(), enter(meet(**LOOKS[look]), look, "Instructor")
    inspector.look("lecture and room", course)
    inspector.dialog("settings", course, "header .tool")
    expect(course.locator("header .bell .count")).to_be_visible()
    inspector.dialog("notifications", course, "header .bell")
    inspector.dialog("people", course, ".room .people")
    inspector.dialog("manage the room", course, ".room .manage")
    inspector.dialog("actions for a message", course, ".room article:last-of-type .more")
    course.locator("#tab-performance").click()
    expect(course.locator("#panel-performance table")).to_be_visible()
    inspector.look("performance", course)
    course.locator("#panel-performance .segmented button").nth(1).click()
    inspector.look("performance as a table", course)
    inspector.dialog("add scores", course, "#panel-performance .figures .button")
    course.locator("#tab-upload").click()
    expect(course.locator("#panel-upload article")).to_be_visible()
    inspector.look("upload", course)
    inspector.dialog("chapters", course, "#panel-upload .acts .link")
    inspector.dialog("delete", course, "#panel-upload .acts .link:last-child")
    assert not inspector.found, "\n".join(inspector.found)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("look", LOOKS)
def test_the_students_parts_are_accessible(meet: Meet, look: str) -> None:
    inspector, course = Inspector(), enter(meet(**LOOKS[look]), look, "Student 4")
    inspector.look("lecture and room", course)
    if look == "phone":
        course.locator(".room .details").click()
        expect(course.locator(".details.asked")).to_be_visible()
        inspector.look("lecture, its details", course)
        course.locator(".room .details").click()
    else:
        inspector.dialog("keys", course, ".lecture .all")
    inspector.dialog("notifications", course, "header .bell")
    course.locator("#tab-performance").click()
    expect(course.locator("#panel-performance table")).to_be_visible()
    inspector.look("performance", course)
    for switch in course.locator("#panel-performance .segmented button:nth-child(2)").all():
        switch.click()
    inspector.look("performance as tables", course)
    course.locator("#tab-lectures").click()
    expect(course.locator("#panel-lectures li")).to_be_visible()
    inspector.look("lectures", course)
    assert not inspector.found, "\n".join(inspector.found)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("_moderated")
@pytest.mark.parametrize("look", LOOKS)
def test_a_moderated_room_is_accessible(meet: Meet, look: str) -> None:
    inspector, student = Inspector(), enter(meet(**LOOKS[look]), look, "Student 4")
    expect(student.locator(".room textarea")).to_be_disabled()
    inspector.look("muted, closed and live", student)
    teacher = enter(meet(**LOOKS[look]), look, "Instructor")
    expect(teacher.locator(".room .closed")).to_be_visible()
    inspector.look("closed and live, for an instructor", teacher)
    inspector.dialog("manage the room", teacher, ".room .manage")
    inspector.dialog("people, one of them muted", teacher, ".room .people")
    inspector.dialog("actions for a muted person's message", teacher, ".room article:last-of-type .more")
    assert not inspector.found, "\n".join(inspector.found)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_the_pages_around_the_course_are_accessible(meet: Meet, look: str) -> None:
    person, inspector = meet(**LOOKS[look]), Inspector()
    person.expected.append("status of 4")
    page = person.practice("Student 4")
    inspector.look("practice LMS", page)
    page.get_by_text("Show the messages").click()
    page.get_by_text("Try a launch that must be refused").click()
    page.get_by_role("button", name="Launch it").click()
    refused = course_frame(page)
    inspector.look("practice LMS, all open", page)
    inspector.look("refused launch", refused)
    window = person.in_window("Student 4")
    window.evaluate("sessionStorage.clear()")
    window.reload()
    expect(window.get_by_role("heading", name="This session has ended")).to_be_visible()
    inspector.look("ended session", window)
    assert not inspector.found, "\n".join(inspector.found)
