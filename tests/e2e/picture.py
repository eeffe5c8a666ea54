"""Take the picture of the README: `python -m tests.e2e.picture` writes docs/pictures/course.png.

Everything in it is real: a server, launches through the practice LMS, a lecture that was uploaded, prepared and
plays, and messages that three people wrote.
"""

import os
import re
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.e2e.people import Meet, find_browser, live, meeting, messages, say, start_browser, tab
from tests.e2e.teaching import add_captions, choose_video, ready_row, set_chapters
from tests.media import ffmpeg
from tests.running import running_server

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "course.png"
MOST_BYTES = 150_000
TITLE = "Lecture 7: Interference"
SECONDS = 160
# Rings from two slits on the left; they move by one wavelength in 2 s, so that the loop has no seam.
_WAVES = "geq=lum='40+50*(2+sin(hypot(X,Y-H*0.38)/14-PI*T)+sin(hypot(X,Y-H*0.62)/14-PI*T))/(1+X/W)/2':cb=150:cr=112"
CHAPTERS = "0:00 Waves on water\n0:34 Two slits\n1:12 Path difference\n1:50 The stripes"
LINES = [
    "Look at the rings from one slit alone: nothing surprising so far.",
    "Now we open the second slit, and the rings run through each other.",
    "Where two crests meet, the wave is twice as high.",
    "Where a crest meets a trough, the water stays flat.",
    "So the question is how much farther one wave had to travel.",
    "A whole wavelength farther: they meet in step again.",
    "Half a wavelength farther: they cancel each other out.",
    "That is all there is to the bright and dark stripes.",
]
EACH = SECONDS // (2 * len(LINES))


def captions() -> str:
    """The lines over the whole lecture."""
    cues = [
        f"{stamp(number * EACH)} --> {stamp((number + 1) * EACH)}\n{LINES[number % len(LINES)]}"
        for number in range(2 * len(LINES))
    ]
    return "\n\n".join(["WEBVTT", *cues, ""])


def stamp(seconds: int) -> str:
    """Seconds as WebVTT writes them."""
    return f"{seconds // 60:02}:{seconds % 60:02}.000"


def film(folder: Path) -> Path:
    """The lecture: waves behind two slits, with a quiet tone."""
    wave, whole = folder / "wave.mp4", folder / "lecture-7.mp4"
    source = f"color=c=gray:s=1280x720:r=12:d=2,format=yuv420p,{_WAVES}"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "veryfast", str(wave))
    tone = ("-f", "lavfi", "-i", f"sine=f=220:d={SECONDS}")
    looped = ("-stream_loop", "-1", "-i", str(wave), *tone, "-t", str(SECONDS))
    ffmpeg(*looped, "-c:v", "copy", "-c:a", "aac", "-af", "volume=0.05", str(whole))
    return whole


def prepare(meet: Meet, lecture: Path) -> None:
    """The instructor's lecture with captions and chapters."""
    teacher = meet().in_window("Instructor")
    panel = tab(teacher, "Upload")
    choose_video(panel, TITLE, lecture)
    expect(ready_row(panel, TITLE)).to_be_visible(timeout=180_000)
    add_captions(teacher, panel, TITLE, captions())
    set_chapters(teacher, panel, TITLE, CHAPTERS)
    teacher.close()


def take(meet: Meet, path: Path) -> None:
    """Three people talk; what Student 4 sees while the lecture plays."""
    teacher, other = meet().in_window("Instructor"), meet().in_window("Student 7")
    seen = meet(viewport={"width": 1100, "height": 720}, color_scheme="light").in_window("Student 4")
    talk = [
        (teacher, "Good morning. Today: why two lamps never make stripes on the wall, and two slits do."),
        (other, "Is the flat line at 0:38 where they cancel?"),
        (seen, "I think so, crest on trough. But why does it stay in the same place?"),
        (teacher, "Because both slits are lit by one wave. Watch 1:12 for the path difference."),
        (other, "Ah, so with two lamps the stripes jump about too fast to see."),
        (teacher, "Exactly. The exercise for Friday is about how fast."),
    ]
    for number, (course, text) in enumerate(talk, 1):
        expect(live(course)).to_be_visible()
        say(course, text)
        expect(messages(seen)).to_have_count(number)
    player = seen.get_by_role("region", name=f"Player: {TITLE}")
    seen.get_by_role("button", name=re.compile("Two slits")).first.click()
    player.get_by_role("button", name="Play", exact=True).click()
    expect(player.get_by_text(re.compile(r"^0:3[6-9] / 2:40$"))).to_be_visible(timeout=20_000)
    other.get_by_role("textbox", name="Message the room").press_sequentially("How")
    expect(seen.get_by_text("Student 7 is writing…")).to_be_visible()
    player.hover(position={"x": 360, "y": 120})
    seen.screenshot(path=path, animations="disabled")


def main() -> int:
    """Take the picture; returns 1 where there is no browser, or where the picture is too large."""
    browser_path = find_browser(os.environ.get("GUIDE_TEST_CHROMIUM"))
    if browser_path is None:
        print("no Chromium is installed", file=sys.stderr)  # noqa: T201 - it talks to a person
        return 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lecture, raw = film(folder), folder / "course.png"
        with running_server(folder / "data") as server, sync_playwright() as playwright:
            browser = start_browser(playwright, browser_path)
            with meeting(browser, server) as meet:
                prepare(meet, lecture)
                take(meet, raw)
            browser.close()
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        palette = "split[a][b];[a]palettegen=max_colors=144:stats_mode=single[p];[b][p]paletteuse=dither=none"
        ffmpeg("-i", str(raw), "-vf", palette, "-compression_level", "100", str(PICTURE))
    size = PICTURE.stat().st_size
    print(f"{PICTURE.name}: {size:,} bytes")  # noqa: T201 - as above
    return 0 if size <= MOST_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
