"""From `dev.py run` to a played lecture: what somebody with no LMS waits for on a machine that is set up.

    python -m bench.lecture [--seconds 30]

Starts the server with the README's command on a fresh data directory, launches through the practice LMS in Chromium
as an instructor, uploads an MP4, and lets a student play it. Prints when each step was reached, the goal being 60 s.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from tests.e2e.people import Person, find_browser, live, play, start_browser, tab
from tests.e2e.teaching import choose_video
from tests.media import clip
from tests.running import RunningServer

ROOT = Path(__file__).parents[1]
GOAL_SECONDS = 60.0
START_SECONDS = 120


class Watch:
    """Prints what was reached when."""

    def __init__(self) -> None:
        self._begun = time.monotonic()

    def reached(self, what: str) -> float:
        """Print a step; seconds since the beginning."""
        seconds = time.monotonic() - self._begun
        sys.stdout.write(f"{seconds:6.1f} s  {what}\n")
        sys.stdout.flush()
        return seconds


def ready_url(process: subprocess.Popen[str]) -> str:
    """The address that the server prints when it is ready."""
    for line in process.stdout or ():
        if line.startswith("ready "):
            return line.split()[1]
    raise SystemExit("the server ended before it was ready")


def watch_lecture(server: RunningServer, film: Path, length: str, watch: Watch) -> float:
    """Upload as the instructor, play as a student; seconds until the picture moves."""
    browser_path = find_browser(None)
    if browser_path is None:
        raise SystemExit("not shown: there is no Chromium")
    with sync_playwright() as playwright, start_browser(playwright, browser_path) as browser:
        teacher = Person(browser.new_context(), server).in_frame("Instructor")
        expect(live(teacher)).to_be_visible()
        watch.reached("launched as the instructor, inside the LMS's page")
        choose_video(tab(teacher, "Upload"), "Waves", film)
        student = Person(browser.new_context(), server).in_frame("Student 4")
        expect(student.get_by_role("region", name="Player: Waves")).to_be_visible(timeout=GOAL_SECONDS * 1000)
        watch.reached("the lecture can be played by a student")
        play(student, "Waves", length)
        return watch.reached("a second of it has been played")


def main() -> int:
    """Run once; 1 where the goal was missed."""
    parser = argparse.ArgumentParser(prog="bench.lecture")
    parser.add_argument(
        "--seconds", type=int, default=30, choices=range(5, 60), metavar="S", help="length of the lecture"
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        film = clip(Path(folder) / "lecture.mp4", size="1280x720", seconds=chosen.seconds)
        watch = Watch()
        command = [sys.executable, "dev.py", "run", "--port", "0", "--data", f"{folder}/data"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            server = RunningServer(Path(folder) / "data", process, ready_url(process))
            watch.reached("ready")
            seconds = watch_lecture(server, film, f"0:{chosen.seconds:02}", watch)
        finally:
            process.terminate()
            process.wait(START_SECONDS)
    sys.stdout.write(f"a lecture of {chosen.seconds} s at 720p: {seconds:.1f} s, goal {GOAL_SECONDS:g} s\n")
    return 0 if seconds <= GOAL_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
