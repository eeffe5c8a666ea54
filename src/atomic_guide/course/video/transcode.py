"""Making things from a source: its check, its poster, its renditions. Each is one confined run of ffmpeg."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import msgspec

from atomic_guide.course.video import reasons
from atomic_guide.course.video.ffmpeg import Ffmpeg, Overrun, Progress, Report
from atomic_guide.course.video.ladder import Rung
from atomic_guide.course.video.probe import Picture, Source, read_report
from atomic_guide.course.video.settings import VideoSettings
from atomic_guide.errors import Permanent, RetryLater

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
_SOUND_RATE = 128_000
_SEGMENT = re.compile(r"#EXTINF:([\d.]+),[^\n]*\n([\w.]+)")


class Rendition(msgspec.Struct, frozen=True):
    """One quality as it is offered. `bandwidth` is the peak and `average` the mean, bits per second."""

    name: str
    height: int
    width: int
    bandwidth: int
    average: int
    codecs: str
    bytes: int


class Transcoder:
    """Runs ffmpeg for one source after another. Raises `Permanent` with a reason for the uploader."""

    def __init__(self, settings: VideoSettings) -> None:
        self._settings = settings
        self._ffmpeg = Ffmpeg(settings)

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
            raise Permanent(reasons.NOTHING if report.status == 0 else reasons.reason_for(report.text, report.status))
        if report.status != 0:
            raise Permanent(reasons.reason_for(report.text, report.status))
        duration = source.duration or report.seconds
        if duration > settings.max_duration or report.seconds > settings.max_duration:
            raise Permanent(reasons.too_long(max(duration, report.seconds), settings.max_duration))
        if source.picture and source.picture.width * source.picture.height > settings.max_pixels:
            raise Permanent(reasons.reason_for("exceeds specified max pixel count"))
        there = report.seconds
        if _is_cut_off(report, duration):
            raise Permanent(reasons.cut_off(there, duration))
        # The end of the last packet is not reported, only its beginning: the header knows better by a frame.
        return msgspec.structs.replace(source, duration=there if duration - there > _ROUNDING_SECONDS else duration)

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

    async def rendition(self, path: Path, folder: Path, source: Source, rung: Rung, progress: Progress) -> Rendition:
        """Make one quality in `folder`: `index.m3u8`, `init.mp4` and numbered segments."""
        arguments = [*self._ffmpeg.source(path), *self._picture(source.picture, rung), *self._sound(source, rung)]
        arguments += [
            *("-sn", "-dn", "-map_metadata", "-1", "-map_chapters", "-1", "-max_muxing_queue_size", "4096"),
            *("-f", "hls", "-hls_time", f"{self._settings.segment_seconds:g}", "-hls_playlist_type", "vod"),
            *("-hls_segment_type", "fmp4", "-hls_fmp4_init_filename", "init.mp4", "-hls_list_size", "0"),
            *("-hls_flags", "independent_segments", "-hls_segment_filename", "%05d.m4s", "index.m3u8"),
        ]
        report = await self._run(arguments, path, folder, source.duration or _UNKNOWN_DURATION, progress)
        if report.status != 0 or not (folder / "index.m3u8").exists():
            raise Permanent(reasons.reason_for(report.text, report.status))
        made, length = measured(folder, rung, with_sound=source.sound is not None)
        if length < (source.duration or length) * _LEAST_SHARE:
            raise Permanent(reasons.cut_off(length, source.duration or length))
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

    def _sound(self, source: Source, rung: Rung) -> list[str]:
        if source.sound is None:
            return ["-an"]
        rate = _SOUND_RATE if source.picture else rung.rate
        return ["-map", "0:a:0", "-c:a", "aac", "-b:a", str(rate), "-ac", "2", "-ar", "48000"]

    async def _run(
        self, arguments: list[str], path: Path, folder: Path, duration: float, progress: Progress | None
    ) -> Report:
        try:
            report = await self._ffmpeg.run(arguments, path, folder, self._ffmpeg.bounds(duration), progress)
        except Overrun as error:
            if error.kind == "stall":
                # A machine that is overloaded stalls too: another attempt tells.
                raise RetryLater(reasons.STALLED) from error
            raise Permanent(reasons.TOO_SLOW) from error
        # The machine's troubles, not the file's.
        if "No space left on device" in report.text:
            raise RetryLater(reasons.NO_SPACE, delay=60.0)
        if report.status == -signal.SIGKILL:
            raise RetryLater(reasons.NO_MEMORY)
        return report


def _is_cut_off(report: Report, duration: float) -> bool:
    """Whether a file ends before its announced `duration`; the demuxer's own words count most."""
    missing = duration - report.seconds
    allowed = 0.0 if _CUT_OFF_SIGNS.search(report.text) else max(2.0, duration * _MISSING_SHARE)
    return missing > max(_ROUNDING_SECONDS, allowed)


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
