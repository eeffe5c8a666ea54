"""A 720p lecture of ten minutes: when it plays, when it is ready, and what was served in between.

Its qualities are made one after the other, the lowest first, which is played while the others are made. The two cores
of a small server take about as long as the lecture; the bar is a share of that, and so holds on a busy machine too.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import urllib.parse
from pathlib import Path
from typing import Any

import imageio_ffmpeg

from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.engines.queues.settings import QueueSettings
from bench._bars import Bars
from tests import media

LECTURE_SECONDS = 600
PART_SECONDS = 30
LIMIT_SECONDS = 3600.0
LOOK_SECONDS = 0.2
MOST_SHARE = 0.75
"""A 720p lecture has two qualities; the lower one is to be there after three quarters of the time at most."""


async def measure(bars: Bars) -> None:
    """Upload one, and look at it until it is ready."""
    seconds = bars.size(LECTURE_SECONDS, PART_SECONDS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip = folder / "lecture.mp4"
        async with asyncio.timeout(LIMIT_SECONDS):
            await _film(clip, seconds)
        async with media.opened(folder / "lecture", settings=VideoSettings()) as studio:
            teacher = await studio.enter()
            video = await media.upload(teacher, clip.read_bytes())
            async with studio.working(queues=QueueSettings()), asyncio.timeout(LIMIT_SECONDS):
                plays, served, ready, status = await _watch(teacher, f"/api/video/{video}")
    bars.least("the lecture is ready", float(status == "ready"), 1)
    bars.least("a piece of it was served before", float(served and plays < ready), 1)
    bars.show(f"{seconds} s of 720p play after", plays, "s")
    bars.show("and are ready after", ready, "s")
    bars.most("share of the processing before it plays", plays / ready, MOST_SHARE)


async def _film(clip: Path, seconds: int) -> None:
    """Slides that change slowly, and somebody who seems to speak: half a minute of it, time and again."""
    part = clip.with_name("part.mp4")
    slides = f"gradients=s=1280x720:r=25:d={PART_SECONDS}:speed=0.001:nb_colors=4"
    speech = f"aevalsrc=exprs='0.05*sin(2*PI*220*t)*(0.6+0.4*sin(2*PI*3*t))':d={PART_SECONDS}"
    codecs = ("-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac")
    await _ffmpeg("-f", "lavfi", "-i", slides, "-f", "lavfi", "-i", speech, *codecs, str(part))
    times = str(-(-seconds // PART_SECONDS) - 1)
    await _ffmpeg("-stream_loop", times, "-i", str(part), "-t", str(seconds), "-c", "copy", str(clip))


async def _ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", *arguments]
    making = await asyncio.create_subprocess_exec(*command)
    if await making.wait():
        message = "the lecture could not be made"
        raise RuntimeError(message)


async def _watch(teacher: Any, address: str) -> tuple[float, bool, float, str]:
    """After how many seconds it plays, whether a piece was served then, when it was ready, and its last status."""
    began, plays, served = time.perf_counter(), 0.0, False
    while True:
        shown = (await teacher.get(address)).json()
        if shown["playback"] and not plays:
            served = await _serves(teacher, shown["playback"])
            plays = time.perf_counter() - began
        if shown["status"] in {"ready", "failed"}:
            if shown["status"] == "failed":
                print(f"    {shown['reason']}")
            return plays, served, time.perf_counter() - began, shown["status"]
        await asyncio.sleep(LOOK_SECONDS)


async def _serves(teacher: Any, playlist: str) -> bool:
    """Whether a player gets its first piece: by the list of qualities, and the list of pieces of the first."""
    for _ in range(2):
        answer = await teacher.get(playlist)
        if answer.is_error:
            return False
        first = next(line for line in answer.text.splitlines() if line and not line.startswith("#"))
        playlist = urllib.parse.urljoin(playlist, first)
    piece = await teacher.get(playlist)
    return piece.is_success and len(piece.content) > 0
