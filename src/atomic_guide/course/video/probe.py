"""What a source holds, read from ffmpeg's own report: the bundled build has no ffprobe.

One run does both: it prints the report, and copies every packet to nowhere, which finds the true end of the media
(a browser's recording names no duration, and a broken copy names one that it does not have). Only lines at the
report's own indentation are read: a file's metadata can print any text, but only further in.
"""

from __future__ import annotations

import re

import msgspec

_DURATION = re.compile(r"^  Duration: (?:(\d+):(\d\d):(\d\d(?:\.\d+)?)|N/A)", re.MULTILINE)
_STREAM = re.compile(r"^  Stream #0:(\d+)(?:\[[^\]]*\])?(?:\([^)]*\))?: (Video|Audio|Subtitle|Data|Attachment): (.*)$")
_SIZE = re.compile(r", (\d+)x(\d+)(?=[ ,]|$)")
_SHAPE = re.compile(r"SAR (\d+):(\d+)")
_RATE = re.compile(r", ([\d.]+)(k?) (fps|tbr)\b")
_ROTATION = re.compile(r"^ +Display Matrix: rotation of (-?[\d.]+) degrees")
_LAYOUT = re.compile(r", \d+ Hz, ([^,]+)")
_QUARTER = 90


class Picture(msgspec.Struct, frozen=True):
    """The video stream as it is shown: pixels after rotation and with square pixels, frames per second."""

    codec: str
    width: int
    height: int
    rate: float


class Source(msgspec.Struct, frozen=True):
    """What is in a file. `duration` in seconds, None where the file does not say; `layout` names the channels."""

    duration: float | None
    picture: Picture | None
    sound: str | None
    layout: str = "stereo"


def read_report(report: str) -> Source:
    """The source that a report of ffmpeg describes."""
    found = _DURATION.search(report)
    duration = None
    if found and found[1]:
        duration = int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
    picture: Picture | None = None
    sound: str | None = None
    layout = "stereo"
    rotation = 0.0
    current = ""
    for line in report.splitlines():
        stream = _STREAM.match(line)
        if stream:
            current, words = stream[2], stream[3]
            if current == "Video" and picture is None and "(attached pic)" not in words:
                picture = _picture(words)
            elif current == "Video":
                current = "another video"
            elif current == "Audio" and sound is None:
                sound = _codec(words)
                named = _LAYOUT.search(words)
                layout = named[1] if named else layout
        elif current == "Video" and (turned := _ROTATION.match(line)):
            rotation = float(turned[1])
    if picture and round(rotation / _QUARTER) % 2:
        picture = msgspec.structs.replace(picture, width=picture.height, height=picture.width)
    return Source(duration, picture, sound, layout)


def _picture(words: str) -> Picture | None:
    size = _SIZE.search(words)
    if not size:
        return None
    width, height = int(size[1]), int(size[2])
    shape = _SHAPE.search(words)
    # A pixel of a shape beyond 4:1 is a broken header, not a camera.
    if shape and int(shape[2]) and 0.25 <= int(shape[1]) / int(shape[2]) <= 4:  # noqa: PLR2004 - see above
        width = round(width * int(shape[1]) / int(shape[2]))
    return Picture(_codec(words), width, height, _rate(words)) if width and height else None


def _rate(words: str) -> float:
    """Frames per second to encode at: the base rate where it is plausible, so that variable rates keep every frame."""
    rates = {found[3]: float(found[1]) * (1000 if found[2] else 1) for found in _RATE.finditer(words)}
    for name in ("tbr", "fps"):
        if 1 <= rates.get(name, 0) <= 60:  # noqa: PLR2004 - cameras and screen recorders
            return rates[name]
    return 30.0


def _codec(words: str) -> str:
    return re.split(r"[ ,(]", words, maxsplit=1)[0]
