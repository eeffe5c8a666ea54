"""A keyboard is enough, nothing moves for those who asked for that, and one way leads from launch to lecture."""

import time

import pytest
from playwright.sync_api import Browser, expect

from tests.e2e.people import Meet, live, meeting, messages, play, tab
from tests.e2e.teaching import upload
from tests.media import clip
from tests.running import RunningServer


@pytest.fixture(scope="module", autouse=True)
def _course(browser: Browser, server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A course with a lecture of eight seconds."""
    lecture = clip(tmp_path_factory.mktemp("clips") / "lecture.mp4", size="640x360", seconds=8)
    with meeting(browser, server) as meet:
        upload(meet().in_window("Instructor"), "The two slits", lecture)


def test_the_first_stop_skips_to_the_content_and_the_tabs_follow(meet: Meet) -> None:
    window = meet().in_window("Instructor")
    expect(live(window)).to_be_visible()
    window.keyboard.press("Tab")
    skip = window.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    window.keyboard.press("Tab")
    expect(window.get_by_role("tab", name="Lecture and room")).to_be_focused()
    window.keyboard.press("ArrowRight")
    expect(window.get_by_role("tab", name="Performance")).to_be_focused()
    expect(window.get_by_role("tabpanel", name="Performance")).to_be_visible()
    window.keyboard.press("End")
    expect(window.get_by_role("tabpanel", name="Upload")).to_be_visible()
    window.keyboard.press("ArrowRight")
    expect(window.get_by_role("tab", name="Lecture and room")).to_have_attribute("aria-selected", "true")
    skip.focus()
    window.keyboard.press("Enter")
    expect(window.locator("main")).to_be_focused()


def test_everything_of_the_room_is_reached_in_order_and_a_message_is_sent(meet: Meet) -> None:
    window = meet().in_window("Student 4")
    expect(live(window)).to_be_visible()
    window.locator("main").focus()
    reached = []
    for _ in range(30):
        window.keyboard.press("Tab")
        name = window.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText")
        reached.append(name)
        if name == "Message the room":
            break
    assert reached[0].startswith("Player: The two slits")
    order = [reached.index(name) for name in ("Play", "Position", "People", "Messages", "Message the room")]
    assert order[2:] == sorted(order[2:]), reached
    assert max(order[:2]) < order[2], reached
    window.keyboard.type("typed without a mouse")
    window.keyboard.press("Enter")
    expect(messages(window).last).to_contain_text("typed without a mouse")
    expect(window.get_by_role("textbox", name="Message the room")).to_be_focused()


def test_letters_act_in_the_player_only_and_can_be_switched_off(meet: Meet) -> None:
    window = meet().in_window("Student 4")
    expect(live(window)).to_be_visible()
    player = window.get_by_role("region", name="Player: The two slits")
    box = window.get_by_role("textbox", name="Message the room")
    box.press_sequentially("kkk")
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()
    player.press("?")
    expect(window.get_by_role("dialog", name="Keys of the player")).to_be_visible()
    window.keyboard.press("Escape")
    expect(player).to_be_focused()
    player.press("k")
    expect(player.get_by_role("button", name="Pause")).to_be_visible()
    player.press("k")
    window.get_by_role("button", name="Language, theme").click()
    window.get_by_role("checkbox", name="On").uncheck()
    window.keyboard.press("Escape")
    player.press("k")
    player.press("?")
    expect(player.get_by_role("button", name="Play", exact=True)).to_be_visible()
    expect(window.get_by_role("dialog")).to_have_count(0)


def test_nothing_moves_under_reduced_motion(meet: Meet) -> None:
    course = meet(reduced_motion="reduce").in_frame("Student 4")
    expect(live(course)).to_be_visible()
    tab(course, "All lectures")
    moving = """[...document.querySelectorAll('*')].filter((one) => {
      const style = getComputedStyle(one);
      return parseFloat(style.transitionDuration) > 0 || parseFloat(style.animationDuration) > 0;
    }).length"""
    assert course.evaluate(moving) == 0


def test_the_page_in_a_frame_does_not_scroll_and_the_composer_stays_visible(meet: Meet) -> None:
    for size in ({"width": 1100, "height": 720}, {"width": 360, "height": 640}):
        window = meet(viewport=size).in_window("Student 4")
        expect(live(window)).to_be_visible()
        expect(window.get_by_role("textbox", name="Message the room")).to_be_in_viewport(ratio=1)
        page = window.evaluate(
            "(({scrollWidth, scrollHeight}) => [scrollWidth, scrollHeight])(document.documentElement)"
        )
        assert page == [size["width"], size["height"]]


def test_from_the_launch_to_a_played_lecture_is_far_within_a_minute(meet: Meet) -> None:
    page = meet().practice("Student 7")
    begun = time.monotonic()
    page.get_by_role("button", name="Launch as Student 7").click()
    frame = page.frame(name="course")
    assert frame is not None
    play(frame, "The two slits", "0:08")
    # The minute is from the start of the server; this is the part that is in the browser's hands.
    assert time.monotonic() - begun < 30
