"""What an instructor does in the course page: uploads, captions, chapters, scores."""

import re
from pathlib import Path

from playwright.sync_api import FilePayload, Frame, Locator, Page, Route, expect

from tests.e2e.people import tab

PREPARED = 45_000
"""Milliseconds for ffmpeg to prepare some seconds of video on two busy cores."""


def choose_video(panel: Locator, title: str, file: Path | FilePayload) -> None:
    """Give a lecture a title and its file, as with the file chooser."""
    panel.get_by_role("textbox", name="Title").fill(title)
    with panel.page.expect_file_chooser() as chooser:
        panel.get_by_role("button", name="Choose a video").click()
    chooser.value.set_files(file)


def ready_row(panel: Locator, title: str) -> Locator:
    """The row of a lecture that is ready."""
    return panel.get_by_role("region", name="Ready").get_by_role("row").filter(has_text=title)


class Gate:
    """Holds requests until it is opened."""

    def __init__(self) -> None:
        self._held: list[Route] = []
        self._opened = False

    def pass_on(self, route: Route) -> None:
        if self._opened:
            route.continue_()
        else:
            self._held.append(route)

    def open(self) -> None:
        self._opened = True
        while self._held:
            self._held.pop().continue_()


def upload(course: Frame | Page, title: str, file: Path, captions: str = "", chapters: str = "") -> None:
    """Upload a lecture, wait until it is ready, then add what goes with it."""
    panel = tab(course, "Upload")
    choose_video(panel, title, file)
    expect(ready_row(panel, title)).to_be_visible(timeout=PREPARED)
    if captions:
        add_captions(course, panel, title, captions)
    if chapters:
        set_chapters(course, panel, title, chapters)


def add_captions(course: Frame | Page, panel: Locator, title: str, text: str) -> None:
    """Give a lecture English captions."""
    ready_row(panel, title).get_by_role("button", name=re.compile("^add")).click()
    dialog = course.get_by_role("dialog")
    dialog.get_by_label("Caption file").set_input_files(
        FilePayload(name="lecture.vtt", mimeType="text/vtt", buffer=text.encode())
    )
    expect(dialog).to_contain_text(re.compile(rf"lecture\.vtt: {text.count('-->')} lines?"))
    dialog.get_by_role("button", name="Save the captions").click()
    expect(dialog).to_be_hidden()


def set_chapters(course: Frame | Page, panel: Locator, title: str, text: str) -> None:
    """Give a lecture its chapters."""
    ready_row(panel, title).get_by_role("button", name=re.compile("^Chapters")).click()
    dialog = course.get_by_role("dialog")
    dialog.get_by_role("textbox").fill(text)
    dialog.get_by_role("button", name=re.compile("^Save")).click()
    expect(dialog).to_be_hidden()


def scores_of(students: range, activities: int = 4) -> str:
    """Scores as CSV: a few high, a few low; student 1 fails."""
    rows = [
        f"student-{student},Exercise {number},{4 if student == 1 else 8 + student % 12},20,2026-10-{number + 1:02d}"
        for student in students
        for number in range(1, activities + 1)
    ]
    return "\n".join(["user,activity,score,max,at", *rows, ""])


def add_scores(course: Frame | Page, content: str) -> str:
    """Add scores from a file in the open performance part; what the dialog says."""
    course.get_by_role("button", name="Add scores…").click()
    dialog = course.get_by_role("dialog", name="Add scores")
    dialog.get_by_label("CSV file").set_input_files(
        FilePayload(name="scores.csv", mimeType="text/csv", buffer=content.encode())
    )
    dialog.get_by_role("button", name="Add the scores").click()
    expect(dialog.get_by_text(re.compile(r"lines? saved"))).to_be_visible()
    said = dialog.inner_text()
    dialog.get_by_role("button", name="Close").last.click()
    expect(dialog).to_be_hidden()
    return said
