"""From the LMS into the course: inside a cross-site frame, in a window, or refused with a reason."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.e2e.people import LIMIT, Meet, course_frame, live
from tests.running import RunningServer


@pytest.mark.parametrize(
    ("name", "tabs"),
    [
        ("Instructor", ["Lecture and room", "Performance", "Upload"]),
        ("Student 4", ["Lecture and room", "Performance", "All lectures"]),
    ],
)
def test_the_course_opens_inside_the_page_of_the_lms(
    meet: Meet, server: RunningServer, name: str, tabs: list[str]
) -> None:
    person = meet()
    course = person.in_frame(name)
    assert course.url == f"{server.url}/course"
    assert course.page.url.startswith("http://localhost:")
    expect(course.get_by_role("heading", level=1)).to_have_text("Waves and Optics 101")
    expect(course.get_by_role("tab")).to_have_text(tabs)
    expect(live(course)).to_be_visible()
    course.get_by_role("button", name="People").click()
    expect(course.get_by_role("dialog").get_by_role("listitem")).to_have_text([re.compile(f"{name}.*You")])


def test_the_binding_cookie_is_partitioned_and_no_script_reads_it(meet: Meet) -> None:
    person = meet()
    course = person.in_frame()
    expect(live(course)).to_be_visible()
    cookies = person.context.cookies()
    assert all(cookie.get("partitionKey") == "http://localhost" for cookie in cookies), cookies
    assert course.evaluate("document.cookie") == ""


def test_the_course_opens_in_a_window_of_its_own(meet: Meet, server: RunningServer) -> None:
    window = meet().in_window("Student 4")
    assert window.url == f"{server.url}/course"
    expect(live(window)).to_be_visible()


def test_where_the_frame_keeps_no_cookie_a_new_window_is_offered_and_works(meet: Meet) -> None:
    person = meet()

    def forget(route: Route) -> None:
        person.context.clear_cookies()
        route.continue_()

    person.context.route("**/lti/launch", forget, times=1)
    course = person.in_frame("Student 4")
    with person.context.expect_page() as opened:
        course.get_by_role("link", name=re.compile("window")).click()
    window = opened.value
    expect(window.get_by_role("heading", level=1)).to_have_text("Waves and Optics 101", timeout=LIMIT)
    expect(live(window)).to_be_visible()


def test_the_page_opens_itself_in_a_window_and_both_work(meet: Meet) -> None:
    person = meet()
    course = person.in_frame("Student 4")
    expect(live(course)).to_be_visible()
    with person.context.expect_page() as opened:
        course.get_by_role("button", name="Open in new window").click()
    expect(live(opened.value)).to_be_visible()
    expect(live(course)).to_be_visible()


@pytest.mark.parametrize("fault", ["A token that expired an hour ago", "A signature that is not the LMS's"])
def test_a_refused_launch_says_why(meet: Meet, fault: str) -> None:
    person = meet()
    person.expected.append("the server responded with a status of 4")
    page = person.practice("Student 4")
    page.get_by_text("Try a launch that must be refused").click()
    page.get_by_label("What is wrong with it").select_option(fault)
    code = page.locator("#code").inner_text()
    page.get_by_role("button", name="Launch it").click()
    refusal = course_frame(page)
    assert refusal.locator('meta[name="atomic-guide-error"]').get_attribute("content") == code
    assert refusal.locator('meta[name="atomic-guide-code"]').count() == 0
    expect(refusal.get_by_role("main")).to_contain_text(code)
    expect(refusal.get_by_role("main")).not_to_contain_text("`")


def test_where_the_frame_keeps_no_cookie_the_storage_of_the_lms_serves(meet: Meet) -> None:
    person = meet()

    def forget(route: Route) -> None:
        person.context.clear_cookies()
        route.continue_()

    person.context.route("**/lti/launch", forget, times=1)
    page = person.practice("Student 4")
    page.get_by_label("Offer the LMS's own storage").check()
    page.get_by_role("button", name="Launch as Student 4").click()
    course = course_frame(page)
    expect(course.get_by_role("heading", level=1)).to_have_text("Waves and Optics 101", timeout=LIMIT)
    expect(live(course)).to_be_visible()
    assert len(person.context.pages) == 1
