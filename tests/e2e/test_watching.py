"""How a lecture is watched: seen by the instructor, and gone on with on another device."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Frame, Page, Request, expect

from tests.e2e.people import Meet, live, meeting, tab
from tests.e2e.teaching import upload
from tests.media import clip
from tests.running import RunningServer

TITLE = "The pendulum"
COUNTED = 15_000
"""Milliseconds until what a page has sent is counted, on two busy cores."""


@pytest.fixture(scope="module", autouse=True)
def _lecture(browser: Browser, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A lecture of a minute."""
    file = clip(tmp_path_factory.mktemp("clips") / "pendulum.mp4", size="320x180", seconds=60)
    with meeting(browser, server) as meet:
        teacher = meet().in_window("Instructor")
        expect(live(teacher)).to_be_visible()
        upload(teacher, TITLE, file)
        expect(tab(teacher, "Lecture and room").get_by_text("No student has watched this lecture yet.")).to_be_visible()
        yield


def watch(course: Frame | Page, forward: int, until: str) -> None:
    """Jump ten seconds so often, play until the clock shows a time, pause."""
    player = course.get_by_role("region", name=f"Player: {TITLE}")
    player.focus()
    for _ in range(forward):
        player.press("l")
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_text(f"{until} / 1:00")).to_be_visible(timeout=20_000)
    player.get_by_role("button", name="Pause").click()


@pytest.mark.timeout(150)
def test_what_a_student_watches_is_shown_to_the_instructor_and_gone_on_with_elsewhere(meet: Meet) -> None:
    desk = meet()
    posts: list[Request] = []
    desk.context.on("request", lambda sent: posts.append(sent) if sent.url.endswith("/analytics/events") else None)
    student = desk.in_frame("Student 4")
    expect(live(student)).to_be_visible()
    watch(student, 2, "0:24")
    with desk.context.expect_event("response", lambda answer: answer.url.endswith("/analytics/events")):
        pass
    batches = [(post.post_data_json or {})["events"] for post in posts]
    sent = [event for batch in batches for event in batch]
    kinds = [event["type"] for event in sent]
    assert kinds[:2] == ["opened", "played"]
    assert set(kinds) <= {"opened", "played", "watched", "paused"}
    assert all(0 < len(batch) <= 100 for batch in batches)
    spans = [(event["data"]["from"], event["data"]["to"]) for event in sent if event["type"] == "watched"]
    assert spans[0][0] == 20
    assert spans[-1][1] in {24, 25}
    teacher = meet().in_window("Instructor")
    card = teacher.get_by_role("region", name="How it is watched")
    expect(card).to_contain_text("1 viewer · 1 view", timeout=COUNTED)
    expect(card.get_by_role("img")).to_have_accessible_name(re.compile(r"^Most viewers, 1, were at 0:20; 0 watched"))
    card.get_by_role("button", name="Table").click()
    expect(card.get_by_role("row").filter(has_text="Student 4")).to_contain_text(re.compile(r"[78]%"))
    phone = meet(viewport={"width": 360, "height": 720}, has_touch=True).in_window("Student 4")
    expect(phone.get_by_role("region", name=f"Player: {TITLE}").get_by_text("0:24 / 1:00")).to_be_visible()
    expect(phone.get_by_role("region", name="How it is watched")).to_have_count(0)


@pytest.mark.timeout(90)
def test_leaving_the_page_sends_what_was_watched(meet: Meet) -> None:
    person = meet()
    student = person.in_window("Student 7")
    expect(live(student)).to_be_visible()
    player = student.get_by_role("region", name=f"Player: {TITLE}")
    player.focus()
    for _ in range(3):
        player.press("l")
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_text("0:33 / 1:00")).to_be_visible(timeout=20_000)
    student.close()
    again = person.in_window("Student 7")
    # This browser's own memory would do; what counts is what the server was told.
    again.evaluate("localStorage.clear()")
    expect(live(again)).to_be_visible()
    elsewhere = meet().in_window("Student 7")
    expect(
        elsewhere.get_by_role("region", name=f"Player: {TITLE}").get_by_text(re.compile(r"^0:3[2-5] / 1:00$"))
    ).to_be_visible(timeout=COUNTED)


@pytest.mark.timeout(60)
def test_nothing_is_sent_where_nothing_happens(meet: Meet) -> None:
    person = meet()
    posts: list[str] = []
    person.context.on(
        "request", lambda sent: posts.append(sent.url) if sent.url.endswith("/analytics/events") else None
    )
    student = person.in_window("Student 7")
    expect(live(student)).to_be_visible()
    student.wait_for_timeout(4000)
    assert len(posts) == 1
