"""Making things from a source: its check, its loudness, its poster, its renditions and their check, its preview.

Each is a confined run of ffmpeg, or two.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
from pathlib import Path
from typing import NamedTuple

import msgspec

from atomic_guide.course.video import loudness, reasons
from atomic_guide.course.video.ffmpeg import Ffmpeg, Overrun, Progress, Report
from atomic_guide.course.video.ladder import SOUND_RATE, Rung
from atomic_guide.course.video.limits import DURATION, JOB_MEMORY, JOB_STALL, PIXELS, STREAMS
from atomic_guide.course.video.preview import Preview, filters
from atomic_guide.course.video.probe import Picture, Source, read_report
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.errors import MachineTrouble, Permanent, RetryLater

_UNKNOWN_DURATION = 3600.0
"""Seconds that the check of a file without a duration is bounded for; it copies packets a thousand times faster."""
_CUT_OFF_SIGNS = re.compile(r"partial file|ended prematurely")
_ROUNDING_SECONDS = 0.5
_MISSING_SHARE = 0.1
"""How much a file may lack of its announced length: muxers round, and a subtitle may outlast the picture."""
_LEAST_SHARE = 0.8
"""How much of the source must come out of the encoder; less means that most of it could not be decoded."""
_POSTER_HEIGHT = 720
_POSTER_AT = 10.0
_SEGMENT = re.compile(r"#EXTINF:([\d.]+),[^\n]*\n([\w.]+)")


class Rendition(msgspec.Struct, frozen=True):
    """One quality as it is offered. `bandwidth` is the peak and `average` the mean, bits per second.

    `folder` is where it lies below the lecture's files; empty where that is its name.
    """

    name: str
    height: int
    width: int
    bandwidth: int
    average: int
    codecs: str
    bytes: int
    folder: str = ""

    @property
    def place(self) -> str:
        """The folder of its files."""
        return self.folder or self.name


class Making(NamedTuple):
    """What one rendition is made from: the file, what is in it, and the filters that its sound goes through."""

    path: Path
    source: Source
    sound: str


class Transcoder:
    """Runs ffmpeg for one source after another. Raises `Permanent` with a reason for the uploader."""

    def __init__(self, settings: VideoSettings, memory_mb: int = 4096) -> None:
        self._settings = settings
        self._ffmpeg = Ffmpeg(settings, memory_mb)

    async def check(self, path: Path, folder: Path, progress: Progress | None = None) -> Source:
        """What the file holds, with its true duration, read to its end."""
        settings = self._settings
        arguments = [
            *self._ffmpeg.source(path),
            *("-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-f", "null", "-"),
        ]
        report = await self._run(arguments, path, folder, settings.max_duration, progress)
        source = read_report(report.head)
        if source.picture is None and source.sound is None:
            raise Permanent(reasons.NOTHING) if report.status == 0 else self._failed(report)
        if report.status != 0:
            raise self._failed(report)
        duration = source.duration or report.seconds
        DURATION.note(max(duration, report.seconds))
        if duration > settings.max_duration or report.seconds > settings.max_duration:
            DURATION.refused += 1
            raise Permanent(reasons.too_long(max(duration, report.seconds), settings.max_duration))
        STREAMS.note(report.head.count("  Stream #0:"))
        pixels = source.picture.width * source.picture.height if source.picture else 0
        PIXELS.note(pixels)
        if pixels > settings.max_pixels:
            PIXELS.refused += 1
            raise Permanent(reasons.reason_for("exceeds specified max pixel count"))
        there = report.seconds
        if _is_cut_off(report, duration):
            raise Permanent(reasons.cut_off(there, duration))
        # The end of the last packet is not reported, only its beginning: the header knows better by a frame.
        return msgspec.structs.replace(source, duration=there if duration - there > _ROUNDING_SECONDS else duration)

    def _failed(self, report: Report) -> Permanent:
        """The reason of a failed run; where ffmpeg kept a limit of ours, that is counted."""
        for words, limit, most in (
            ("exceeds specified max pixel count", PIXELS, self._settings.max_pixels),
            ("exceeds max_streams", STREAMS, self._settings.max_streams),
            (reasons.MEMORY, JOB_MEMORY, 0),
        ):
            if re.search(words, report.text):
                limit.note(most)
                limit.refused += 1
        return Permanent(reasons.reason_for(report.text, report.status))

    async def poster(self, path: Path, folder: Path, source: Source) -> Path | None:
        """A still as JPEG, a plain one for a lecture without a picture; None where no frame could be had."""
        target = folder / "poster.jpg"
        for start in (min(_POSTER_AT, (source.duration or 0) / 10), 0.0):
            still = ["-frames:v", "1", "-f", "image2", "-update", "1", "-c:v", "mjpeg", "-q:v", "4", "-y", str(target)]
            if source.picture is None:
                arguments = ["-f", "lavfi", "-i", "color=c=0x1f2a44:s=1280x720", *still]
            else:
                height = min(_POSTER_HEIGHT, source.picture.height)
                width = round(source.picture.width * height / source.picture.height)
                scale = f"thumbnail=25,scale={width}:{height},setsar=1,format=yuvj420p"
                arguments = [*self._ffmpeg.source(path, start), "-map", "0:V:0", "-an", "-vf", scale, *still]
            await self._run(arguments, path, folder, 60.0, None)
            if target.exists() and target.stat().st_size:
                return target
        return None

    async def sound(self, path: Path, folder: Path, source: Source) -> str:
        """The filters that make the sound of a source as loud as every lecture's; empty where it has none.

        A sound that cannot be measured is left as loud as it is: what is wrong with it shows when it is encoded.
        """
        if source.sound is None:
            return ""
        target = self._settings.loudness
        found = await self._loudness(path, folder, source, loudness.stereo(source.layout))
        gain = loudness.first_gain(found, target)
        if not loudness.must_limit(found, gain) or not gain:
            return loudness.chain(source.layout, gain, limited=False)
        for _ in range(loudness.TURNS):
            limited = loudness.chain(source.layout, gain, limited=True)
            more = loudness.more_gain(await self._loudness(path, folder, source, limited), gain, target)
            if more <= 0:
                break
            gain += more
        return loudness.chain(source.layout, gain, limited=True)

    async def _loudness(self, path: Path, folder: Path, source: Source, filters: str) -> loudness.Loudness | None:
        arguments = [
            *self._ffmpeg.source(path),
            *("-map", "0:a:0", "-vn", "-af", f"{filters},{loudness.MEASURE}", "-f", "null", "-"),
        ]
        report = await self._run(arguments, path, folder, source.duration or _UNKNOWN_DURATION, None)
        return loudness.read_loudness(report.tail)

    async def preview(self, lowest: Path, folder: Path, wanted: Preview) -> Preview | None:
        """Make the sheets of a preview in `folder` from the rendition in the folder `lowest`; None where none came.

        Its key frames are enough, and only they are decoded.
        """
        arguments = ["-skip_frame", "nokey", *self._ffmpeg.made(lowest / "index.m3u8"), "-map", "0:V:0", "-an"]
        arguments += ["-vf", filters(wanted), "-frames:v", str(wanted.sheets), "-c:v", "mjpeg", "-q:v", "6"]
        arguments += ["-f", "image2", "-y", "%05d.jpg"]
        report = await self._run(arguments, lowest, folder, wanted.interval * wanted.count, None)
        sizes = await asyncio.to_thread(lambda: [path.stat().st_size for path in folder.glob("*.jpg")])
        if report.status != 0 or not sizes:
            return None
        count = min(wanted.count, len(sizes) * wanted.columns * wanted.rows)
        return msgspec.structs.replace(wanted, count=count, sheets=len(sizes), bytes=sum(sizes))

    async def verify(self, made: Path, folder: Path, duration: float | None) -> bool:
        """Whether the rendition in the folder `made` has its length, and its first and last segment can be decoded.

        `duration` in seconds, None where that is not known; `folder` is worked in.
        """
        ends = [folder / "first.mp4", folder / "last.mp4"]
        try:
            if not await asyncio.to_thread(_take_ends, made, ends, duration):
                return False
            arguments = ["-xerror", "-err_detect", "explode"]
            arguments += [word for end in ends for word in self._ffmpeg.made(end)]
            arguments += ["-map", "0", "-map", "1", "-f", "null", "-"]
            report = await self._run(arguments, folder, folder, 2 * self._settings.segment_seconds, None)
        except OSError:
            return False
        finally:
            for end in ends:
                end.unlink(missing_ok=True)
        return report.status == 0 and report.seconds > 0

    async def rendition(self, making: Making, folder: Path, rung: Rung, progress: Progress) -> Rendition:
        """Make one quality in `folder`: `index.m3u8`, `init.mp4` and numbered segments; it has been decoded then."""
        path, source, _ = making
        arguments = [*self._ffmpeg.source(path), *self._picture(source.picture, rung), *self._sound(making, rung)]
        arguments += [
            *("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", "4096"),
            *("-f", "hls", "-hls_time", f"{self._settings.segment_seconds:g}", "-hls_playlist_type", "vod"),
            *("-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-hls_list_size", "0"),
            *("-hls_flags", "independent_segments", "-hls_segment_filename", "%05d.m4s", "index.m3u8"),
        ]
        report = await self._run(arguments, path, folder, source.duration or _UNKNOWN_DURATION, progress)
        if report.status != 0 or not (folder / "index.m3u8").exists():
            raise self._failed(report)
        made, length = measured(folder, rung, with_sound=source.sound is not None)
        if length < (source.duration or length) * _LEAST_SHARE:
            raise Permanent(reasons.cut_off(length, source.duration or length))
        if not await self.verify(folder, folder, source.duration):
            raise RetryLater(reasons.UNREADABLE)
        return made

    def _picture(self, picture: Picture | None, rung: Rung) -> list[str]:
        if picture is None:
            return ["-vn"]
        seconds = self._settings.segment_seconds
        # A fixed frame rate puts the key frames of all renditions at the same times, whatever the source does.
        filters = f"fps={picture.rate:g},scale={rung.width}:{rung.height}:flags=bicubic,setsar=1,format=yuv420p"
        return [
            *("-map", "0:V:0", "-vf", filters, "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high"),
            *("-crf", "23", "-maxrate", str(rung.rate), "-bufsize", str(2 * rung.rate)),
            *("-g", str(max(1, round(picture.rate * seconds))), "-sc_threshold", "0"),
            *("-force_key_frames", f"expr:gte(t,n_forced*{seconds:g})", "-threads", str(self._settings.threads)),
        ]

    def _sound(self, making: Making, rung: Rung) -> list[str]:
        if not making.sound:
            return ["-an"]
        rate = str(SOUND_RATE if making.source.picture else rung.rate)
        return ["-map", "0:a:0", "-af", making.sound, "-c:a", "aac", "-b:a", rate, "-ar", str(loudness.RATE)]

    async def _run(
        self, arguments: list[str], path: Path, folder: Path, duration: float, progress: Progress | None
    ) -> Report:
        try:
            report = await self._ffmpeg.run(arguments, path, folder, self._ffmpeg.bounds(duration), progress)
        except Overrun as error:
            if error.kind == "stall":
                JOB_STALL.refused += 1
                # A machine that is overloaded stalls too: another attempt tells.
                raise RetryLater(reasons.STALLED) from error
            raise Permanent(reasons.TOO_SLOW) from error
        # The machine's troubles, not the file's.
        if "No space left on device" in report.text:
            raise MachineTrouble(reasons.NO_SPACE, delay=60.0)
        if report.status == -signal.SIGKILL:
            raise MachineTrouble(reasons.NO_MEMORY)
        return report


def _is_cut_off(report: Report, duration: float) -> bool:
    """Whether a file ends before its announced `duration`; the demuxer's own words count most."""
    missing = duration - report.seconds
    allowed = 0.0 if _CUT_OFF_SIGNS.search(report.text) else max(2.0, duration * _MISSING_SHARE)
    return missing > max(_ROUNDING_SECONDS, allowed)


def _take_ends(made: Path, ends: list[Path], duration: float | None) -> bool:
    """Make files of a rendition's first and last segment; False where segments or some of its length are missing."""
    segments = _SEGMENT.findall((made / "index.m3u8").read_text(encoding="utf-8"))
    length = sum(float(seconds) for seconds, _ in segments)
    if not segments or length < (duration or length) * _LEAST_SHARE:
        return False
    if any(not (made / name).stat().st_size for _, name in segments):
        return False
    for end, (_, name) in zip(ends, (segments[0], segments[-1]), strict=True):
        end.write_bytes((made / "init.mp4").read_bytes() + (made / name).read_bytes())
    return True


def join(made: Path, target: Path) -> None:
    """Make one file of a rendition's folder: its segments follow one another as they are."""
    names = [name for _, name in _SEGMENT.findall((made / "index.m3u8").read_text(encoding="utf-8"))]
    with target.open("wb") as file:
        for name in ("init.mp4", *names):
            with (made / name).open("rb") as part:
                shutil.copyfileobj(part, file, 1024 * 1024)


def measured(folder: Path, rung: Rung, *, with_sound: bool) -> tuple[Rendition, float]:
    """The rendition in a folder and its length in seconds, by what was really written there."""
    segments = _SEGMENT.findall((folder / "index.m3u8").read_text(encoding="utf-8"))
    sizes = [(float(seconds), (folder / name).stat().st_size) for seconds, name in segments]
    total = sum(size for _, size in sizes)
    length = sum(seconds for seconds, _ in sizes) or 1.0
    made = Rendition(
        name=rung.name,
        height=rung.height,
        width=rung.width,
        # A last segment of a few frames would give a peak that no player meets.
        bandwidth=round(max((8 * size / max(seconds, 1.0) for seconds, size in sizes), default=0)) or rung.rate,
        average=round(8 * total / length),
        codecs=",".join(_codecs(folder / "init.mp4", with_sound=with_sound)),
        bytes=sum(file.stat().st_size for file in folder.iterdir()),
    )
    return made, length


def _codecs(init: Path, *, with_sound: bool) -> list[str]:
    """The names of RFC 6381 for what is in an initialisation segment; H.264's from its own `avcC` box."""
    content = init.read_bytes()
    at = content.find(b"avcC")
    picture = [f"avc1.{content[at + 5 : at + 8].hex()}"] if at >= 0 else []
    return picture + (["mp4a.40.2"] if with_sound else [])
