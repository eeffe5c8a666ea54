"""Lectures: uploaded with progress, prepared, watched by a student without a reload, with captions and transcript.

They are kept in a bucket here, from which the browser plays; those of other files are kept in the data directory.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import FilePayload, Frame, Locator, Page, expect

from atomic_guide.engines.assets.settings import StoreSettings
from tests.e2e.people import LIMIT, Meet, live, play, tab
from tests.e2e.teaching import PREPARED, Gate, add_captions, choose_video, ready_row
from tests.media import clip
from tests.running import RunningServer, running_server
from tests.s3 import S3, names_in

CAPTIONS = """WEBVTT

00:00.000 --> 00:02.000
Light is a wave.

00:02.000 --> 00:08.000
Two slits make a pattern of fringes.
"""
# Steps can pass faster than a test looks; what was on the page at any time is what a person had a chance to see.
_WATCH = """() => {
  window.seen = new Set();
  const note = () => {
    for (const card of document.querySelectorAll('#panel-upload article')) window.seen.add(card.innerText);
    for (const bar of document.querySelectorAll('#panel-upload article [role=progressbar]'))
      window.seen.add(`at ${bar.getAttribute('aria-valuenow')}`);
  };
  new MutationObserver(note).observe(document.body, {childList: true, subtree: true, attributes: true,
    characterData: true});
}"""


@pytest.fixture(scope="module")
def bucket(service: S3) -> StoreSettings:
    return service.store("watched")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bucket: StoreSettings) -> Iterator[RunningServer]:
    stores = json.dumps([msgspec.to_builtins(bucket)])
    data = tmp_path_factory.mktemp("e2e") / "data"
    with running_server(data, QUEUES_BUSY_LOAD="1000", ASSETS_MAIN=bucket.name, ASSETS_STORES=stores) as found:
        yield found


@pytest.fixture(scope="module")
def lecture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds, about 3 MB."""
    return clip(tmp_path_factory.mktemp("clips") / "slits.mp4", size="640x480", seconds=8, extra=("-g", "25"))


def seen(course: Frame | Page) -> str:
    """Everything the upload page has shown since it was watched."""
    return str(course.evaluate("[...window.seen].join('\\n')"))


@pytest.mark.timeout(150)
def test_an_upload_is_followed_by_its_steps_and_a_student_watches_it_without_a_reload(
    meet: Meet, lecture: Path, bucket: StoreSettings
) -> None:
    teacher, student = meet().in_window("Instructor"), meet().in_frame("Student 4")
    expect(student.get_by_text("No lectures yet")).to_be_visible()
    expect(live(student)).to_be_visible()
    # Heard from the start: the player fetches the first seconds before anybody plays them.
    fetched: list[str] = []
    student.page.on("response", lambda answer: fetched.append(answer.url) if answer.ok else None)
    panel = tab(teacher, "Upload")
    teacher.evaluate(_WATCH)
    gate = Gate()
    teacher.route("**/api/video/upload/*", gate.pass_on)
    choose_video(panel, "The two slits", lecture)
    card = panel.get_by_role("article").filter(has_text="The two slits")
    expect(card.get_by_text("Uploading", exact=True)).to_be_visible()
    expect(card).to_contain_text("slits.mp4")
    expect(card).to_contain_text(re.compile(r"\d (kB|bytes?) of [\d.]+ MB|0 .* of [\d.]+ [kM]B"))
    expect(card.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "0")
    gate.open()
    row = ready_row(panel, "The two slits")
    expect(row).to_contain_text("480p", timeout=PREPARED)
    expect(row).to_contain_text("0:08")
    shown = seen(teacher)
    assert "Processing" in shown
    for step in ("Received", "Checked", "Poster", "240p", "480p"):
        assert step in shown, shown
    assert len(set(re.findall(r"at (\d+)", shown))) >= 3, shown
    expect(student.get_by_role("heading", name="The two slits")).to_be_visible()
    play(student, "The two slits", "0:08")
    played = {url.partition("?")[0].rpartition("/")[2] for url in fetched if f"/{bucket.bucket}/main/" in url}
    assert any(name.endswith(".m4s") for name in played), fetched
    assert any(name.endswith("/source") for name in names_in(bucket))


@pytest.mark.timeout(90)
def test_captions_become_text_on_the_picture_and_a_transcript_to_jump_by(meet: Meet, lecture: Path) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 7")
    panel = tab(teacher, "Upload")
    add_captions(teacher, panel, "The two slits", CAPTIONS)
    expect(ready_row(panel, "The two slits")).to_contain_text("English")
    transcript = student.get_by_role("region", name="Transcript")
    expect(transcript.get_by_role("listitem")).to_have_text([re.compile("Light is a wave"), re.compile("Two slits")])
    transcript.get_by_role("button", name=re.compile("Two slits")).click()
    expect(student.get_by_text("0:02 / 0:08")).to_be_visible()
    captions = student.get_by_role("button", name="CC English")
    if captions.get_attribute("aria-pressed") == "false":
        captions.click()
    player = student.get_by_role("region", name="Player: The two slits")
    expect(player.get_by_text("Two slits make a pattern of fringes.")).to_be_visible()


@pytest.mark.timeout(90)
def test_a_newer_lecture_does_not_take_away_the_one_that_is_watched(meet: Meet, lecture: Path) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 4")
    other = meet().in_frame("Student 7")
    play(student, "The two slits", "0:08")
    student.get_by_role("button", name="Pause").click()
    panel = tab(teacher, "Upload")
    choose_video(panel, "A newer one", lecture)
    expect(ready_row(panel, "A newer one")).to_be_visible(timeout=PREPARED)
    expect(other.get_by_role("heading", name="A newer one")).to_be_visible()
    expect(student.get_by_role("heading", name="The two slits")).to_be_visible()
    listed = tab(student, "All lectures")
    listed.get_by_role("button", name="A newer one").click()
    expect(student.get_by_role("heading", name="A newer one")).to_be_visible()


@pytest.mark.timeout(90)
def test_a_broken_file_fails_with_a_reason_and_students_never_see_it(meet: Meet, lecture: Path) -> None:
    instructor = meet()
    # A page that asks for a lecture in the moment in which it deletes it is told that there is none.
    instructor.expected.append("status of 404")
    teacher, student = instructor.in_frame("Instructor"), meet().in_frame("Student 4")
    panel = tab(teacher, "Upload")
    whole = lecture.read_bytes()
    broken = FilePayload(name="cut.mp4", mimeType="video/mp4", buffer=whole[: len(whole) // 3])
    choose_video(panel, "Cut short", broken)
    card = panel.get_by_role("article").filter(has_text="Cut short")
    expect(card.get_by_text("Failed", exact=True)).to_be_visible(timeout=PREPARED)
    reason = card.get_by_role("alert").inner_text()
    assert len(reason.split()) >= 6, reason
    assert not re.search(r"moov|ffmpeg|Traceback|Invalid data", reason), reason
    expect(tab(student, "All lectures").get_by_text("Cut short")).to_have_count(0)
    card.get_by_role("button", name="Delete").click()
    teacher.get_by_role("dialog").get_by_role("button", name="Delete “Cut short”").click()
    expect(card).to_have_count(0)


def test_what_is_no_video_is_refused_at_once_with_a_reason(meet: Meet) -> None:
    person = meet()
    person.expected.append("status of 415")
    panel = tab(person.in_frame("Instructor"), "Upload")
    choose_video(
        panel, "Notes", FilePayload(name="notes.mp4", mimeType="video/mp4", buffer=b"These are my notes.\n" * 50)
    )
    card = panel.get_by_role("article").filter(has_text="Notes")
    expect(card.get_by_text("Failed", exact=True)).to_be_visible()
    expect(card.get_by_role("alert")).to_have_text(
        re.compile(r"This is text, no video\. Choose the recording, such as")
    )
    with card.page.expect_file_chooser():
        card.get_by_role("button", name="Choose another file").click()
    expect(panel.get_by_role("textbox", name="Title")).to_have_value("Notes")
    expect(card).to_have_count(0)


@pytest.mark.timeout(90)
def test_an_upload_that_was_interrupted_waits_for_its_file_or_is_discarded(meet: Meet, lecture: Path) -> None:
    person = meet()
    person.expected.append("net::ERR_FAILED")
    teacher = person.in_window("Instructor")
    teacher.route(
        "**/api/video/upload/*",
        lambda route: route.abort() if route.request.method == "PATCH" else route.continue_(),
    )

    def shown() -> Locator:
        return tab(teacher, "Upload").get_by_role("article").filter(has_text="Half a lecture")

    choose_video(tab(teacher, "Upload"), "Half a lecture", lecture)
    expect(shown()).to_contain_text("Waiting for the connection")
    teacher.reload()
    expect(shown()).to_contain_text("Interrupted", timeout=LIMIT)
    expect(shown()).to_contain_text("Choose “slits.mp4” again to go on.")
    with teacher.expect_file_chooser() as chooser:
        shown().get_by_role("button", name="Choose the file").click()
    chooser.value.set_files(lecture)
    # Under the title that it was given, though no title was typed again.
    expect(shown()).to_contain_text("Waiting for the connection")
    teacher.reload()
    shown().get_by_role("button", name="Discard").click(timeout=LIMIT)
    expect(shown()).to_have_count(0)
    teacher.reload()
    expect(tab(teacher, "Upload").get_by_text("Nothing is being uploaded or prepared.")).to_be_visible(timeout=LIMIT)


@pytest.mark.timeout(90)
def test_a_lecture_that_is_deleted_leaves_the_student(meet: Meet, lecture: Path) -> None:
    teacher, student = meet().in_frame("Instructor"), meet().in_frame("Student 4")
    listed = tab(student, "All lectures")
    expect(listed.get_by_text("The two slits")).to_be_visible()
    panel = tab(teacher, "Upload")
    ready_row(panel, "The two slits").get_by_role("button", name="Delete").click()
    dialog = teacher.get_by_role("dialog")
    expect(dialog).to_contain_text("cannot be undone")
    dialog.get_by_role("button", name="Delete “The two slits”").click()
    expect(ready_row(panel, "The two slits")).to_have_count(0)
    expect(listed.get_by_text("The two slits")).to_have_count(0)
