"""What instructors set of lectures, and the small pictures along the seek bar: by mouse, finger and keys."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Frame, Locator, Page, expect

from tests.e2e.people import Meet, play, tab
from tests.e2e.teaching import PREPARED, Gate, add_captions, ready_row, upload
from tests.media import clip

CAPTIONS = "WEBVTT\n\n00:00.000 --> 00:02.000\nLight is a wave.\n"


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds: four pictures."""
    return clip(tmp_path_factory.mktemp("clips") / "long.mp4", size="320x180", seconds=20, extra=("-g", "25"))


def bubble(course: Frame | Page) -> Locator:
    """What stands over the seek bar."""
    return course.locator(".preview")


def offset(course: Frame | Page) -> int:
    """How far the shown picture lies from its sheet's left edge, in px."""
    place = course.locator(".preview .tile").evaluate("one => getComputedStyle(one).backgroundPositionX")
    return round(-float(str(place).removesuffix("px")))


@pytest.mark.timeout(150)
def test_the_seek_bar_shows_pictures_by_mouse_finger_and_keys(meet: Meet, lecture: Path) -> None:
    teacher = meet().in_window("Instructor")
    upload(teacher, "With pictures", lecture)
    student = meet().in_window("Student 4")
    # Play is pressed before what plays has come: once is enough.
    engine = Gate()
    student.route("**/hls*.js", engine.pass_on)
    student.reload()
    player = student.get_by_role("region", name="Player: With pictures")
    player.get_by_role("button", name="Play", exact=True).click()
    engine.open()
    expect(player.get_by_text(re.compile(r"^0:0[1-9] / 0:20$"))).to_be_visible(timeout=20_000)
    student.get_by_role("button", name="Pause").click()
    qualities = player.get_by_role("combobox", name="Quality").get_by_role("option").all_text_contents()
    assert qualities[1:] == ["180p-lean", "180p"], "two of one height have each its own name"
    bar = student.get_by_role("slider", name="Position")
    box = bar.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    with student.expect_response(re.compile(r"preview/00001\.jpg")) as sheet:
        student.mouse.move(box["x"] + box["width"] * 0.4, y)
    assert sheet.value.status == 200
    expect(bubble(student)).to_contain_text(re.compile("0:0[78]"))
    assert offset(student) == 160
    student.mouse.move(box["x"] + box["width"] * 0.95, y)
    assert offset(student) == 3 * 160
    student.mouse.down()
    student.mouse.move(box["x"] + box["width"] * 0.05, y, steps=3)
    expect(bubble(student)).to_contain_text("0:01")
    assert offset(student) == 0
    student.mouse.up()
    student.mouse.move(5, 5)
    expect(bubble(student)).to_have_count(0)
    # By keys: the picture of where they lead, gone by Escape; the slider itself says the time.
    bar.focus()
    student.keyboard.press("End")
    expect(bubble(student)).to_contain_text(re.compile("0:(19|20)"))
    assert offset(student) == 3 * 160
    student.keyboard.press("Home")
    expect(bubble(student)).to_contain_text("0:00")
    expect(bar).to_have_attribute("aria-valuetext", re.compile("0:00"))
    expect(student.locator(".preview .tile")).to_have_attribute("aria-hidden", "true")
    student.keyboard.press("Escape")
    expect(bubble(student)).to_have_count(0)
    # By finger: shown while it is down.
    fingers = student.context.new_cdp_session(student)
    place = {"x": box["x"] + box["width"] * 0.58, "y": y}
    fingers.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [place]})
    expect(bubble(student)).to_contain_text("0:11")
    assert offset(student) == 160
    fingers.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(bubble(student)).to_have_count(0)


@pytest.mark.timeout(150)
def test_students_are_shown_a_lecture_only_once_it_has_captions(meet: Meet, lecture: Path) -> None:
    teacher, watching = meet().in_window("Instructor"), meet()
    # What is held back stops at the address that the page has: 403 for it, 404 for the lecture.
    watching.expected += ["status of 403", "status of 404"]
    student = watching.in_window("Student 4")
    upload(teacher, "Held back", lecture)
    listed = tab(student, "All lectures")
    expect(listed.get_by_text("Held back")).to_be_visible()
    panel = tab(teacher, "Upload")
    switch = panel.get_by_role("checkbox", name="Show students a lecture only once it has captions")
    expect(switch).not_to_be_checked()
    switch.check()
    expect(ready_row(panel, "Held back")).to_contain_text("students")
    student.reload()
    listed = tab(student, "All lectures")
    expect(listed.get_by_text("Held back")).to_have_count(0)
    add_captions(teacher, panel, "Held back", CAPTIONS)
    expect(listed.get_by_text("Held back")).to_be_visible()
    teacher.reload()
    panel = tab(teacher, "Upload")
    expect(panel.get_by_role("checkbox", name=re.compile("only once it has captions"))).to_be_checked()
    panel.get_by_role("checkbox", name=re.compile("only once it has captions")).uncheck()
    expect(panel.get_by_role("checkbox", name=re.compile("only once it has captions"))).not_to_be_checked()


@pytest.mark.timeout(150)
def test_a_ready_lecture_is_prepared_again_while_it_plays(meet: Meet, lecture: Path) -> None:
    teacher = meet().in_window("Instructor")
    upload(teacher, "Once more", lecture)
    student = meet().in_window("Student 7")
    play(student, "Once more", "0:20")
    panel = tab(teacher, "Upload")
    row = ready_row(panel, "Once more")
    with teacher.expect_response(re.compile("/reprocess$")) as asked:
        row.get_by_role("button", name=re.compile("^Prepare again")).click()
    assert asked.value.status == 202
    expect(row.get_by_role("button", name=re.compile("^Prepare again"))).to_be_visible(timeout=PREPARED)
    student.reload()
    play(student, "Once more", "0:20")
