"""Notifications: the bell counts while the page is open, its list leads to what it tells of, on every page at once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Frame, Locator, Page, expect

from tests.e2e.people import LIMIT, Meet, live, meeting, tab
from tests.e2e.teaching import PREPARED, add_captions, add_scores, choose_video, scores_of, upload
from tests.media import clip
from tests.running import RunningServer, running_server

CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:01.000\nLight is a wave.\n"


def bell(course: Frame | Page) -> Locator:
    return course.get_by_role("banner").get_by_role("button", name=re.compile("^Notifications"))


def opened(course: Frame | Page) -> Locator:
    bell(course).click()
    return course.get_by_role("dialog", name="Notifications")


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="320x240", seconds=2)


@pytest.fixture(scope="module")
def mailing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose settings name a mail server, to which nothing is sent here."""
    mail = {"MAIL_HOST": "127.0.0.1", "MAIL_PORT": "9", "MAIL_SECURITY": "none", "MAIL_SENDER": "guide@school.example"}
    with running_server(tmp_path_factory.mktemp("mailing") / "data", mail) as found:
        yield found


@pytest.mark.timeout(120)
def test_a_lecture_is_told_while_it_becomes_ready_and_what_it_lacks_until_it_has_it(meet: Meet, lecture: Path) -> None:
    person = meet()
    course, other = person.in_window("Instructor"), person.in_window("Instructor")
    for page in (course, other):
        expect(live(page)).to_be_visible()
    upload(course, "Two slits", lecture)
    for page in (course, other):
        expect(bell(page)).to_have_accessible_name("Notifications, 2 unread", timeout=LIMIT)
    expect(course.get_by_role("status").filter(has_text="Two slits")).to_have_count(1)
    listed = opened(course)
    expect(listed.get_by_role("listitem")).to_have_count(2)
    listed.get_by_role("button", name="Watch: ").click()
    expect(course.get_by_role("region", name="Player: Two slits")).to_be_visible()
    for page in (course, other):
        expect(bell(page)).to_have_accessible_name("Notifications, 1 unread")
    panel = tab(course, "Upload")
    add_captions(course, panel, "Two slits", CAPTIONS)
    course.reload()
    expect(live(course)).to_be_visible(timeout=LIMIT)
    expect(bell(course)).to_have_accessible_name("Notifications")


@pytest.mark.timeout(120)
def test_a_failure_names_its_cause_and_leads_to_where_it_is_mended(meet: Meet, lecture: Path, tmp_path: Path) -> None:
    course = meet().in_frame("Instructor")
    expect(live(course)).to_be_visible()
    whole = lecture.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 3])
    choose_video(tab(course, "Upload"), "Cut short", tmp_path / "cut.mp4")
    expect(bell(course)).to_have_accessible_name("Notifications, 1 unread", timeout=PREPARED)
    tab(course, "Performance")
    listed = opened(course)
    entry = listed.get_by_role("listitem").filter(has_text="Cut short")
    expect(entry).to_contain_text("its index is missing")
    entry.get_by_role("button", name="Open Upload").click()
    expect(course.get_by_role("tabpanel", name="Upload")).to_be_visible()
    expect(bell(course)).to_have_accessible_name("Notifications")


def test_a_student_is_told_of_a_score_live_and_others_of_nothing(meet: Meet) -> None:
    student, other, teacher = meet().in_frame("Student 4"), meet().in_frame("Student 7"), meet().in_window("Instructor")
    for course in (student, other, teacher):
        expect(live(course)).to_be_visible()
    tab(teacher, "Performance")
    add_scores(teacher, scores_of(range(3, 6)))
    expect(bell(student)).to_have_accessible_name("Notifications, 1 unread", timeout=LIMIT)
    expect(bell(other)).to_have_accessible_name("Notifications")
    assert "known already" in add_scores(teacher, scores_of(range(3, 6)))
    listed = opened(student)
    listed.get_by_role("button", name="See your scores").click()
    expect(student.get_by_role("tabpanel", name="Performance")).to_contain_text("Your exercises")
    expect(bell(student)).to_have_accessible_name("Notifications")


def test_keys_alone_open_the_list_read_it_and_come_back(meet: Meet) -> None:
    teacher, student = meet().in_window("Instructor"), meet().in_window("Student 7")
    expect(live(student)).to_be_visible()
    tab(teacher, "Performance")
    add_scores(teacher, "user,activity,score,max,at\nstudent-7,Exercise 9,8,20,2026-10-01\n")
    expect(bell(student)).to_have_accessible_name("Notifications, 1 unread", timeout=LIMIT)
    bell(student).focus()
    student.keyboard.press("Enter")
    listed = student.get_by_role("dialog", name="Notifications")
    expect(listed).to_be_visible()
    listed.get_by_role("button", name="Mark all as read").focus()
    student.keyboard.press("Enter")
    expect(listed.get_by_role("button", name="Mark all as read")).to_be_disabled()
    student.keyboard.press("Escape")
    expect(listed).to_have_count(0)
    expect(bell(student)).to_be_focused()
    expect(bell(student)).to_have_accessible_name("Notifications")


def test_an_empty_list_says_what_will_be_there_and_the_phone_has_the_bell(meet: Meet) -> None:
    course = meet(viewport={"width": 360, "height": 720}, has_touch=True).in_window("Student 4", "Empty course")
    expect(bell(course)).to_be_visible()
    box = bell(course).bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 44
    assert box["x"] + box["width"] <= 360
    expect(opened(course)).to_contain_text("Nothing yet.")


def test_e_mail_is_offered_where_there_is_a_mail_server_and_stays_off(browser: Browser, mailing: RunningServer) -> None:
    with meeting(browser, mailing) as meet:
        person = meet()
        course = person.in_window("Student 4")
        expect(live(course)).to_be_visible()
        course.get_by_role("button", name="Language, theme").click()
        choice = course.get_by_role("checkbox", name="Tell me about this course by e-mail too")
        expect(choice).to_be_checked()
        choice.uncheck()
        course.get_by_role("radio", name="العربية").check()
        expect(course.locator("html")).to_have_attribute("dir", "rtl")
        course.keyboard.press("Escape")
        again = person.in_frame("Student 4")
        expect(again.get_by_role("heading", level=1)).to_be_visible()
        again.locator("header .tool").first.click()
        expect(again.get_by_role("dialog").get_by_role("checkbox").last).not_to_be_checked()


def test_without_a_mail_server_there_is_no_word_of_e_mail(meet: Meet) -> None:
    course = meet().in_window("Student 4")
    expect(live(course)).to_be_visible()
    course.get_by_role("button", name="Language, theme").click()
    expect(course.get_by_role("dialog").get_by_text("Theme", exact=True)).to_be_visible()
    expect(course.get_by_role("dialog").get_by_text("E-mail")).to_have_count(0)
