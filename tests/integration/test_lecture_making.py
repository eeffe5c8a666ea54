"""What is made of a lecture: its loudness, its preview, and that it was read back before the source may go."""

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import pytest

from atomic_guide.course.video.ladder import Rung, ladder
from atomic_guide.course.video.loudness import CEILING_DECIBELS
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.course.video.transcode import Making, Transcoder
from atomic_guide.course.video.videos import publish_transcode
from tests import media
from tests.media import Studio

TONE = "sin(2*PI*300*t)*(0.6+0.4*sin(2*PI*3*t))"
SOUND = Rung("audio-64k", 0, 0, 64_000)


async def nothing(seconds: float) -> None:
    del seconds


async def made_of(folder: Path, *arguments: str) -> Path:
    """The playlist of the sound that is made of a source."""
    source = folder / "source"
    media.ffmpeg(*arguments, "-f", "matroska", str(source))
    work = folder / "work"
    work.mkdir()
    transcoder = Transcoder(VideoSettings(heights=(120,)))
    found = await transcoder.check(source, work)
    rung = ladder(found.picture, (120,))[0]
    made = folder / "made"
    made.mkdir()
    sound = await transcoder.sound(source, work, found)
    await transcoder.rendition(Making(source, found, sound), made, rung, nothing)
    return made / "index.m3u8"


def heard(path: Path) -> tuple[float, float]:
    """Integrated loudness in LUFS and true peak in dBTP, by EBU R 128."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(path), "-map", "0:a:0"]
    command += ["-af", "ebur128=peak=true:framelog=quiet", "-f", "null", "-"]
    words = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stderr
    loud = re.findall(r" I: +(-?[\d.]+) LUFS", words)[-1]
    peak = re.findall(r" Peak: +(-?[\d.]+|-inf) dBFS", words)[-1]
    return float(loud), float(peak)


def sound(*channels: str, seconds: float = 6, layout: str = "") -> tuple[str, ...]:
    """A source of a sound with one expression for each channel."""
    named = f":c={layout}" if layout else ""
    return (
        "-f",
        "lavfi",
        "-i",
        f"aevalsrc=exprs='{'|'.join(channels)}':d={seconds}:s=48000{named}",
        "-c:a",
        "pcm_s16le",
    )


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(sound(f"0.02*{TONE}"), id="quiet mono"),
        pytest.param(sound(f"0.9*{TONE}", f"0.9*{TONE}"), id="loud stereo"),
        pytest.param(sound(f"0.05*{TONE}", "0"), id="one side only"),
        pytest.param(sound(*["0"] * 2, f"0.1*{TONE}", *["0"] * 3, layout="5.1"), id="speech in the centre"),
        pytest.param(sound(*[f"0.03*{TONE}"] * 16), id="sixteen channels"),
        pytest.param(sound(*[f"0.03*{TONE}"] * 11), id="channels without places"),
        pytest.param(sound(f"0.03*{TONE}+0.5*lt(mod(t,5),0.01)*sin(2*PI*900*t)"), id="quiet with loud claps"),
    ],
)
async def test_every_lecture_is_as_loud_as_the_others(tmp_path: Path, source: tuple[str, ...]) -> None:
    loud, peak = heard(await made_of(tmp_path, *source))
    assert loud == pytest.approx(-16, abs=1)
    assert peak <= CEILING_DECIBELS + 2, "a lossy encoder may add to a peak, not more than a little"


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(("-f", "lavfi", "-i", "anullsrc=cl=mono", "-t", "2", "-c:a", "pcm_s16le"), id="digital silence"),
        pytest.param(sound("0.0005*(random(0)-0.5)", seconds=2), id="noise of an empty room"),
        pytest.param(sound("0.1*sin(2*PI*300*t)", seconds=0.2), id="too short to be measured"),
    ],
)
async def test_what_is_no_speech_is_not_made_loud(tmp_path: Path, source: tuple[str, ...]) -> None:
    loud, _ = heard(await made_of(tmp_path, *source))
    assert loud < -50


async def test_the_loudness_is_a_setting_and_sound_without_a_picture_keeps_its_length(tmp_path: Path) -> None:
    source = tmp_path / "source"
    media.ffmpeg(*sound(f"0.1*{TONE}"), "-f", "matroska", str(source))
    transcoder = Transcoder(VideoSettings(loudness=-23))
    found = await transcoder.check(source, tmp_path)
    made = tmp_path / "made"
    made.mkdir()
    filters = await transcoder.sound(source, tmp_path, found)
    await transcoder.rendition(Making(source, found, filters), made, SOUND, nothing)
    assert heard(made / "index.m3u8")[0] == pytest.approx(-23, abs=1)


async def test_a_preview_is_bounded_and_served_by_signed_addresses(tmp_path: Path) -> None:
    clip = media.clip(tmp_path / "long.mp4", size="160x90", seconds=20, sound=False)
    async with media.opened(tmp_path / "data", settings=VideoSettings(heights=(120,), segment_seconds=2)) as studio:
        teacher = await studio.enter()
        video = await media.upload(teacher, clip.read_bytes())
        async with studio.working():
            shown = await media.until(teacher, video, "ready")
        preview = shown["preview"]
        assert (preview["interval"], preview["count"], len(preview["sheets"])) == (2, 10, 1)
        assert (preview["columns"], preview["rows"], preview["width"], preview["height"]) == (10, 10, 160, 90)
        answer = await teacher.get(preview["sheets"][0])
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        sheet = tmp_path / "sheet.jpg"
        sheet.write_bytes(answer.content)
        tiles = [brightness(sheet, number) for number in range(11)]
        assert min(tiles[:10]) > 40, "every tile shows something"
        assert tiles[10] < 20, "and no more are there"
        assert preview["sheets"][0].count("/preview/") == 1
        wrong = preview["sheets"][0].replace(video, "v" + "0" * 16)
        assert (await teacher.get(wrong)).status_code == 403
        names = [step["name"] for step in shown["steps"]]
        assert names.index("preview") == names.index("90p-lean") + 1, "it is made when the lecture plays already"


def brightness(sheet: Path, tile: int) -> float:
    """The mean of a tile's samples, 0 to 255."""
    crop = f"crop=160:90:{tile % 10 * 160}:{tile // 10 * 90},format=gray"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(sheet), "-vf", crop, "-f", "rawvideo", "-"]
    samples = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    return sum(samples) / len(samples)


async def test_a_source_that_need_not_be_kept_goes_once_everything_was_read_back(tmp_path: Path) -> None:
    clip = media.clip(tmp_path / "a.mp4", size="320x180", seconds=1, sound=False)
    async with media.opened(tmp_path / "data", settings=VideoSettings(heights=(120,))) as studio:
        teacher = await studio.enter()
        video = await media.upload(teacher, clip.read_bytes())
        async with studio.working():
            before = await media.until(teacher, video, "ready")
    assert len(sources(tmp_path)) == 1
    # A disk that lost the end of a segment, before the source was let go.
    segment = max((tmp_path / "data" / "objects").rglob("120p/*.m4s"))
    whole = segment.read_bytes()
    segment.write_bytes(whole[: len(whole) // 2])
    async with media.opened(tmp_path / "data", settings=VideoSettings(heights=(120,), keep_source=False)) as studio:
        teacher = await studio.enter()
        await publish_again(studio, video)
        async with studio.working():
            for _ in range(400):
                if not sources(tmp_path):
                    break
                await asyncio.sleep(0.05)
            shown = await media.until(teacher, video, "ready")
    assert sources(tmp_path) == []
    assert {one["name"] for one in shown["renditions"]} == {one["name"] for one in before["renditions"]}
    assert segment.read_bytes() == pytest.approx(whole) or segment.stat().st_size > len(whole) // 2


async def publish_again(studio: Studio, video: str) -> None:
    async def work(tx: Any) -> None:
        await publish_transcode(studio.media.queues, tx, studio.key(), video, studio.clock.now())

    await studio.shards.of(studio.key()).write(work)


def sources(folder: Path) -> list[Path]:
    return list((folder / "data" / "objects").rglob("source"))
