"""Chapters of a video: titles with the second at which each begins. Pure."""

from __future__ import annotations

import msgspec

from atomic_guide.course.video.limits import CHAPTERS
from atomic_guide.errors import Invalid

TITLE_CHARACTERS = 200


class Chapter(msgspec.Struct, frozen=True):
    """One chapter; `start` in seconds."""

    start: float
    title: str


def check_chapters(chapters: list[Chapter], duration: float | None, most: int = 200) -> list[Chapter]:
    """The chapters, `most` of them, in order, with trimmed titles. Raises `Invalid` naming the chapter."""
    CHAPTERS.note(len(chapters))
    if len(chapters) > most:
        raise CHAPTERS.over(Invalid(f"a video may have {most} chapters, these are {len(chapters)}"))
    checked: list[Chapter] = []
    for number, chapter in enumerate(chapters, 1):
        title = " ".join(chapter.title.split())
        if not 1 <= len(title) <= TITLE_CHARACTERS or not title.isprintable():
            raise Invalid(
                f"chapter {number}: a title has 1 to {TITLE_CHARACTERS} characters", details={"chapter": number}
            )
        if not 0 <= chapter.start < (duration or 7 * 86400):
            raise Invalid(f"chapter {number}: it begins outside the video", details={"chapter": number})
        checked.append(Chapter(chapter.start, title))
    checked.sort(key=lambda chapter: chapter.start)
    starts = [chapter.start for chapter in checked]
    if len(set(starts)) < len(starts):
        raise Invalid("two chapters begin at the same time")
    return checked
