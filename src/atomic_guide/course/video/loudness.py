"""How loud a lecture is, and what makes it as loud as every other. Pure.

Loudness is that of EBU R 128 (ITU-R BS.1770), measured over the whole sound as it will be heard: in stereo. A first run
measures; one gain then brings every part of the lecture up or down alike, so that its dynamics stay its own. Where the
gain would push peaks over the ceiling a limiter holds them, and more runs measure what that has cost.
"""

from __future__ import annotations

import re

import msgspec

RATE = 48_000
CEILING_DECIBELS = -1.5
"""Highest sample after the gain: half a decibel below the -1 dBTP of EBU R 128, for what lies between samples."""
_SILENT = -50.0
"""LUFS below which there is only noise: no gain makes speech of it."""
_MOST_GAIN = 30.0
"""Decibels: brings -46 LUFS to -16. What is quieter is more noise than speech, and stays below."""
TURNS = 4
"""Times that a limited sound is measured and raised: speech with loud claps took two, hardly any speech more."""
NEAR = 0.5
"""LU from the target that need no other turn."""
_MATTERS = 0.2
"""Decibels that are worth another filter."""
_INTEGRATED = re.compile(r"^ +I: +(-?[\d.]+|-?inf|nan) LUFS", re.MULTILINE)
_PEAK = re.compile(r"^ +Peak: +(-?[\d.]+|-?inf|nan) dBFS", re.MULTILINE)
_UNNAMED = re.compile(r"(\d+) channels")
MEASURE = "ebur128=peak=sample:framelog=quiet"


class Loudness(msgspec.Struct, frozen=True):
    """Integrated loudness in LUFS and the highest sample in dBFS; both far below zero for silence."""

    integrated: float
    peak: float


def read_loudness(words: str) -> Loudness | None:
    """The loudness that ffmpeg's `ebur128` has reported; None where it has not."""
    integrated, peak = _INTEGRATED.findall(words), _PEAK.findall(words)
    if not integrated or not peak:
        return None
    return Loudness(
        *(max(-200.0, float(found)) if _is_number(found) else -200.0 for found in (integrated[-1], peak[-1]))
    )


def _is_number(text: str) -> bool:
    return text.lstrip("-") not in {"inf", "nan"}


def first_gain(found: Loudness | None, target: float) -> float:
    """Decibels that bring a sound to `target` LUFS; 0 for silence and for what could not be measured."""
    if found is None or found.integrated < _SILENT:
        return 0.0
    gain = max(-_MOST_GAIN, min(_MOST_GAIN, target - found.integrated))
    return gain if abs(gain) >= _MATTERS else 0.0


def must_limit(found: Loudness | None, gain: float) -> bool:
    """Whether a gain pushes peaks over the ceiling."""
    return found is not None and found.peak + gain > CEILING_DECIBELS


def more_gain(after: Loudness | None, gain: float, target: float) -> float:
    """Decibels to add to `gain` because a limiter has taken some away; 0 where it is near enough."""
    if after is None or target - after.integrated < NEAR:
        return 0.0
    return min(target - after.integrated, _MOST_GAIN - gain)


def stereo(layout: str) -> str:
    """The filter that makes two channels of any; `layout` is ffmpeg's name of what there is.

    Channels without places cannot be mixed by their places: the odd ones go to the left, the even ones to the right.
    """
    unnamed = _UNNAMED.fullmatch(layout)
    if not unnamed:
        return f"aformat=channel_layouts=stereo,aresample={RATE}"
    count = int(unnamed[1])
    left = "+".join(f"c{number}" for number in range(0, count, 2))
    right = "+".join(f"c{number}" for number in range(1, count, 2)) or left
    return f"pan=stereo|c0<{left}|c1<{right},aresample={RATE}"


def chain(layout: str, gain: float, *, limited: bool) -> str:
    """The filters that a rendition's sound goes through."""
    filters = [stereo(layout)]
    if gain:
        filters.append(f"volume={gain:.2f}dB")
    if limited:
        ceiling = 10 ** (CEILING_DECIBELS / 20)
        filters.append(f"alimiter=level=disabled:limit={ceiling:.4f}:attack=5:release=50:latency=1")
    return ",".join(filters)
