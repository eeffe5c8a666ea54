"""Which qualities a source gets. Pure."""

from __future__ import annotations

import msgspec

from atomic_guide.course.video.probe import Picture

_FULL_HD_PIXELS = 1920 * 1080
_FULL_HD_RATE = 5_000_000
"""Peak bits per second at 1080p, below the 6 Mbit/s of Apple's HLS authoring specification: a lecture moves less
than a film."""
_RATE_EXPONENT = 0.75
"""Bits grow slower than pixels: with this exponent 720p gets 2.7 and 480p 1.5 Mbit/s."""
_STEP = 1.25
"""The least ratio between two qualities; closer ones cost an encoding and show no difference."""
_LEAST = 120
_SOUND_RATES = (64_000, 128_000)
SOUND_RATE = 128_000
"""Bits per second of the sound beside a picture."""
_BUFFER_SECONDS = 2.0
"""What an encoder's rate control may spend beyond the peak rate: its buffer holds this long at that rate."""
_PACKING = 1.1
"""What boxes and playlists add to pictures and sound, with a margin: of fragments of some seconds, a fiftieth."""


class Rung(msgspec.Struct, frozen=True):
    """One quality to make. Sizes are 0 and `rate` is the sound's where there is no picture."""

    name: str
    width: int
    height: int
    rate: int


def ladder(picture: Picture | None, heights: tuple[int, ...]) -> list[Rung]:
    """The qualities of a source, lowest first: at least two, none above the source.

    Qualities go by the shorter side, so that a phone held upright gets what the same phone held flat gets. A source
    of few lines gets half of them beside its own, a tiny one its own twice, at two rates.
    """
    if picture is None:
        return [Rung(f"audio-{rate // 1000}k", 0, 0, rate) for rate in _SOUND_RATES]
    short = min(picture.width, picture.height)
    top = min(short, max(heights))
    sides = [side for side in sorted(heights) if side * _STEP <= top] + [top]
    if len(sides) == 1 and top // 2 >= _LEAST:
        sides = [top // 2, top]
    rungs = [_rung(picture, side) for side in sides]
    if len(rungs) == 1:
        lean = msgspec.structs.replace(rungs[0], name=f"{rungs[0].name}-lean", rate=rungs[0].rate // 2)
        rungs.insert(0, lean)
    return rungs


def _rung(picture: Picture, side: int) -> Rung:
    scale = side / min(picture.width, picture.height)
    width, height = (max(2, round(length * scale / 2) * 2) for length in (picture.width, picture.height))
    rate = max(100_000, int(_FULL_HD_RATE * (width * height / _FULL_HD_PIXELS) ** _RATE_EXPONENT))
    return Rung(f"{side}p", width, height, rate)


def most_bytes(rung: Rung, duration: float | None) -> int:
    """What a quality takes at most, for a length in seconds; 0 where that is unknown."""
    if not duration:
        return 0
    sound = SOUND_RATE if rung.height else 0
    return int((rung.rate * (duration + _BUFFER_SECONDS) + sound * duration) / 8 * _PACKING)
