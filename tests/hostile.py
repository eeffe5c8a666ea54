"""Forty broken or hostile media files, made by ffmpeg and by hand: what is sent by mistake and on purpose.

Each is as small as its trouble allows. `secret` is a file that some of them try to reach, `port` one that nobody but a
test listens on.
"""

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import NamedTuple

import httpx

from atomic_guide.course.video.settings import VideoSettings
from tests import media
from tests.media import clip, ffmpeg


class Making(NamedTuple):
    """Where files are made, the good one that others are made from, and what hostile ones try to reach."""

    folder: Path
    good: bytes
    secret: Path
    port: int


PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=160x120:r=10:d=1")
TONE = ("-f", "lavfi", "-i", "sine=d=1")
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
SUBTITLE = "1\n00:00:00,000 --> 00:00:00,900\nHello\n"


def made(*arguments: str, kind: str = "matroska") -> Callable[[Making], bytes]:
    """A file that ffmpeg writes."""

    def make(making: Making) -> bytes:
        target = making.folder / "made"
        ffmpeg(*arguments, "-f", kind, str(target))
        return target.read_bytes()

    return make


def cut(share: float) -> Callable[[Making], bytes]:
    """The beginning of a good file."""
    return lambda making: making.good[: int(len(making.good) * share)]


def patched(find: bytes, offset: int, value: bytes) -> Callable[[Making], bytes]:
    """A good file whose header says something else, `offset` bytes after the first `find`."""

    def make(making: Making) -> bytes:
        at = making.good.index(find) + offset
        return making.good[:at] + value + making.good[at + len(value) :]

    return make


def _list(text: str) -> Callable[[Making], bytes]:
    return lambda making: text.format(secret=making.secret, port=making.port).encode()


def _subtitled(making: Making) -> bytes:
    words = making.folder / "words.srt"
    words.write_text(SUBTITLE)
    return made(*PICTURE, "-i", str(words), *H264, "-c:s", "srt")(making)


def _attached(making: Making) -> bytes:
    font = making.folder / "font.ttf"
    font.write_bytes(b"\0\1\0\0" + bytes(2000))
    arguments = ("-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font")
    return made(*PICTURE, *H264, *arguments)(making)


def _covered(making: Making) -> bytes:
    cover = making.folder / "cover.png"
    ffmpeg(*PICTURE, "-frames:v", "1", str(cover))
    return made(
        *TONE, "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic", kind="ipod"
    )(making)


def _references(target: str) -> Callable[[Making], bytes]:
    """An MP4 whose media are said to lie in another file (a `dref` box with an address instead of "in this file")."""

    def make(making: Making) -> bytes:
        # The plain `url ` box says by its flag that the media are here; without the flag its text says where.
        text = target.format(secret=making.secret, port=making.port).encode() + b"\0"
        content = bytearray(making.good)
        at = content.index(b"url \0\0\0\1")
        for name in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
            box = content.rindex(name, 0, at) - 4
            content[box : box + 4] = (int.from_bytes(content[box : box + 4], "big") + len(text)).to_bytes(4, "big")
        content[at - 4 : at + 8] = (12 + len(text)).to_bytes(4, "big") + b"url \0\0\0\0" + text
        return bytes(content)

    return make


def _many(making: Making) -> bytes:
    maps = [word for _ in range(40) for word in ("-map", "0:a")]
    return made(*TONE, *maps, "-c:a", "pcm_s16le", kind="matroska")(making)


def _rotated(making: Making) -> bytes:
    plain = making.folder / "plain.mp4"
    plain.write_bytes(making.good)
    return made("-display_rotation", "90", "-i", str(plain), "-c", "copy", kind="mp4")(making)


CORPUS: dict[str, Callable[[Making], bytes]] = {
    "empty": lambda _: b"",
    "truncated at 1 %": cut(0.01),
    "truncated at a quarter": cut(0.25),
    "truncated at a half": cut(0.5),
    "truncated before the end": cut(0.97),
    "text called mp4": lambda _: b"Dear student,\nthe recording is attached.\n" * 40,
    "zeros": lambda _: bytes(100_000),
    "noise behind a signature": lambda _: b"\0\0\0\x20ftypisom" + bytes(range(256)) * 400,
    "playlist of a file": _list("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n#EXT-X-ENDLIST\n"),
    "playlist of an address": _list("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n"),
    "playlist of data": _list("#EXTM3U\n#EXTINF:9,\ndata:video/mp4;base64,AAAA\n#EXT-X-ENDLIST\n"),
    "concatenation": _list("ffconcat version 1.0\nfile {secret}\n"),
    "playlist behind a signature": lambda making: b"\0\0\0\x08ftyp" + _list("\n#EXTM3U\nfile://{secret}\n")(making),
    "script of a session": _list("v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n"),
    "media in another file": _references("file://{secret}"),
    "media at an address": _references("http://127.0.0.1:{port}/x"),
    "archive": lambda _: b"PK\x03\x04" + bytes(5000),
    "gigapixels of nothing": made("-f", "lavfi", "-i", "color=s=8000x5000:r=1:d=1", "-c:v", "png", "-pred", "none"),
    "a long nothing": made("-f", "lavfi", "-i", "color=s=16x16:r=1:d=30000", *H264, "-g", "9999"),
    "huge in the header": patched(b"tkhd", 80, b"\x7f\xff\0\0\x7f\xff\0\0"),
    "wrong duration in the header": patched(b"mvhd", 20, b"\x7f\xff\xff\xff"),
    "no time scale": patched(b"mdhd", 16, b"\0\0\0\0"),
    "absurd frame rate": made("-f", "lavfi", "-i", "testsrc2=s=64x64:r=1000:d=0.5", *H264),
    "one frame": made(*PICTURE, "-frames:v", "1", *H264, kind="mp4"),
    "a still as a film": made(*PICTURE, "-frames:v", "1", "-c:v", "mjpeg"),
    "sound only": made(*TONE, "-c:a", "libmp3lame", kind="mp3"),
    "cover art only": _covered,
    "sixteen channels": made(
        "-f", "lavfi", "-i", f"aevalsrc=exprs='{'|'.join(['0.1*sin(440*t)'] * 16)}':d=1", "-c:a", "pcm_s16le"
    ),
    "many streams": _many,
    "no sound": made(*PICTURE, *H264),
    "subtitles inside": _subtitled,
    "fonts attached": _attached,
    "rotated": _rotated,
    "variable frame rate": made(*PICTURE, "-vf", "select='not(mod(n\\,3))+lt(n\\,3)'", "-fps_mode", "vfr", *H264),
    "odd sizes": made("-f", "lavfi", "-i", "testsrc2=s=161x121:r=10:d=1", "-c:v", "ffv1", "-pix_fmt", "yuv444p"),
    "tiny": made("-f", "lavfi", "-i", "testsrc2=s=8x2:r=10:d=1", "-c:v", "ffv1"),
    "a stripe": made("-f", "lavfi", "-i", "testsrc2=s=2000x4:r=5:d=1", "-c:v", "ffv1"),
    "negative times": made(*PICTURE, *H264, "-output_ts_offset", "-5", "-avoid_negative_ts", "disabled", kind="mpegts"),
    "twelve bits": made(*PICTURE, "-c:v", "ffv1", "-pix_fmt", "yuv422p12le", "-strict", "-2"),
    "transparent": made(*PICTURE, "-c:v", "qtrle", "-pix_fmt", "argb", kind="mov"),
}
"""Names and how each is made."""

REPRESENTATIVE = (
    *("truncated at a half", "playlist behind a signature", "media in another file", "media at an address"),
    *("gigapixels of nothing", "cover art only", "sixteen channels", "subtitles inside", "odd sizes", "many streams"),
)
"""What the suite runs: each kind of trouble once."""


def prepared(folder: Path, port: int) -> Making:
    """The good file and the secret that hostile ones are after."""
    folder.mkdir(parents=True, exist_ok=True)
    good = clip(folder / "good.mp4", size="160x120", seconds=1).read_bytes()
    secret = folder / "secret.ts"
    ffmpeg(*PICTURE, *H264, "-f", "mpegts", str(secret))
    return Making(folder, good, secret, port)


class Outcome(NamedTuple):
    """How a file ended: refused at the door, failed or ready; and why, where it is not ready."""

    state: str
    reason: str


async def outcomes(data: Path, content: Mapping[str, bytes]) -> dict[str, Outcome]:
    """Upload every file to a fresh installation and let a worker end with each."""
    found: dict[str, Outcome] = {}
    async with media.opened(data, settings=VideoSettings(heights=(120,), stall_seconds=20)) as studio:
        teacher = await studio.enter()
        waiting: dict[str, str] = {}
        for name, body in content.items():
            answer = await teacher.post(
                "/api/video/upload", files={"file": ("lecture.mp4", body)}, data={"title": name}
            )
            if answer.status_code == HTTPStatus.ACCEPTED:
                waiting[name] = answer.json()["id"]
            else:
                found[name] = Outcome("refused", answer.json()["error"]["message"])
        async with studio.working():
            for name, video in waiting.items():
                found[name] = await ended(teacher, video)
    return found


async def ended(teacher: httpx.AsyncClient, video: str) -> Outcome:
    """How a video ended; `TimeoutError` where it has not within three minutes."""
    async with asyncio.timeout(180):
        while True:
            shown = (await teacher.get(f"/api/video/{video}")).json()
            if shown["status"] in {"ready", "failed"}:
                return Outcome(shown["status"], shown["reason"] or "")
            await asyncio.sleep(0.1)


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder with its size and when it was written, in nanoseconds."""
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def left_over(data: Path) -> list[str]:
    """The command lines of processes that name a data directory."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(data) in words and "confine.py" in words:
            found.append(words)
    return found
